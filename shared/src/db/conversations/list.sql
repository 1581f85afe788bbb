-- A user's conversations, newest activity first, one more than a page has. The filters scan the caller's own only.
select
    c.id, c.client_id, c.title, c.metadata, c.archived_at is not null as archived, c.pinned_at is not null as pinned,
    c.message_count, c.activity_at, c.created_at, c.updated_at, c.version
from conversations c
where c.user_id = $1::uuid
    and ($2::boolean is null or (c.archived_at is not null) = $2)
    and ($3::boolean is null or (c.pinned_at is not null) = $3)
    and (cardinality($4::text[]) = 0 or not exists (
        select from unnest($4, $5::text[]) as wanted (key, value)
        where (jsonb_typeof(c.metadata -> wanted.key) in ('string', 'number', 'boolean')) is not true
            or c.metadata ->> wanted.key is distinct from wanted.value))
    and ($6::text is null or strpos(lower(c.title), lower($6)) > 0)
    and ($7::timestamptz is null or c.activity_at > $7)
    and ($8::timestamptz is null or c.activity_at < $8)
    and ($9::timestamptz is null or (c.activity_at, c.id) < ($9, $10::uuid))
order by c.activity_at desc, c.id desc
limit $11::bigint

-- A user's conversations, newest activity first, one more than a page has. The filters scan the caller's own only.
--
-- Titles are compared in NFC, and without case by ICU's full rules: the locale of the database may know ASCII alone. `casefold`
-- came with PostgreSQL 18; upper case of lower case does the same: `ß`, `ẞ` and `ss` become one, and so do `σ` and the `ς` at
-- a word's end. It makes `I` of `ı`, and `İ` is made `I`, too, so that a reader of Turkish finds a word in either spelling.
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
    and ($6::text is null or strpos(
        replace(normalize(upper(lower(normalize(c.title, nfd) collate "und-x-icu") collate "und-x-icu")), 'İ', 'I'),
        replace(normalize(upper(lower(normalize($6, nfd) collate "und-x-icu") collate "und-x-icu")), 'İ', 'I')) > 0)
    and ($7::timestamptz is null or c.activity_at > $7)
    and ($8::timestamptz is null or c.activity_at < $8)
    and ($9::timestamptz is null or (c.activity_at, c.id) < ($9, $10::uuid))
order by c.activity_at desc, c.id desc
limit $11::bigint

-- One conversation: by our id first, then by the client's.
select
    c.id, c.client_id, c.title, c.metadata, c.archived_at is not null as archived, c.pinned_at is not null as pinned,
    c.message_count, c.activity_at, c.created_at, c.updated_at, c.version
from conversations c
where c.user_id = $1::uuid and (c.id = $2::uuid or c.client_id = $3::text)
order by coalesce(c.id = $2, false) desc
limit 1

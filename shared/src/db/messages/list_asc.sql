-- A page of a conversation's messages, oldest first. No line: there is no such conversation; a line without an id: it has
-- no such messages. The page ends at $9 items, or before its bytes pass $11, but has at least one; `found` tells whether
-- more follow. Only the narrow columns are read to find where it ends.
select
    page.id, page.conversation_id, page.client_id, page.parent_id, page.seq, page.active, page.role, page.status,
    page.origin, page.parts, page.content,
    case when $10::boolean then embed_sources(page.sources, page.source_embeddings) else page.sources end as sources,
    page.metadata, page.model, page.usage, page.created_at, page.found
from (
    select c.id from conversations c
    where c.user_id = $1::uuid and (c.id = $2::uuid or c.client_id = $3::text)
    order by coalesce(c.id = $2, false) desc
    limit 1
) conversation
left join lateral (
    select
        m.*,
        row_number() over in_order as place,
        sum(m.size + case when $10 then m.embeddings_size else 0 end) over in_order as bytes,
        count(*) over () as found
    from (
        select * from messages m
        where m.user_id = $1 and m.conversation_id = conversation.id
            and ($4::boolean or m.active)
            and ($5::text is null or m.role = $5)
            and ($6::timestamptz is null or m.created_at > $6)
            and ($7::timestamptz is null or m.created_at < $7)
            and ($8::bigint is null or m.seq > $8)
        order by m.seq asc
        limit $9::bigint + 1
    ) m
    window in_order as (order by m.seq asc rows unbounded preceding)
) page on page.place <= $9 and (page.bytes <= $11::bigint or page.place = 1)
order by page.seq asc

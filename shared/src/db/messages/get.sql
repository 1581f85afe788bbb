-- One message. The client's id may name several versions: the active one is meant, or the newest.
select
    m.id, m.conversation_id, m.client_id, m.parent_id, m.seq, m.active, m.role, m.status, m.origin, m.parts, m.content,
    case when $6::boolean then embed_sources(m.sources, m.source_embeddings) else m.sources end as sources,
    m.metadata, m.model, m.usage, m.created_at
from messages m
where m.user_id = $1::uuid
    and m.conversation_id = (
        select c.id from conversations c
        where c.user_id = $1 and (c.id = $2::uuid or c.client_id = $3::text)
        order by coalesce(c.id = $2, false) desc
        limit 1)
    and (m.id = $4::uuid or m.client_id = $5::text)
order by coalesce(m.id = $4, false) desc, m.active desc, m.seq desc
limit 1

-- A page of the messages that a reader sees, newest first; see the function. No line: there is no such conversation; a line
-- of nulls: it has no such messages.
select
    page.id, page.conversation_id, page.client_id, page.parent_id, page.seq, page.active, page.role, page.status,
    page.origin, page.parts, page.content, page.sources, page.metadata, page.model, page.usage, page.created_at,
    page.siblings, page.found, page.parts_due
from chat_page($1::uuid, $2::uuid, $3::text, $4::bigint, $5::bigint, $6::bigint) page

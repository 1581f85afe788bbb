-- All messages that can be shown, oldest first; see the function. No line: there is no such conversation; a line without
-- `found`: it has no such messages.
select
    page.id, page.conversation_id, page.client_id, page.parent_id, page.seq, page.active, page.role, page.status,
    page.origin, page.parts, page.content, page.sources, page.metadata, page.model, page.usage, page.created_at,
    page.siblings, page.name, page.parent_name, page.head, page.found, page.parts_due
from chat_branches($1::uuid, $2::uuid, $3::text, $4::bigint, $5::bigint, $6::bigint) page

-- A page of a conversation's messages, oldest first; see the function. No line: there is no such conversation; a line of
-- nulls: it has no such messages.
select
    page.id, page.conversation_id, page.client_id, page.parent_id, page.seq, page.active, page.role, page.status,
    page.origin, page.parts, page.content, page.sources, page.metadata, page.model, page.usage, page.created_at,
    page.found
from list_messages_asc(
    $1::uuid, $2::uuid, $3::text, $4::boolean, $5::text, $6::timestamptz, $7::timestamptz, $8::bigint, $9::bigint,
    $10::boolean, $11::bigint) page

-- Makes a message's branch the active one; see the function. No line: there is no such message.
select
    (activated.message).id, (activated.message).conversation_id, (activated.message).client_id,
    (activated.message).parent_id, (activated.message).seq, (activated.message).active, (activated.message).role,
    (activated.message).status, (activated.message).origin, (activated.message).parts, (activated.message).content,
    (activated.message).sources, (activated.message).metadata, (activated.message).model, (activated.message).usage,
    (activated.message).created_at,
    activated.parts_due, activated.refused
from activate_message($1::uuid, $2::uuid, $3::text, $4::uuid, $5::text) activated

-- Appends messages, all or none; see the function. A line for each message of the request, or for each fault.
select
    (appended.message).id, (appended.message).conversation_id, (appended.message).client_id,
    (appended.message).parent_id, (appended.message).seq, (appended.message).active, (appended.message).role,
    (appended.message).status, (appended.message).origin, (appended.message).parts, (appended.message).content,
    (appended.message).sources, (appended.message).metadata, (appended.message).model, (appended.message).usage,
    (appended.message).created_at,
    appended.n, appended.fault, appended.replayed
from append_messages($1::uuid, $2::uuid, $3::text, $4::jsonb, $5::integer) appended
order by appended.n nulls first

-- Makes a conversation with its first messages; see the function. The line without `n` is the conversation.
select
    (made.message).id, (made.message).conversation_id, (made.message).client_id, (made.message).parent_id,
    (made.message).seq, (made.message).active, (made.message).role, (made.message).status, (made.message).origin,
    (made.message).parts, (made.message).content, (made.message).sources, (made.message).metadata, (made.message).model,
    (made.message).usage, (made.message).created_at,
    (made.conversation).id as conversation_id, (made.conversation).client_id as conversation_client_id,
    (made.conversation).title, (made.conversation).metadata as conversation_metadata,
    (made.conversation).archived_at is not null as archived, (made.conversation).pinned_at is not null as pinned,
    (made.conversation).message_count, (made.conversation).activity_at, (made.conversation).created_at as made_at,
    (made.conversation).updated_at, (made.conversation).version,
    made.n, made.fault, made.replayed
from create_conversation(
    $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::jsonb, $8::jsonb, $9::integer) made
order by made.n nulls first

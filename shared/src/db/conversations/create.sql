-- Makes a conversation with its first messages; see the function. The line without `n` is the conversation.
select
    made.n, made.fault, made.replayed,
    (made.conversation).id, (made.conversation).client_id, (made.conversation).title, (made.conversation).metadata,
    (made.conversation).archived_at is not null as archived, (made.conversation).pinned_at is not null as pinned,
    (made.conversation).message_count, (made.conversation).activity_at, (made.conversation).created_at,
    (made.conversation).updated_at, (made.conversation).version,
    (made.message).id as message_id, (made.message).conversation_id as message_conversation_id,
    (made.message).client_id as message_client_id, (made.message).parent_id as message_parent_id,
    (made.message).seq as message_seq, (made.message).active as message_active, (made.message).role as message_role,
    (made.message).status as message_status, (made.message).origin as message_origin,
    (made.message).parts as message_parts, (made.message).content as message_content,
    (made.message).sources as message_sources, (made.message).metadata as message_metadata,
    (made.message).model as message_model, (made.message).usage as message_usage,
    (made.message).created_at as message_created_at
from create_conversation(
    $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::jsonb, $8::jsonb, $9::integer) made
order by made.n nulls first

-- Begins a turn, or says what is there already; see the function. The first columns are an earlier request's answer.
select
    (turn.answer).id, (turn.answer).conversation_id, (turn.answer).client_id, (turn.answer).parent_id,
    (turn.answer).seq, (turn.answer).active, (turn.answer).role, (turn.answer).status, (turn.answer).origin,
    (turn.answer).parts, (turn.answer).content, (turn.answer).sources, (turn.answer).metadata, (turn.answer).model,
    (turn.answer).usage, (turn.answer).created_at as answer_created_at,
    turn.outcome, turn.run_id, turn.conversation_id as started_in, turn.made, turn.title, turn.title_question, turn.message_id,
    turn.question_id, turn.created_at, turn.left_id, turn.siblings, turn.question_siblings, turn.history,
    turn.call_ids, turn.base, turn.base_parts, turn.messages_left, turn.tokens_left, turn.resets_in
from start_turn(
    $1::uuid, $2::text, $3::text, $4::uuid, $5::text, $6::text, $7::jsonb, $8::double precision, $9::jsonb,
    $10::bigint, $11::bigint, $12::bigint, $13::integer, $14::integer) turn

-- Asks a conversation's live run to stop; see the function. No line: there is no such conversation.
select stop.message_id, stop.parts_due from request_stop($1::uuid, $2::uuid, $3::text) stop

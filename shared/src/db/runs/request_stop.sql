-- Asks a conversation's live run to stop; see the function. Null: nothing runs.
select request_stop($1::uuid, $2::uuid, $3::text) as message_id

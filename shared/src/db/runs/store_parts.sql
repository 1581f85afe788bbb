-- Stores the message of a run whose function died; see the function.
select store_parts($1::uuid, $2::uuid, $3::jsonb) as stored

-- The run of a conversation that can be followed; see the function.
select found.run_id, found.message_id, found.parts_due
from find_run($1::uuid, $2::uuid, $3::text, $4::double precision) found

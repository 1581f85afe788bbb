-- Ends a run; see the function. No line: it is gone.
select ended.status, ended.by_this
from end_run(
    $1::uuid, $2::uuid, $3::jsonb, $4::text, $5::jsonb, $6::bigint, $7::text, $8::boolean) ended

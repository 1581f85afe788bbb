-- Ends a run; see the function. No line: it is gone.
select ended.status, ended.by_this
from end_run(
    $1::uuid, $2::uuid, $3::jsonb, $4::text, $5::jsonb, $6::jsonb, $7::bigint, $8::text, $9::boolean) ended

-- What has been stored of a run behind a chunk; see the function. No line: there is no such run.
select page.outcome, page.parts_due, page.n, page.frames, page.sources, page.base
from read_run($1::uuid, $2::uuid, $3::integer) page

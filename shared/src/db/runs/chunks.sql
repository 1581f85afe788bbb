-- All that has been stored of a run.
select c.n, c.frames, c.sources from run_chunks c where c.user_id = $1::uuid and c.run_id = $2::uuid order by c.n

-- All that has been stored of a run, and with the first chunk of an answer that went on, what its message had before.
select
    c.n, c.frames, c.sources,
    case when c.n = 0 and r.base_parts > 0 then (
        select base_answer(m) from messages m where m.user_id = r.user_id and m.id = r.message_id) end as base
from run_chunks c join runs r on r.user_id = c.user_id and r.id = c.run_id
where c.user_id = $1::uuid and c.run_id = $2::uuid
order by c.n

-- Locks a conversation until the transaction ends. What reads or writes under the lock is a later statement: this one's
-- snapshot is older than the lock.
select c.version
from conversations c
where c.user_id = $1::uuid and (c.id = $2::uuid or c.client_id = $3::text)
order by coalesce(c.id = $2, false) desc
limit 1
for no key update

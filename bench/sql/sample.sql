-- $2 conversations of $1 messages, and whose they are: any, but the same ones each time.
select u.subject, c.id::text, c.last_seq
from conversations c join users u on u.id = c.user_id
where c.message_count = $1::integer
order by hashtext(u.subject), hashtext(c.client_id)
limit $2::bigint

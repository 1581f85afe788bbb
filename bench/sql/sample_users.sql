-- $1 users, and where the middle of their list of conversations is.
select u.subject, place.activity_at, place.id
from users u, lateral (
    select c.activity_at, c.id from conversations c where c.user_id = u.id
    order by c.activity_at desc, c.id desc offset 60 limit 1
) place
order by hashtext(u.subject)
limit $1::bigint

-- Each user's conversations: $1 of $2 messages, $3 of $4, and for every fifth user one of $5. They begin at any time of a
-- year, and are stored in that order.
insert into conversations (
    id, user_id, client_id, title, metadata, last_seq, message_count, activity_at, created_at, updated_at)
select uuidv7(began - clock_timestamp()), user_id, 'chat-' || k || '-' || left(user_id::text, 8),
    'Leave policy, question ' || k, '{"team": "hr"}', messages, messages,
    began + messages * interval '30 seconds', began, began
from (
    select u.id as user_id, k,
        case when k <= $1::integer then $2::integer when k <= $1 + $3::integer then $4::integer else $5::integer end as messages,
        timestamptz '2025-01-01' + (hashtextextended(u.id::text, k) & 2147483647) % 31536000 * interval '1 second' as began
    from (select id, row_number() over (order by id) as number from users) u,
        generate_series(1, $1 + $3 + case when u.number % 5 = 0 then 1 else 0 end) k
) c
order by began

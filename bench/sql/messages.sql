-- The messages of all conversations, in the order of their times: those of one conversation lie between those of others,
-- as they would had they been stored one by one. Sorted while they are narrow; the join keeps the order.
insert into messages (
    id, conversation_id, user_id, seq, client_id, parent_id, role, parts, content, sources, model, usage, origin, size, created_at)
select m.id, m.conversation_id, m.user_id, m.seq, 'msg-' || m.seq || '-' || right(m.conversation_id::text, 12),
    m.parent_id, t.role, t.parts, t.content, t.sources,
    case t.role when 'assistant' then 'gpt-5' end,
    case t.role when 'assistant' then '{"inputTokens": 912, "outputTokens": 118}'::jsonb end,
    'client', t.size, m.at
from (
    select i.*, lag(i.id) over (partition by conversation_id order by seq) as parent_id
    from (
        select uuidv7(at - clock_timestamp()) as id, c.id as conversation_id, c.user_id, seq, at
        from conversations c, generate_series(1, c.message_count) seq,
            lateral (select c.created_at + seq * interval '30 seconds' as at) time
    ) i
    order by at
    offset 0
) m
join texts t on t.n = (hashint8(m.seq) & 2147483647) % $1::bigint + 1
    and t.role = case m.seq % 2 when 1 then 'user' else 'assistant' end

-- The texts that messages are made of: $1 questions and as many answers with a source each, all of one length, of words
-- so that they compress as prose does.
create temporary table texts on commit preserve rows as
with words as (
    select array['the', 'of', 'leave', 'policy', 'days', 'and', 'employee', 'may', 'request', 'manager', 'within', 'year',
        'annual', 'carry', 'over', 'unused', 'until', 'March', 'unless', 'agreed', 'section', 'applies', 'to', 'all',
        'contracts', 'part-time', 'pro', 'rata', 'holiday', 'public', 'is', 'not', 'counted', 'a', 'sick', 'note'] as word
), prose as (
    select n, r.role, left(string_agg(word[1 + (hashint8(n * 1000 + k) & 2147483647) % array_length(word, 1)], ' ' order by k),
        case r.role when 'user' then 100 else 500 end) as content
    from words, generate_series(1, $1::bigint) n, (values ('user'), ('assistant')) r (role), generate_series(1, 250) k
    group by n, r.role
), sourced as (
    select p.*,
        case p.role when 'user' then '[]'::jsonb else jsonb_build_array(jsonb_build_object(
            'id', 's1', 'type', 'url', 'url', 'https://intranet.example.com/handbook/leave#section-' || lpad(n::text, 4, '0'),
            'title', 'Employee handbook, annual leave', 'snippet', left(content, 120), 'score', 0.8371,
            'documentId', 'handbook-2026')) end as sources
    from prose p
), parted as (
    select s.*,
        jsonb_build_array(jsonb_build_object('type', 'text', 'text', content)) || case role when 'user' then '[]'::jsonb
            else jsonb_build_array(jsonb_build_object('type', 'source-url', 'sourceId', 's1', 'url', sources -> 0 -> 'url',
                'title', sources -> 0 -> 'title')) end as parts
    from sourced s
)
select n, role, content, sources, parts,
    (octet_length(content) + octet_length(sources::text) + octet_length(parts::text)) * 5 / 4 + 600 as size
from parted

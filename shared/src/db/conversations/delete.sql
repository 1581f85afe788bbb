-- Deletes a locked conversation and, by the foreign key, its messages; not where the version is none of those wanted.
delete from conversations c
where c.user_id = $1::uuid
    and c.id = (
        select o.id from conversations o
        where o.user_id = $1 and (o.id = $2::uuid or o.client_id = $3::text)
        order by coalesce(o.id = $2, false) desc
        limit 1)
    and ($4::bigint[] is null or c.version = any ($4))

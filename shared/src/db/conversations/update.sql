-- Changes a locked conversation. Where nothing would change, or the version is none of those wanted, no row is touched.
-- $4 says whether $5 is the new title; a JSON null in $8 empties the metadata.
update conversations c
set title = wanted.title,
    archived_at = wanted.archived_at,
    pinned_at = wanted.pinned_at,
    metadata = wanted.metadata,
    version = c.version + 1,
    updated_at = clock_timestamp()
from (
    select
        o.id,
        case when $4::boolean then $5::text else o.title end as title,
        case
            when $6::boolean is null then o.archived_at
            when $6 then coalesce(o.archived_at, clock_timestamp())
        end as archived_at,
        case
            when $7::boolean is null then o.pinned_at
            when $7 then coalesce(o.pinned_at, clock_timestamp())
        end as pinned_at,
        case
            when $8::jsonb is null then o.metadata
            when jsonb_typeof($8) = 'null' then '{}'
            else json_merge_patch(o.metadata, $8)
        end as metadata
    from conversations o
    where o.user_id = $1::uuid and (o.id = $2::uuid or o.client_id = $3::text)
    order by coalesce(o.id = $2, false) desc
    limit 1
) wanted
where c.user_id = $1 and c.id = wanted.id
    and ($9::bigint[] is null or c.version = any ($9))
    and (c.title, c.archived_at, c.pinned_at, c.metadata)
        is distinct from (wanted.title, wanted.archived_at, wanted.pinned_at, wanted.metadata)

set local row_security = off;

-- A page of a conversation's messages, as functions whose plans a connection keeps; the settings are argued with those that
-- write.

-- How many of so many items, in order, have no more bytes together than that; at least one.
create function public.fitting(p_sizes bigint[], p_most_items bigint, p_most_bytes bigint) returns bigint
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    size bigint;
    items bigint := 0;
    bytes bigint := 0;
begin
    foreach size in array p_sizes loop
        bytes := bytes + size;
        exit when items = p_most_items or (items > 0 and bytes > p_most_bytes);
        items := items + 1;
    end loop;
    return items;
end
$$;

-- A page of a conversation's messages, oldest first: those after the place `p_from`, at most `p_limit` and no more than have
-- `p_most_bytes` together, but at least one. No line: there is no such conversation; a line of nulls: it has no such
-- messages. `found` tells whether more follow. Only narrow columns are read to find where the page ends.
create function public.list_messages_asc(
    p_user uuid, p_id uuid, p_client_id text, p_all_branches boolean, p_role text, p_created_after timestamptz,
    p_created_before timestamptz, p_from bigint, p_limit bigint, p_embeddings boolean, p_most_bytes bigint)
returns table (
    id uuid, conversation_id uuid, client_id text, parent_id uuid, seq bigint, active boolean, role text, status text,
    origin text, parts jsonb, content text, sources jsonb, metadata jsonb, model text, usage jsonb,
    created_at timestamptz, found bigint)
language plpgsql stable
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    p_conversation uuid := find_conversation(p_user, p_id, p_client_id);
    p_found bigint;
    p_bytes bigint;
    p_sizes bigint[];
begin
    if p_conversation is null then
        return;
    end if;
    -- In the statements themselves this would keep `seq` from being an index condition: under row-level security only
    -- what surely leaks nothing may be one, and `coalesce` isn't on the server's list.
    p_from := coalesce(p_from, 0);
    select count(*), sum(m.bytes), array_agg(m.bytes) into p_found, p_bytes, p_sizes
    from (
        select (m.size + case when p_embeddings then m.embeddings_size else 0 end)::bigint as bytes
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation
            and (p_all_branches or m.active)
            and (p_role is null or m.role = p_role)
            and (p_created_after is null or m.created_at > p_created_after)
            and (p_created_before is null or m.created_at < p_created_before)
            and m.seq > p_from
        order by m.seq asc
        limit p_limit + 1
    ) m;
    if p_found = 0 then
        return next;
        return;
    end if;
    if p_bytes > p_most_bytes then
        p_limit := fitting(p_sizes, p_limit, p_most_bytes);
    end if;
    return query
        select m.id, m.conversation_id, m.client_id, m.parent_id, m.seq, m.active, m.role, m.status, m.origin, m.parts,
            m.content, case when p_embeddings then embed_sources(m.sources, m.source_embeddings) else m.sources end,
            m.metadata, m.model, m.usage, m.created_at, p_found
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation
            and (p_all_branches or m.active)
            and (p_role is null or m.role = p_role)
            and (p_created_after is null or m.created_at > p_created_after)
            and (p_created_before is null or m.created_at < p_created_before)
            and m.seq > p_from
        order by m.seq asc
        limit p_limit;
end
$$;

-- A page of a conversation's messages, newest first: those before the place `p_from`, at most `p_limit` and no more than have
-- `p_most_bytes` together, but at least one. No line: there is no such conversation; a line of nulls: it has no such
-- messages. `found` tells whether more follow. Only narrow columns are read to find where the page ends.
create function public.list_messages_desc(
    p_user uuid, p_id uuid, p_client_id text, p_all_branches boolean, p_role text, p_created_after timestamptz,
    p_created_before timestamptz, p_from bigint, p_limit bigint, p_embeddings boolean, p_most_bytes bigint)
returns table (
    id uuid, conversation_id uuid, client_id text, parent_id uuid, seq bigint, active boolean, role text, status text,
    origin text, parts jsonb, content text, sources jsonb, metadata jsonb, model text, usage jsonb,
    created_at timestamptz, found bigint)
language plpgsql stable
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    p_conversation uuid := find_conversation(p_user, p_id, p_client_id);
    p_found bigint;
    p_bytes bigint;
    p_sizes bigint[];
begin
    if p_conversation is null then
        return;
    end if;
    -- In the statements themselves this would keep `seq` from being an index condition: under row-level security only
    -- what surely leaks nothing may be one, and `coalesce` isn't on the server's list.
    p_from := coalesce(p_from, 9223372036854775807);
    select count(*), sum(m.bytes), array_agg(m.bytes) into p_found, p_bytes, p_sizes
    from (
        select (m.size + case when p_embeddings then m.embeddings_size else 0 end)::bigint as bytes
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation
            and (p_all_branches or m.active)
            and (p_role is null or m.role = p_role)
            and (p_created_after is null or m.created_at > p_created_after)
            and (p_created_before is null or m.created_at < p_created_before)
            and m.seq < p_from
        order by m.seq desc
        limit p_limit + 1
    ) m;
    if p_found = 0 then
        return next;
        return;
    end if;
    if p_bytes > p_most_bytes then
        p_limit := fitting(p_sizes, p_limit, p_most_bytes);
    end if;
    return query
        select m.id, m.conversation_id, m.client_id, m.parent_id, m.seq, m.active, m.role, m.status, m.origin, m.parts,
            m.content, case when p_embeddings then embed_sources(m.sources, m.source_embeddings) else m.sources end,
            m.metadata, m.model, m.usage, m.created_at, p_found
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation
            and (p_all_branches or m.active)
            and (p_role is null or m.role = p_role)
            and (p_created_after is null or m.created_at > p_created_after)
            and (p_created_before is null or m.created_at < p_created_before)
            and m.seq < p_from
        order by m.seq desc
        limit p_limit;
end
$$;

revoke execute on function public.fitting, public.list_messages_asc, public.list_messages_desc from public;
grant execute on function public.fitting, public.list_messages_asc, public.list_messages_desc to colloquy_app;

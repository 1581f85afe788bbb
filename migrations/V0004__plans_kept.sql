set local row_security = off;

-- The hot paths as functions whose plans a connection keeps. What the functions on Lambda send is parsed and planned each
-- time, since a pooler in transaction mode has no prepared statements, and for these that took longer than running them.
--
-- `force_generic_plan`: every access is by a key or its beginning, so that a plan for special values could be no better, and
-- the server would plan anew each time to find that out. `enable_seqscan` is off for the connection that plans while a
-- table is still small: it keeps that plan when the table has grown.

-- A conversation by our id first, then by the client's; null where the user has none of that name.
create function public.find_conversation(p_user uuid, p_id uuid, p_client_id text) returns uuid
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    found_id uuid;
begin
    select c.id into found_id from conversations c where c.user_id = p_user and c.id = p_id;
    if found_id is null and p_client_id is not null then
        select c.id into found_id from conversations c where c.user_id = p_user and c.client_id = p_client_id;
    end if;
    return found_id;
end
$$;

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

-- Looks up which rows of a batch are stored already and which can't be. The conversation is null where it is yet to be
-- made; otherwise the caller holds its lock. Row by row, by whole keys: as one statement this read every message of the
-- conversation.
create or replace function public.check_messages(
    p_user uuid, p_conversation uuid, p_batch jsonb, p_most_bytes integer)
returns public.checked_message[]
language plpgsql
set search_path = public, pg_temp
as $$
declare
    item jsonb;
    name text;
    hash bytea;
    parent text;
    earlier integer;
    stored record;
    checked checked_message;
    all_checked checked_message[] := '{}';
    names text[] := '{}';
    hashes bytea[] := '{}';
begin
    for i in 0 .. jsonb_array_length(p_batch) - 1 loop
        item := p_batch -> i;
        name := item ->> 'clientId';
        hash := decode(item ->> 'requestHash', 'hex');
        parent := item ->> 'parentId';
        -- Nulls would find each other.
        earlier := case when name is not null then array_position(names, name) end;
        names[i + 1] := name;
        hashes[i + 1] := hash;
        checked := row(i, case when hashes[earlier] = hash then earlier - 1 else i end, null,
            -- The bytes that it takes in a response of Lambda's: its JSON, escaped once more into a string. The constant
            -- covers the members' names, ids and times. (A function of its own, to be called, took longer than its work.)
            600 + octet_length(to_json((item -> 'parts')::text)::text)
                + octet_length(to_json((item -> 'content')::text)::text)
                + octet_length(to_json((item -> 'sources')::text)::text)
                + octet_length(to_json((item -> 'metadata')::text)::text)
                + coalesce(octet_length(to_json((item -> 'clientId')::text)::text), 0)
                + coalesce(octet_length(to_json((item -> 'model')::text)::text), 0)
                + coalesce(octet_length(to_json((item -> 'usage')::text)::text), 0),
            case when jsonb_typeof(item -> 'sourceEmbeddings') = 'object'
                then embeddings_size(item -> 'sourceEmbeddings') else 0 end,
            null);

        select m.id, m.size, m.request_hash is not distinct from hash as is_same into stored
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.client_id = name
        order by is_same desc
        limit 1;
        if stored.is_same then
            checked.message_id := stored.id;
            checked.size := stored.size;
        elsif stored.id is not null or hashes[earlier] is distinct from hash and earlier is not null then
            checked.fault := 'client_id_reused';
        elsif parent not in ('last', 'root') and not exists (
            select from messages m
            where m.user_id = p_user and m.conversation_id = p_conversation and m.id = parent::uuid
        ) then
            checked.fault := 'unknown_parent';
        elsif octet_length((item -> 'metadata')::text) > 16384 then
            checked.fault := 'metadata_too_large';
        elsif checked.size + checked.embeddings_size > p_most_bytes then
            checked.fault := 'too_large';
        end if;
        all_checked := all_checked || checked;
    end loop;
    return all_checked;
end
$$;

-- Appends a batch of messages, all or none. No row: there is no such conversation. A fault in any row: nothing is stored.
create or replace function public.append_messages(
    p_user uuid, p_id uuid, p_client_id text, p_batch jsonb, p_most_bytes integer)
returns table (n integer, fault text, replayed boolean, message public.messages)
language plpgsql
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    conversation uuid := find_conversation(p_user, p_id, p_client_id);
    checked checked_message[];
begin
    perform from conversations c where c.user_id = p_user and c.id = conversation for no key update;
    if not found then
        return;
    end if;
    checked := check_messages(p_user, conversation, p_batch, p_most_bytes);
    if (select bool_and(c.fault is null) and sum(c.size::bigint) <= p_most_bytes from unnest(checked) c) then
        return query
            select w.n, null::text, w.replayed, w.message from write_messages(p_user, conversation, p_batch, checked) w;
    else
        return query select f.n, f.fault, false, null::messages from batch_faults(checked, p_most_bytes) f;
    end if;
end
$$;

-- What these call is planned within them, under the same settings.
alter function public.append_messages set plan_cache_mode = force_generic_plan;
alter function public.append_messages set enable_seqscan = off;
alter function public.create_conversation set plan_cache_mode = force_generic_plan;
alter function public.create_conversation set enable_seqscan = off;

revoke execute on function
    public.find_conversation, public.fitting, public.list_messages_asc, public.list_messages_desc from public;
grant execute on function
    public.find_conversation, public.fitting, public.list_messages_asc, public.list_messages_desc to colloquy_app;
drop function public.message_size;

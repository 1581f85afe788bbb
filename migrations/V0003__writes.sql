set local row_security = off;

-- Functions run with their caller's rights, so that row-level security binds what they do. In a plpgsql function each
-- statement has its own snapshot: what follows the lock sees what others committed before it. In one plain statement it
-- would not, since a statement's snapshot is older than the lock that it takes.

-- A JSON merge patch (RFC 7396).
create function public.json_merge_patch(target jsonb, patch jsonb) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(patch) <> 'object' then
        return patch;
    end if;
    if target is null or jsonb_typeof(target) <> 'object' then
        target := '{}';
    end if;
    return coalesce((
        select jsonb_object_agg(merged.key, merged.value)
        from (
            select t.key, t.value from jsonb_each(target) t where not patch ? t.key
            union all
            select p.key, public.json_merge_patch(target -> p.key, p.value)
            from jsonb_each(patch) p
            where jsonb_typeof(p.value) <> 'null'
        ) merged), '{}');
end
$$;

-- The bytes that its sources' embeddings add.
create function public.embeddings_size(embeddings jsonb) returns integer
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(embeddings) = 'object' then (
        select coalesce(sum(octet_length(value::text) + 24), 0)::integer from jsonb_each(embeddings)
    ) else 0 end
$$;

-- The sources, each with its embedding.
create function public.embed_sources(sources jsonb, embeddings jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case when embeddings is null then sources else (
        select jsonb_agg(
            case when embeddings ? (source ->> 'id')
                then source || jsonb_build_object('embedding', embeddings -> (source ->> 'id'))
                else source
            end order by n)
        from jsonb_array_elements(sources) with ordinality as s (source, n)
    ) end
$$;

-- What storing one row of a batch would mean.
create type public.checked_message as (
    -- The row's index in the batch.
    n integer,
    -- The first row of the batch with the same client id and content: itself, mostly.
    original integer,
    -- The message that is stored already, or that was stored for it.
    message_id uuid,
    size integer,
    embeddings_size integer,
    -- Why the row can't be stored.
    fault text
);

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

-- Looks up which rows of a batch are stored already and which can't be. The conversation is null where it is yet to be
-- made; otherwise the caller holds its lock. Row by row, by whole keys: one statement over the batch
-- would read every message of the conversation.
create function public.check_messages(
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

-- What is wrong with a batch: a line for each bad row, and one without a row where the answer would be too large.
create function public.batch_faults(p_checked public.checked_message[], p_most_bytes integer)
returns table (n integer, fault text)
language sql immutable
set search_path = public, pg_temp
as $$
    select c.n, c.fault from unnest(p_checked) c where c.fault is not null
    union all
    select null, 'batch_too_large' from unnest(p_checked) c
    where c.fault is null having sum(c.size::bigint) > p_most_bytes
$$;

-- Makes a message the last active one: its ancestors become active, what else followed them is left. Null: none is.
--
-- The active messages are one path from the root, and a parent's seq is below its child's. So only rows behind the
-- first active ancestor change.
create function public.make_last(p_user uuid, p_conversation uuid, p_message uuid) returns void
language plpgsql
set search_path = public, pg_temp
as $$
begin
    with recursive path as (
        select m.id, m.parent_id, m.seq, m.active
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.id = p_message
        union all
        select m.id, m.parent_id, m.seq, m.active
        from path p join messages m on m.id = p.parent_id
        where not p.active and m.user_id = p_user and m.conversation_id = p_conversation
    )
    update messages m set active = not m.active
    where m.user_id = p_user and m.conversation_id = p_conversation
        and m.seq > coalesce((select max(p.seq) from path p where p.active), 0)
        and (m.active or m.id in (select p.id from path p));
end
$$;

-- Stores the rows of a checked batch that aren't stored yet, and returns the message of every row. The caller holds the
-- conversation's lock.
create function public.write_messages(
    p_user uuid, p_conversation uuid, p_batch jsonb, p_checked public.checked_message[])
returns table (n integer, replayed boolean, message public.messages)
language plpgsql
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    item jsonb;
    leaf uuid;
    parent uuid;
    taken bigint;
    stored integer := 0;
    new_ids uuid[] := '{}';
    -- Under the lock, and the same for all rows: `now()` is the time before the wait.
    stored_at timestamptz := clock_timestamp();
begin
    select c.last_seq into taken from conversations c where c.user_id = p_user and c.id = p_conversation;
    select m.id into leaf from messages m
    where m.user_id = p_user and m.conversation_id = p_conversation and m.active
    order by m.seq desc limit 1;

    for i in 1 .. cardinality(p_checked) loop
        if p_checked[i].message_id is not null then
            continue;
        end if;
        if p_checked[i].original < p_checked[i].n then
            p_checked[i].message_id := p_checked[p_checked[i].original + 1].message_id;
            continue;
        end if;
        item := p_batch -> p_checked[i].n;
        if item ->> 'parentId' <> 'last' then
            parent := nullif(item ->> 'parentId', 'root')::uuid;
            if parent is distinct from leaf then
                perform make_last(p_user, p_conversation, parent);
                leaf := parent;
            end if;
        end if;
        stored := stored + 1;
        insert into messages (
            conversation_id, user_id, seq, client_id, request_hash, parent_id, role, parts, content, sources,
            source_embeddings, metadata, model, usage, origin, size, embeddings_size, created_at)
        values (
            p_conversation, p_user, taken + stored, item ->> 'clientId', decode(item ->> 'requestHash', 'hex'), leaf,
            item ->> 'role', item -> 'parts', item ->> 'content', item -> 'sources',
            nullif(item -> 'sourceEmbeddings', 'null'), item -> 'metadata', item ->> 'model',
            nullif(item -> 'usage', 'null'), 'client', p_checked[i].size, p_checked[i].embeddings_size, stored_at)
        returning id into leaf;
        p_checked[i].message_id := leaf;
        new_ids := new_ids || leaf;
    end loop;

    if stored > 0 then
        update conversations c
        set last_seq = c.last_seq + stored, message_count = c.message_count + stored,
            activity_at = greatest(c.activity_at, stored_at)
        where c.user_id = p_user and c.id = p_conversation;
    end if;
    return query
        select c.n, m.id <> all (new_ids), m
        from unnest(p_checked) c join messages m on m.id = c.message_id
        where m.user_id = p_user and m.conversation_id = p_conversation;
end
$$;

-- Appends a batch of messages, all or none. No row: there is no such conversation. A fault in any row: nothing is stored; nor
-- where a row would leave a branch on which an answer is being written (`turn_running`).
create function public.append_messages(
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
    -- A row behind another message than the last leaves the branch; not while an answer is being written there.
    if exists (
        select from unnest(checked) c
        where c.message_id is null and p_batch -> c.n ->> 'parentId' <> 'last'
            and nullif(p_batch -> c.n ->> 'parentId', 'root') is distinct from leaf_of(p_user, conversation)::text)
    then
        if live_run(p_user, conversation) is not null then
            return query select null::integer, 'turn_running', false, null::messages;
            return;
        end if;
    end if;
    if (select bool_and(c.fault is null) and sum(c.size::bigint) <= p_most_bytes from unnest(checked) c) then
        return query
            select w.n, null::text, w.replayed, w.message from write_messages(p_user, conversation, p_batch, checked) w;
    else
        return query select f.n, f.fault, false, null::messages from batch_faults(checked, p_most_bytes) f;
    end if;
end
$$;

-- Makes a conversation with its first messages. The line without `n` is the conversation, the others are its messages.
-- A fault in any row: nothing is stored.
create function public.create_conversation(
    p_user uuid, p_issuer_id text, p_subject text, p_client_id text, p_request_hash text, p_title text,
    p_metadata jsonb, p_batch jsonb, p_most_bytes integer)
returns table (
    n integer, fault text, replayed boolean, conversation public.conversations, message public.messages)
language plpgsql
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    found_conversation conversations;
    checked checked_message[];
    made_at timestamptz := clock_timestamp();
begin
    -- A repeated request passes: what it sends passed the first time.
    checked := check_messages(p_user, null, p_batch, p_most_bytes);
    return query
        select f.n, f.fault, false, null::conversations, null::messages from batch_faults(checked, p_most_bytes) f;
    if found then
        return;
    end if;

    insert into users (id, issuer_id, subject) values (p_user, p_issuer_id, p_subject) on conflict do nothing;
    -- No conflict target: whichever unique index loses the race, the row that won is answered. It may be deleted before
    -- it is read; then the next attempt inserts.
    for attempt in 1 .. 3 loop
        insert into conversations (
            user_id, client_id, request_hash, title, metadata, activity_at, created_at, updated_at)
        values (
            p_user, p_client_id, decode(p_request_hash, 'hex'), p_title, p_metadata, made_at, made_at, made_at)
        on conflict do nothing
        returning * into found_conversation;
        if found then
            return query
                select w.n, null::text, false, null::conversations, w.message
                from write_messages(p_user, found_conversation.id, p_batch, checked) w;
            return query
                select null::integer, null::text, false, c, null::messages
                from conversations c where c.user_id = p_user and c.id = found_conversation.id;
            return;
        end if;

        select * into found_conversation from conversations c
        where c.user_id = p_user and c.client_id = p_client_id;
        if found and found_conversation.request_hash is not distinct from decode(p_request_hash, 'hex') then
            -- Its first messages are those that this request stored: a seq for each row that repeats none before it.
            return query
                select c.n, null::text, true, null::conversations, m
                from unnest(checked) c join messages m on m.seq = (
                    select count(*) from unnest(checked) o where o.original = o.n and o.n <= c.original)
                where m.user_id = p_user and m.conversation_id = found_conversation.id;
            return query select null::integer, null::text, true, found_conversation, null::messages;
            return;
        elsif found then
            return query select null::integer, 'client_id_reused', false, null::conversations, null::messages;
            return;
        end if;
    end loop;
    raise exception 'a conversation was deleted while it was made again' using errcode = 'serialization_failure';
end
$$;

-- Plans are kept by the connection. What the functions on Lambda send is parsed and planned each time, since a pooler in
-- transaction mode has no prepared statements, and that took longer than running it. `force_generic_plan`: every access is by
-- a key or its beginning, so that a plan for special values could be no better, and the server would plan anew each time to
-- find that out. `enable_seqscan` is off for the connection that plans while a table is still small: it keeps that plan when
-- the table has grown. What these functions call is planned under the same settings.
alter function public.append_messages set plan_cache_mode = force_generic_plan;
alter function public.append_messages set enable_seqscan = off;
alter function public.create_conversation set plan_cache_mode = force_generic_plan;
alter function public.create_conversation set enable_seqscan = off;

revoke execute on function
    public.json_merge_patch, public.embeddings_size, public.embed_sources, public.find_conversation,
    public.check_messages, public.batch_faults, public.make_last, public.write_messages, public.append_messages,
    public.create_conversation
    from public;
grant execute on function
    public.json_merge_patch, public.embeddings_size, public.embed_sources, public.find_conversation,
    public.check_messages, public.batch_faults, public.make_last, public.write_messages, public.append_messages,
    public.create_conversation
    to colloquy_app;

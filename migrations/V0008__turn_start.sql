set local row_security = off;

-- What a turn's start has to know before it may store anything. The caller holds the conversation's lock.

-- A message by our id first, then by the client's, of which the active version is meant, or the newest.
create function public.find_message(p_user uuid, p_conversation uuid, p_id uuid, p_client_id text) returns public.messages
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    found_message messages;
begin
    select * into found_message from messages m
    where m.user_id = p_user and m.conversation_id = p_conversation and m.id = p_id;
    if not found and p_client_id is not null then
        select * into found_message from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.client_id = p_client_id
        order by m.active desc, m.seq desc limit 1;
    end if;
    return found_message;
end
$$;

-- A message that a front end names, as it shows it. Where a version was stored under our id of the one that it replaces, the
-- name means the version that is shown.
create function public.shown_message(p_user uuid, p_conversation uuid, p_id uuid, p_client_id text) returns uuid
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    message_id uuid;
begin
    select k.id into message_id
    from (
        select m.id, m.active, true as is_ours, m.seq from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.id = p_id
        union all
        select m.id, m.active, false, m.seq from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.client_id = p_client_id
    ) k
    order by k.active desc, k.is_ours desc, k.seq desc
    limit 1;
    return message_id;
end
$$;

-- The message that a reader sees last; null where there is none.
create function public.leaf_of(p_user uuid, p_conversation uuid) returns uuid
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    leaf uuid;
begin
    select m.id into leaf from messages m
    where m.user_id = p_user and m.conversation_id = p_conversation and m.active
    order by m.seq desc limit 1;
    return leaf;
end
$$;

-- The messages that have a message's parent, itself among them, in order, and its place: `{"ids": […], "index": n}`. Null
-- where it has no other. At most 50 before it and 50 behind it, so that no message costs more than two short scans.
create function public.siblings_of(p_user uuid, p_conversation uuid, p_message uuid) returns jsonb
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    most constant integer := 50;
    own record;
    before uuid[];
    behind uuid[];
begin
    select m.parent_id, m.seq into own from messages m
    where m.user_id = p_user and m.conversation_id = p_conversation and m.id = p_message;
    -- First messages have no parent, and no operator finds both them and others by the index.
    if own.parent_id is null then
        select array_agg(s.id order by s.seq) into before from (
            select m.id, m.seq from messages m
            where m.user_id = p_user and m.conversation_id = p_conversation and m.parent_id is null and m.seq < own.seq
                and m.status <> 'in_progress'
            order by m.seq desc limit most) s;
        select array_agg(s.id order by s.seq) into behind from (
            select m.id, m.seq from messages m
            where m.user_id = p_user and m.conversation_id = p_conversation and m.parent_id is null and m.seq > own.seq
                and m.status <> 'in_progress'
            order by m.seq limit most) s;
    else
        select array_agg(s.id order by s.seq) into before from (
            select m.id, m.seq from messages m
            where m.user_id = p_user and m.conversation_id = p_conversation and m.parent_id = own.parent_id
                and m.seq < own.seq and m.status <> 'in_progress'
            order by m.seq desc limit most) s;
        select array_agg(s.id order by s.seq) into behind from (
            select m.id, m.seq from messages m
            where m.user_id = p_user and m.conversation_id = p_conversation and m.parent_id = own.parent_id
                and m.seq > own.seq and m.status <> 'in_progress'
            order by m.seq limit most) s;
    end if;
    if before is null and behind is null then
        return null;
    end if;
    return jsonb_build_object('ids', before || p_message || behind, 'index', coalesce(cardinality(before), 0));
end
$$;

-- Of the messages with either name, one that asks the same, if there is one: the active one, or the newest. `is_same` tells.
create function public.find_question(
    p_user uuid, p_conversation uuid, p_id uuid, p_client_id text, p_hash bytea, p_parts jsonb,
    out question uuid, out is_same boolean)
language plpgsql stable
set search_path = public, pg_temp
as $$
begin
    select k.id, k.role = 'user' and (k.request_hash is not distinct from p_hash or k.parts = p_parts) as same
    into question, is_same
    from (
        select m.id, m.role, m.request_hash, m.parts, m.active, m.seq from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.id = p_id
        union all
        select m.id, m.role, m.request_hash, m.parts, m.active, m.seq from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.client_id = p_client_id
    ) k
    order by same desc, k.active desc, k.seq desc
    limit 1;
end
$$;

-- The question that an answer answers: the nearest message before it that the user wrote, or it itself.
create function public.question_of(p_user uuid, p_conversation uuid, p_message uuid) returns uuid
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    question uuid;
begin
    with recursive path as (
        select m.id, m.parent_id, m.role from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.id = p_message
        union all
        select m.id, m.parent_id, m.role
        from path p join messages m on m.id = p.parent_id
        where p.role <> 'user' and m.user_id = p_user and m.conversation_id = p_conversation
    )
    select p.id into question from path p where p.role = 'user';
    return question;
end
$$;

-- The answer to a question: the active one, or the newest.
create function public.answer_of(p_user uuid, p_conversation uuid, p_question uuid) returns uuid
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    answer uuid;
begin
    select a.id into answer from messages a
    where a.user_id = p_user and a.conversation_id = p_conversation and a.parent_id = p_question and a.role = 'assistant'
        and a.seq > (
            select q.seq from messages q
            where q.user_id = p_user and q.conversation_id = p_conversation and q.id = p_question)
    order by a.active desc, a.seq desc
    limit 1;
    return answer;
end
$$;

-- Makes the branch of a message the active one: its ancestors, and below it always the newest child.
create function public.activate_branch(p_user uuid, p_conversation uuid, p_message uuid) returns void
language plpgsql
set search_path = public, pg_temp
as $$
declare
    leaf uuid := p_message;
    child uuid;
begin
    loop
        select m.id into child from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.parent_id = leaf
        order by m.seq desc limit 1;
        exit when not found;
        leaf := child;
    end loop;
    perform make_last(p_user, p_conversation, leaf);
end
$$;

-- What is asked for, seen from what is stored.
create type public.turn_plan as (
    -- Why nothing can be begun.
    fault text,
    -- An answer that is there already, of an earlier request with the same key.
    answer uuid,
    -- A stored question: to be answered, …
    question uuid,
    -- … anew, whether or not it has an answer.
    anew boolean,
    -- Otherwise a question is to be stored, under this name, …
    name text,
    -- … behind this message; null is the beginning.
    parent uuid
);

-- Judges what is asked for: `kind` submit, edit or regenerate, `targetId` and `targetClientId`, `question`, `key`, `parent`
-- (`{"id", "clientId"}`, or `{}` for the beginning; null where none is given), `earlier`: the messages before the question as
-- the front end shows them, each as `{"id", "clientId"}`. What the answers to waiting calls make, `plan_continuation` judges.
create function public.plan_turn(p_user uuid, p_conversation uuid, p_ask jsonb) returns public.turn_plan
language plpgsql
set search_path = public, pg_temp
as $$
declare
    plan turn_plan;
    kind text := p_ask ->> 'kind';
    key constant text := p_ask ->> 'key';
    asked constant jsonb := nullif(p_ask -> 'question', 'null');
    hash constant bytea := decode(asked ->> 'requestHash', 'hex');
    has_target constant boolean := coalesce(p_ask ->> 'targetId', p_ask ->> 'targetClientId') is not null;
    place jsonb := nullif(p_ask -> 'parent', 'null');
    earlier constant jsonb := coalesce(nullif(p_ask -> 'earlier', 'null'), '[]');
    given_parent uuid;
    target record;
    known record;
    repeated record;
begin
    if place <> '{}' then
        given_parent := shown_message(p_user, p_conversation, (place ->> 'id')::uuid, place ->> 'clientId');
        if given_parent is null then
            plan.fault := 'unknown_parent';
            return plan;
        end if;
    end if;
    select m.id, m.client_id, m.parent_id, m.role into target from messages m
    where has_target and m.user_id = p_user and m.conversation_id = p_conversation and m.id = (
        select shown_message(p_user, p_conversation, (p_ask ->> 'targetId')::uuid, p_ask ->> 'targetClientId'));

    if kind = 'regenerate' and key is not null then
        select r.message_id, m.parent_id into repeated
        from runs r join messages m on m.id = r.message_id
        where r.user_id = p_user and r.conversation_id = p_conversation and r.idempotency_keys <> '{}'
            and key = any (r.idempotency_keys) and m.user_id = p_user;
        if found then
            -- A target that isn't stored is the front end's own name of an answer that never began.
            if target.id is not null and question_of(p_user, p_conversation, target.id) <> repeated.parent_id then
                plan.fault := 'key_reused';
            else
                plan.answer := repeated.message_id;
            end if;
            return plan;
        end if;
    end if;

    plan.name := case kind when 'submit' then coalesce(asked ->> 'clientId', key) else asked ->> 'clientId' end;
    -- A front end may know a message by our id of it.
    plan.name := coalesce((
        select m.client_id from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.id = (asked ->> 'id')::uuid), plan.name);
    known := find_question(
        p_user, p_conversation, (asked ->> 'id')::uuid, plan.name, hash, asked -> 'parts');

    if kind = 'regenerate' then
        if target.id is not null then
            plan.question := question_of(p_user, p_conversation, target.id);
        elsif known.is_same then
            plan.question := known.question;
        elsif known.question is not null then
            -- A retry of an edit that never arrived.
            select m.id, m.client_id, m.parent_id, m.role into target from messages m
            where m.user_id = p_user and m.conversation_id = p_conversation and m.id = known.question;
            kind := 'edit';
        elsif asked is not null then
            -- A retry of a question that never arrived.
            kind := 'submit';
        elsif not has_target then
            plan.question := question_of(p_user, p_conversation, leaf_of(p_user, p_conversation));
        end if;
        if kind = 'regenerate' then
            plan.anew := true;
            if plan.question is null then
                plan.fault := case
                    when not has_target then 'nothing_to_answer'
                    when target.id is null then 'unknown_message'
                    else 'answers_no_question'
                end;
            end if;
            return plan;
        end if;
    end if;

    if kind = 'edit' then
        if target.id is null then
            plan.fault := 'unknown_target';
            return plan;
        elsif target.role <> 'user' then
            plan.fault := 'target_is_no_question';
            return plan;
        elsif place is not null and given_parent is distinct from target.parent_id then
            plan.fault := 'other_parent';
            return plan;
        end if;
        plan.parent := target.parent_id;
        if plan.name is null
            or plan.name in (target.client_id, target.id::text, p_ask ->> 'targetId', p_ask ->> 'targetClientId')
        then
            -- A version under the name of the one that it replaces.
            plan.name := coalesce(target.client_id, target.id::text);
            known := find_question(
                p_user, p_conversation, coalesce((asked ->> 'id')::uuid, (p_ask ->> 'targetId')::uuid, target.id), plan.name,
                hash, asked -> 'parts');
            if known.is_same then
                plan.question := known.question;
            end if;
            return plan;
        end if;
        place := '{}';
        given_parent := target.parent_id;
    end if;

    if known.is_same and (place is null or given_parent is not distinct from (
        select m.parent_id from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.id = known.question))
    then
        plan.question := known.question;
    elsif known.question is not null then
        plan.fault := 'client_id_reused';
    elsif (asked ->> 'isOurs')::boolean then
        plan.fault := 'unknown_question';
    elsif place is not null then
        plan.parent := given_parent;
    else
        -- What the front end shows last before the question; what it made up itself isn't stored.
        for i in reverse jsonb_array_length(earlier) - 1 .. 0 loop
            plan.parent := shown_message(
                p_user, p_conversation, (earlier -> i ->> 'id')::uuid, earlier -> i ->> 'clientId');
            exit when plan.parent is not null;
        end loop;
        plan.parent := coalesce(plan.parent, leaf_of(p_user, p_conversation));
    end if;
    return plan;
end
$$;

-- The last active messages up to a question, or to an answer that goes on, oldest first, within what `p_most` says, but always
-- that one. What says nothing, and what failed, is nothing to an agent; reasoning and data are never read for one.
--
-- From the newest on, and no further than there is room, so that a long history costs no more than what is used of it:
--   content       the text
--   parts         text, files and calls of tools in their order, where there are files or calls; those of earlier messages
--                 while `fileBytes` lasts, and `chars` for calls and for files of text, which are words to a model
--   filesLeftOut  otherwise what those files are called
--   sources       of answers, while `sourcesBytes` lasts. Of large ones the first, with what names them and the passage, each
--                 cut one character behind what the prompt shows, so that it can tell that there was more; a link is whole
--                 or left out
--   asked         the question came with this request, or its answer goes on: who asked has its parts
create function public.turn_history(
    p_user uuid, p_conversation uuid, p_question uuid, p_seq bigint, p_asked boolean, p_most jsonb)
returns jsonb
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    message record;
    said jsonb;
    said_parts jsonb;
    text_bytes bigint;
    said_sources jsonb;
    sources_size integer;
    history jsonb[] := '{}';
    chars bigint := (p_most ->> 'chars')::bigint;
    file_bytes bigint := (p_most ->> 'fileBytes')::bigint;
    sources_bytes bigint := (p_most ->> 'sourcesBytes')::bigint;
    most_uncut constant integer := sources_bytes / 4;
    most_sources constant integer := (p_most ->> 'sources')::integer;
    title_chars constant integer := (p_most ->> 'titleChars')::integer + 1;
    link_chars constant integer := (p_most ->> 'linkChars')::integer;
    snippet_chars constant integer := (p_most ->> 'snippetChars')::integer + 1;
begin
    for message in
        select m.id, m.role, m.content, m.parts, m.file_names, m.call_ids, m.sources, m.size
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.seq <= p_seq and m.active
            and m.role in ('user', 'assistant')
            and (m.id = p_question
                or m.status not in ('failed', 'in_progress')
                and (m.content <> '' or m.file_names is not null or m.call_ids is not null))
        order by m.seq desc
        limit greatest((p_most ->> 'messages')::integer, 1)
    loop
        chars := chars - length(message.content) - coalesce(length(message.file_names::text), 0);
        exit when chars < 0 and message.id <> p_question;
        said := jsonb_build_object('role', message.role, 'content', message.content);
        if message.id = p_question and p_asked then
            said := said || '{"asked": true}';
        elsif coalesce(message.file_names, message.call_ids) is not null then
            said_parts := null;
            -- `size` is known without reading the parts, and with files in them hardly more than the files.
            if message.id = p_question
                or message.size <= (case when message.file_names is null then 4 * chars else file_bytes end)
            then
                said_parts := jsonb_path_query_array(
                    message.parts,
                    '$[*] ? (@.type == "text" || @.type == "file" || @.type == "step-start" || exists (@.toolCallId))');
            end if;
            if message.id <> p_question then
                select coalesce(sum(case when p.part ? 'toolCallId' then length(p.part::text)
                    else length(p.part ->> 'url') * 3 / 4 end), 0) into text_bytes
                from jsonb_array_elements(said_parts) p (part)
                where p.part ? 'toolCallId'
                    or p.part ->> 'type' = 'file' and p.part ->> 'mediaType' ~* '^(text/|application/json)';
                if said_parts is null or text_bytes > chars then
                    if message.file_names is not null then
                        said := said || jsonb_build_object('filesLeftOut', message.file_names);
                    end if;
                    said_parts := null;
                else
                    if message.file_names is not null then
                        file_bytes := file_bytes - message.size;
                    end if;
                    chars := chars - text_bytes;
                end if;
            end if;
            if said_parts is not null then
                said := said || jsonb_build_object('parts', said_parts);
            end if;
        end if;
        if message.role = 'assistant' and sources_bytes > 0 and message.sources <> '[]' then
            said_sources := message.sources;
            sources_size := octet_length(said_sources::text);
            -- Cutting takes longer than sending what is small.
            if sources_size > most_uncut then
                select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                    'id', left(s.source ->> 'id', title_chars),
                    'type', case when s.source ->> 'type' = 'url' and length(s.source ->> 'url') > link_chars
                        then 'document' else s.source ->> 'type' end,
                    'mediaType', left(s.source ->> 'mediaType', title_chars),
                    'title', left(s.source ->> 'title', title_chars),
                    'url', case when length(s.source ->> 'url') <= link_chars then s.source ->> 'url' end,
                    'filename', left(s.source ->> 'filename', title_chars),
                    'snippet', left(s.source ->> 'snippet', snippet_chars))) order by s.n) into said_sources
                from jsonb_array_elements(message.sources) with ordinality s (source, n)
                where s.n <= most_sources;
                sources_size := octet_length(said_sources::text);
            end if;
            said := said || jsonb_build_object('sources', said_sources);
            sources_bytes := sources_bytes - sources_size;
        end if;
        history := history || said;
    end loop;
    return (select coalesce(jsonb_agg(h.said order by h.n desc), '[]') from unnest(history) with ordinality h (said, n));
end
$$;

-- Whether a user has fewer answers that run than `p_most`. Until the transaction's end nobody else learns that of this user, so
-- that those who ask at once don't all get the last place. A function that died leaves a lease that expires, and counts no more.
create function public.may_run(p_user uuid, p_most integer) returns boolean
language plpgsql
set search_path = public, pg_temp
as $$
begin
    -- The user's row would do as well, but whoever may lock it may change it. Two users with one hash wait for each other.
    perform pg_advisory_xact_lock(hashtext('colloquy.may_run'), hashtext(p_user::text));
    return (
        select count(*) from runs r
        where r.user_id = p_user and r.outcome is null and r.lease_until >= clock_timestamp()) < p_most;
end
$$;

-- Counts a message towards the quota of the running window, unless one of the limits is reached. A null limit is none.
create function public.take_quota(p_user uuid, p_messages bigint, p_tokens bigint, p_seconds bigint)
returns table (fits boolean, quota_window timestamptz, messages_left bigint, tokens_left bigint, resets_in double precision)
language plpgsql
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    -- `clock_timestamp`: the transaction may have waited for its lock.
    at double precision := extract(epoch from clock_timestamp());
    counted record;
begin
    quota_window := to_timestamp(floor(at / p_seconds) * p_seconds);
    resets_in := extract(epoch from quota_window)::double precision + p_seconds - at;
    -- A row for the window, then one more in it: so the limits are judged in one place, whoever is first.
    insert into quota_usage (user_id, "window") values (p_user, quota_window) on conflict do nothing;
    update quota_usage q set messages = q.messages + 1
    where q.user_id = p_user and q."window" = quota_window
        and (p_messages is null or q.messages < p_messages) and (p_tokens is null or q.tokens < p_tokens);
    fits := found;
    select q.messages, q.tokens into counted from quota_usage q
    where q.user_id = p_user and q."window" = quota_window;
    -- `greatest` passes over nulls.
    messages_left := case when p_messages is not null then greatest(p_messages - counted.messages, 0) end;
    tokens_left := case when p_tokens is not null then greatest(p_tokens - counted.tokens, 0) end;
    return next;
end
$$;

revoke execute on function
    public.find_message, public.shown_message, public.leaf_of, public.siblings_of, public.find_question, public.question_of,
    public.answer_of, public.activate_branch, public.plan_turn, public.turn_history,
    public.may_run, public.take_quota
    from public;
grant execute on function
    public.find_message, public.shown_message, public.leaf_of, public.siblings_of, public.find_question, public.question_of,
    public.answer_of, public.activate_branch, public.plan_turn, public.turn_history,
    public.may_run, public.take_quota
    to colloquy_app;

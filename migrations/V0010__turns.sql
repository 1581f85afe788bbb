set local row_security = off;

-- Begins a turn: the conversation made if it is new, the question stored, its answer opened, and a run under a lease. Or
-- says what is there already: `outcome` is one of
--   started         also an answer that goes on: `base` is what it was before
--   joined          a run of an earlier request, whose stream is stored or still being stored
--   finished        an earlier request's answer, without its stream
--   turn_running    the conversation's live run is another
--   turn_stopping   … and was asked to stop
--   too_many_running
--   quota_exceeded
-- or a fault of what was asked. Where nothing was begun, nothing is stored.
--
-- At most one run is live in a conversation: that is decided under the conversation's lock, and the index `runs_live` would
-- refuse a second.
--
-- `p_client_id` is null where the conversation is named by one of our ids alone: then none is made.
create function public.start_turn(
    p_user uuid, p_issuer_id text, p_subject text, p_id uuid, p_client_id text, p_title text, p_ask jsonb,
    p_lease double precision, p_history jsonb, p_quota_messages bigint, p_quota_tokens bigint, p_quota_seconds bigint,
    p_quota_running integer, p_most_bytes integer)
returns table (
    outcome text, run_id uuid, conversation_id uuid, made boolean, title text, title_question text, message_id uuid,
    question_id uuid,
    created_at timestamptz, left_id uuid, siblings jsonb, question_siblings jsonb, history jsonb, call_ids jsonb,
    base jsonb, base_parts integer, messages_left bigint, tokens_left bigint, resets_in double precision, answer public.messages)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    conversation uuid;
    asked constant jsonb := nullif(p_ask -> 'question', 'null');
    plan turn_plan;
    goes_on constant boolean := p_ask ->> 'kind' = 'continue';
    continuing continuation;
    begun_run record;
    live_id uuid;
    live record;
    leaf uuid;
    answer_id uuid;
    begun_at timestamptz := clock_timestamp();
    quota record;
    is_active boolean;
    last bigint;
    question_size integer;
    stored integer := 1;
begin
    made := false;
    for attempt in 1 .. 3 loop
        conversation := find_conversation(p_user, p_id, p_client_id);
        if conversation is null then
            if asked is null or p_ask ->> 'kind' = 'edit' or p_client_id is null then
                outcome := 'unknown_conversation';
                return next;
                return;
            end if;
            insert into users (id, issuer_id, subject) values (p_user, p_issuer_id, p_subject) on conflict do nothing;
            insert into conversations (user_id, client_id, title, title_wanted, activity_at, created_at, updated_at)
            values (
                p_user, p_client_id, p_title, coalesce((p_ask ->> 'titleFromAgent')::boolean, false), begun_at, begun_at, begun_at)
            on conflict do nothing
            returning id into conversation;
            made := found;
        end if;
        select c.title, c.last_seq into title, last from conversations c
        where c.user_id = p_user and c.id = conversation for no key update;
        exit when found;
    end loop;
    if last is null then
        raise exception 'a conversation was deleted while it was made again' using errcode = 'serialization_failure';
    end if;

    run_id := run_with_parts_due(p_user, conversation);
    if run_id is not null then
        outcome := 'parts_due';
        return next;
        return;
    end if;
    live_id := live_run(p_user, conversation);
    select r.id, r.message_id, r.stop_requested_at, r.idempotency_keys into live from runs r
    where r.user_id = p_user and r.id = live_id;
    if goes_on then
        answer_id := shown_message(p_user, conversation, (p_ask ->> 'targetId')::uuid, p_ask ->> 'targetClientId');
        continuing := plan_continuation(p_user, conversation, answer_id, p_ask -> 'outcomes', p_most_bytes);
        outcome := continuing.fault;
    else
        plan := plan_turn(p_user, conversation, p_ask);
        outcome := plan.fault;
        answer_id := plan.answer;
    end if;
    if outcome is null and plan.question is not null then
        if plan.anew then
            -- One that is being answered isn't answered twice.
            select m.id into answer_id from messages m
            where m.user_id = p_user and m.id = live.message_id and m.parent_id = plan.question;
            if found and p_ask ->> 'key' is not null then
                -- Its retry after the answer's end gets this answer, too.
                if cardinality(live.idempotency_keys) >= 100 then
                    answer_id := null;
                    outcome := 'turn_running';
                else
                    update runs r set idempotency_keys = r.idempotency_keys || (p_ask ->> 'key')
                    where r.user_id = p_user and r.id = live.id;
                end if;
            end if;
        else
            answer_id := answer_of(p_user, conversation, plan.question);
            select m.active into is_active from messages m where m.user_id = p_user and m.id = plan.question;
            if p_ask ->> 'kind' <> 'submit' and not is_active and answer_id is distinct from live.message_id then
                -- An edit back to a version that was left.
                if live.id is not null then
                    outcome := 'turn_running';
                elsif answer_id is not null then
                    perform activate_branch(p_user, conversation, plan.question);
                    answer_id := answer_of(p_user, conversation, plan.question);
                end if;
            end if;
        end if;
    end if;
    if outcome is null and answer_id is not null and (not goes_on or continuing.run is not null) then
        select r.id, r.base_parts, r.outcome is null or r.replayable as is_streamed into begun_run from runs r
        where r.user_id = p_user and r.message_id = answer_id and r.id = coalesce(continuing.run, r.id)
        order by r.created_at desc limit 1;
        base_parts := begun_run.base_parts;
        if begun_run.is_streamed then
            outcome := 'joined';
            run_id := begun_run.id;
        else
            outcome := 'finished';
        end if;
        select m.* into answer from messages m where m.user_id = p_user and m.id = answer_id;
        message_id := answer_id;
        siblings := siblings_of(p_user, conversation, answer_id);
        return next;
        return;
    end if;
    if live.id is not null and coalesce(outcome, 'turn_running') = 'turn_running' then
        outcome := case when live.stop_requested_at is null then 'turn_running' else 'turn_stopping' end;
    end if;

    if outcome is null and plan.question is null and not goes_on then
        question_size := message_size(
            asked -> 'parts', asked ->> 'content', '[]', asked -> 'metadata', plan.name, null, null);
        if octet_length((asked -> 'metadata')::text) > 16384 then
            outcome := 'metadata_too_large';
        elsif question_size > p_most_bytes then
            outcome := 'too_large';
        end if;
    end if;
    if outcome is null and p_quota_running is not null and not may_run(p_user, p_quota_running) then
        outcome := 'too_many_running';
    end if;
    if outcome is null and coalesce(p_quota_messages, p_quota_tokens) is not null then
        select q.* into quota from take_quota(p_user, p_quota_messages, p_quota_tokens, p_quota_seconds) q;
        messages_left := quota.messages_left;
        tokens_left := quota.tokens_left;
        resets_in := quota.resets_in;
        if not quota.fits then
            outcome := 'quota_exceeded';
        end if;
    else
        select null::timestamptz as quota_window into quota;
    end if;
    if outcome is not null then
        if made then
            delete from conversations c where c.user_id = p_user and c.id = conversation;
        end if;
        return next;
        return;
    end if;

    -- Under the lock: `now()` is the time before the wait.
    begun_at := clock_timestamp();
    leaf := leaf_of(p_user, conversation);
    question_id := plan.question;
    if goes_on then
        base := reopen_answer(p_user, answer_id, continuing);
        select m.parent_id, m.created_at into question_id, created_at from messages m
        where m.user_id = p_user and m.id = answer_id;
        base_parts := jsonb_array_length(continuing.parts);
        stored := 0;
    elsif question_id is null then
        if plan.parent is distinct from leaf then
            left_id := leaf;
            perform make_last(p_user, conversation, plan.parent);
        end if;
        insert into messages (
            conversation_id, user_id, seq, client_id, request_hash, parent_id, role, parts, content, metadata, origin,
            size, created_at)
        values (
            conversation, p_user, last + 1, plan.name,
            case when plan.name is not null then decode(asked ->> 'requestHash', 'hex') end, plan.parent,
            'user',
            asked -> 'parts', asked ->> 'content', asked -> 'metadata', 'client', question_size, begun_at)
        returning id into question_id;
        stored := 2;
    elsif question_id is distinct from leaf then
        left_id := leaf;
        perform make_last(p_user, conversation, question_id);
    end if;
    -- The answer's time is its own, and behind the question's.
    begun_at := greatest(clock_timestamp(), begun_at + interval '1 microsecond');
    if not goes_on then
        insert into messages (
            conversation_id, user_id, seq, parent_id, role, parts, content, status, origin, size, created_at)
        values (
            conversation, p_user, last + stored, question_id, 'assistant', '[]', '', 'in_progress', 'relay',
            message_size('[]', '', '[]', '{}', null, null, null), begun_at)
        returning id into answer_id;
    end if;
    insert into runs (
        user_id, conversation_id, message_id, idempotency_keys, quota_window, lease_until, base_parts, outcomes)
    values (
        p_user, conversation, answer_id,
        case when p_ask ->> 'kind' = 'regenerate' and p_ask ->> 'key' is not null
            then array[p_ask ->> 'key'] else '{}' end,
        quota.quota_window, clock_timestamp() + make_interval(secs => p_lease), coalesce(base_parts, 0),
        continuing.outcomes)
    returning id into run_id;
    update conversations c
    set last_seq = last + stored, message_count = c.message_count + stored,
        activity_at = greatest(c.activity_at, begun_at)
    where c.user_id = p_user and c.id = conversation;

    -- What a title is about: the first question. One that was wanted and never came is asked for with each turn.
    if (p_ask ->> 'titleFromAgent')::boolean then
        select left(m.content, 2001) into title_question
        from conversations c join messages m on m.conversation_id = c.id
        where c.user_id = p_user and c.id = conversation and c.title_wanted and c.version = 1 and m.user_id = p_user
        order by m.seq limit 1;
    end if;

    outcome := 'started';
    conversation_id := conversation;
    message_id := answer_id;
    created_at := coalesce(created_at, begun_at);
    if plan.question is not null or goes_on then
        siblings := siblings_of(p_user, conversation, answer_id);
    elsif left_id is not null then
        question_siblings := siblings_of(p_user, conversation, question_id);
    end if;
    call_ids := call_ids_of(p_user, conversation);
    history := turn_history(
        p_user, conversation, case when goes_on then answer_id else question_id end, last + stored, plan.question is null,
        p_history);
    return next;
end
$$;

-- Makes a message's branch the active one; see `activate_branch`. No line: there is no such message. `refused`: an answer is
-- being written, and would be left.
create function public.activate_message(
    p_user uuid, p_id uuid, p_client_id text, p_message_id uuid, p_message_client_id text)
returns table (parts_due uuid, refused boolean, message public.messages)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    conversation uuid := find_conversation(p_user, p_id, p_client_id);
begin
    perform from conversations c where c.user_id = p_user and c.id = conversation for no key update;
    parts_due := run_with_parts_due(p_user, conversation);
    if parts_due is not null then
        return next;
        return;
    end if;
    message := find_message(p_user, conversation, p_message_id, p_message_client_id);
    if message.id is null then
        return;
    end if;
    refused := live_run(p_user, conversation) is not null;
    if not refused then
        perform activate_branch(p_user, conversation, message.id);
        message := find_message(p_user, conversation, message.id, null);
    end if;
    return next;
end
$$;

-- A page of the messages that a reader sees, newest first, as `list_messages_desc` has it; an answer that is being written
-- isn't among them, since whoever follows its stream gets it from there.
create function public.chat_page(
    p_user uuid, p_id uuid, p_client_id text, p_from bigint, p_limit bigint, p_most_bytes bigint)
returns table (
    id uuid, conversation_id uuid, client_id text, parent_id uuid, seq bigint, active boolean, role text, status text,
    origin text, parts jsonb, content text, sources jsonb, metadata jsonb, model text, usage jsonb,
    created_at timestamptz, siblings jsonb, found bigint, parts_due uuid)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    p_conversation uuid := find_conversation(p_user, p_id, p_client_id);
    p_found bigint;
    p_sizes bigint[];
begin
    if p_conversation is null then
        return;
    end if;
    parts_due := run_with_parts_due(p_user, p_conversation);
    if parts_due is not null then
        return next;
        return;
    end if;
    p_from := coalesce(p_from, 9223372036854775807);
    select count(*), array_agg(m.size) into p_found, p_sizes
    from (
        select m.size::bigint as size
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.active and m.status <> 'in_progress'
            and m.seq < p_from
        order by m.seq desc
        limit p_limit + 1
    ) m;
    if p_found = 0 then
        return next;
        return;
    end if;
    p_limit := fitting(p_sizes, p_limit, p_most_bytes);
    return query
        select m.id, m.conversation_id, m.client_id, m.parent_id, m.seq, m.active, m.role, m.status, m.origin, m.parts,
            m.content, m.sources, m.metadata, m.model, m.usage, m.created_at,
            -- Most have none, and the function costs ten times as much as this look.
            case when m.parent_id is null or exists (
                select from messages s
                where s.user_id = p_user and s.conversation_id = p_conversation and s.parent_id = m.parent_id
                    and s.id <> m.id)
                then siblings_of(p_user, p_conversation, m.id) end,
            p_found, null::uuid
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.active and m.status <> 'in_progress'
            and m.seq < p_from
        order by m.seq desc
        limit p_limit;
end
$$;

-- The name under which a front end finds a message, and no other: the client's where it means this one, else our id. Versions
-- of a question may share the client's name, which means the one that is shown, or the newest.
create function public.name_of(p_user uuid, p_conversation uuid, p_message uuid) returns text
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    own record;
begin
    select m.client_id, m.active, m.seq into own from messages m
    where m.user_id = p_user and m.conversation_id = p_conversation and m.id = p_message;
    if own.client_id is null or exists (
        select from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.client_id = own.client_id
            and (m.active > own.active or m.active = own.active and m.seq > own.seq))
    then
        return p_message::text;
    end if;
    -- A version may also be stored under our id of the one that it replaces.
    if own.client_id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' and exists (
        select from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.id = own.client_id::uuid)
    then
        return p_message::text;
    end if;
    return own.client_id;
end
$$;

-- A page of all messages but an answer that is being written, oldest first: those behind the place `p_from`, as
-- `list_messages_asc` has it. `name` and `parent_name` are names that no two messages share, `head` is that of the last message
-- that a reader sees.
create function public.chat_branches(
    p_user uuid, p_id uuid, p_client_id text, p_from bigint, p_limit bigint, p_most_bytes bigint)
returns table (
    id uuid, conversation_id uuid, client_id text, parent_id uuid, seq bigint, active boolean, role text, status text,
    origin text, parts jsonb, content text, sources jsonb, metadata jsonb, model text, usage jsonb,
    created_at timestamptz, siblings jsonb, name text, parent_name text, head text, found bigint,
    parts_due uuid)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    p_conversation uuid := find_conversation(p_user, p_id, p_client_id);
    p_found bigint;
    p_sizes bigint[];
    p_head text;
begin
    if p_conversation is null then
        return;
    end if;
    parts_due := run_with_parts_due(p_user, p_conversation);
    if parts_due is not null then
        return next;
        return;
    end if;
    p_from := coalesce(p_from, 0);
    select name_of(p_user, p_conversation, m.id) into p_head from messages m
    where m.user_id = p_user and m.conversation_id = p_conversation and m.active and m.status <> 'in_progress'
    order by m.seq desc limit 1;
    select count(*), array_agg(m.size) into p_found, p_sizes
    from (
        select m.size::bigint as size
        from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.status <> 'in_progress' and m.seq > p_from
        order by m.seq
        limit p_limit + 1
    ) m;
    if p_found = 0 then
        head := p_head;
        return next;
        return;
    end if;
    p_limit := fitting(p_sizes, p_limit, p_most_bytes);
    return query
        select m.id, m.conversation_id, m.client_id, m.parent_id, m.seq, m.active, m.role, m.status, m.origin, m.parts,
            m.content, m.sources, m.metadata, m.model, m.usage, m.created_at,
            case when m.parent_id is null or exists (
                select from messages s
                where s.user_id = p_user and s.conversation_id = p_conversation and s.parent_id = m.parent_id
                    and s.id <> m.id)
                then siblings_of(p_user, p_conversation, m.id) end,
            case when m.client_id is null then m.id::text else name_of(p_user, p_conversation, m.id) end,
            case when p.client_id is null then p.id::text else name_of(p_user, p_conversation, p.id) end, p_head, p_found,
            null::uuid
        from messages m
        left join messages p on p.user_id = p_user and p.conversation_id = p_conversation and p.id = m.parent_id
        where m.user_id = p_user and m.conversation_id = p_conversation and m.status <> 'in_progress' and m.seq > p_from
        order by m.seq
        limit p_limit;
end
$$;

revoke execute on function
    public.start_turn, public.activate_message, public.chat_page, public.name_of, public.chat_branches
    from public;
grant execute on function
    public.start_turn, public.activate_message, public.chat_page, public.name_of, public.chat_branches
    to colloquy_app;

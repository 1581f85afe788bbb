set local row_security = off;

-- The life of a run once its turn has begun. Locks are taken in one order, and each is optional: conversation, message, run;
-- only `start_turn` and `activate_message` take the first, and deleting a conversation takes all three in this order.
--
-- A lease that has expired ends nothing by itself. Whoever meets it calls `end_expired_run`; the run's own function may
-- still renew it as long as nobody did: until then no other answer can have been begun.

-- How an answer's time stands in its stream and in its message: RFC 3339, without trailing zeros.
create function public.json_time(p_time timestamptz) returns text
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select regexp_replace(to_char(p_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\.?0*$', '') || 'Z'
$$;

-- Writes an answer from its run's chunks, and the run's outcome. The caller holds the locks of the message and of the run,
-- and knows that the run is live.
--
-- It must not fail for what the chunks hold: the run could then never end. An answer that no page could show loses its
-- sources' embeddings first, then all but the beginning of its text.
create function public.finish_run(
    p_user uuid, p_run uuid, p_message uuid, p_status text, p_usage jsonb, p_tokens bigint, p_model text,
    p_give_back boolean)
returns void
language plpgsql
set search_path = public, pg_temp
as $$
declare
    most_bytes constant integer := 5242880;
    all_frames jsonb[];
    answer record;
    answer_text text;
    answer_sources jsonb;
    answer_embeddings jsonb;
    answer_size integer;
    counted_in timestamptz;
begin
    select coalesce(array_agg(f.frame order by c.n, f.place), '{}') into all_frames
    from run_chunks c cross join lateral jsonb_array_elements(c.frames) with ordinality f (frame, place)
    where c.user_id = p_user and c.run_id = p_run;
    select p.parts, p.metadata into answer from message_parts(all_frames) p;
    answer_text := text_of_parts(answer.parts);
    select coalesce(jsonb_agg(s.source - 'embedding' order by c.n, s.place), '[]'),
        jsonb_object_agg(s.source ->> 'id', s.source -> 'embedding')
            filter (where s.source ? 'embedding' and s.source ->> 'id' is not null)
    into answer_sources, answer_embeddings
    from run_chunks c cross join lateral jsonb_array_elements(c.sources) with ordinality s (source, place)
    where c.user_id = p_user and c.run_id = p_run;
    if octet_length(answer.metadata::text) > 16384 then
        answer.metadata := '{}';
    end if;

    answer_size := message_size(answer.parts, answer_text, answer_sources, answer.metadata, null, p_model, p_usage);
    if answer_size > most_bytes then
        answer_text := left(answer_text, 300000);
        answer.parts := jsonb_build_array(jsonb_build_object('type', 'text', 'text', answer_text, 'state', 'done'));
        answer_sources := '[]';
        answer_embeddings := null;
        answer_size := message_size(answer.parts, answer_text, answer_sources, answer.metadata, null, p_model, p_usage);
    elsif answer_size + embeddings_size(answer_embeddings) > most_bytes then
        answer_embeddings := null;
    end if;

    update messages m
    set parts = answer.parts, content = answer_text, sources = answer_sources, source_embeddings = answer_embeddings,
        metadata = answer.metadata, model = p_model, usage = p_usage, status = p_status, size = answer_size,
        embeddings_size = embeddings_size(answer_embeddings)
    where m.user_id = p_user and m.id = p_message;
    update runs r set outcome = p_status, ended_at = clock_timestamp()
    where r.user_id = p_user and r.id = p_run
    returning r.quota_window into counted_in;
    if counted_in is not null and (p_give_back or p_tokens > 0) then
        update quota_usage q
        set messages = greatest(q.messages - p_give_back::integer, 0), tokens = q.tokens + p_tokens
        where q.user_id = p_user and q."window" = counted_in;
    end if;
end
$$;

-- Ends a run whose lease has expired, as `incomplete`, with what was stored. Returns whether the run is over now: not where
-- its function has renewed the lease meanwhile.
create function public.end_expired_run(p_user uuid, p_run uuid) returns boolean
language plpgsql
set search_path = public, pg_temp
as $$
declare
    answer_id uuid;
    found_run record;
    answer record;
    all_frames jsonb[];
    last_frames jsonb;
    next integer;
begin
    select r.message_id into answer_id from runs r where r.user_id = p_user and r.id = p_run;
    perform from messages m where m.user_id = p_user and m.id = answer_id for no key update;
    select r.outcome, r.lease_until into found_run from runs r
    where r.user_id = p_user and r.id = p_run for no key update;
    if not found or found_run.outcome is not null then
        return true;
    elsif found_run.lease_until >= clock_timestamp() then
        return false;
    end if;

    -- Its readers get what its function would have sent at such an end.
    select coalesce(max(c.n) + 1, 0) into next from run_chunks c where c.user_id = p_user and c.run_id = p_run;
    select coalesce(array_agg(f.frame order by c.n, f.place), '{}') into all_frames
    from run_chunks c cross join lateral jsonb_array_elements(c.frames) with ordinality f (frame, place)
    where c.user_id = p_user and c.run_id = p_run;
    select p.closing into last_frames from message_parts(all_frames) p;
    if next = 0 then
        select m.created_at, m.parent_id into answer from messages m where m.user_id = p_user and m.id = answer_id;
        last_frames := jsonb_build_array(jsonb_build_object('type', 'start', 'messageId', answer_id, 'messageMetadata',
            jsonb_build_object('createdAt', json_time(answer.created_at), 'status', 'in_progress',
                'parentId', answer.parent_id)));
    end if;
    insert into run_chunks (run_id, n, user_id, frames)
    values (p_run, next, p_user, last_frames || '[
        {"type": "message-metadata", "messageMetadata": {"status": "incomplete"}},
        {"type": "error", "errorText": "The answer was cut off."}]');
    perform finish_run(p_user, p_run, answer_id, 'incomplete', null, 0, null, false);
    return true;
end
$$;

-- The run that is live in a conversation; one whose lease has expired is ended instead.
create function public.live_run(p_user uuid, p_conversation uuid) returns uuid
language plpgsql
set search_path = public, pg_temp
as $$
declare
    found_run record;
begin
    select r.id, r.lease_until into found_run from runs r
    where r.user_id = p_user and r.conversation_id = p_conversation and r.outcome is null;
    if found and found_run.lease_until < clock_timestamp() and end_expired_run(p_user, found_run.id) then
        return null;
    end if;
    return found_run.id;
end
$$;

-- Stores chunks of a live run and renews its lease, also without chunks. No line: it has ended, or is gone.
create function public.append_chunks(p_user uuid, p_run uuid, p_chunks jsonb, p_lease double precision)
returns table (stop_requested boolean)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    update runs r set lease_until = clock_timestamp() + make_interval(secs => p_lease)
    where r.user_id = p_user and r.id = p_run and r.outcome is null
    returning r.stop_requested_at is not null into stop_requested;
    if not found then
        return;
    end if;
    insert into run_chunks (run_id, n, user_id, frames, sources)
    select p_run, c.n, p_user, c.frames, coalesce(c.sources, '[]')
    from jsonb_to_recordset(p_chunks) c (n integer, frames jsonb, sources jsonb)
    on conflict do nothing;
    return next;
end
$$;

-- Ends a run, and stores the chunks that weren't stored yet. One that has ended stays as it is. `by_this`: this request
-- ended it, now or when it was sent before, which is told by its last frames. No line: the run is gone.
create function public.end_run(
    p_user uuid, p_run uuid, p_chunks jsonb, p_status text, p_usage jsonb, p_tokens bigint, p_model text,
    p_give_back boolean)
returns table (status text, by_this boolean)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    answer_id uuid;
begin
    select r.message_id into answer_id from runs r where r.user_id = p_user and r.id = p_run;
    perform from messages m where m.user_id = p_user and m.id = answer_id for no key update;
    select r.outcome into status from runs r where r.user_id = p_user and r.id = p_run for no key update;
    if not found then
        return;
    end if;
    by_this := status is null;
    if by_this then
        insert into run_chunks (run_id, n, user_id, frames, sources)
        select p_run, c.n, p_user, c.frames, coalesce(c.sources, '[]')
        from jsonb_to_recordset(p_chunks) c (n integer, frames jsonb, sources jsonb)
        on conflict do nothing;
        perform finish_run(p_user, p_run, answer_id, p_status, p_usage, p_tokens, p_model, p_give_back);
        status := p_status;
    elsif status = p_status then
        by_this := coalesce((
            select c.frames = p_chunks -> -1 -> 'frames' from run_chunks c
            where c.user_id = p_user and c.run_id = p_run and c.n = (p_chunks -> -1 ->> 'n')::integer), true);
    end if;
    return next;
end
$$;

-- Asks a conversation's live run to stop, and returns its answer; null: nothing runs. No line: there is no such conversation.
create function public.request_stop(p_user uuid, p_id uuid, p_client_id text) returns table (message_id uuid)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    conversation uuid := find_conversation(p_user, p_id, p_client_id);
    run uuid;
begin
    if conversation is null then
        return;
    end if;
    run := live_run(p_user, conversation);
    update runs r set stop_requested_at = coalesce(r.stop_requested_at, clock_timestamp())
    where r.user_id = p_user and r.id = run and r.outcome is null
    returning r.message_id into message_id;
    return next;
end
$$;

-- The run of a conversation that can be followed: the live one, or the last, if it ended less than `p_replay` seconds ago
-- and its answer is one that a reader sees.
create function public.find_run(p_user uuid, p_id uuid, p_client_id text, p_replay double precision)
returns table (run_id uuid, message_id uuid)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    conversation uuid := find_conversation(p_user, p_id, p_client_id);
begin
    run_id := live_run(p_user, conversation);
    if run_id is not null then
        select r.message_id into message_id from runs r where r.user_id = p_user and r.id = run_id;
        return next;
        return;
    end if;
    return query
        select last.id, last.message_id
        from (
            select r.id, r.message_id, r.ended_at, r.replayable from runs r
            where r.user_id = p_user and r.conversation_id = conversation
            order by r.created_at desc
            limit 1
        ) last
        where last.replayable and last.ended_at > clock_timestamp() - make_interval(secs => p_replay) and exists (
            select from messages m where m.user_id = p_user and m.id = last.message_id and m.active);
end
$$;

-- What has been stored of a run behind chunk `p_after`. A line for each chunk, or one without; no line: there is no such
-- run. The outcome is read first: where there is one, the chunks are all.
create function public.read_run(p_user uuid, p_run uuid, p_after integer)
returns table (outcome text, n integer, frames jsonb, sources jsonb)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    found_run record;
begin
    select r.outcome, r.lease_until into found_run from runs r where r.user_id = p_user and r.id = p_run;
    if not found then
        return;
    end if;
    if found_run.outcome is null and found_run.lease_until < clock_timestamp() and end_expired_run(p_user, p_run) then
        select r.outcome into found_run.outcome from runs r where r.user_id = p_user and r.id = p_run;
    end if;
    return query
        select found_run.outcome, c.n, c.frames, c.sources from run_chunks c
        where c.user_id = p_user and c.run_id = p_run and c.n > p_after
        order by c.n;
    if not found then
        outcome := found_run.outcome;
        return next;
    end if;
end
$$;

revoke execute on function
    public.json_time, public.finish_run, public.end_expired_run, public.live_run, public.append_chunks, public.end_run,
    public.request_stop, public.find_run, public.read_run
    from public;
grant execute on function
    public.json_time, public.finish_run, public.end_expired_run, public.live_run, public.append_chunks, public.end_run,
    public.request_stop, public.find_run, public.read_run
    to colloquy_app;

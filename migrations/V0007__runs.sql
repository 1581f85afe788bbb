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

-- Writes an answer that has ended, as its function has put it together.
create function public.write_answer(
    p_user uuid, p_message uuid, p_status text, p_answer jsonb, p_usage jsonb, p_model text)
returns void
language plpgsql
set search_path = public, pg_temp
as $$
begin
    update messages m
    set parts = p_answer -> 'parts', content = p_answer ->> 'content', sources = p_answer -> 'sources',
        source_embeddings = nullif(p_answer -> 'sourceEmbeddings', 'null'), metadata = p_answer -> 'metadata',
        -- What an answer cost before it went on is known, whatever became of it then.
        model = coalesce(p_model, m.model), usage = coalesce(p_usage, m.usage), status = p_status,
        size = (p_answer ->> 'size')::integer,
        embeddings_size = (p_answer ->> 'embeddingsSize')::integer
    where m.user_id = p_user and m.id = p_message;
end
$$;

-- Ends a run whose lease has expired, as `incomplete`, and costs the same whatever its chunks hold: they are neither read nor
-- put together here. Returns whether the run is over now: not where its function has renewed the lease meanwhile.
--
-- The message stays `in_progress` until somebody has put it together (`store_parts`). Nothing else waits for that: the
-- conversation is free.
create function public.end_expired_run(p_user uuid, p_run uuid) returns boolean
language plpgsql
set search_path = public, pg_temp
as $$
declare
    answer record;
    found_run record;
    next integer;
begin
    select m.id, m.created_at, m.parent_id into answer
    from messages m
    where m.user_id = p_user and m.id = (select r.message_id from runs r where r.user_id = p_user and r.id = p_run)
    for no key update;
    select r.outcome, r.lease_until into found_run from runs r
    where r.user_id = p_user and r.id = p_run for no key update;
    if not found or found_run.outcome is not null then
        return true;
    elsif found_run.lease_until >= clock_timestamp() then
        return false;
    end if;

    -- Its readers get what its function would have sent at such an end; what is open, they close themselves.
    select coalesce(max(c.n) + 1, 0) into next from run_chunks c where c.user_id = p_user and c.run_id = p_run;
    insert into run_chunks (run_id, n, user_id, frames)
    values (p_run, next, p_user, case when next > 0 then '[]'::jsonb else jsonb_build_array(jsonb_build_object(
            'type', 'start', 'messageId', answer.id, 'messageMetadata', jsonb_build_object(
                'id', answer.id, 'createdAt', json_time(answer.created_at), 'status', 'in_progress',
                'parentId', answer.parent_id))) end
        || '[{"type": "message-metadata", "messageMetadata": {"status": "incomplete"}},
             {"type": "error", "errorText": "The answer was cut off."}]'::jsonb);
    update runs r set outcome = 'incomplete', ended_at = clock_timestamp(), parts_due = true
    where r.user_id = p_user and r.id = p_run;
    return true;
end
$$;

-- The run that is live in a conversation. One whose lease has expired is ended instead.
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

-- The run of a conversation whose message is still to be put together, since its function died; null where there is none.
--
-- Every request that shows or continues a conversation asks this first, and does nothing else where there is one: its caller
-- reads the chunks, stores the message and sends the request again.
create function public.run_with_parts_due(p_user uuid, p_conversation uuid) returns uuid
language plpgsql
set search_path = public, pg_temp
as $$
declare
    due uuid;
begin
    perform live_run(p_user, p_conversation);
    select r.id into due from runs r
    where r.user_id = p_user and r.conversation_id = p_conversation and r.parts_due
    order by r.created_at limit 1;
    return due;
end
$$;

-- Stores what was put together of a run's chunks, unless somebody did so meanwhile. A null answer is one that couldn't be
-- stored: it ends without parts.
create function public.store_parts(p_user uuid, p_run uuid, p_answer jsonb) returns boolean
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    answer_id uuid;
    conversation uuid;
begin
    select r.conversation_id, r.message_id into conversation, answer_id from runs r where r.user_id = p_user and r.id = p_run;
    -- What is sent behind this may need the conversation's lock, which comes before the message's.
    perform from conversations c where c.user_id = p_user and c.id = conversation for no key update;
    perform from messages m where m.user_id = p_user and m.id = answer_id for no key update;
    update runs r set parts_due = false where r.user_id = p_user and r.id = p_run and r.parts_due;
    if not found then
        return false;
    elsif p_answer is null then
        update messages m set status = 'incomplete' where m.user_id = p_user and m.id = answer_id;
    else
        perform write_answer(p_user, answer_id, 'incomplete', p_answer, null, null);
    end if;
    return true;
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
    p_user uuid, p_run uuid, p_chunks jsonb, p_status text, p_answer jsonb, p_usage jsonb, p_tokens bigint, p_model text,
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
    counted_in timestamptz;
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
        perform write_answer(p_user, answer_id, p_status, p_answer, p_usage, p_model);
        update runs r set outcome = p_status, ended_at = clock_timestamp()
        where r.user_id = p_user and r.id = p_run
        returning r.quota_window into counted_in;
        if counted_in is not null and (p_give_back or p_tokens > 0) then
            update quota_usage q
            set messages = greatest(q.messages - p_give_back::integer, 0), tokens = q.tokens + p_tokens
            where q.user_id = p_user and q."window" = counted_in;
        end if;
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
create function public.request_stop(p_user uuid, p_id uuid, p_client_id text) returns table (message_id uuid, parts_due uuid)
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
    parts_due := run_with_parts_due(p_user, conversation);
    if parts_due is not null then
        return next;
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
returns table (run_id uuid, message_id uuid, parts_due uuid)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    conversation uuid := find_conversation(p_user, p_id, p_client_id);
begin
    parts_due := run_with_parts_due(p_user, conversation);
    if parts_due is not null then
        return next;
        return;
    end if;
    run_id := live_run(p_user, conversation);
    if run_id is not null then
        select r.message_id into message_id from runs r where r.user_id = p_user and r.id = run_id;
        return next;
        return;
    end if;
    return query
        select last.id, last.message_id, null::uuid
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

-- The parts that a message had before it went on: those that stand before what was added.
create function public.base_of(p_user uuid, p_message uuid, p_parts integer) returns jsonb
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    base jsonb;
begin
    select coalesce(jsonb_agg(p.part order by p.n), '[]') into base
    from messages m cross join jsonb_array_elements(m.parts) with ordinality p (part, n)
    where m.user_id = p_user and m.id = p_message and p.n <= p_parts;
    return base;
end
$$;

-- What has been stored of a run behind chunk `p_after`. A line for each chunk, or one without; no line: there is no such
-- run. The outcome is read first: where there is one, the chunks are all. `parts_due`: its message is still to be put together.
-- With the first chunk come the parts that its message had before, where it went on.
create function public.read_run(p_user uuid, p_run uuid, p_after integer)
returns table (outcome text, parts_due boolean, n integer, frames jsonb, sources jsonb, base jsonb)
language plpgsql
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    found_run record;
begin
    select r.outcome, r.lease_until, r.parts_due, r.message_id, r.base_parts into found_run from runs r
    where r.user_id = p_user and r.id = p_run;
    if not found then
        return;
    end if;
    if p_after < 0 and found_run.base_parts > 0 then
        base := base_of(p_user, found_run.message_id, found_run.base_parts);
    end if;
    if found_run.outcome is null and found_run.lease_until < clock_timestamp() and end_expired_run(p_user, p_run) then
        select r.outcome, r.parts_due into found_run.outcome, found_run.parts_due
        from runs r where r.user_id = p_user and r.id = p_run;
    end if;
    return query
        select found_run.outcome, coalesce(found_run.parts_due, false), c.n, c.frames, c.sources,
            case when c.n = 0 then base end
        from run_chunks c
        where c.user_id = p_user and c.run_id = p_run and c.n > p_after
        order by c.n;
    if not found then
        outcome := found_run.outcome;
        parts_due := coalesce(found_run.parts_due, false);
        return next;
    end if;
end
$$;

revoke execute on function
    public.json_time, public.write_answer, public.end_expired_run, public.live_run, public.run_with_parts_due,
    public.store_parts, public.append_chunks, public.end_run, public.request_stop, public.find_run, public.base_of,
    public.read_run
    from public;
grant execute on function
    public.json_time, public.write_answer, public.end_expired_run, public.live_run, public.run_with_parts_due,
    public.store_parts, public.append_chunks, public.end_run, public.request_stop, public.find_run, public.base_of,
    public.read_run
    to colloquy_app;

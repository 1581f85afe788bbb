set local row_security = off;

-- An answer that waits for its reader, and goes on once the reader has answered: a tool that runs in the front end, or one
-- that runs only if the reader agrees.

-- The calls among a message's parts that wait for the reader: for consent, or for an output. What the agent's own service
-- runs waits for nobody.
create function public.waiting_calls(p_parts jsonb) returns table (place integer, call_id text, consent boolean)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select p.n::integer - 1, p.part ->> 'toolCallId', p.part ->> 'state' = 'approval-requested'
    from jsonb_array_elements(p_parts) with ordinality p (part, n)
    where p.part ->> 'toolCallId' is not null and (
        p.part ->> 'state' = 'approval-requested'
        or p.part ->> 'state' = 'input-available' and p.part -> 'providerExecuted' is distinct from 'true'::jsonb)
$$;

-- The calls of a message's last step that have ended, the agent's service's own left out: `[{"toolCallId"}]`. Where an agent
-- stops behind them, a front end sends them back at once, so that the agent goes on with their outputs.
create function public.ended_calls(p_parts jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object('toolCallId', p.part ->> 'toolCallId') order by p.n), '[]')
    from jsonb_array_elements(p_parts) with ordinality p (part, n)
    where p.part ->> 'state' in ('output-available', 'output-error')
        and p.part -> 'providerExecuted' is distinct from 'true'::jsonb
        and p.n > (
            select coalesce(max(s.n), 0) from jsonb_array_elements(p_parts) with ordinality s (part, n)
            where s.part ->> 'type' = 'step-start')
$$;

-- Whether what a front end says of a call is what is stored of it. A page that repeats itself may have got the tool's output
-- since it sent the decision.
create function public.is_same_outcome(p_stored jsonb, p_sent jsonb) returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select p_stored -> 'toolCallId' = p_sent -> 'toolCallId' and case
        when p_stored ? 'approval' then p_stored #> '{approval,approved}' is not distinct from p_sent #> '{approval,approved}'
        when p_stored ? 'state' then p_stored = p_sent - 'approval'
        -- An end that the agent's own stream told.
        else true end
$$;

-- What a reader's answers make of a message.
create type public.continuation as (
    fault text,
    -- A run that an earlier request with the same answers began.
    run uuid,
    -- Otherwise the message's parts with the answers in them, …
    parts jsonb,
    -- … and those answers that they waited for.
    outcomes jsonb,
    size integer
);

-- Judges the answers to a message's waiting calls. The caller holds the conversation's lock.
create function public.plan_continuation(
    p_user uuid, p_conversation uuid, p_message uuid, p_outcomes jsonb, p_most_bytes integer)
returns public.continuation
language plpgsql stable
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    plan continuation;
    message record;
    ended jsonb;
begin
    select m.id, m.role, m.origin, m.active, m.status, m.parts, m.content, m.sources, m.metadata, m.model, m.usage,
        m.embeddings_size
    into message
    from messages m where m.user_id = p_user and m.conversation_id = p_conversation and m.id = p_message;
    if not found then
        plan.fault := 'unknown_target';
        return plan;
    elsif message.role <> 'assistant' or message.origin <> 'relay' then
        plan.fault := 'target_waits_for_nothing';
        return plan;
    end if;
    select r.id into plan.run from runs r
    where r.user_id = p_user and r.message_id = p_message and r.outcomes is not null and not exists (
        select from jsonb_array_elements(r.outcomes) stored (outcome)
        where not exists (
            select from jsonb_array_elements(p_outcomes) sent (outcome)
            where sent.outcome ->> 'toolCallId' = stored.outcome ->> 'toolCallId'
                and is_same_outcome(stored.outcome, sent.outcome)))
    order by r.created_at desc limit 1;

    -- A decision where consent is asked for, else an output or an error. Nothing else of what the front end sends is taken: it
    -- can't put words into the agent's mouth.
    plan.outcomes := '[]';
    if message.status <> 'in_progress' then
        with sent as (
            select o.outcome ->> 'toolCallId' as call_id, o.outcome ->> 'state' = 'approval-responded' as consent,
                (array_agg(o.outcome order by o.n desc))[1] as outcome
            from jsonb_array_elements(p_outcomes) with ordinality o (outcome, n)
            group by 1, 2
        ), answered as (
            select p.n, p.part, w.place is not null as waits,
                case when w.consent then s.outcome else s.outcome - 'approval' end as outcome
            from jsonb_array_elements(message.parts) with ordinality p (part, n)
            left join waiting_calls(message.parts) w on w.place = p.n - 1
            left join sent s on s.call_id = w.call_id and s.consent = w.consent
        )
        select jsonb_agg(
                case when a.outcome is null then a.part
                    when a.outcome ? 'approval' then a.part || a.outcome
                        || jsonb_build_object('approval', (a.part -> 'approval') || (a.outcome -> 'approval'))
                    else a.part || a.outcome end order by a.n),
            coalesce(jsonb_agg(a.outcome order by a.n) filter (where a.waits), '[]'),
            case when bool_or(a.waits and a.outcome is null) then 'calls_wait' end
        into plan.parts, plan.outcomes, plan.fault
        from answered a;
        if plan.outcomes = '[]' and message.metadata ->> 'finishReason' = 'tool-calls' then
            ended := ended_calls(message.parts);
            if not exists (
                select from jsonb_array_elements(ended) e (call)
                where not exists (
                    select from jsonb_array_elements(p_outcomes) sent (outcome)
                    where sent.outcome ->> 'toolCallId' = e.call ->> 'toolCallId'))
            then
                plan.outcomes := ended;
            end if;
        end if;
    end if;
    if plan.fault is null and plan.outcomes <> '[]' then
        plan.run := null;
    elsif plan.run is not null then
        plan.fault := null;
        return plan;
    elsif plan.fault is null then
        plan.fault := case when message.status = 'in_progress' then 'turn_running' else 'answered_otherwise' end;
    end if;
    if plan.fault is null and (not message.active or p_message is distinct from leaf_of(p_user, p_conversation)) then
        plan.fault := 'target_left';
    end if;
    plan.size := message_size(
        plan.parts, message.content, message.sources, message.metadata, null, message.model, message.usage);
    if plan.fault is null and plan.size + message.embeddings_size > p_most_bytes then
        plan.fault := 'too_large';
    end if;
    return plan;
end
$$;

-- An answer that goes on, as it was before.
create function public.base_answer(p_message public.messages) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'parts', p_message.parts, 'metadata', p_message.metadata, 'sources', p_message.sources,
        'sourceEmbeddings', p_message.source_embeddings, 'usage', p_message.usage, 'model', p_message.model)
$$;

-- Opens a message for what its agent says next; returns what it is by then.
create function public.reopen_answer(p_user uuid, p_message uuid, p_plan public.continuation) returns jsonb
language plpgsql
set search_path = public, pg_temp
as $$
declare
    base jsonb;
begin
    update messages m
    set parts = p_plan.parts, status = 'in_progress', metadata = m.metadata - array['finishReason', 'completedAt'],
        size = p_plan.size
    where m.user_id = p_user and m.id = p_message
    returning base_answer(m) into base;
    return base;
end
$$;

-- The ids of a conversation's calls, so that a new call gets another one: those of the last 500 messages that have any. A page
-- shows no more of them at once.
create function public.call_ids_of(p_user uuid, p_conversation uuid) returns jsonb
language plpgsql stable
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    ids jsonb;
begin
    select jsonb_agg(distinct c.id) into ids
    from (
        select m.call_ids from messages m
        where m.user_id = p_user and m.conversation_id = p_conversation and m.call_ids is not null
        order by m.seq desc limit 500
    ) m, jsonb_array_elements_text(m.call_ids) c (id);
    return ids;
end
$$;

revoke execute on function
    public.waiting_calls, public.ended_calls, public.is_same_outcome, public.plan_continuation, public.base_answer,
    public.reopen_answer, public.call_ids_of
    from public;
grant execute on function
    public.waiting_calls, public.ended_calls, public.is_same_outcome, public.plan_continuation, public.base_answer,
    public.reopen_answer, public.call_ids_of
    to colloquy_app;

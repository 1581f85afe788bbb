set local row_security = off;

-- What must reach across users: ending the runs whose functions died, naming those whose messages are still to be put
-- together, dropping chunks that nobody replays any more, and forgetting what nobody asks for. It runs with the rights of a role that nobody signs in as and
-- that may do just this, and it answers with ids and counts alone: what a run has said is read and stored as its user.

grant usage on schema public to colloquy_sweep;
grant select on public.runs to colloquy_sweep;
grant update (outcome, ended_at, replayable, parts_due) on public.runs to colloquy_sweep;
grant select, insert, delete on public.run_chunks to colloquy_sweep;
-- To lock a message wants the right to change one of its columns; the policy lets none be changed.
grant select (id, user_id, parent_id, status, created_at), update (status) on public.messages to colloquy_sweep;
grant execute on function public.json_time, public.end_expired_run to colloquy_sweep;

grant delete on public.runs to colloquy_sweep;
grant select, delete on public.quota_usage to colloquy_sweep;

create policy sweep on public.runs to colloquy_sweep using (true);
create policy sweep on public.quota_usage to colloquy_sweep using (true);
create policy sweep on public.run_chunks to colloquy_sweep using (true);
create policy sweep_reads on public.messages for select to colloquy_sweep using (true);
create policy sweep_locks on public.messages for update to colloquy_sweep using (status = 'in_progress') with check (false);

-- One batch. A row that another request holds is left for the next time.
create function public.sweep(p_batch integer, p_replay double precision)
returns table (ended integer, dropped bigint, due jsonb)
language plpgsql security definer
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    found_run record;
    deleted bigint;
begin
    ended := 0;
    dropped := 0;
    for found_run in
        select r.id, r.user_id, r.message_id from runs r
        where r.outcome is null and r.lease_until < clock_timestamp()
        limit p_batch
    loop
        -- The message before the run, as everywhere.
        perform from messages m where m.user_id = found_run.user_id and m.id = found_run.message_id
        for no key update skip locked;
        continue when not found;
        perform from runs r
        where r.id = found_run.id and r.outcome is null and r.lease_until < clock_timestamp()
        for no key update skip locked;
        continue when not found;
        ended := ended + end_expired_run(found_run.user_id, found_run.id)::integer;
    end loop;

    for found_run in
        select r.id, r.user_id from runs r
        where r.replayable and not r.parts_due and r.ended_at < clock_timestamp() - make_interval(secs => p_replay)
        order by r.ended_at
        limit p_batch
        for no key update skip locked
    loop
        delete from run_chunks c where c.user_id = found_run.user_id and c.run_id = found_run.id;
        get diagnostics deleted = row_count;
        update runs r set replayable = false where r.id = found_run.id;
        dropped := dropped + deleted;
        -- A batch has an end in time, too.
        exit when dropped > 20000;
    end loop;

    select coalesce(jsonb_agg(jsonb_build_object('user', d.user_id, 'run', d.id)), '[]') into due
    -- In any order, so that those which fail each time keep none of the others waiting.
    from (select r.user_id, r.id from runs r where r.parts_due order by random() limit p_batch) d;
    return next;
end
$$;

-- Forgets runs that ended so many seconds ago, whose answers are messages long since, and windows of quotas that began so
-- long ago: one batch of each. Returns how many it has forgotten.
create function public.prune(p_batch integer, p_runs double precision, p_windows double precision) returns bigint
language plpgsql security definer
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    runs_until constant timestamptz := clock_timestamp() - make_interval(secs => p_runs);
    windows_until constant timestamptz := clock_timestamp() - make_interval(secs => p_windows);
    runs_gone bigint;
    windows_gone bigint;
begin
    delete from runs r where r.id in (
        select o.id from runs o
        where not o.replayable and not o.parts_due and o.ended_at < runs_until
        order by o.ended_at limit p_batch
        for update skip locked);
    get diagnostics runs_gone = row_count;
    delete from quota_usage q where (q.user_id, q."window") in (
        select o.user_id, o."window" from quota_usage o
        where o."window" < windows_until
        order by o."window" limit p_batch);
    get diagnostics windows_gone = row_count;
    return runs_gone + windows_gone;
end
$$;

revoke execute on function public.sweep, public.prune from public;
grant execute on function public.sweep, public.prune to colloquy_app;

-- To give it away, the owner must be a member of the role for a moment, and the role may create for that moment. Were the
-- owner a member for longer, the policies above would be its own.
do $migration$
begin
    execute format('grant colloquy_sweep to %I', current_user);
    grant create on schema public to colloquy_sweep;
    alter function public.sweep owner to colloquy_sweep;
    alter function public.prune owner to colloquy_sweep;
    revoke create on schema public from colloquy_sweep;
    execute format('revoke colloquy_sweep from %I', current_user);
end
$migration$;

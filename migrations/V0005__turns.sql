set local row_security = off;

-- What a turn of the chat needs of the tables. `runs`, `run_chunks` and `quota_usage` were made before anything wrote to
-- them, so that their columns can change here.

-- Adding a foreign key reads both tables.
alter table public.runs no force row level security;
alter table public.conversations no force row level security;

-- A run lies in its user's conversation, as its message does. The answer's parent is the question.
alter table public.runs
    add column conversation_id uuid not null,
    -- The client's names of the requests for another answer that began it or joined it.
    add column idempotency_keys text[] not null default '{}',
    -- The window whose quota it counts towards; null where there was none.
    add column quota_window timestamptz,
    add column ended_at timestamptz,
    -- Whether its chunks are still there.
    add column replayable boolean not null default true,
    -- Whether its message is still to be put together from its chunks: its function died.
    add column parts_due boolean not null default false,
    -- How many parts its message had before, and what the reader answered to those that waited, as `waiting_calls` has it;
    -- 0 and null for the run that began the message.
    add column base_parts integer not null default 0,
    add column outcomes jsonb,
    add constraint runs_conversation foreign key (user_id, conversation_id)
        references public.conversations (user_id, id) on delete cascade,
    add constraint runs_ended check ((outcome is null) = (ended_at is null)),
    add constraint runs_idempotency_keys check (cardinality(idempotency_keys) <= 100);

alter table public.runs force row level security;
alter table public.conversations force row level security;

-- A live run renews its lease several times a second. No index has `lease_until`, so that the new row version goes into the
-- same page and into no index (HOT); that needs room in the page.
alter table public.runs set (fillfactor = 70);

-- At most one live run in a conversation. This is also all that a search for expired leases has to read.
create unique index runs_live on public.runs (conversation_id) where outcome is null;
-- Few runs have a key, and a key belongs to one run: that is decided under the conversation's lock.
create index runs_with_keys on public.runs (conversation_id) where idempotency_keys <> '{}';
-- How many answers of a user run.
create index runs_live_of_user on public.runs (user_id) where outcome is null;
create index runs_conversation on public.runs (conversation_id, created_at);
create index runs_message on public.runs (message_id, created_at);
create index runs_to_forget on public.runs (ended_at) where replayable and ended_at is not null;
create index runs_to_prune on public.runs (ended_at) where not replayable;
create index quota_usage_window on public.quota_usage ("window");
create index runs_parts_due on public.runs (conversation_id) where parts_due;

-- Frames of the stream, whole: replaying is sending them again. The sources that came with them have more members than
-- their frames may have.
alter table public.run_chunks
    drop column chunk,
    add column frames jsonb not null,
    add column sources jsonb not null default '[]',
    add constraint run_chunks_frames check (jsonb_typeof(frames) = 'array'),
    add constraint run_chunks_sources check (jsonb_typeof(sources) = 'array');

alter table public.quota_usage
    drop column used,
    add column messages bigint not null default 0,
    add column tokens bigint not null default 0,
    add constraint quota_usage_messages check (messages >= 0),
    add constraint quota_usage_tokens check (tokens >= 0);

-- An answer's row is written twice: when it is begun and when it ends; and twice again where it waited for its reader and
-- goes on: what it has said stays, and what its calls wait for is put into their parts. What else was stored stays as it is:
-- the functions' roles may not write over it, whatever a statement says.
create function public.refuse_rewriting() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'a message that is stored stays as it is' using errcode = 'insufficient_privilege';
end
$$;

create trigger messages_written_once
    before update of parts, content, sources, source_embeddings, metadata, model, usage, status, size, embeddings_size
    on public.messages for each row
    when ((old.status <> 'in_progress' or old.origin <> 'relay')
        and not (
            old.origin = 'relay' and new.status = 'in_progress' and old.call_ids is not null
            and new.content = old.content and new.sources = old.sources
            and jsonb_array_length(new.parts) = jsonb_array_length(old.parts)
            and jsonb_path_query_array(new.parts, '$[*].toolCallId') = old.call_ids)
        and current_user in ('colloquy_app', 'colloquy_sweep'))
    execute function public.refuse_rewriting();

grant update (parts, content, sources, source_embeddings, metadata, model, usage, status, size, embeddings_size)
    on public.messages to colloquy_app;
grant select, insert on public.runs to colloquy_app;
grant update (lease_until, stop_requested_at, outcome, ended_at, idempotency_keys, parts_due) on public.runs to colloquy_app;
grant select, insert on public.run_chunks to colloquy_app;
grant select, insert on public.quota_usage to colloquy_app;
grant update (messages, tokens) on public.quota_usage to colloquy_app;

revoke execute on function public.refuse_rewriting from public;

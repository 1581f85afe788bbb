set local row_security = off;

-- Every row has an owner, and only a transaction that has named that user sees it. The second wall: each statement of
-- the functions says `user_id = …` itself. The sub-select makes the claim be read once a statement; without a claim, or
-- with an empty one, nothing is equal to null and nothing is seen.
alter table public.users enable row level security, force row level security;
alter table public.conversations enable row level security, force row level security;
alter table public.messages enable row level security, force row level security;
alter table public.runs enable row level security, force row level security;
alter table public.run_chunks enable row level security, force row level security;
alter table public.quota_usage enable row level security, force row level security;

create policy own_rows on public.users
    using (id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy own_rows on public.conversations
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy own_rows on public.messages
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy own_rows on public.runs
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy own_rows on public.run_chunks
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
create policy own_rows on public.quota_usage
    using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- The functions' role may do what an endpoint needs and no more: it can't move a row to another user or conversation,
-- and messages go with their conversation alone. A foreign key's cascade runs as the tables' owner.
grant usage on schema public to colloquy_app;
grant select, insert on public.users to colloquy_app;
grant select, insert, delete on public.conversations to colloquy_app;
grant update (title, title_wanted, metadata, archived_at, pinned_at, last_seq, message_count, activity_at, version, updated_at)
    on public.conversations to colloquy_app;
grant select, insert on public.messages to colloquy_app;
grant update (active) on public.messages to colloquy_app;

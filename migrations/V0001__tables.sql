-- Row-level security would silently empty a data change of the owner's, whom it binds, too. Off, such a change fails.
set local row_security = off;

-- Ids are UUIDv7: built in from PostgreSQL 18, and before it this function, of the same layout (milliseconds, 12 bits of
-- their fraction, random bits). Either way the call is `uuidv7()`.
do $migration$
begin
    if current_setting('server_version_num')::integer < 180000 then
        execute $create$
            create function public.uuidv7() returns uuid
            language sql volatile parallel safe
            set search_path = pg_catalog, pg_temp
            as $$
                select encode(
                    int8send(((us / 1000) << 16) | x'7000'::bigint | ((us % 1000) * 4096 / 1000))
                    || substring(uuid_send(gen_random_uuid()) from 9 for 8), 'hex')::uuid
                from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as us offset 0) t
            $$
        $create$;
    end if;
end
$migration$;

-- A user's id is derived from the issuer and the subject, so that it needs no look-up; both are kept so that the table
-- can be joined to Better Auth's.
create table public.users (
    id uuid primary key,
    issuer_id text not null,
    subject text not null,
    created_at timestamptz not null default clock_timestamp()
);

create table public.conversations (
    id uuid primary key default uuidv7(),
    user_id uuid not null references public.users on delete cascade,
    client_id text,
    -- What a repeated request with the same client id must equal.
    request_hash bytea,
    title text,
    -- Whether the agent is to be asked for another one than the first question's words.
    title_wanted boolean not null default false,
    metadata jsonb not null default '{}',
    archived_at timestamptz,
    pinned_at timestamptz,
    -- The last `messages.seq` given out. Taking the next is also the conversation's lock.
    last_seq bigint not null default 0,
    message_count integer not null default 0,
    activity_at timestamptz not null,
    -- Rises with PATCH alone, so that an append spoils no `If-Match`.
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    org_id uuid,
    constraint conversations_user_id_id unique (user_id, id),
    constraint conversations_user_id_client_id unique (user_id, client_id),
    constraint conversations_title check (char_length(title) between 1 and 200),
    constraint conversations_metadata check (jsonb_typeof(metadata) = 'object'),
    constraint conversations_metadata_size check (octet_length(metadata::text) <= 16384)
);

create index conversations_activity on public.conversations (user_id, activity_at desc, id desc);

create table public.messages (
    id uuid primary key default uuidv7(),
    conversation_id uuid not null,
    user_id uuid not null,
    -- A message's place; ids are names, not order.
    seq bigint not null,
    client_id text,
    request_hash bytea,
    parent_id uuid,
    active boolean not null default true,
    role text not null,
    parts jsonb not null,
    content text not null,
    -- What its files are called, by name or else by media type: so that a history can tell of a file without reading it.
    -- Null where it has none.
    file_names jsonb generated always as (nullif(
        jsonb_path_query_array(parts, '$[*] ? (@.type == "file").filename ? (@.type() == "string")')
        || jsonb_path_query_array(
            parts, '$[*] ? (@.type == "file" && !exists (@.filename ? (@.type() == "string"))).mediaType ? (@.type() == "string")'),
        '[]')) stored,
    -- The ids of its tools' calls: no two calls of a conversation may share one. Null where it has none.
    call_ids jsonb generated always as (
        nullif(jsonb_path_query_array(parts, '$[*].toolCallId ? (@.type() == "string")'), '[]')) stored,
    sources jsonb not null default '[]',
    source_embeddings jsonb,
    metadata jsonb not null default '{}',
    model text,
    usage jsonb,
    status text not null default 'complete',
    origin text not null,
    -- The bytes that the message takes in a response of Lambda's, and those that its embeddings add: a page ends by
    -- their running sum, and the values themselves aren't read for it.
    size integer not null,
    embeddings_size integer not null default 0,
    created_at timestamptz not null,
    -- On both columns, so that no message can lie in another user's conversation.
    constraint messages_conversation foreign key (user_id, conversation_id)
        references public.conversations (user_id, id) on delete cascade,
    constraint messages_conversation_id_seq unique (conversation_id, seq),
    constraint messages_role check (role in ('user', 'assistant', 'system', 'tool')),
    constraint messages_status check (status in ('complete', 'in_progress', 'stopped', 'incomplete', 'failed')),
    constraint messages_origin check (origin in ('client', 'relay', 'service', 'import')),
    constraint messages_parts check (jsonb_typeof(parts) = 'array'),
    constraint messages_sources check (jsonb_typeof(sources) = 'array'),
    constraint messages_source_embeddings check (jsonb_typeof(source_embeddings) = 'object'),
    constraint messages_metadata check (jsonb_typeof(metadata) = 'object'),
    constraint messages_metadata_size check (octet_length(metadata::text) <= 16384),
    constraint messages_usage check (jsonb_typeof(usage) = 'object'),
    constraint messages_size check (size + embeddings_size <= 5242880)
);

-- With the hash: a message that was edited keeps its client's id.
create unique index messages_client_id on public.messages (conversation_id, client_id, request_hash)
    where client_id is not null;

-- Few messages have calls.
create index messages_with_calls on public.messages (conversation_id, seq) where call_ids is not null;

-- A message's children, in order: its branches.
create index messages_children on public.messages (conversation_id, parent_id, seq);

-- One generation of an answer. An answer that waited for its reader goes on in another run.
create table public.runs (
    id uuid primary key default uuidv7(),
    user_id uuid not null references public.users on delete cascade,
    message_id uuid not null references public.messages on delete cascade,
    lease_until timestamptz not null,
    stop_requested_at timestamptz,
    outcome text,
    created_at timestamptz not null default clock_timestamp(),
    constraint runs_user_id_id unique (user_id, id),
    constraint runs_outcome check (outcome in ('complete', 'stopped', 'incomplete', 'failed'))
);

-- What a running answer has streamed: rows, never a growing value.
create table public.run_chunks (
    run_id uuid not null,
    n integer not null,
    user_id uuid not null,
    chunk text not null,
    primary key (run_id, n),
    constraint run_chunks_run foreign key (user_id, run_id) references public.runs (user_id, id) on delete cascade,
    constraint run_chunks_n check (n >= 0)
);

create table public.quota_usage (
    user_id uuid not null references public.users on delete cascade,
    "window" timestamptz not null,
    used bigint not null default 0,
    primary key (user_id, "window"),
    constraint quota_usage_used check (used >= 0)
);

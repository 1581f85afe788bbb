-- The same conversations as a plain schema has them, of the first 250 users as `sample.sql` sorts them: those that are read and
-- as many around them. The functions' role may do everything with them.
create schema peer;
create table peer.conversations as
    select c.id, u.subject, c.title, c.last_seq, c.activity_at, c.created_at
    from public.conversations c
    join (select u.id, u.subject from public.users u order by hashtext(u.subject) limit 250) u on u.id = c.user_id;
alter table peer.conversations add primary key (id);
create table peer.messages as
    select m.id, m.conversation_id, m.seq, m.role, m.content, m.sources, m.model, m.usage, m.created_at
    from public.messages m join peer.conversations c on c.id = m.conversation_id
    order by m.created_at;
alter table peer.messages
    add primary key (id), add unique (conversation_id, seq), alter column created_at set default now(),
    add foreign key (conversation_id) references peer.conversations on delete cascade;
grant usage on schema peer to colloquy_app;
grant select, insert, update on all tables in schema peer to colloquy_app;

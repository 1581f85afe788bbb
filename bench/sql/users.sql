-- The users, by the ids that the functions derive from $2 and their subjects.
insert into users (id, issuer_id, subject) select id, $2::text, subject from unnest($1::uuid[], $3::text[]) u (id, subject)

-- Replaces a title that was made from the first question, unless the user has changed the conversation meanwhile. It is no
-- PATCH: the version stays.
update conversations c
set title = $4::text
where c.user_id = $1::uuid and c.id = $2::uuid and c.title = $3::text and c.version = 1
returning c.id

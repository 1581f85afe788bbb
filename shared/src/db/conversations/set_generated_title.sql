-- Stores the title that the agent was asked for, unless the user has changed the conversation meanwhile. It is no PATCH: the
-- version stays.
update conversations c
set title = $3::text, title_wanted = false
where c.user_id = $1::uuid and c.id = $2::uuid and c.title_wanted and c.version = 1
returning c.id

-- Stores chunks of a live run and renews its lease; see the function. No line: it has ended, or is gone.
select appended.stop_requested from append_chunks($1::uuid, $2::uuid, $3::jsonb, $4::double precision) appended

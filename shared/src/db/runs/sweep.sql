-- Ends runs whose functions died and drops old chunks, of all users; see the function.
select swept.ended, swept.dropped, swept.due from sweep($1::integer, $2::double precision) swept

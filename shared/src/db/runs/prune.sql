-- Forgets old runs and windows of quotas, of all users; see the function.
select prune($1::integer, $2::double precision, $3::double precision) as pruned

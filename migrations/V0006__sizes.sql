set local row_security = off;

-- The bytes that a message takes in a response of Lambda's; `check_messages` argues the sum.
create function public.message_size(
    p_parts jsonb, p_content text, p_sources jsonb, p_metadata jsonb, p_client_id text, p_model text, p_usage jsonb)
returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select 600 + octet_length(to_json(p_parts::text)::text)
        + octet_length(to_json(to_json(p_content)::text)::text)
        + octet_length(to_json(p_sources::text)::text)
        + octet_length(to_json(p_metadata::text)::text)
        + coalesce(octet_length(to_json(to_json(p_client_id)::text)::text), 0)
        + coalesce(octet_length(to_json(to_json(p_model)::text)::text), 0)
        + coalesce(octet_length(to_json(p_usage::text)::text), 0)
$$;

revoke execute on function public.message_size from public;
grant execute on function public.message_size to colloquy_app, colloquy_sweep;

set local row_security = off;

-- From the frames of a stream to the parts of a message, as the AI SDK builds them (`processUIMessageStream` of ai 6 and 7):
-- a front end that was streamed an answer and one that loads it later show the same. This is the one place where that is
-- done, also for a run whose function died.

-- Those members of an object that it has.
create function public.json_members(p_object jsonb, p_names text[]) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(m.key, m.value), '{}') from jsonb_each(p_object) m where m.key = any (p_names)
$$;

-- The text as JSON; null where it isn't any.
create function public.json_or_null(p_text text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_text::jsonb;
exception when data_exception or program_limit_exceeded then
    return null;
end
$$;

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

-- A tool's part after one more frame about it; `p_part` is null where the frame is the first.
create function public.tool_part(p_part jsonb, p_frame jsonb, p_dynamic boolean) returns jsonb
language plpgsql immutable parallel safe
set search_path = public, pg_temp
as $$
declare
    kind constant text := p_frame ->> 'type';
    is_result constant boolean := kind like 'tool-output-%';
    failed constant boolean := kind in ('tool-input-error', 'tool-output-error');
    part jsonb := coalesce(p_part, jsonb_build_object('toolCallId', p_frame -> 'toolCallId'));
begin
    if kind = 'tool-output-denied' then
        return part || '{"state": "output-denied"}';
    elsif kind = 'tool-approval-request' then
        return part || jsonb_build_object('state', 'approval-requested', 'approval',
            jsonb_build_object('id', p_frame -> 'approvalId') || json_members(p_frame, '{signature}'));
    end if;
    -- What an earlier frame said of input and output is said anew by each; a result keeps the input.
    part := part - '{output,errorText,inputEncoding,preliminary}'::text[];
    if not is_result then
        part := part - '{input,rawInput}'::text[]
            || case when p_dynamic then jsonb_build_object('type', 'dynamic-tool', 'toolName', p_frame -> 'toolName')
                else jsonb_build_object('type', 'tool-' || (p_frame ->> 'toolName')) end;
    elsif p_dynamic or not failed then
        part := part - 'rawInput';
    end if;
    part := part
        || jsonb_build_object('state', case
            when failed then 'output-error'
            when kind = 'tool-output-available' then 'output-available'
            when kind = 'tool-input-available' then 'input-available'
            else 'input-streaming' end)
        || json_members(p_frame, '{output,errorText,preliminary,title,toolMetadata,providerExecuted}');
    if kind = 'tool-input-start' then
        part := part || json_members(p_frame, '{inputEncoding}');
    elsif kind = 'tool-input-error' and not p_dynamic then
        part := part || jsonb_build_object('rawInput', p_frame -> 'input');
    elsif not is_result then
        part := part || json_members(p_frame, '{input}');
    end if;
    if jsonb_typeof(p_frame -> 'providerMetadata') = 'object' then
        part := part || jsonb_build_object(
            case when is_result or failed then 'resultProviderMetadata' else 'callProviderMetadata' end,
            p_frame -> 'providerMetadata');
    end if;
    return part;
end
$$;

-- The parts that a stream's frames make; the frames that would end those of them that are open; and the metadata that
-- they give the message, without those that are made from its columns.
--
-- Deltas are collected and joined once: joined one by one, a long answer would be copied for each of its words. A tool's
-- input that was cut off stands in its part as far as it came, as `rawInput`, and as `input` only if it is whole: the SDK
-- guesses the rest.
create function public.message_parts(p_frames jsonb[], out parts jsonb, out closing jsonb, out metadata jsonb)
language plpgsql immutable
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
    frame jsonb;
    kind text;
    key text;
    place integer;
    list jsonb[] := '{}';
    -- Where the current step begins.
    step integer := 0;
    -- The places of open texts and reasonings (`text:ID`), of data with an id, of tools' inputs.
    open_parts jsonb := '{}';
    named_data jsonb := '{}';
    inputs jsonb := '{}';
    -- Of each tool's part.
    tool_places integer[] := '{}';
    tool_ids text[] := '{}';
    tools_dynamic boolean[] := '{}';
    is_dynamic boolean;
    -- Of each delta.
    delta_places integer[] := '{}';
    deltas text[] := '{}';
    joined record;
    input jsonb;
begin
    metadata := '{}';
    foreach frame in array p_frames loop
        kind := frame ->> 'type';
        if kind in ('text-delta', 'reasoning-delta') then
            place := open_parts ->> (split_part(kind, '-', 1) || ':' || (frame ->> 'id'));
            if place is not null then
                delta_places := delta_places || place;
                deltas := deltas || (frame ->> 'delta');
                if jsonb_typeof(frame -> 'providerMetadata') = 'object' then
                    list[place] := list[place] || json_members(frame, '{providerMetadata}');
                end if;
            end if;
        elsif kind in ('text-start', 'reasoning-start') then
            key := split_part(kind, '-', 1);
            list := list || (jsonb_build_object('type', key, 'text', '', 'state', 'streaming')
                || json_members(frame, case key
                    when 'text' then '{providerMetadata}'::text[] else '{id,providerMetadata}' end));
            open_parts := open_parts || jsonb_build_object(key || ':' || (frame ->> 'id'), cardinality(list));
        elsif kind in ('text-end', 'reasoning-end') then
            key := split_part(kind, '-', 1) || ':' || (frame ->> 'id');
            place := open_parts ->> key;
            if place is not null then
                list[place] := list[place] || '{"state": "done"}' || json_members(frame, '{providerMetadata,citations}');
                open_parts := open_parts - key;
            end if;
        elsif kind in ('source-url', 'source-document', 'file') then
            list := list || json_members(frame, case kind
                when 'source-url' then '{type,sourceId,url,title,providerMetadata}'::text[]
                when 'file' then '{type,mediaType,url,providerMetadata}'
                else '{type,sourceId,mediaType,title,filename,providerMetadata}' end);
        elsif kind like 'data-%' then
            key := case when frame ->> 'id' is not null then jsonb_build_array(kind, frame -> 'id')::text end;
            place := named_data ->> key;
            if frame -> 'transient' = 'true' then
                null; -- it isn't kept
            elsif place is not null then
                list[place] := list[place] || json_members(frame, '{data}');
            else
                list := list || frame;
                if key is not null then
                    named_data := named_data || jsonb_build_object(key, cardinality(list));
                end if;
            end if;
        elsif kind = 'tool-input-delta' then
            place := inputs ->> (frame ->> 'toolCallId');
            if place is not null then
                delta_places := delta_places || place;
                deltas := deltas || (frame ->> 'inputTextDelta');
            end if;
        elsif kind like 'tool-%' then
            is_dynamic := coalesce(frame -> 'dynamic' = 'true', false);
            if kind in ('tool-input-start', 'tool-input-available') then
                select min(t.place) into place from unnest(tool_places, tool_ids, tools_dynamic) t (place, id, dynamic)
                where t.place > step and t.id = frame ->> 'toolCallId' and t.dynamic = is_dynamic;
            elsif kind = 'tool-input-error' then
                select min(t.place) into place from unnest(tool_places, tool_ids) t (place, id)
                where t.place > step and t.id = frame ->> 'toolCallId';
            else
                -- A call of this step, or else the last of that name.
                select coalesce(min(t.place) filter (where t.place > step), max(t.place)) into place
                from unnest(tool_places, tool_ids) t (place, id)
                where t.id = frame ->> 'toolCallId';
                continue when place is null;
            end if;
            if place is not null then
                is_dynamic := tools_dynamic[array_position(tool_places, place)];
                list[place] := tool_part(list[place], frame, is_dynamic);
            else
                list := list || tool_part(null, frame, is_dynamic);
                place := cardinality(list);
                tool_places := tool_places || place;
                tool_ids := tool_ids || (frame ->> 'toolCallId');
                tools_dynamic := tools_dynamic || is_dynamic;
            end if;
            if kind = 'tool-input-start' then
                inputs := inputs || jsonb_build_object(frame ->> 'toolCallId', place);
            end if;
        elsif kind = 'start-step' then
            list := list || '{"type": "step-start"}'::jsonb;
            step := cardinality(list);
        elsif kind = 'finish-step' then
            open_parts := '{}';
        elsif kind in ('start', 'message-metadata', 'finish') then
            if jsonb_typeof(frame -> 'messageMetadata') = 'object' then
                metadata := json_merge_patch(metadata, frame -> 'messageMetadata');
            end if;
        end if;
    end loop;

    for joined in
        select d.place, string_agg(d.delta, '' order by d.n) as text
        from unnest(delta_places, deltas) with ordinality d (place, delta, n)
        group by d.place
    loop
        if list[joined.place] ? 'text' then
            list[joined.place] := list[joined.place] || jsonb_build_object('text', joined.text);
        elsif list[joined.place] ->> 'state' = 'input-streaming' then
            list[joined.place] := list[joined.place] || jsonb_build_object('rawInput', joined.text);
            input := case when list[joined.place] ->> 'inputEncoding' = 'text' then to_jsonb(joined.text)
                else json_or_null(joined.text) end;
            if input is not null then
                list[joined.place] := list[joined.place] || jsonb_build_object('input', input);
            end if;
        end if;
    end loop;
    parts := to_jsonb(list);
    select coalesce(jsonb_agg(end_of.frame order by end_of.place), '[]') into closing
    from (
        select o.value::integer as place, jsonb_build_object(
            'type', split_part(o.key, ':', 1) || '-end', 'id', substr(o.key, strpos(o.key, ':') + 1)) as frame
        from jsonb_each_text(open_parts) o
    ) end_of;
    metadata := metadata - '{id,createdAt,status,parentId,siblings,usage,model}'::text[];
end
$$;

-- What a message's text parts say, an empty line between two of them.
create function public.text_of_parts(p_parts jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(string_agg(p.part ->> 'text', E'\n\n' order by p.n), '')
    from jsonb_array_elements(p_parts) with ordinality p (part, n)
    where p.part ->> 'type' = 'text'
$$;

revoke execute on function
    public.json_members, public.json_or_null, public.message_size, public.tool_part, public.message_parts,
    public.text_of_parts
    from public;
grant execute on function
    public.json_members, public.json_or_null, public.message_size, public.tool_part, public.message_parts,
    public.text_of_parts
    to colloquy_app, colloquy_sweep;
grant execute on function public.json_merge_patch to colloquy_sweep;

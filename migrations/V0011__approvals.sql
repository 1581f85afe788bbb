set local row_security = off;

-- A tool's part after one more frame about it; `p_part` is null where the frame is the first. As in V0006, and of a request for
-- approval also what is to be approved and the input as the tool's schema takes it: without them a front end that loads the
-- answer couldn't show what it shows while the answer is streamed, nor send the approval back as it was asked for.
create or replace function public.tool_part(p_part jsonb, p_frame jsonb, p_dynamic boolean) returns jsonb
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
            jsonb_build_object('id', p_frame -> 'approvalId')
            || case when p_frame ? 'approvalDescriptor'
                then jsonb_build_object('descriptor', p_frame -> 'approvalDescriptor') else '{}' end
            || json_members(p_frame, '{inputSchemaInput,signature}'));
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

//! The frames that are made of what an OpenAI-compatible agent says.

use serde_json::Value;

use crate::model::Extent;
use crate::ui_stream::Chunk;

pub(super) fn text_start(id: &str) -> Chunk {
    Chunk::TextStart { id: id.to_owned(), provider_metadata: None }
}

pub(super) fn text_delta(id: &str, delta: String) -> Chunk {
    Chunk::TextDelta { id: id.to_owned(), delta, provider_metadata: None }
}

pub(super) fn text_end(id: String) -> Chunk {
    Chunk::TextEnd { id, citations: None, provider_metadata: None }
}

pub(super) fn reasoning_start(id: &str) -> Chunk {
    Chunk::ReasoningStart { id: id.to_owned(), provider_metadata: None }
}

pub(super) fn reasoning_delta(id: &str, delta: String) -> Chunk {
    Chunk::ReasoningDelta { id: id.to_owned(), delta, provider_metadata: None }
}

pub(super) fn reasoning_end(id: String) -> Chunk {
    Chunk::ReasoningEnd { id, provider_metadata: None }
}

/// The beginning of a call of a tool: dynamic, for no front end has a type for it. Who runs it isn't known yet.
pub(super) fn tool_input_start(id: &str, name: &str) -> Chunk {
    Chunk::ToolInputStart {
        tool_call_id: id.to_owned(),
        tool_name: name.to_owned(),
        input_encoding: None,
        provider_executed: None,
        provider_metadata: None,
        tool_metadata: None,
        dynamic: Some(true),
        title: None,
    }
}

pub(super) fn tool_input_delta(id: &str, delta: &str) -> Chunk {
    Chunk::ToolInputDelta { tool_call_id: id.to_owned(), input_text_delta: delta.to_owned() }
}

/// A whole call of a tool. Executed by the provider, no front end runs it.
pub(super) fn tool_input_available(id: &str, name: &str, input: Value, provider_executed: Option<bool>) -> Chunk {
    Chunk::ToolInputAvailable {
        tool_call_id: id.to_owned(),
        tool_name: name.to_owned(),
        input,
        provider_executed,
        provider_metadata: None,
        tool_metadata: None,
        dynamic: Some(true),
        title: None,
    }
}

pub(super) fn tool_output_available(id: &str, output: Value) -> Chunk {
    Chunk::ToolOutputAvailable {
        tool_call_id: id.to_owned(),
        output,
        provider_executed: Some(true),
        provider_metadata: None,
        tool_metadata: None,
        dynamic: Some(true),
        preliminary: None,
    }
}

/// The bytes of a frame as compact JSON, and its objects and arrays. Of a delta only what it adds: stored, it becomes one with
/// those before.
pub(super) fn size_of(chunk: &Chunk) -> (usize, usize) {
    match chunk {
        Chunk::TextDelta { delta, provider_metadata: None, .. }
        | Chunk::ReasoningDelta { delta, provider_metadata: None, .. }
        | Chunk::ToolInputDelta { input_text_delta: delta, .. } => {
            let escaped = |byte: u8| match byte {
                b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
                0..0x20 => 6,
                _ => 1,
            };
            (delta.bytes().map(escaped).sum(), 0)
        }
        chunk => {
            serde_json::to_string(chunk).map_or((usize::MAX, 0), |json| (json.len(), Extent::of(&json).containers))
        }
    }
}

/// Whether a reader is given something by it.
pub(super) fn has_content(chunk: &Chunk) -> bool {
    match chunk {
        Chunk::TextDelta { delta, .. } | Chunk::ReasoningDelta { delta, .. } => !delta.is_empty(),
        Chunk::StartStep
        | Chunk::FinishStep
        | Chunk::ResetStep
        | Chunk::Custom { .. }
        | Chunk::SteeringMessage { .. }
        | Chunk::TextStart { .. }
        | Chunk::TextEnd { .. }
        | Chunk::ReasoningStart { .. }
        | Chunk::ReasoningEnd { .. } => false,
        _ => true,
    }
}

//! A stored answer as a stream.

mod call;

use serde_json::{Map, Value};

use crate::model::{ChatMessage, Status};
use crate::ui_stream::field::Field;
use crate::ui_stream::message::{finish_reason, id_of, shown_parts, stored_metadata};
use crate::ui_stream::{Chunk, FinishReason, ProviderMetadata, finish_metadata, start_metadata};

type Object = Map<String, Value>;

/// The frames of a stored answer: a front end that reads them has the message's parts and metadata, as if it had seen the
/// answer come. A part of a type that no frame makes, or none that every version reads, is left out.
///
/// Of an answer that went on, a front end may have the first parts already: `had` is how many. Of these it is told only what
/// became of their calls.
#[must_use]
pub fn of_message(answer: &ChatMessage, had: usize) -> Vec<Value> {
    let ChatMessage { message, siblings } = answer;
    let mut metadata = stored_metadata(message);
    let reason = finish_reason(&metadata);
    metadata.extend(start_metadata(message.id, message.created_at, message.parent_id, siblings.as_ref()));
    let mut frames = vec![Chunk::Start { message_id: Some(id_of(message)), message_metadata: Some(metadata) }];
    let mut parts: Vec<Object> = serde_json::from_str(shown_parts(message).get()).unwrap_or_default();
    let added = parts.split_off(had.min(parts.len()));
    frames.extend(parts.into_iter().filter_map(call::outcome));
    frames.extend(of_parts(added));
    let usage = message.usage.as_ref().and_then(|usage| serde_json::from_str(usage.get()).ok());
    let metadata = finish_metadata(message.status, usage.as_ref(), message.model.as_deref());
    frames.extend(ending(message.status, reason, metadata));
    frames.iter().map(Chunk::to_json).collect()
}

/// The frames that make these parts.
#[must_use]
pub fn of_parts(parts: Vec<Object>) -> Vec<Chunk> {
    let mut frames = Vec::with_capacity(2 * parts.len());
    let mut in_step = false;
    for (n, part) in parts.into_iter().enumerate() {
        if part.get("type").is_some_and(|kind| kind == "step-start") && std::mem::replace(&mut in_step, true) {
            frames.push(Chunk::FinishStep);
        }
        frames.extend(of_part(part, n));
    }
    if in_step {
        frames.push(Chunk::FinishStep);
    }
    frames
}

/// The frames with which an answer ends, by how far it came, and why its agent ended it.
fn ending(status: Status, reason: Option<FinishReason>, metadata: Object) -> Vec<Chunk> {
    let error_text = match (status, reason) {
        (Status::Complete, None) => return finish(FinishReason::Stop, metadata),
        (Status::Complete, Some(reason))
        | (
            Status::Incomplete,
            Some(reason @ (FinishReason::Length | FinishReason::Error | FinishReason::Interrupted)),
        ) => {
            return finish(reason, metadata);
        }
        (Status::Stopped, _) => {
            return vec![Chunk::MessageMetadata { message_metadata: metadata }, Chunk::Abort { reason: None }];
        }
        (Status::Failed, _) => "The agent failed to answer.",
        // One that is still being written has no business here; without a last frame it would pass for complete.
        (Status::Incomplete | Status::InProgress, _) => "The answer was cut off.",
    };
    vec![Chunk::MessageMetadata { message_metadata: metadata }, Chunk::Error { error_text: error_text.to_owned() }]
}

fn finish(reason: FinishReason, metadata: Object) -> Vec<Chunk> {
    vec![Chunk::Finish { finish_reason: Some(reason), message_metadata: Some(metadata) }]
}

/// The frames of the `n`th part.
fn of_part(mut part: Object, n: usize) -> Vec<Chunk> {
    let Some(kind) = text_of(&mut part, "type") else { return Vec::new() };
    match kind.as_str() {
        "text" => {
            let Some(text) = text_of(&mut part, "text") else { return Vec::new() };
            let id = format!("text-{n}");
            let start = Chunk::TextStart { id: id.clone(), provider_metadata: provider_metadata(&mut part) };
            let delta = Chunk::TextDelta { id: id.clone(), delta: text, provider_metadata: None };
            let citations = Field::read(part.remove("citations")).unwrap_or_default();
            vec![start, delta, Chunk::TextEnd { id, citations, provider_metadata: None }]
        }
        "reasoning" => {
            let Some(text) = text_of(&mut part, "text") else { return Vec::new() };
            let id = text_of(&mut part, "id").unwrap_or_else(|| format!("reasoning-{n}"));
            let start = Chunk::ReasoningStart { id: id.clone(), provider_metadata: provider_metadata(&mut part) };
            let delta = Chunk::ReasoningDelta { id: id.clone(), delta: text, provider_metadata: None };
            vec![start, delta, Chunk::ReasoningEnd { id, provider_metadata: None }]
        }
        "step-start" => vec![Chunk::StartStep],
        "dynamic-tool" => call::frames(part, None),
        _ => match kind.strip_prefix("tool-") {
            Some(tool) => call::frames(part, Some(tool)),
            // These parts are their frames. What isn't one is a part that only a later version of the SDK knows.
            None => frame(&kind, part).into_iter().filter(Chunk::is_read_by_version_6).collect(),
        },
    }
}

fn text_of(part: &mut Object, name: &str) -> Option<String> {
    match part.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn provider_metadata(part: &mut Object) -> Option<ProviderMetadata> {
    Field::read(part.remove("providerMetadata")).unwrap_or_default()
}

/// The frame of this type with these members, if they make one.
fn frame(kind: &str, mut members: Object) -> Option<Chunk> {
    members.insert("type".to_owned(), kind.into());
    Chunk::parse(Value::Object(members)).ok()
}

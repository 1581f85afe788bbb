//! Reads the stream of an agent that speaks the AI SDK's protocol itself: checked, recorded and passed on.

use serde_json::{Map, Value};

use super::events::Events;
use super::failure::{AgentFailure, FailureKind, word};
use super::sources::Sources;
use super::usage;
use crate::model::cut;
use crate::ui_stream::{BadChunk, Chunk, FinishReason, OpenParts};

/// The most characters of a failure's words that a reader is shown.
const REPORT_CHARS: usize = 500;

/// An answer as it arrives.
#[derive(Debug, Default)]
pub(super) struct Passage {
    parts: OpenParts,
    sources: Sources,
    usage: Option<Map<String, Value>>,
    model: Option<String>,
}

impl Passage {
    /// Reads a frame; true where it was the last.
    pub(super) fn frame(&mut self, frame: &Map<String, Value>, events: &mut Events) -> Result<bool, AgentFailure> {
        let kind = frame.get("type").and_then(Value::as_str).unwrap_or_default();
        let chunk = Chunk::parse(Value::Object(frame.clone())).map_err(|bad| malformed(kind, &bad))?;
        match kind {
            // Who the answer is and what is said of it is for us to say; what it cost, for the agent.
            "start" | "message-metadata" => self.note(frame, events),
            // The frame that tells which conversation it is: ours alone.
            "data-conversation" => {}
            "source-url" | "source-document" => self.sources.of_part(frame, events),
            "file" if !is_harmless(frame) => tracing::warn!("a file of the agent has a link of a forbidden scheme"),
            "finish" => {
                self.note(frame, events);
                self.end(frame.get("finishReason").and_then(Value::as_str), events);
                return Ok(true);
            }
            "abort" => return Err(AgentFailure::new(FailureKind::Cut, "it aborted")),
            "error" => {
                // Unlike a provider's error, these words are meant for a front end.
                let text = frame.get("errorText").and_then(Value::as_str).filter(|text| !text.is_empty());
                let text = text.map(|text| cut(text, REPORT_CHARS));
                return Err(AgentFailure::new(FailureKind::Reported(text), "an error frame"));
            }
            _ => {
                // Some agents end a step and leave it at that.
                for end in self.parts.close_before(&chunk) {
                    events.chunk(end);
                }
                self.parts.observe(&chunk).map_err(|bad| malformed(kind, &bad))?;
                events.chunk(chunk);
            }
        }
        Ok(false)
    }

    /// Ends it well.
    pub(super) fn end(&mut self, reason: Option<&str>, events: &mut Events) {
        for chunk in self.parts.close() {
            events.chunk(chunk);
        }
        self.tell_usage(events);
        events.finish(finish_reason(reason));
    }

    /// Tells what it has cost so far, once.
    pub(super) fn tell_usage(&mut self, events: &mut Events) {
        if let Some(usage) = self.usage.take() {
            events.usage(usage);
        }
    }

    fn note(&mut self, frame: &Map<String, Value>, events: &mut Events) {
        let Some(Value::Object(metadata)) = frame.get("messageMetadata") else { return };
        let read = |name: &str| metadata.get(name).and_then(usage::read);
        if let Some(usage) = read("totalUsage").or_else(|| read("usage")) {
            self.usage = Some(usage);
        }
        let name = |name: &str| metadata.get(name).and_then(Value::as_str).filter(|name| !name.is_empty());
        if let Some(model) = name("model").or_else(|| name("modelId")).filter(|_| self.model.is_none()) {
            self.model = Some(model.to_owned());
            events.model(model);
        }
    }
}

/// Whether a file's link is none that runs in a reader's page. Browsers pass over white space in a scheme.
fn is_harmless(file: &Map<String, Value>) -> bool {
    let url: String = file.get("url").and_then(Value::as_str).unwrap_or_default().chars().take(200).collect();
    let url = url.replace(|c: char| c.is_whitespace() || c.is_control(), "").to_ascii_lowercase();
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => ["http", "https", "data", "blob"].contains(&scheme),
        // A path of the reader's own page.
        _ => true,
    }
}

/// What is wrong with a frame. The agent's own word for its type is told only where it looks like one.
fn malformed(kind: &str, bad: &BadChunk) -> AgentFailure {
    AgentFailure::malformed(match bad {
        BadChunk::UnknownType(_) => format!("a frame is of the unknown type {}", word(kind)),
        bad => format!("a frame {bad}"),
    })
}

/// The protocol's word, which older versions leave out.
fn finish_reason(word: Option<&str>) -> FinishReason {
    word.map_or(FinishReason::Stop, |word| FinishReason::from_word(word).unwrap_or(FinishReason::Other))
}

//! Reads a stream of OpenAI-compatible chat completions.
//!
//! Services differ in what they leave out and in what they add; this reads what it knows and lets the rest be. What a
//! `delta` holds piece by piece, the `message` of an answer that isn't streamed holds whole.

mod responses;
mod tools;

use serde_json::{Map, Value};

use super::events::Events;
use super::failure::{AgentFailure, FailureKind, word};
use super::frames;
use super::sources::Sources;
use super::usage;
use crate::ui_stream::FinishReason;
use tools::Tools;

type Object = Map<String, Value>;

/// An answer as it arrives.
#[derive(Debug, Default)]
pub(super) struct Completion {
    open: Option<Open>,
    parts: usize,
    tools: Tools,
    sources: Sources,
    usage: Option<Object>,
    model: Option<String>,
    finish: Option<FinishReason>,
    /// Whether any frame was one of a completion.
    recognised: bool,
}

/// The part that deltas go to.
#[derive(Debug)]
struct Open {
    kind: Kind,
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
}

impl Completion {
    /// Reads a frame, or a whole completion.
    pub(super) fn frame(&mut self, frame: &Object, events: &mut Events) -> Result<(), AgentFailure> {
        if let Some(failure) = reported(frame) {
            return Err(failure);
        }
        if frame.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("response.")) {
            return self.response_event(frame, events);
        }
        let choice = choice(frame);
        self.recognised |= choice.is_some() || frame.contains_key("choices");
        self.note(frame, events);
        if let Some(usage) = choice.and_then(|choice| choice.get("usage")).and_then(usage::read) {
            self.usage = Some(usage);
        }
        // Perplexity sends both, the message being all that was said so far.
        let message = choice.and_then(|choice| object(choice, "delta").or_else(|| object(choice, "message")));
        for source in self.sources.of_completion(frame, message) {
            self.recognised = true;
            events.source(source);
        }
        if let Some(message) = message {
            self.message(message, events);
        }
        match choice.and_then(|choice| choice.get("finish_reason")).and_then(Value::as_str) {
            None | Some("") => Ok(()),
            Some("error") => Err(AgentFailure::new(FailureKind::Reported(None), "finish reason error")),
            Some(reason) => {
                self.tools.finish(events);
                self.finish = Some(finish_reason(reason));
                Ok(())
            }
        }
    }

    /// Whether it has said why it ended, so that only its usage may be missing. An agent that ran its tools goes on.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some_and(|reason| reason != FinishReason::ToolCalls)
    }

    /// Whether it may end here without having said so.
    pub(super) fn may_end(&self) -> bool {
        self.finish.is_some()
    }

    /// Ends it well. A service that says that it has ended but not why has ended as one does.
    pub(super) fn end(&mut self, events: &mut Events) -> Result<(), AgentFailure> {
        if !self.recognised {
            return Err(AgentFailure::malformed("no frame of it is one of a chat completion"));
        }
        self.tools.finish(events);
        for source in self.sources.rest() {
            events.source(source);
        }
        self.close(events);
        self.tell_usage(events);
        events.finish(self.finish.unwrap_or(FinishReason::Stop));
        Ok(())
    }

    /// Tells what it has cost so far, once.
    pub(super) fn tell_usage(&mut self, events: &mut Events) {
        if let Some(usage) = self.usage.take() {
            events.usage(usage);
        }
    }

    /// The model and the usage, wherever they stand.
    fn note(&mut self, frame: &Object, events: &mut Events) {
        if let Some(usage) = frame.get("usage").and_then(usage::read) {
            self.usage = Some(usage);
        }
        let model = frame.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
        if let Some(model) = model.filter(|_| self.model.is_none()) {
            self.model = Some(model.to_owned());
            events.model(model);
        }
    }

    fn message(&mut self, message: &Object, events: &mut Events) {
        let text = |name: &str| message.get(name).map(|value| text_of(value, "text")).unwrap_or_default();
        if message.get("role").is_some_and(|role| role == "tool") {
            if let Some(id) = message.get("tool_call_id").and_then(Value::as_str) {
                self.finish = None;
                self.tools.output(id, text("content"), events);
            }
            return;
        }
        let reasoning = ["reasoning_content", "reasoning"].into_iter().map(text).find(|text| !text.is_empty());
        let thinking = || message.get("content").map(|content| text_of(content, "thinking")).unwrap_or_default();
        self.delta(Kind::Reasoning, reasoning.unwrap_or_else(thinking), events);
        self.delta(Kind::Text, text("content"), events);
        self.delta(Kind::Text, text("refusal"), events);
        for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.finish = None;
            self.close(events);
            self.tools.call(call, events);
        }
    }

    /// Words of an answer or of the thoughts before it.
    fn delta(&mut self, kind: Kind, text: String, events: &mut Events) {
        if text.is_empty() {
            return;
        }
        // It goes on, whatever it said before.
        self.finish = None;
        self.recognised = true;
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close(events);
            self.tools.finish(events);
            self.parts += 1;
            let id = format!("{}{}", if kind == Kind::Text { 't' } else { 'r' }, self.parts);
            events.chunk(match kind {
                Kind::Text => frames::text_start(&id),
                Kind::Reasoning => frames::reasoning_start(&id),
            });
            self.open = Some(Open { kind, id });
        }
        if let Some(open) = &self.open {
            events.chunk(match kind {
                Kind::Text => frames::text_delta(&open.id, text),
                Kind::Reasoning => frames::reasoning_delta(&open.id, text),
            });
        }
    }

    fn close(&mut self, events: &mut Events) {
        if let Some(Open { kind, id }) = self.open.take() {
            events.chunk(match kind {
                Kind::Text => frames::text_end(id),
                Kind::Reasoning => frames::reasoning_end(id),
            });
        }
    }
}

/// The first choice: no more than one is asked for.
fn choice(frame: &Object) -> Option<&Object> {
    let choices = frame.get("choices")?.as_array()?;
    let first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or_default() == 0;
    choices.iter().find(first)?.as_object()
}

fn object<'a>(parent: &'a Object, name: &str) -> Option<&'a Object> {
    parent.get(name)?.as_object()
}

/// A text, or the texts of an array of parts: `{"type":"text","text":"…"}`, and for thoughts, as Mistral has them,
/// `{"type":"thinking","thinking":[{"type":"text","text":"…"}]}`.
fn text_of(content: &Value, kind: &str) -> String {
    match content {
        Value::String(text) if kind == "text" => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter(|part| part["type"] == kind)
            .map(|part| match &part[kind] {
                Value::String(text) => text.clone(),
                inner => text_of(inner, "text"),
            })
            .collect(),
        _ => String::new(),
    }
}

fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "stop" | "eos" | "end_turn" | "stop_sequence" => FinishReason::Stop,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        _ => FinishReason::Other,
    }
}

/// The failure that a frame reports. Its message stays out of the log and of the reader's sight: it may repeat the
/// prompt, or the key.
fn reported(frame: &Object) -> Option<AgentFailure> {
    // vLLM, OpenAI's Responses, and RAGFlow, which answers 200 to all.
    let whole = frame.get("object").is_some_and(|kind| kind == "error")
        || frame.get("type").is_some_and(|kind| kind == "error")
        || (frame.get("code").is_some_and(|code| code.is_i64() && *code != 0)
            && frame.contains_key("message")
            && !frame.contains_key("choices"));
    let error = match frame.get("error") {
        Some(error) if !error.is_null() => error.as_object(),
        _ if whole => Some(frame),
        _ => match choice(frame)?.get("error")? {
            Value::Null => return None,
            error => error.as_object(),
        },
    };
    let code = |name: &str| match error?.get(name)? {
        Value::String(text) => Some(word(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let words: Vec<String> = ["type", "code"].into_iter().filter_map(code).collect();
    Some(AgentFailure::new(FailureKind::Reported(None), words.join(" ")))
}

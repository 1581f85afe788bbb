//! Reads a stream of OpenAI-compatible chat completions.
//!
//! Services differ in what they leave out and in what they add; this reads what it knows and lets the rest be. What a
//! `delta` holds piece by piece, the `message` of an answer that isn't streamed holds whole.

mod responses;
mod thoughts;
mod tools;
mod words;

use serde_json::{Map, Value};

use super::events::Events;
use super::failure::{AgentFailure, FailureKind, word};
use super::json;
use super::sources::Sources;
use super::usage;
use crate::model::BaseAnswer;
use crate::ui_stream::FinishReason;
use tools::Tools;
use words::{Kind, Words};

type Object = Map<String, Value>;

/// An answer as it arrives.
#[derive(Debug, Default)]
pub(super) struct Completion {
    words: Words,
    tools: Tools,
    sources: Sources,
    usage: usage::Sum,
    model: Option<String>,
    /// Whether its reasoning has come as a text, which its details repeat.
    has_reasoning: bool,
    /// The last reason to end that it gave.
    finish: Option<FinishReason>,
    /// Whether it has said more since.
    goes_on: bool,
    said: usize,
    /// Whether any frame was one of a completion.
    recognised: bool,
}

impl Completion {
    /// With thoughts between tags in its content, or with tags that are words as any other; behind what the answer was before
    /// it went on.
    pub(super) fn new(think_tags: bool, base: Option<&BaseAnswer>) -> Self {
        Self { words: Words::new(think_tags), sources: Sources::behind(base), ..Self::default() }
    }

    /// Reads a frame, or a whole completion.
    pub(super) fn frame(&mut self, read: &Object, events: &mut Events) -> Result<(), AgentFailure> {
        // Half a character of a delta's may be whole with the next; all else is as it is.
        let settled = read.values().any(json::has_halves).then(|| {
            let mut frame = read.clone();
            json::settle_members(&mut frame);
            frame
        });
        let frame = settled.as_ref().unwrap_or(read);
        if let Some(failure) = reported(frame) {
            return Err(failure);
        }
        if frame.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("response.")) {
            return self.response_event(frame, read, events);
        }
        let choice = choice(frame);
        self.recognised |= choice.is_some() || frame.contains_key("choices");
        self.note(frame, events);
        if let Some(usage) = choice.and_then(|choice| choice.get("usage")) {
            self.cost(usage, events);
        }
        let said = self::choice(read).and_then(message_of);
        self.recognised |= self.sources.of_completion(frame, choice, events);
        if let Some(message) = said {
            self.message(message, events);
        }
        match choice.and_then(|choice| choice.get("finish_reason")).and_then(Value::as_str) {
            None | Some("" | "null") => Ok(()),
            Some("error") => Err(AgentFailure::new(FailureKind::Reported(None), "finish reason error")),
            Some(reason) => {
                self.finished(finish_reason(reason));
                Ok(())
            }
        }
    }

    /// It has given a reason to end.
    fn finished(&mut self, reason: FinishReason) {
        (self.recognised, self.goes_on, self.finish) = (true, false, Some(reason));
    }

    /// It has said something, after which it goes on.
    fn speaks(&mut self) {
        (self.recognised, self.goes_on, self.said) = (true, true, self.said + 1);
    }

    /// It has said something to which its calls of tools were no end: it runs them itself.
    fn resumes(&mut self, events: &mut Events) {
        self.speaks();
        if self.finish == Some(FinishReason::ToolCalls) {
            self.finish = None;
            self.tools.resumed(events);
        }
    }

    /// How much it has said.
    pub(super) fn said(&self) -> usize {
        self.said
    }

    /// Whether it has said why it ended, so that only its usage may be missing. An agent that runs its tools goes on.
    pub(super) fn is_finished(&self) -> bool {
        !self.goes_on && self.finish.is_some_and(|reason| reason != FinishReason::ToolCalls)
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
        self.sources.rest(events);
        self.words.end(events);
        self.tools.end(self.finish != Some(FinishReason::ToolCalls), events);
        events.finish(self.finish.unwrap_or(FinishReason::Stop));
        Ok(())
    }

    /// Tells what there is of it, where it breaks off.
    pub(super) fn break_off(&mut self, events: &mut Events) {
        self.sources.rest(events);
        self.words.end(events);
        self.tools.resumed(events);
    }

    /// Tells what it has cost so far, at once: a stopped answer has cost that as well.
    fn cost(&mut self, usage: &Value, events: &mut Events) {
        if let Some(usage) = self.usage.note(usage) {
            events.usage(usage);
        }
    }

    /// The model and the usage, wherever they stand.
    fn note(&mut self, frame: &Object, events: &mut Events) {
        if let Some(id) = frame.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            self.usage.completion(id);
        }
        let groq = || frame.get("x_groq").and_then(|more| more.get("usage"));
        if let Some(usage) = frame.get("usage").filter(|usage| usage.is_object()).or_else(groq) {
            self.cost(usage, events);
        }
        let model = frame.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
        if let Some(model) = model.filter(|_| self.model.is_none()) {
            self.model = Some(model.to_owned());
            events.model(model);
        }
    }

    /// What a delta says, whose texts may end in half a surrogate pair, or a whole message.
    fn message(&mut self, message: &Object, events: &mut Events) {
        let text = |name: &str| message.get(name).map(|value| text_of(value, "text")).unwrap_or_default();
        let id = message.get("tool_call_id").and_then(Value::as_str);
        if message.get("role").is_some_and(|role| role == "tool" || role == "function") || id.is_some() {
            self.speaks();
            self.words.end(events);
            self.tools.result(message, events);
            // Its calls were no end of it, unless there are some that others are to run.
            self.finish = self.finish.filter(|reason| *reason != FinishReason::ToolCalls || self.tools.wait());
            return;
        }
        let reasoning = self.reasoning(message);
        self.delta(Kind::Reasoning, &reasoning, events);
        self.delta(Kind::Text, &text("content"), events);
        self.delta(Kind::Text, &text("refusal"), events);
        let calls = message
            .get("tool_calls")
            .filter(|calls| calls.is_object() || calls.as_array().is_some_and(|it| !it.is_empty()));
        // What calls were before there could be several.
        let call = || message.get("function_call").filter(|call| call.is_object());
        if let Some(calls) = calls.or_else(call) {
            self.speaks();
            self.tools.pieces(calls, &mut self.words, events);
        }
    }

    /// What a delta says of its reasoning: services name it in many ways, and some in two ways at once.
    fn reasoning(&mut self, message: &Object) -> String {
        let text = |name: &str, kind: &str| message.get(name).map(|value| text_of(value, kind)).unwrap_or_default();
        let plain = ["reasoning_content", "reasoning"].into_iter().map(|name| text(name, "text"));
        let parts = ["thinking", "reasoning"].into_iter().map(|kind| text("content", kind));
        if let Some(reasoning) = plain.chain(parts).find(|text| !text.is_empty()) {
            self.has_reasoning = true;
            return reasoning;
        }
        if self.has_reasoning { String::new() } else { details(message) }
    }

    /// Words of an answer or of the thoughts before it.
    fn delta(&mut self, kind: Kind, piece: &str, events: &mut Events) {
        if piece.is_empty() {
            return;
        }
        if piece.trim().is_empty() {
            self.speaks();
        } else {
            self.resumes(events);
        }
        match kind {
            Kind::Text => self.words.content(piece, events),
            Kind::Reasoning => self.words.reasoning(piece, events),
        }
    }
}

/// The first choice: no more than one is asked for.
fn choice(frame: &Object) -> Option<&Object> {
    let choices = frame.get("choices")?.as_array()?;
    let first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or_default() == 0;
    choices.iter().find(first)?.as_object()
}

/// What a choice says. Perplexity sends both, the message being all that was said so far.
fn message_of(choice: &Object) -> Option<&Object> {
    object(choice, "delta").or_else(|| object(choice, "message"))
}

fn object<'a>(parent: &'a Object, name: &str) -> Option<&'a Object> {
    parent.get(name)?.as_object()
}

/// A text, or the texts of an array of parts: `{"type":"text","text":"…"}`, and for thoughts, as Mistral has them,
/// `{"type":"thinking","thinking":[{"type":"text","text":"…"}]}`.
fn text_of(content: &Value, kind: &str) -> String {
    match content {
        Value::String(text) if kind == "text" => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| text_of(part, kind)).collect(),
        Value::Object(part) => text_of_part(part, kind),
        _ => String::new(),
    }
}

fn text_of_part(part: &Object, kind: &str) -> String {
    let member = |name: &str| part.get(name).unwrap_or(&Value::Null);
    let is_kind = match member("type").as_str() {
        Some("output_text") | None => kind == "text",
        Some(name) => name == kind,
    };
    match (member(kind), member("text")) {
        _ if !is_kind => String::new(),
        (Value::String(text), _) | (Value::Null, Value::String(text)) => text.clone(),
        (inner, _) => text_of(inner, "text"),
    }
}

/// The reasoning that OpenRouter tells in detail: texts and summaries, some of them encrypted.
fn details(message: &Object) -> String {
    let details = message.get("reasoning_details").and_then(Value::as_array).into_iter().flatten();
    details.filter_map(|detail| detail["text"].as_str().or_else(|| detail["summary"].as_str())).collect()
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
    let success = |code: &Value| code.as_i64().is_none_or(|code| code == 0 || (200..300).contains(&code));
    // vLLM, OpenAI's Responses, and RAGFlow, which answers 200 to all.
    let whole = frame.get("object").is_some_and(|kind| kind == "error")
        || frame.get("type").is_some_and(|kind| kind == "error")
        || (frame.get("code").is_some_and(|code| !success(code))
            && frame.contains_key("message")
            && !frame.contains_key("choices"));
    let of_choice = || choice(frame).and_then(|choice| choice.get("error"));
    let error = match frame.get("error").filter(|error| says_something(error)) {
        Some(error) => error.as_object(),
        None if whole => Some(frame),
        None => of_choice().filter(|error| says_something(error))?.as_object(),
    };
    let code = |name: &str| match error?.get(name)? {
        Value::String(text) => Some(word(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let words: Vec<String> = ["type", "code"].into_iter().filter_map(code).collect();
    Some(AgentFailure::new(FailureKind::Reported(None), words.join(" ")))
}

/// Whether an `error` tells of one: some services send the member with every frame.
fn says_something(error: &Value) -> bool {
    match error {
        Value::Null => false,
        Value::Bool(failed) => *failed,
        Value::Number(number) => !matches!(number.as_i64(), Some(0 | 200)),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(errors) => errors.iter().any(says_something),
        Value::Object(members) => members.values().any(says_something),
    }
}

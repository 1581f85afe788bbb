//! From the frames of a stream to the parts of a message, as the AI SDK builds them (`processUIMessageStream` of ai 6 and 7):
//! a front end that was streamed an answer and one that loads it later show the same.
//!
//! This is the one place where that is done. Every frame costs what it holds, however many came before it.

#[cfg(test)]
mod tests;
mod tool;

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::model::FinishedAnswer;
use crate::ui_stream::{COMPUTED, Chunk};
use tool::Tools;

type Object = Map<String, Value>;

/// A message while its stream is read.
#[derive(Debug, Default)]
pub struct Assembler {
    parts: Vec<Object>,
    /// The places of the texts and reasonings that are open, by their ids.
    texts: HashMap<String, usize>,
    reasonings: HashMap<String, usize>,
    /// The places of data with an id, by type and id.
    data: HashMap<(String, String), usize>,
    tools: Tools,
    /// How many sources are parts.
    sources: usize,
    metadata: Object,
}

/// The calls of a step, as far as a front end has a part in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepCalls {
    /// There are none.
    None,
    /// One waits for the reader: for consent, or for an output that the front end is to make.
    Wait,
    /// All have ended. A front end that sends answers by itself sends these, too.
    Ended,
}

/// What a stream's frames have made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assembled {
    /// The message's parts.
    pub parts: Vec<Object>,
    /// What its text parts say, an empty line between two of them.
    pub text: String,
    /// What its frames have said of it.
    pub metadata: Object,
}

impl Assembler {
    /// For a message that goes on: its parts, and its metadata so far.
    #[must_use]
    pub fn going_on(parts: Vec<Object>, metadata: Object) -> Self {
        let mut assembler = Self { metadata, ..Self::default() };
        for (place, part) in parts.iter().enumerate() {
            let text = |name: &str| part.get(name).and_then(Value::as_str);
            match text("type") {
                Some("step-start") => assembler.tools.begin_step(place + 1),
                Some(kind) if kind.starts_with("data-") => {
                    if let Some(id) = text("id") {
                        assembler.data.insert((kind.to_owned(), id.to_owned()), place);
                    }
                }
                Some("source-url" | "source-document") => assembler.sources += 1,
                _ => {
                    if let Some(id) = text("toolCallId") {
                        assembler.tools.note(id, place, part);
                    }
                }
            }
        }
        Self { parts, ..assembler }
    }

    /// Takes the next frame. What belongs to nothing that came before is passed over.
    pub fn push(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::TextDelta { id, delta, .. } => self.delta(self.texts.get(id).copied(), delta, chunk),
            Chunk::ReasoningDelta { id, delta, .. } => self.delta(self.reasonings.get(id).copied(), delta, chunk),
            Chunk::TextStart { id, .. } => {
                self.texts.insert(id.clone(), self.parts.len());
                self.begin("text", chunk, &["providerMetadata"]);
            }
            Chunk::ReasoningStart { id, .. } => {
                self.reasonings.insert(id.clone(), self.parts.len());
                self.begin("reasoning", chunk, &["id", "providerMetadata"]);
            }
            Chunk::TextEnd { id, .. } => {
                let place = self.texts.remove(id);
                self.end(place, chunk);
            }
            Chunk::ReasoningEnd { id, .. } => {
                let place = self.reasonings.remove(id);
                self.end(place, chunk);
            }
            Chunk::SourceUrl { .. } | Chunk::SourceDocument { .. } => {
                self.sources += 1;
                self.parts.push(object(chunk));
            }
            Chunk::File { .. } | Chunk::ReasoningFile { .. } | Chunk::Custom { .. } | Chunk::SteeringMessage { .. } => {
                self.parts.push(object(chunk));
            }
            Chunk::Data { kind, id, data, transient: false } => {
                let key = id.as_ref().map(|id| (format!("data-{kind}"), id.clone()));
                if let Some(place) = key.as_ref().and_then(|key| self.data.get(key)) {
                    self.parts[*place].insert("data".into(), data.clone());
                } else {
                    self.data.extend(key.map(|key| (key, self.parts.len())));
                    self.parts.push(object(chunk));
                }
            }
            Chunk::StartStep => {
                self.parts.push(Object::from_iter([("type".to_owned(), "step-start".into())]));
                self.tools.begin_step(self.parts.len());
            }
            Chunk::FinishStep => {
                self.texts.clear();
                self.reasonings.clear();
            }
            Chunk::ResetStep => self.take_back(),
            Chunk::Start { message_metadata, .. } | Chunk::Finish { message_metadata, .. } => {
                if let Some(metadata) = message_metadata {
                    merge_patch(&mut self.metadata, metadata);
                }
            }
            Chunk::MessageMetadata { message_metadata } => merge_patch(&mut self.metadata, message_metadata),
            Chunk::Data { .. } | Chunk::Abort { .. } | Chunk::Error { .. } => {}
            _ => self.tools.push(chunk, &mut self.parts),
        }
    }

    /// How many sources the message has: those of a step that was taken back don't count.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// What a front end makes of the calls of the last step.
    #[must_use]
    pub fn calls(&self) -> StepCalls {
        let step = self.parts.iter().rev().take_while(|part| text_of(part, "type") != "step-start");
        let mut calls = StepCalls::None;
        for part in step.filter(|part| part.contains_key("toolCallId")) {
            let is_the_agents = part.get("providerExecuted") == Some(&Value::Bool(true));
            match text_of(part, "state") {
                "approval-requested" => return StepCalls::Wait,
                "input-available" if !is_the_agents => return StepCalls::Wait,
                "output-available" | "output-error" if !is_the_agents => calls = StepCalls::Ended,
                _ => {}
            }
        }
        calls
    }

    /// The message as far as it came.
    #[must_use]
    pub fn finish(mut self) -> Assembled {
        self.tools.finish(&mut self.parts);
        let texts = self.parts.iter().filter(|part| part.get("type").is_some_and(|kind| kind == "text"));
        let texts: Vec<&str> = texts.filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
        Assembled { text: texts.join("\n\n"), parts: self.parts, metadata: self.metadata }
    }

    /// Takes back what came since the last step began.
    fn take_back(&mut self) {
        self.texts.clear();
        self.reasonings.clear();
        let step = self.tools.step();
        for (n, part) in self.parts.drain(step.min(self.parts.len())..).enumerate() {
            match text_of(&part, "type") {
                "source-url" | "source-document" => self.sources -= 1,
                kind if kind.starts_with("data-") => {
                    let key = (kind.to_owned(), text_of(&part, "id").to_owned());
                    if self.data.get(&key).is_some_and(|place| *place == step + n) {
                        self.data.remove(&key);
                    }
                }
                _ => self.tools.forget(text_of(&part, "toolCallId"), step + n, &part),
            }
        }
    }

    fn begin(&mut self, kind: &str, chunk: &Chunk, names: &[&str]) {
        let mut part = pick(chunk, names);
        part.insert("type".into(), kind.into());
        part.insert("text".into(), "".into());
        part.insert("state".into(), "streaming".into());
        self.parts.push(part);
    }

    fn delta(&mut self, place: Option<usize>, delta: &str, chunk: &Chunk) {
        let Some(part) = place.and_then(|place| self.parts.get_mut(place)) else { return };
        if let Some(Value::String(text)) = part.get_mut("text") {
            text.push_str(delta);
        }
        if let Chunk::TextDelta { provider_metadata: Some(_), .. }
        | Chunk::ReasoningDelta { provider_metadata: Some(_), .. } = chunk
        {
            part.extend(pick(chunk, &["providerMetadata"]));
        }
    }

    fn end(&mut self, place: Option<usize>, chunk: &Chunk) {
        let Some(part) = place.and_then(|place| self.parts.get_mut(place)) else { return };
        part.insert("state".into(), "done".into());
        part.extend(pick(chunk, &["providerMetadata", "citations"]));
    }
}

impl Assembled {
    /// The answer as it is stored, with what it rests on. `beside` is what the message's other columns hold: its model and
    /// usage. What is made from its columns when it is shown isn't kept in its metadata.
    #[must_use]
    pub fn into_answer(mut self, sources: Vec<Object>, beside: &[Value]) -> FinishedAnswer {
        self.metadata.retain(|name, _| !COMPUTED.contains(&name.as_str()));
        FinishedAnswer::new(self.parts, self.text, self.metadata, sources, beside)
    }
}

/// A part's member that is a text; empty where it has none.
fn text_of<'a>(part: &'a Object, name: &str) -> &'a str {
    part.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A frame's members.
fn object(chunk: &Chunk) -> Object {
    match chunk.to_json() {
        Value::Object(members) => members,
        _ => Object::new(),
    }
}

/// Those of these members that a frame has.
fn pick(chunk: &Chunk, names: &[&str]) -> Object {
    let mut members = object(chunk);
    members.retain(|name, _| names.contains(&name.as_str()));
    members
}

/// Merges a patch as RFC 7396 has it, as the SDK merges metadata; here a null is a value of its own.
fn merge_patch(target: &mut Object, patch: &Object) {
    for (name, value) in patch {
        match (target.get_mut(name), value) {
            (Some(Value::Object(target)), Value::Object(patch)) => merge_patch(target, patch),
            _ => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

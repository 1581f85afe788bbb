//! Reads the stream of an agent that speaks the AI SDK's protocol itself: checked, recorded and passed on.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::events::Events;
use super::failure::{AgentFailure, FailureKind};
use super::frames;
use super::json;
use super::sources::{Sources, is_good_link};
use super::usage;
use crate::model::{BaseAnswer, cut};
use crate::ui_stream::{BadChunk, Chunk, Citations, FinishReason, OpenParts, SteeringParts};

/// The most characters of a failure's words that a reader is shown.
const REPORT_CHARS: usize = 500;

/// An answer as it arrives.
#[derive(Debug, Default)]
pub(super) struct Passage {
    parts: OpenParts,
    sources: Sources,
    model: Option<String>,
    /// By part, the half of a character that its last delta ended in.
    halves: HashMap<(String, String), json::Half>,
}

impl Passage {
    /// Behind what the answer was before it went on: its calls may still be spoken of.
    pub(super) fn new(base: Option<&BaseAnswer>) -> Self {
        let parts = base.map(|base| base.parts.as_slice()).unwrap_or_default();
        Self { parts: OpenParts::behind(parts), sources: Sources::behind(base), ..Self::default() }
    }

    /// Reads a frame; true where it was the last.
    pub(super) fn frame(&mut self, frame: &Map<String, Value>, events: &mut Events) -> Result<bool, AgentFailure> {
        let mut frame = frame.clone();
        self.join_halves(&mut frame, events);
        let Some(mut chunk) = read(&mut frame, events) else { return Ok(false) };
        leave_links_out(&mut chunk, events);
        let (kind, frame) = (frame.get("type").and_then(Value::as_str).unwrap_or_default(), &frame);
        match kind {
            // Who the answer is and what is said of it is for us to say; what it cost, for the agent.
            "start" | "message-metadata" => self.note(frame, events),
            // The frame that tells which conversation it is: ours alone.
            "data-conversation" => {}
            "source-url" | "source-document" => self.sources.of_part(frame, events),
            "file" | "reasoning-file" if !is_harmless(frame) => events.odd(FORBIDDEN_LINK),
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
            _ => self.part(chunk, events),
        }
        Ok(false)
    }

    /// A frame of a part. What one sensible frame put before it mends is mended; what else can't stand there is left out.
    fn part(&mut self, chunk: Chunk, events: &mut Events) {
        // Some agents end a step and leave it at that.
        for end in self.parts.close_before(&chunk) {
            events.chunk(end);
        }
        if self.parts.observe(&chunk).is_ok() {
            match &chunk {
                Chunk::StartStep => self.sources.begin_step(),
                Chunk::ResetStep => {
                    self.sources.take_back(events);
                    self.halves.clear();
                }
                _ => {}
            }
            return events.chunk(chunk);
        }
        let start = match &chunk {
            Chunk::TextDelta { id, .. } => frames::text_start(id),
            Chunk::ReasoningDelta { id, .. } => frames::reasoning_start(id),
            _ => return events.odd("a frame that can't stand where it stands"),
        };
        events.odd("a delta without its start");
        for chunk in [start, chunk] {
            if self.parts.observe(&chunk).is_ok() {
                events.chunk(chunk);
            }
        }
    }

    /// Joins the halves of a character that two deltas of one part were cut in.
    fn join_halves(&mut self, frame: &mut Map<String, Value>, events: &mut Events) {
        let kind = frame.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = ["id", "toolCallId"].iter().find_map(|name| frame.get(*name)?.as_str()).unwrap_or_default().to_owned();
        let delta = if kind == "tool-input-delta" { "inputTextDelta" } else { "delta" };
        if let Some(Value::String(text)) = frame.get_mut(delta) {
            let part = kind.trim_end_matches("-delta").to_owned();
            *text = self.halves.entry((part, id)).or_default().join(text);
        } else if let Some(part) = kind.strip_suffix("-end")
            && let Some(rest) = self.halves.remove(&(part.to_owned(), id.clone())).and_then(|mut half| half.rest())
        {
            // Its other half never came.
            self.part(
                match part {
                    "reasoning" => frames::reasoning_delta(&id, rest.to_string()),
                    _ => frames::text_delta(&id, rest.to_string()),
                },
                events,
            );
        }
        json::settle_members(frame);
    }

    /// Ends it well.
    pub(super) fn end(&mut self, reason: Option<&str>, events: &mut Events) {
        for chunk in self.parts.close() {
            events.chunk(chunk);
        }
        events.finish(finish_reason(reason));
    }

    /// Tells what an answer has cost so far, which a stop or a failure leaves as it is, and who writes it.
    fn note(&mut self, frame: &Map<String, Value>, events: &mut Events) {
        let Some(Value::Object(metadata)) = frame.get("messageMetadata") else { return };
        let read = |name: &str| metadata.get(name).and_then(usage::read);
        if let Some(usage) = read("totalUsage").or_else(|| read("usage")) {
            events.usage(usage);
        }
        let name = |name: &str| metadata.get(name).and_then(Value::as_str).filter(|name| !name.is_empty());
        if let Some(model) = name("model").or_else(|| name("modelId")).filter(|_| self.model.is_none()) {
            self.model = Some(model.to_owned());
            events.model(model);
        }
    }
}

/// Reads a frame. A field that isn't what its type says is left out, and the frame where it can't be without.
fn read(frame: &mut Map<String, Value>, events: &mut Events) -> Option<Chunk> {
    loop {
        match Chunk::parse(Value::Object(frame.clone())) {
            Ok(chunk) => return Some(chunk),
            Err(BadChunk::Field { name, .. }) if frame.remove(name).is_some() => {
                events.odd("a field that isn't what its frame's type says");
            }
            Err(BadChunk::UnknownType(_)) => {
                events.odd("a frame of an unknown type");
                return None;
            }
            Err(_) => {
                events.odd("a frame that can't be read");
                return None;
            }
        }
    }
}

/// The kind under which the log is told of such a link.
const FORBIDDEN_LINK: &str = "a file with a link of a forbidden scheme";

/// Leaves out what a frame has beside it that leads where it mayn't: files of a user's message, citations.
fn leave_links_out(chunk: &mut Chunk, events: &mut Events) {
    match chunk {
        Chunk::SteeringMessage { parts: SteeringParts(parts), .. } => parts.retain(|part| {
            let is_good = is_harmless(part);
            if !is_good {
                events.odd(FORBIDDEN_LINK);
            }
            is_good
        }),
        Chunk::TextEnd { citations: Some(Citations(citations)), .. } => citations.retain(|citation| {
            let url = citation.get("source").and_then(|source| source.get("url")).and_then(Value::as_str);
            let is_good = url.is_none_or(is_good_link);
            if !is_good {
                events.odd("a citation with a link that leads nowhere in the web");
            }
            is_good
        }),
        _ => {}
    }
}

/// Whether a file has a link that a page can load and that runs nothing in it: not `blob:`, which names what another page has in
/// its memory. Browsers pass over white space in a scheme.
fn is_harmless(file: &Map<String, Value>) -> bool {
    let url = file.get("url").and_then(Value::as_str).unwrap_or_default();
    let said = url.chars().filter(|c| !c.is_whitespace() && !c.is_control());
    let url = said.take(200).collect::<String>().to_ascii_lowercase();
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => ["http", "https", "data"].contains(&scheme),
        // A path of the reader's own page.
        _ => true,
    }
}

/// The protocol's word, which older versions leave out.
fn finish_reason(word: Option<&str>) -> FinishReason {
    word.map_or(FinishReason::Stop, |word| FinishReason::from_word(word).unwrap_or(FinishReason::Other))
}

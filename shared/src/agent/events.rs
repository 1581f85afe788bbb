//! What an agent's answer consists of, event by event.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::frames;
use super::oddities::Oddities;
use super::sources::size_of;
use crate::model::{NewSources, limits};
use crate::ui_stream::{Chunk, FinishReason};

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum AgentEvent {
    /// A frame of the stream, as it goes to the reader. Never `start`, `finish`, `abort` or `error`, nor a source.
    Chunk(Chunk),
    /// A source: its frame, and the whole of it.
    Source {
        /// Its frame, which is the part that [`NewSources::part_of`] makes of it.
        chunk: Chunk,
        /// What is known of it.
        source: Map<String, Value>,
    },
    /// How many sources were left out so far, because an answer has room for no more.
    SourcesLeftOut(usize),
    /// What it cost: `inputTokens`, `outputTokens`, `totalTokens`, as far as the agent says.
    Usage(Map<String, Value>),
    /// The model that writes it.
    Model(String),
    /// It has ended well. The last event.
    Finish(FinishReason),
}

/// Events that wait to be taken, and how much has come in all.
#[derive(Debug, Default)]
pub(super) struct Events {
    ready: VecDeque<AgentEvent>,
    bytes: usize,
    containers: usize,
    gave_something: bool,
    oddities: Oddities,
}

impl Events {
    pub(super) fn take(&mut self) -> Option<AgentEvent> {
        self.ready.pop_front()
    }

    /// Whether a word, a source or a result has come.
    pub(super) fn gave_something(&self) -> bool {
        self.gave_something
    }

    /// Notes what was left out of the answer, or passed over, by its kind.
    pub(super) fn odd(&mut self, kind: &'static str) {
        self.oddities.note(kind);
    }

    /// Whether more has come than an answer may hold.
    pub(super) fn is_too_large(&self) -> bool {
        self.bytes > limits::ANSWER_BYTES || self.containers > limits::ANSWER_CONTAINERS
    }

    pub(super) fn chunk(&mut self, chunk: Chunk) {
        let (bytes, containers) = frames::size_of(&chunk);
        self.bytes = self.bytes.saturating_add(bytes);
        self.containers += containers;
        self.gave_something |= frames::has_content(&chunk);
        // What is too much isn't kept until somebody looks.
        if !self.is_too_large() {
            self.ready.push_back(AgentEvent::Chunk(chunk));
        }
    }

    pub(super) fn source(&mut self, source: Map<String, Value>) {
        let Ok(chunk) = Chunk::parse(NewSources::part_of(&source)) else {
            tracing::warn!("a source has no part");
            return;
        };
        self.gave_something = true;
        self.ready.push_back(AgentEvent::Source { chunk, source });
    }

    pub(super) fn sources_left_out(&mut self, number: usize) {
        // The last number is the one that counts.
        match self.ready.back_mut() {
            Some(AgentEvent::SourcesLeftOut(before)) => *before = number,
            _ => self.ready.push_back(AgentEvent::SourcesLeftOut(number)),
        }
    }

    pub(super) fn usage(&mut self, usage: Map<String, Value>) {
        if size_of(&usage) <= limits::USAGE_BYTES {
            self.ready.push_back(AgentEvent::Usage(usage));
        }
    }

    pub(super) fn model(&mut self, model: &str) {
        let model = model.chars().take(limits::MODEL_CHARS).collect();
        self.ready.push_back(AgentEvent::Model(model));
    }

    pub(super) fn finish(&mut self, reason: FinishReason) {
        self.ready.push_back(AgentEvent::Finish(reason));
    }
}

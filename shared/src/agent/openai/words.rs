//! The words of an answer and the thoughts before them, as the parts that a front end shows.

use super::thoughts::Thoughts;
use crate::agent::events::Events;
use crate::agent::frames;
use crate::agent::json::Half;

/// The parts of an answer that deltas go to.
#[derive(Debug)]
pub(super) struct Words {
    open: Option<Open>,
    parts: usize,
    content: Half,
    reasoning: Half,
    /// Where thoughts stand in the content, between tags.
    thoughts: Option<Thoughts>,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Reasoning,
}

impl Default for Words {
    fn default() -> Self {
        Self::new(true)
    }
}

impl Words {
    pub(super) fn new(think_tags: bool) -> Self {
        Self {
            open: None,
            parts: 0,
            content: Half::default(),
            reasoning: Half::default(),
            thoughts: think_tags.then(Thoughts::default),
        }
    }

    /// A piece of the content.
    pub(super) fn content(&mut self, piece: &str, events: &mut Events) {
        let text = self.content.join(piece);
        self.read(text, events);
    }

    /// A piece of the reasoning.
    pub(super) fn reasoning(&mut self, piece: &str, events: &mut Events) {
        let text = self.reasoning.join(piece);
        self.delta(Kind::Reasoning, text, events);
    }

    /// Ends the part under way. What comes next begins anew, perhaps with thoughts.
    pub(super) fn end(&mut self, events: &mut Events) {
        if let Some(half) = self.reasoning.rest() {
            self.delta(Kind::Reasoning, half.into(), events);
        }
        if let Some(half) = self.content.rest() {
            self.read(half.into(), events);
        }
        let rest = self.thoughts.as_mut().map(Thoughts::end).unwrap_or_default();
        for (kind, text) in rest {
            self.delta(kind, text, events);
        }
        self.close(events);
    }

    fn read(&mut self, text: String, events: &mut Events) {
        match &mut self.thoughts {
            None => self.delta(Kind::Text, text, events),
            Some(thoughts) => {
                for (kind, text) in thoughts.read(&text) {
                    self.delta(kind, text, events);
                }
            }
        }
    }

    fn delta(&mut self, kind: Kind, text: String, events: &mut Events) {
        if text.is_empty() {
            return;
        }
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close(events);
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

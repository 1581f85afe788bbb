//! One call of a tool, put together from its pieces.

use serde_json::{Map, Value};

use super::Piece;
use crate::agent::events::Events;
use crate::agent::frames;
use crate::agent::json::{self, Half};

#[derive(Debug)]
pub(super) struct Call {
    /// What the reader knows it by.
    pub(super) id: String,
    /// What the agent calls it, which may come late.
    pub(super) agents_id: Option<String>,
    pub(super) index: Option<u64>,
    pub(super) name: String,
    pub(super) stage: Stage,
    arguments: String,
    half: Half,
    told: usize,
    nesting: Nesting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its name hasn't come yet.
    Unnamed,
    /// Its arguments are coming.
    Open,
    /// Its arguments are whole, and told.
    Called,
    /// Its result is there.
    Done,
}

impl Call {
    pub(super) fn new(id: String, index: Option<u64>) -> Self {
        Self {
            id,
            agents_id: None,
            index,
            name: String::new(),
            stage: Stage::Unnamed,
            arguments: String::new(),
            half: Half::default(),
            told: 0,
            nesting: Nesting::default(),
        }
    }

    /// Whether more of it may come.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Unnamed | Stage::Open)
    }

    /// Whether its arguments are whole as far as brackets tell.
    pub(super) fn is_whole(&self) -> bool {
        self.nesting.is_closed()
    }

    /// Whether a piece at its place is one of it, and doesn't begin another call there: some services give every call
    /// the index 0, some each piece another id, or the name again.
    pub(super) fn goes_on_with(&self, piece: &Piece) -> bool {
        let other_id = matches!((&self.agents_id, &piece.id), (Some(id), Some(other)) if id != other);
        let named_again = piece.name.as_ref().filter(|_| !self.name.is_empty());
        let arguments = piece.arguments.trim_start();
        match named_again {
            None => !(other_id && self.is_whole()),
            Some(_) if other_id => {
                !self.arguments.is_empty() && !self.is_whole() && !arguments.is_empty() && !arguments.starts_with('{')
            }
            Some(_) if self.is_whole() && piece.arguments == self.arguments => true,
            Some(name) if self.is_whole() => arguments.is_empty() && *name == self.name,
            // Without an index another name is another call's.
            Some(name) => piece.index.is_some() || *name == self.name || !self.arguments.is_empty(),
        }
    }

    /// Takes a piece of its arguments, and tells it once it has a name.
    pub(super) fn append(&mut self, piece: &str, events: &mut Events) {
        let piece = self.half.join(piece);
        // Told again, whole, at the end.
        if !(self.is_whole() && piece == self.arguments) {
            self.nesting.read(&piece);
            self.arguments.push_str(&piece);
        }
        if self.stage == Stage::Open {
            if let Some(text) = self.arguments.get(self.told..).filter(|text| !text.is_empty()) {
                events.chunk(frames::tool_input_delta(&self.id, text));
            }
            self.told = self.arguments.len();
        }
    }

    /// Tells what it was called with, if that isn't told: no more of it comes.
    pub(super) fn tell_input(&mut self, provider_executed: Option<bool>, events: &mut Events) {
        if self.stage == Stage::Open {
            if let Some(half) = self.half.rest() {
                self.append(&half.to_string(), events);
            }
            self.stage = Stage::Called;
            events.chunk(frames::tool_input_available(&self.id, &self.name, self.input(), provider_executed));
        }
    }

    /// The arguments; as text where they are no JSON.
    fn input(&self) -> Value {
        let arguments = self.arguments.trim();
        if arguments.is_empty() {
            return Value::Object(Map::new());
        }
        let parsed = json::parse(arguments).ok();
        // Some services begin with arguments of none, and then tell them.
        let rest = || json::parse(arguments.strip_prefix("{}")?).ok();
        parsed.or_else(rest).unwrap_or_else(|| self.arguments.clone().into())
    }
}

/// How deep in brackets a JSON text is that comes in pieces.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    begun: bool,
    in_text: bool,
    escaped: bool,
}

impl Nesting {
    fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'{' | b'[' if !self.in_text => (self.begun, self.depth) = (true, self.depth + 1),
                b'}' | b']' if !self.in_text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_text
    }
}

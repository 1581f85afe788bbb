//! The tools that an agent calls. It runs them itself, or leaves them to the front end: which of both is known only once
//! their results have come, or the answer has ended without them.

mod call;

use serde_json::{Map, Value};

use super::words::Words;
use crate::agent::events::Events;
use crate::agent::json::{self, settled};
use crate::agent::{frames, usage};
use crate::model::limits;
use call::{Call, Stage};

/// The calls of an answer, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Tools {
    calls: Vec<Call>,
}

/// A piece of a call, in any of the shapes that services send.
#[derive(Debug)]
struct Piece {
    index: Option<u64>,
    id: Option<String>,
    name: Option<String>,
    arguments: String,
}

impl Piece {
    /// `{"index", "id", "function": {"name", "arguments"}}`; a `custom` tool has an `input`, and some have all of it at
    /// the top.
    fn read(piece: &Value, place: Option<u64>) -> Self {
        let text = |value: &Value| value.as_str().map(settled).filter(|text| !text.trim().is_empty());
        let id = text(&piece["id"]);
        let function = ["function", "custom"].iter().map(|name| &piece[*name]).find(|value| value.is_object());
        let function = function.unwrap_or(piece);
        let arguments = ["arguments", "input"].iter().map(|name| &function[*name]).find(|value| !value.is_null());
        let arguments = match arguments {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            // Some services don't write them as text.
            Some(other) => {
                let mut other = other.clone();
                json::settle(&mut other);
                other.to_string()
            }
        };
        let index = usage::count(&piece["index"]).or(place.filter(|_| id.is_none()));
        Self { index, id, name: text(&function["name"]), arguments }
    }
}

impl Tools {
    /// The pieces of calls that a delta has.
    pub(super) fn pieces(&mut self, pieces: &Value, words: &mut Words, events: &mut Events) {
        match pieces {
            Value::Array(pieces) => {
                for (place, piece) in (0..).zip(pieces) {
                    // Where nothing else tells them apart, their order does.
                    let place = (pieces.len() > 1).then_some(place);
                    self.piece(&Piece::read(piece, place), words, events);
                }
            }
            piece => self.piece(&Piece::read(piece, None), words, events),
        }
    }

    /// The first piece of a call has its name; the others may have its index alone.
    fn piece(&mut self, piece: &Piece, words: &mut Words, events: &mut Events) {
        let place = match self.place(piece) {
            Some(place) => place,
            // More than a message may have parts.
            None if self.calls.len() >= limits::PARTS => return events.odd("too many calls of tools"),
            None => {
                words.end(events);
                self.calls.push(Call::new(self.unique(piece.id.as_deref()), piece.index));
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[place];
        if call.agents_id.is_none() {
            call.agents_id.clone_from(&piece.id);
        }
        if let (Stage::Unnamed, Some(name)) = (call.stage, &piece.name) {
            (call.name, call.stage) = (name.clone(), Stage::Open);
            events.chunk(frames::tool_input_start(&call.id, name));
        }
        call.append(&piece.arguments, events);
    }

    /// The call that a piece belongs to: by its id, else by its index, else the last. `None` where it begins a call.
    fn place(&self, piece: &Piece) -> Option<usize> {
        let last = |is: &dyn Fn(&Call) -> bool| self.calls.iter().rposition(|call| call.is_open() && is(call));
        if let Some(id) = &piece.id {
            let has_id = |call: &Call| call.agents_id.as_ref() == Some(id);
            // Two calls may have one id, and two indices.
            let fits = |call: &Call| piece.index.is_none() || call.index.is_none() || call.index == piece.index;
            if let Some(place) = last(&|call| has_id(call) && (fits(call) || piece.name.is_none())) {
                return Some(place);
            }
            piece.index?;
        }
        let place = match piece.index {
            Some(index) => last(&|call| call.index == Some(index))?,
            None => self.calls.len().checked_sub(1).filter(|last| self.calls[*last].is_open())?,
        };
        self.calls[place].goes_on_with(piece).then_some(place)
    }

    /// An id that no other call has, for one that the agent gave this id or none.
    fn unique(&self, id: Option<&str>) -> String {
        let is_free = |id: &str| self.calls.iter().all(|call| call.id != id);
        if let Some(id) = id.filter(|id| is_free(id)) {
            return id.to_owned();
        }
        let base = id.unwrap_or("call");
        let first = self.calls.len() + 1;
        let ids = (first..).map(|number| format!("{base}_{number}"));
        ids.take(first + 1).find(|id| is_free(id)).unwrap_or_default()
    }

    /// The result of a call: of the one that it names, else of the first without one.
    pub(super) fn result(&mut self, message: &Map<String, Value>, events: &mut Events) {
        let named = |name: &str| message.get(name).and_then(Value::as_str).map(settled).filter(|it| !it.is_empty());
        let id = named("tool_call_id");
        let name = named("name").filter(|name| self.calls.iter().any(|call| call.name == *name));
        let waits = |call: &Call| matches!(call.stage, Stage::Open | Stage::Called);
        let place = match (&id, &name) {
            (Some(id), _) => {
                let has_id = |call: &Call| call.agents_id.as_ref() == Some(id) || call.id == *id;
                self.calls.iter().rposition(|call| waits(call) && has_id(call))
            }
            (None, Some(name)) => self.calls.iter().position(|call| waits(call) && call.name == *name),
            (None, None) => self.calls.iter().position(waits),
        };
        let Some(call) = place.map(|place| &mut self.calls[place]) else {
            return events.odd("a result of no call");
        };
        call.tell_input(Some(true), events);
        call.stage = Stage::Done;
        events.chunk(frames::tool_output_available(&call.id, output(message.get("content"))));
    }

    /// Whether any call has no result.
    pub(super) fn wait(&self) -> bool {
        self.calls.iter().any(Call::is_open)
    }

    /// The agent has gone on after it called them: it runs them itself.
    pub(super) fn resumed(&mut self, events: &mut Events) {
        for call in self.calls.iter_mut().filter(|call| call.is_whole()) {
            call.tell_input(Some(true), events);
        }
    }

    /// The answer has ended. Calls without a result are the agent's own, or wait for the front end's.
    pub(super) fn end(&mut self, are_the_agents: bool, events: &mut Events) {
        for call in &mut self.calls {
            if call.stage == Stage::Unnamed {
                events.odd("a call of a tool without a name");
            }
            call.tell_input(are_the_agents.then_some(true), events);
        }
    }
}

/// What a tool said: its text, also as an array of parts, or any other value as it is.
fn output(content: Option<&Value>) -> Value {
    let mut output = match content {
        None | Some(Value::Null) => Value::String(String::new()),
        Some(content) => match super::text_of(content, "text") {
            text if text.is_empty() => content.clone(),
            text => Value::String(text),
        },
    };
    json::settle(&mut output);
    output
}

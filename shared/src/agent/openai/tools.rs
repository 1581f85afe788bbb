//! The tools that an agent calls. It runs them itself: a front end shows them and does nothing.

use serde_json::{Map, Value};

use crate::agent::events::Events;
use crate::agent::frames;
use crate::model::limits;

/// The calls of an answer, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Tools {
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its name hasn't come yet.
    Unnamed,
    /// Its arguments are coming.
    Open,
    /// Its arguments are whole.
    Called,
    /// Its result is there.
    Done,
}

impl Tools {
    /// A piece of a call. The first has its id and name; the others may have its index alone.
    pub(super) fn call(&mut self, piece: &Value, events: &mut Events) {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let (index, id) = (piece["index"].as_u64(), text(&piece["id"]));
        // Some services give every call the index 0, and an id that says better.
        let is_same = |call: &Call| match &id {
            Some(id) => call.id == *id,
            None => call.index == index && matches!(call.stage, Stage::Unnamed | Stage::Open),
        };
        let place = match self.calls.iter().rposition(is_same) {
            Some(place) => place,
            // More than a message may have parts.
            None if self.calls.len() >= limits::PARTS => return,
            None => {
                self.finish(events);
                let id = id.unwrap_or_else(|| self.new_id());
                let (name, arguments) = (String::new(), String::new());
                self.calls.push(Call { index, id, name, arguments, stage: Stage::Unnamed });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[place];
        let function = &piece["function"];
        if call.stage == Stage::Unnamed
            && let Some(name) = text(&function["name"])
        {
            events.chunk(frames::tool_input_start(&call.id, &name));
            call.tell(events, 0);
            (call.name, call.stage) = (name, Stage::Open);
        }
        let told = call.arguments.len();
        match &function["arguments"] {
            Value::Null => {}
            Value::String(text) => call.arguments.push_str(text),
            // Some services don't write them as text.
            other => call.arguments.push_str(&other.to_string()),
        }
        if call.stage == Stage::Open {
            call.tell(events, told);
        }
    }

    /// A name for a call that has none.
    fn new_id(&self) -> String {
        let mut number = self.calls.len() + 1;
        while self.calls.iter().any(|call| call.id == format!("call_{number}")) {
            number += 1;
        }
        format!("call_{number}")
    }

    /// Tells what every call that is under way was called with: no more of it comes.
    pub(super) fn finish(&mut self, events: &mut Events) {
        for call in self.calls.iter_mut().filter(|call| call.stage == Stage::Open) {
            call.stage = Stage::Called;
            events.chunk(frames::tool_input_available(&call.id, &call.name, call.input()));
        }
    }

    /// The result of a call.
    pub(super) fn output(&mut self, id: &str, output: String, events: &mut Events) {
        self.finish(events);
        if let Some(call) = self.calls.iter_mut().find(|call| call.id == id && call.stage == Stage::Called) {
            call.stage = Stage::Done;
            events.chunk(frames::tool_output_available(id, output.into()));
        }
    }
}

impl Call {
    /// Tells the arguments from this byte on.
    fn tell(&self, events: &mut Events, from: usize) {
        if let Some(text) = self.arguments.get(from..).filter(|text| !text.is_empty()) {
            events.chunk(frames::tool_input_delta(&self.id, text));
        }
    }

    /// The arguments; as text where they are no JSON.
    fn input(&self) -> Value {
        if self.arguments.trim().is_empty() {
            return Value::Object(Map::new());
        }
        crate::agent::json::parse(&self.arguments).unwrap_or_else(|_| self.arguments.clone().into())
    }
}

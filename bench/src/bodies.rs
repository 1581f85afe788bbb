//! Bodies that cost more than they weigh: what a client may send at most, and what an agent may, in the shapes that cost most.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use crate::event::Call;
use crate::function::{Environment, Program};
use crate::numbers::Numbers;
use crate::warm::as_f64;
use crate::wire;

/// The bytes of a client's body, and of an agent's event, with room for what is around them.
const BODY: usize = shared::model::limits::BODY_BYTES - 2_000;
const EVENT: usize = shared::model::limits::AGENT_EVENT_BYTES - 2_000;
/// Values that pass the budget of a body, and objects that pass that of an event.
const IN_BUDGET: usize = 6_000;
const OBJECTS: usize = 9_900;
/// The bytes of an answer.
const ANSWER: usize = shared::model::limits::ANSWER_BYTES - 100_000;

/// What isn't odd at all.
pub(crate) const TEXT: &str = "one text";

/// One JSON value of up to so many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Text,
    LongKey(&'static str),
    Many(&'static str),
    /// A key as long as there is room beside so many items.
    LongestKey(&'static str, usize),
    /// Not more than what is read.
    Some(&'static str, usize),
}

const COMMON: [Shape; 7] = [
    Shape::Text,
    Shape::LongKey("0"),
    Shape::LongKey("1e400"),
    Shape::Many("0"),
    Shape::Many("[]"),
    Shape::Many(r#"{"":0}"#),
    Shape::Many(r#"{"a":{}}"#),
];

impl Shape {
    fn title(self) -> String {
        match self {
            Self::Text => TEXT.to_owned(),
            Self::LongKey(item) => format!("a long key with many {item}"),
            Self::Many(item) => format!("many {item}"),
            Self::LongestKey(item, count) => format!("a long key with {count} {item}"),
            Self::Some(item, count) => format!("{count} {item}"),
        }
    }

    fn json(self, bytes: usize) -> String {
        let items = |item: &str, bytes: usize| vec![item; bytes / (item.len() + 1)].join(",");
        match self {
            Self::Text => format!("\"{}\"", "x".repeat(bytes)),
            Self::LongKey(item) => format!(r#"{{"{}":[{}]}}"#, "k".repeat(bytes / 2), items(item, bytes / 2)),
            Self::Many(item) => format!("[{}]", items(item, bytes)),
            Self::LongestKey(item, count) => {
                let items = vec![item; count].join(",");
                format!(r#"{{"{}":[{items}]}}"#, "k".repeat(bytes.saturating_sub(items.len())))
            }
            Self::Some(item, count) => format!("[{}]", vec![item; count].join(",")),
        }
    }
}

/// What one body, or one event, cost.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    /// Who sent it, and where in it the shape stands.
    pub(crate) place: &'static str,
    pub(crate) shape: String,
    pub(crate) cpu_ms: f64,
    /// By how much the most memory grew that the environment ever held; bytes.
    pub(crate) memory: f64,
}

/// What the bodies are sent to.
pub(crate) struct Parts<'a> {
    pub(crate) append: Program,
    pub(crate) chat: Program,
    /// A conversation's messages, and who may append there.
    pub(crate) path: String,
    pub(crate) owner: String,
    pub(crate) token: &'a str,
}

/// Sends each of them once, to an environment of its own that has answered before.
pub(crate) fn measure(parts: &Parts<'_>, numbers: &mut Numbers) -> Result<Vec<Body>> {
    let mut bodies = Vec::new();
    let in_budget = [Shape::Some(r#"{"":0}"#, IN_BUDGET), Shape::LongestKey("1e400", IN_BUDGET)];
    for shape in COMMON.into_iter().chain(in_budget) {
        let value = shape.json(BODY);
        let message = |inner: String| format!(r#"{{"messages":[{{"role":"user",{inner}}}]}}"#);
        let part = r#"[{"type":"text","text":"x"}]"#;
        for (place, body) in [
            ("metadata of a message", message(format!(r#""parts":{part},"metadata":{{"a":{value}}}"#))),
            ("parts of a message", message(format!(r#""parts":[{{"type":"data-x","data":{value}}}]"#))),
            ("sources of a message", message(format!(r#""parts":{part},"sources":{value}"#))),
        ] {
            let call = Call { method: "POST", ..Call::get(parts.path.clone(), &parts.owner) };
            let small = message(format!(r#""parts":{part}"#));
            let environment = parts.append.start(None)?;
            bodies.push(cost(
                &environment,
                place,
                shape,
                [call.event_with(Some(&small)), call.event_with(Some(&body))],
            )?);
        }
        let call = Call { method: "POST", ..Call::get("/v1/chat", parts.token) };
        let asked = |name: &str, parts: &str| {
            let message = format!(r#"{{"id":"{name}","role":"user","parts":{parts}}}"#);
            call.event_with(Some(&format!(r#"{{"id":"{name}","trigger":"submit-message","message":{message}}}"#)))
        };
        let small = asked(&name(numbers), r#"[{"type":"text","text":"bench 1 1 0"}]"#);
        let body = asked(&name(numbers), &format!(r#"[{{"type":"data-x","data":{value}}}]"#));
        bodies.push(cost(&parts.chat.start(None)?, "parts of a question", shape, [small, body])?);
    }
    let read =
        [(r#"{"":0}"#, OBJECTS), (r#"{"a":{}}"#, OBJECTS / 2), ("0", 90_000)].map(|(item, n)| Shape::Some(item, n));
    for shape in COMMON.into_iter().chain(read) {
        let value = shape.json(EVENT);
        let of_completion = format!(r#"{{"choices":[{{"delta":{{"content":"x"}}}}],"sources":{value}}}"#);
        let of_call = format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"id":"c","function":{{"name":"t","arguments":{value}}}}}]}}}}]}}"#
        );
        let part = format!(r#"{{"type":"data-x","data":{value}}}"#);
        // As many as an answer has room for.
        let parts_of_it = vec![part.as_str(); ANSWER.div_ceil(part.len()).max(1)].join("\n\ndata: ");
        for (place, protocol, event) in [
            ("sources of an agent's event", "openai", of_completion),
            ("a call in an agent's event", "openai", of_call),
            ("data in an agent's event", "ui-message-stream", part),
            ("data in all events of an answer", "ui-message-stream", parts_of_it),
        ] {
            let program =
                parts.chat.clone().with("AGENT_URL", &agent(protocol, event)?).with("AGENT_PROTOCOL", protocol);
            let call = |name: &str, text: &str| {
                let message = json!({"id": name, "role": "user", "parts": [{"type": "text", "text": text}]});
                let body = json!({"id": name, "trigger": "submit-message", "message": message});
                Call { method: "POST", body: Some(body), ..Call::get("/v1/chat", parts.token) }.event()
            };
            let events = [call(&name(numbers), "small"), call(&name(numbers), LARGE)];
            bodies.push(cost(&program.start(None)?, place, shape, events)?);
        }
    }
    Ok(bodies)
}

/// What costs most by this figure.
pub(crate) fn worst(bodies: &[Body], figure: fn(&Body) -> f64) -> Option<&Body> {
    bodies.iter().max_by(|a, b| figure(a).total_cmp(&figure(b)))
}

/// What the second event costs.
fn cost(environment: &Environment, place: &'static str, shape: Shape, events: [Vec<u8>; 2]) -> Result<Body> {
    let [small, large] = events;
    let (title, api) = (shape.title(), &environment.api);
    let sent = |event| api.invoke(event).with_context(|| format!("{place}: {title}"));
    sent(small)?;
    let before = (environment.cpu_nanos()?, environment.max_rss()?);
    sent(large)?;
    let cpu_ms = as_f64(environment.cpu_nanos()? - before.0) / 1e6;
    let memory = as_f64(environment.max_rss()? - before.1);
    Ok(Body { place, shape: title.clone(), cpu_ms, memory })
}

fn name(numbers: &mut Numbers) -> String {
    format!("body-{:012}", numbers.next())
}

/// The question that is answered with the event.
const LARGE: &str = "the large event";

/// An agent that answers with two words, and that question with this event between them; the setting `AGENT_URL`.
fn agent(protocol: &str, event: String) -> Result<String> {
    let is_openai = protocol == "openai";
    let (word, path) = if is_openai {
        (r#"{"choices":[{"delta":{"content":"word"}}]}"#, "/v1")
    } else {
        (r#"{"type":"text-delta","id":"t","delta":"word"}"#, "")
    };
    let port = wire::listen_http(move |mut connection| {
        let Some(request) = connection.read()? else { return Ok(()) };
        let is_large = request.body.windows(LARGE.len()).any(|window| window == LARGE.as_bytes());
        connection.begin("200 OK", "content-type: text/event-stream\r\nconnection: close\r\n")?;
        for event in [word, if is_large { &event } else { word }, word, "[DONE]"] {
            connection.send(format!("data: {event}\n\n").as_bytes())?;
        }
        Ok(())
    })?;
    Ok(format!("http://127.0.0.1:{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_json_of_their_size() {
        for shape in COMMON.into_iter().filter(|shape| !matches!(shape, Shape::LongKey("1e400"))) {
            let json = shape.json(10_000);
            assert!((9_900..=10_010).contains(&json.len()), "{}: {}", shape.title(), json.len());
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
    }
}

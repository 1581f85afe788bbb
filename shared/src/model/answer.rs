//! An answer as it is stored once it has ended.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::limits;

type Object = Map<String, Value>;

/// The most characters of its text that are kept of an answer which no page could show.
const CUT_CHARS: usize = 300_000;

/// What a message takes in a response besides what it holds: its members' names, ids and times.
const FRAME_BYTES: usize = 600;

/// An answer that has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishedAnswer {
    /// Its parts.
    pub parts: Vec<Object>,
    /// What its text parts say.
    pub content: String,
    /// What it rests on.
    pub sources: Vec<Object>,
    /// The sources' embeddings, by their ids.
    pub source_embeddings: Option<Object>,
    /// What its agent said of it.
    pub metadata: Object,
    /// The bytes that it takes in a response of Lambda's, and those that its embeddings add.
    pub size: usize,
    embeddings_size: usize,
}

impl FinishedAnswer {
    /// Makes it of what its stream has said. `beside` is what the message's other columns hold: its model and usage.
    ///
    /// An answer that no page could show loses its sources' embeddings first, then all but the beginning of its text.
    #[must_use]
    pub fn new(
        parts: Vec<Object>,
        content: String,
        mut metadata: Object,
        sources: Vec<Object>,
        beside: &[Value],
    ) -> Self {
        if printed(&metadata) > limits::METADATA_BYTES {
            metadata = Object::new();
        }
        let (sources, embeddings) = without_embeddings(sources);
        let mut answer = Self { parts, content, sources, metadata, ..Self::default() };
        answer.size = answer.bytes(beside);
        if answer.size > limits::PAGE_BYTES {
            let end = answer.content.char_indices().nth(CUT_CHARS).map_or(answer.content.len(), |(at, _)| at);
            answer.content.truncate(end);
            let members = [("type", "text"), ("text", answer.content.as_str()), ("state", "done")];
            answer.parts = vec![members.map(|(name, text)| (name.to_owned(), text.into())).into_iter().collect()];
            answer.sources = Vec::new();
            answer.size = answer.bytes(beside);
        } else if !embeddings.is_empty() {
            // As the database counts them: the value, and what goes round it.
            let bytes = embeddings.values().map(|value| escaped(value) + 24).sum();
            if answer.size + bytes <= limits::PAGE_BYTES {
                answer.embeddings_size = bytes;
                answer.source_embeddings = Some(embeddings);
            }
        }
        answer
    }

    fn bytes(&self, beside: &[Value]) -> usize {
        // Each is a text of its own, between quotation marks.
        let lists = [&self.parts, &self.sources].map(|list| escaped_list(list.iter().map(escaped_object)) + 2);
        let others = beside.iter().filter(|value| !value.is_null()).map(|value| escaped(value) + 2);
        FRAME_BYTES
            + lists.iter().sum::<usize>()
            + escaped_text(&self.content)
            + 2
            + escaped_object(&self.metadata)
            + 2
            + others.sum::<usize>()
    }
}

/// The sources without their embeddings, and these by the sources' ids.
fn without_embeddings(mut sources: Vec<Object>) -> (Vec<Object>, Object) {
    let mut embeddings = Object::new();
    for source in &mut sources {
        if let Some(embedding) = source.remove("embedding")
            && let Some(id) = source.get("id").and_then(Value::as_str)
        {
            embeddings.insert(id.to_owned(), embedding);
        }
    }
    (sources, embeddings)
}

/// The bytes of an object as PostgreSQL prints it.
fn printed(object: &Object) -> usize {
    // Compact JSON, and a space behind each comma and colon.
    fn spaces(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(spaces).sum::<usize>() + items.len().saturating_sub(1),
            Value::Object(members) => {
                members.values().map(spaces).sum::<usize>() + (2 * members.len()).saturating_sub(1)
            }
            _ => 0,
        }
    }
    let value = Value::Object(object.clone());
    value.to_string().len() + spaces(&value)
}

/// The bytes of a value as PostgreSQL prints it, once it is escaped into a string, without the quotation marks.
///
/// PostgreSQL prints a number in full that is written with an exponent here: it is counted with as many digits as it can have.
fn escaped(value: &Value) -> usize {
    const DIGITS: usize = 330;
    match value {
        Value::Null => 4,
        Value::Bool(value) => {
            if *value {
                4
            } else {
                5
            }
        }
        Value::Number(number) => {
            let text = number.to_string();
            text.len() + if text.contains('e') { DIGITS } else { 0 }
        }
        Value::String(text) => escaped_text(text),
        Value::Array(items) => escaped_list(items.iter().map(escaped)),
        Value::Object(members) => escaped_object(members),
    }
}

fn escaped_object(object: &Object) -> usize {
    escaped_list(object.iter().map(|(name, value)| escaped_text(name) + 2 + escaped(value)))
}

fn escaped_list(items: impl Iterator<Item = usize>) -> usize {
    let (count, bytes) = items.fold((0_usize, 0), |(count, bytes), item| (count + 1, bytes + item));
    2 + bytes + 2 * count.saturating_sub(1)
}

/// A text, escaped and escaped again.
fn escaped_text(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 4,
        b'\n' | b'\r' | b'\t' | 8 | 12 => 3,
        0..0x20 => 7,
        _ => 1,
    });
    4 + bytes.sum::<usize>()
}

//! The `messages` for an agent that speaks the AI SDK's stream. Sources are parts of their own, so that there is nothing to
//! delimit.

use serde_json::{Value, json};

use super::super::files::FileRules;
use super::{Piece, speeches};
use crate::model::{HistoryMessage, NewSources};

/// `UIMessage`s, each of which the SDK's own `validateUIMessages` takes: it wants a part in every one.
pub(in crate::agent) fn ui_messages(history: &[HistoryMessage], files: &FileRules) -> Vec<Value> {
    let message = |speech: super::Speech<'_>| {
        let mut parts: Vec<Value> = Vec::new();
        for piece in speech.pieces {
            match piece {
                Piece::Text(text) => parts.push(json!({"type": "text", "text": text})),
                Piece::File(file) => parts.push(Value::Object(file.clone())),
                Piece::Sources(sources) => parts.extend(sources.iter().map(NewSources::part_of)),
                Piece::Call(call) => parts.push(Value::Object(call)),
                Piece::Step => parts.push(json!({"type": "step-start"})),
            }
        }
        if parts.is_empty() {
            parts.push(json!({"type": "text", "text": ""}));
        }
        json!({"id": format!("m{}", speech.first + 1), "role": speech.role, "parts": parts})
    };
    speeches(history, files, true).into_iter().map(message).collect()
}

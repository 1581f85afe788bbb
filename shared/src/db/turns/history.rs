//! What the agent is given of a conversation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{BaseAnswer, HistoryMessage, Turn, TurnRules, limits};

/// How much of a conversation a prompt has room for, as the database's function takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryRoom {
    messages: u32,
    chars: u32,
    file_bytes: u32,
    sources: usize,
    sources_bytes: usize,
    title_chars: usize,
    link_chars: usize,
    snippet_chars: usize,
}

impl HistoryRoom {
    pub(super) fn of(rules: &TurnRules) -> Self {
        Self {
            messages: rules.history_messages,
            chars: rules.history_chars,
            file_bytes: rules.history_file_bytes,
            sources: limits::PROMPT_SOURCES,
            // Some of what is read isn't told: the prompt takes what names a source, and its passage.
            sources_bytes: 2 * limits::PROMPT_SOURCES_BYTES,
            title_chars: limits::SOURCE_TITLE_CHARS,
            link_chars: limits::PROMPT_LINK_CHARS,
            snippet_chars: limits::PROMPT_SNIPPET_CHARS,
        }
    }
}

/// A message of the history as the database's function gives it.
#[derive(Deserialize)]
pub(super) struct HistoryRow {
    #[serde(flatten)]
    message: HistoryMessage,
    /// Whether it is the question that came with this request, or the answer that goes on. Its parts aren't sent back: with
    /// files in them they are the most of a turn's bytes.
    #[serde(default)]
    asked: bool,
}

impl HistoryRow {
    pub(super) fn with_parts_of(self, turn: &Turn, base: Option<&BaseAnswer>) -> HistoryMessage {
        let asked = self.asked.then(|| match base {
            Some(base) => Some(base.parts.iter().cloned().map(Value::Object).collect()),
            None => turn.ask.question().filter(|question| question.has_files()).map(|question| question.parts.clone()),
        });
        let parts = asked.flatten().unwrap_or(self.message.parts);
        HistoryMessage { parts, ..self.message }
    }
}

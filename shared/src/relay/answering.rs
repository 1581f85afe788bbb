//! An agent, from the question to its last word.

use futures_util::future::BoxFuture;

use super::outcome::Outcome;
use crate::agent::{AgentEvent, AgentFailure, AnswerStream};
use crate::ui_stream::Chunk;

/// The agent's side: first it is asked, then it answers.
pub(super) enum Answering {
    Asking(BoxFuture<'static, Result<AnswerStream, AgentFailure>>),
    Streaming(Box<AnswerStream>),
}

impl Answering {
    /// The next event. Loses nothing when it is dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Option<AgentEvent>, AgentFailure> {
        loop {
            match self {
                Self::Asking(asking) => *self = Self::Streaming(Box::new(asking.await?)),
                Self::Streaming(stream) => return stream.next().await,
            }
        }
    }
}

/// What an agent has said that wasn't told yet, where its answer ends before it said so.
pub(super) fn rest(answering: Answering, outcome: &Outcome) -> impl Iterator<Item = AgentEvent> {
    let rest: Vec<AgentEvent> = match (answering, outcome) {
        (Answering::Streaming(mut stream), Outcome::Stopped | Outcome::OutOfTime) => stream.break_off().collect(),
        _ => Vec::new(),
    };
    rest.into_iter()
}

/// Whether a frame is a word, a thought or a call.
pub(super) fn is_word(chunk: &Chunk) -> bool {
    match chunk {
        Chunk::TextDelta { delta, .. } | Chunk::ReasoningDelta { delta, .. } => !delta.is_empty(),
        chunk => chunk.kind().starts_with("tool-"),
    }
}

/// Whether a frame gives a reader anything: also data and files.
pub(super) fn is_content(chunk: &Chunk) -> bool {
    is_word(chunk)
        || matches!(chunk, Chunk::File { .. } | Chunk::ReasoningFile { .. } | Chunk::Data { transient: false, .. })
}

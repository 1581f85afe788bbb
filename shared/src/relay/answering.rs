//! An agent, from the question to its last word.

use futures_util::future::BoxFuture;

use crate::agent::{AgentEvent, AgentFailure, AnswerStream};

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

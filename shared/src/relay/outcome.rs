//! How an answer ends, in the words of each who is told: the database, the reader, the log.

use std::time::Duration;

use axum::body::Bytes;

use crate::agent::{AgentFailure, FailureKind};
use crate::error::Error;
use crate::metrics;
use crate::model::{Ended, Status};
use crate::ui_stream::{self, Chunk, FinishReason};

/// How an answer ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The agent came to an end of its own.
    Finished(FinishReason),
    /// The user stopped it.
    Stopped,
    /// The function's time is over.
    OutOfTime,
    /// The agent failed.
    Failed(AgentFailure),
    /// The run was ended by somebody else, or its conversation was deleted.
    Superseded,
}

impl Outcome {
    /// How far the answer has come.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Finished(FinishReason::Length | FinishReason::Error | FinishReason::Interrupted)
            | Self::OutOfTime
            | Self::Superseded => Status::Incomplete,
            Self::Finished(_) => Status::Complete,
            Self::Stopped => Status::Stopped,
            Self::Failed(failure) if is_cut(failure) => Status::Incomplete,
            Self::Failed(_) => Status::Failed,
        }
    }

    /// Counts an answer that ended so. One that somebody else ended is theirs to count; what couldn't be stored will be
    /// found incomplete.
    pub(super) fn count(&self, ended: &Result<Ended, Error>, first_word: Option<Duration>) {
        let (status, failed) = match ended {
            Ok(Ended { by_this: false, .. }) => return,
            Ok(Ended { status, .. }) => (*status, self.is_failure()),
            Err(_) => (Status::Incomplete, true),
        };
        metrics::record(metrics::Event::RunEnded { status, failed, first_word });
    }

    /// Whether something went wrong. A model that comes to its limit of tokens does what it was told.
    fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Finished(FinishReason::Error | FinishReason::Interrupted) | Self::OutOfTime | Self::Failed(_)
        )
    }

    /// The last frame of the stream. A clean end of the connection without one would pass for success.
    pub(super) fn terminal(&self) -> Chunk {
        match self {
            Self::Finished(reason) => Chunk::Finish { finish_reason: Some(*reason), message_metadata: None },
            Self::Stopped => Chunk::Abort { reason: Some("stopped".to_owned()) },
            Self::OutOfTime => error("The answer took longer than this service may run. What came is kept."),
            Self::Failed(failure) => error(failure.text()),
            Self::Superseded => error("The answer was ended elsewhere. Load the conversation again."),
        }
    }
}

/// Whether the agent's answer broke off, having begun.
fn is_cut(failure: &AgentFailure) -> bool {
    use FailureKind::{Cut, IdleTimeout, TooLarge, TotalTimeout};
    !failure.gave_nothing() && matches!(failure.kind(), Cut | IdleTimeout | TotalTimeout | TooLarge)
}

/// A frame that ends a stream with an error.
pub(super) fn error(text: impl Into<String>) -> Chunk {
    Chunk::Error { error_text: text.into() }
}

/// The end of a stream that nothing more can be told of.
pub(crate) fn last_words(text: &'static str) -> Bytes {
    [&ui_stream::frame(&error(text))[..], ui_stream::DONE.as_bytes()].concat().into()
}

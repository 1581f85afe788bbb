//! How an agent fails: a kind for the outcome, words for the reader, a cause for the log.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What went wrong with an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// It answered with this status, which is no 2xx.
    Refused(u16),
    /// No connection to it came about.
    Unreachable,
    /// The first byte of its answer took too long.
    FirstByteTimeout,
    /// Too long a time passed between two bytes of its answer.
    IdleTimeout,
    /// The whole of its answer took too long.
    TotalTimeout,
    /// Its answer ended before it was finished.
    Cut,
    /// Its answer isn't what its protocol says.
    Malformed,
    /// Its answer is larger than can be kept.
    TooLarge,
    /// It said itself that it failed, perhaps with words for the reader.
    Reported(Option<String>),
}

/// An agent's failure. What it displays is for the log: never a key, a token or a message's text.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentFailure {
    kind: FailureKind,
    cause: String,
    gave_nothing: bool,
}

impl AgentFailure {
    pub(super) fn new(kind: FailureKind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), gave_nothing: true }
    }

    pub(super) fn malformed(cause: impl Into<String>) -> Self {
        Self::new(FailureKind::Malformed, cause)
    }

    pub(super) fn too_late(kind: FailureKind, limit: Duration) -> Self {
        Self::new(kind, format!("waited {} s", limit.as_secs_f32()))
    }

    /// The failure of the transport, with its causes but without the URL, whose query may hold a key.
    pub(super) fn transport(kind: FailureKind, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        Self::new(kind, text)
    }

    pub(super) fn after(self, gave_something: bool) -> Self {
        Self { gave_nothing: !gave_something, ..self }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &FailureKind {
        &self.kind
    }

    /// Whether it failed before it gave any word, source or result. Then the turn costs the user nothing.
    #[must_use]
    pub fn gave_nothing(&self) -> bool {
        self.gave_nothing
    }

    /// What the reader is told.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        let text = match &self.kind {
            FailureKind::Refused(429) => "The agent has too much to do at the moment. Try again later.",
            FailureKind::Refused(500..) => "The agent isn't able to answer at the moment. Try again later.",
            FailureKind::Refused(_) => "The agent refused to answer.",
            FailureKind::Unreachable => "The agent can't be reached at the moment. Try again later.",
            FailureKind::FirstByteTimeout => "The agent didn't begin to answer in time.",
            FailureKind::IdleTimeout => "The agent fell silent before its answer was finished.",
            FailureKind::TotalTimeout => "The agent didn't finish its answer in time.",
            FailureKind::Cut => "The agent's answer broke off.",
            FailureKind::Malformed => "The agent's answer couldn't be read.",
            FailureKind::TooLarge => "The agent's answer is too large.",
            FailureKind::Reported(None) => "The agent failed.",
            FailureKind::Reported(Some(text)) => text,
        };
        text.into()
    }
}

impl fmt::Display for AgentFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FailureKind::Refused(status) => return write!(f, "the agent refused: status {status}"),
            FailureKind::Unreachable => "unreachable",
            FailureKind::FirstByteTimeout => "first byte timeout",
            FailureKind::IdleTimeout => "idle timeout",
            FailureKind::TotalTimeout => "total timeout",
            FailureKind::Cut => "cut",
            FailureKind::Malformed => "malformed",
            FailureKind::TooLarge => "too large",
            FailureKind::Reported(_) => "reported",
        };
        write!(f, "the agent failed: {kind}")?;
        if self.cause.is_empty() { Ok(()) } else { write!(f, ": {}", self.cause) }
    }
}

/// As it displays: what an agent reports may repeat a message's text.
impl fmt::Debug for AgentFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentFailure({self}, gave_nothing: {})", self.gave_nothing)
    }
}

impl StdError for AgentFailure {}

/// A word of the agent's for the log: what a type, code or field may be called, and nothing that could be a sentence.
pub(super) fn word(text: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if !text.is_empty() && text.len() <= 64 && text.chars().all(good) { text.to_owned() } else { "…".to_owned() }
}

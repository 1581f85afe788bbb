//! How answers are relayed, stored and counted.

use std::time::Duration;

use super::{Reader, Setting, setting};
use crate::model::Quota;

/// The settings of the chat, in the order of the README's table.
pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "RUN_LEASE_SECONDS",
        "30",
        "A run that the database hasn't heard of for so long is ended by whoever meets it",
    )
    // The database is told every 500 ms that a run goes on; a few of those may fail.
    .within(5, 600),
    setting("CHUNK_MILLIS", "200", "A running answer is stored at least so often"),
    setting("CHUNK_BYTES", "2048", "… or as soon as so much of it isn't stored yet"),
    setting("REPLAY_SECONDS", "60", "How long the stream of a finished answer can be resumed").within(1, 86_400),
    setting("RESUME_POLL_MILLIS", "250", "How often a resumed stream asks the database for more, at most"),
    setting(
        "CHAT_TITLE",
        "question",
        "A new conversation's title: the `question`'s first words, or from the `agent`, too",
    ),
    setting("CHAT_DISCONNECT", "finish", "When the reader is gone: `finish` the answer, or `stop` it"),
    setting("QUOTA_MESSAGES", "none", "Answers that a user may ask for in a window"),
    setting("QUOTA_TOKENS", "none", "Tokens that a user may use in a window, as the agent counts them"),
    setting("QUOTA_RUNNING", "5", "Answers that a user may have running at a time").within(1, 1000),
    setting("QUOTA_WINDOW_SECONDS", "86400", "The window's length; windows follow each other since 1970, in UTC")
        .within(1, 31 * 86_400),
];

/// How answers are relayed, stored and counted.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// How long a run may be silent towards the database before others take it for dead.
    pub lease: Duration,
    /// The longest that a piece of an answer waits to be stored.
    pub chunk_time: Duration,
    /// The most bytes of an answer that wait to be stored.
    pub chunk_bytes: usize,
    /// How long the stream of a finished answer can be resumed.
    pub replay: Duration,
    /// The least time between two questions of a resumed stream to the database.
    pub poll: Duration,
    /// How often a silent stream says that it is alive. API Gateway ends a regional stream after 5 minutes of silence, an
    /// edge-optimised one after 30 s; no setting, since nothing else follows from it.
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html>
    pub keep_alive: Duration,
    /// Whether the agent is asked for a new conversation's title.
    pub title_from_agent: bool,
    /// Whether an answer is stopped when its reader is gone.
    pub stop_on_disconnect: bool,
    /// What a user may use.
    pub quota: Quota,
}

impl ChatConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            lease: reader.seconds("RUN_LEASE_SECONDS"),
            chunk_time: Duration::from_millis(reader.number("CHUNK_MILLIS", 20, 5000)),
            chunk_bytes: usize::try_from(reader.number("CHUNK_BYTES", 256, 65_536)).unwrap_or(2048),
            replay: reader.seconds("REPLAY_SECONDS"),
            poll: Duration::from_millis(reader.number("RESUME_POLL_MILLIS", 50, 5000)),
            keep_alive: Duration::from_secs(15),
            title_from_agent: reader.word("CHAT_TITLE", ["question", "agent"]) == 1,
            stop_on_disconnect: reader.word("CHAT_DISCONNECT", ["finish", "stop"]) == 1,
            quota: Quota {
                messages: reader.optional_number("QUOTA_MESSAGES", 1, u32::MAX.into()),
                tokens: reader.optional_number("QUOTA_TOKENS", 1, u64::MAX >> 1),
                running: u32::try_from(reader.number("QUOTA_RUNNING", 1, 1000)).ok(),
                window: reader.seconds("QUOTA_WINDOW_SECONDS"),
            },
        }
    }
}

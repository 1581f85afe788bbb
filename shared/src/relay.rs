//! From a turn that has begun to the end of its answer: the agent's words go to the reader as they come, and beside that
//! into the database, so that a reader who leaves changes nothing and another device can follow.
//!
//! An answer is written by a task of its own, which ends with its stream. Its reader and the database are told the same
//! frames: what is stored is the whole stream, and a replay is those frames again.

mod answer;
mod answering;
mod call_ids;
mod follow;
mod outbox;
mod outcome;
mod reader;
mod titling;
mod writing;

use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::Instrument;

use crate::agent::Agent;
use crate::auth::Caller;
use crate::config::{AgentConfig, ChatConfig};
use crate::db::Db;
use crate::error::{Code, Error};
use crate::id::ClientId;
use crate::model::{Ask, FoundRun, StartedTurn, TurnRules};

use self::follow::follow;
pub(crate) use self::outcome::last_words;
use self::writing::Writing;

/// What is left of a function's time when an answer is cut, so that it can be stored.
const SAVE: Duration = Duration::from_secs(10);

/// How long a function has where nobody tells: what Lambda grants at most.
const LONGEST: Duration = Duration::from_mins(15);

/// When the function must have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// So much from now; a time that has passed counts as none told, as `cargo lambda watch` tells such.
    #[must_use]
    pub fn after(left: Option<Duration>) -> Self {
        let left = left.filter(|left| !left.is_zero()).unwrap_or(LONGEST);
        Self(Instant::now() + left.min(LONGEST))
    }

    /// When to stop, so that there is time to store what came.
    fn stop(self) -> Instant {
        let left = self.0.saturating_duration_since(Instant::now());
        self.0 - SAVE.min(left / 2)
    }

    /// When to give up.
    fn end(self) -> Instant {
        self.0.checked_sub(Duration::from_millis(500)).unwrap_or(self.0)
    }
}

/// Relays answers. Clones share everything.
#[derive(Clone, Debug)]
pub struct Relay {
    db: Db,
    agent: Option<Agent>,
    config: ChatConfig,
    rules: TurnRules,
}

/// A turn as its answer's stream shows it.
#[derive(Debug)]
pub struct Asked {
    /// Who asked.
    pub caller: Caller,
    /// The caller's own token, where the agent is to get it.
    pub token: Option<String>,
    /// The conversation's id as the client sent it.
    pub conversation_id: ClientId,
}

impl Relay {
    /// A relay to the agent of these settings; without one it only follows.
    pub fn new(db: Db, agent: Option<&AgentConfig>, config: ChatConfig) -> Result<Self, Error> {
        let rules = TurnRules {
            lease: config.lease,
            history_messages: agent.map_or(0, |agent| agent.history_messages),
            history_chars: agent.map_or(0, |agent| agent.history_chars),
            history_file_bytes: agent.map_or(0, |agent| agent.history_file_bytes),
            quota: config.quota,
            title_from_agent: config.title_from_agent,
        };
        Ok(Self { db, agent: agent.map(Agent::new).transpose()?, config, rules })
    }

    /// Refuses what the agent can't be given; before anything is stored of it.
    pub fn check(&self, ask: &Ask) -> Result<(), Error> {
        match (&self.agent, ask.question()) {
            (Some(agent), Some(question)) => agent.check_files(question),
            _ => Ok(()),
        }
    }

    /// Reads the agent's key while the function initialises, where it isn't among the settings.
    pub async fn warm(&self) {
        if let Some(agent) = &self.agent {
            agent.warm().await;
        }
    }

    /// How a turn is to be begun; a 501 where there is no agent.
    pub fn rules(&self) -> Result<&TurnRules, Error> {
        let detail = "This deployment has no agent: set AGENT_URL on the function reply-chat.";
        self.agent.as_ref().map(|_| &self.rules).ok_or_else(|| Error::new(Code::NotConfigured, detail))
    }

    /// How long the stream of a finished answer can be resumed.
    #[must_use]
    pub fn replay(&self) -> Duration {
        self.config.replay
    }

    /// Has a turn answered, and answers with the stream.
    pub fn answer(&self, asked: Asked, started: StartedTurn, deadline: Deadline) -> Result<Body, Error> {
        let agent = self.agent.clone().ok_or_else(|| Error::internal("a turn was begun without an agent"))?;
        let (reader, frames) = reader::reader();
        let after_a_panic = reader.clone();
        let writing = Writing::new(self.db.clone(), self.config.clone(), asked, &started, reader);
        let task = async move {
            // What panics leaves a lease that expires: whoever meets it next ends the run.
            if std::panic::AssertUnwindSafe(writing.write(agent, started, deadline)).catch_unwind().await.is_err() {
                after_a_panic.send(outcome::last_words("The server failed."));
            }
        };
        // Ended with the stream: on Lambda an invocation goes on until its response's last byte, whoever reads it.
        tokio::spawn(task.in_current_span());
        Ok(Body::from_stream(frames))
    }

    /// The stream of a run that is written elsewhere, or was.
    pub fn follow(&self, caller: Caller, run: FoundRun, deadline: Deadline) -> Body {
        Body::from_stream(follow(self.db.clone(), caller, run, &self.config, deadline))
    }
}

//! The task that writes one answer.

use std::time::Duration;

use axum::body::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::answer::Answer;
use super::answering::{Answering, rest};
use super::outbox::{Outbox, added_bytes};
use super::outcome::{Outcome, error};
use super::reader::Reader;
use super::titling::{StoredTitle, store_title};
use super::{Asked, Deadline};
use crate::agent::{Agent, AgentEvent, Prompt};
use crate::config::ChatConfig;
use crate::db::Db;
use crate::error::Error;
use crate::id::{ConversationId, RunId};
use crate::model::{Ended, RunState, StartedTurn, Title};
use crate::ui_stream::{self, Chunk, FinishReason};

/// How often the database is told that a silent run goes on, and asked whether it should.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long a stream's end waits for the conversation's title. One that doesn't come is asked for again with the next turn.
const TITLE_PATIENCE: Duration = Duration::from_secs(1);

/// An answer while it is written.
pub(super) struct Writing {
    db: Db,
    config: ChatConfig,
    asked: Asked,
    run: RunId,
    conversation: ConversationId,
    /// Who reads it. Whether anybody still does matters only where the settings say so.
    reader: Reader,
    outbox: Outbox,
    /// What is being stored, as far as the chunk of this number.
    storing: Option<BoxFuture<'static, Stored>>,
    /// The title that the agent is asked for.
    titling: Option<BoxFuture<'static, Option<Title>>>,
    /// What it said, until that is stored: words and title share one connection, one after the other.
    title: Option<Title>,
    answer: Answer,
    began: Instant,
    /// When the reader was last told something.
    spoke: Instant,
    /// When the database is to be told something next, at the latest; and after a failure not before this.
    heartbeat: Instant,
    not_before: Instant,
}

/// What became of the chunks before this number, and of the title that was stored with them.
type Stored = (i32, StoredTitle, Result<RunState, Error>);

impl Writing {
    pub(super) fn new(db: Db, config: ChatConfig, asked: Asked, started: &StartedTurn, reader: Reader) -> Self {
        let now = Instant::now();
        Self {
            db,
            config,
            asked,
            run: started.run,
            conversation: started.conversation,
            reader,
            outbox: Outbox::default(),
            storing: None,
            titling: None,
            title: None,
            answer: Answer::new(started),
            began: now,
            spoke: now,
            heartbeat: now + HEARTBEAT,
            not_before: now,
        }
    }

    /// Writes the answer to its end.
    pub(super) async fn write(mut self, agent: Agent, started: StartedTurn, deadline: Deadline) {
        self.send(&Chunk::Start {
            message_id: Some(started.message.to_string()),
            message_metadata: Some(ui_stream::turn_metadata(&started)),
        });
        if let Some(title) = &started.title {
            self.send(&self.conversation_frame(title));
        }
        let (run, conversation) = (self.run, self.conversation);
        let (user, token) = (self.asked.caller.user_id(), self.asked.token.take());
        if let Some(question) = started.title_question.clone() {
            let (agent, token) = (agent.clone(), token.clone());
            self.titling = Some(async move { agent.title(&question, user, token.as_deref()).await }.boxed());
        }
        let mut answering = Answering::Asking(
            async move {
                let token = token.as_deref();
                let base = started.base.as_ref();
                agent.ask(Prompt { run, conversation, user, token, history: &started.history, base }).await
            }
            .boxed(),
        );
        let outcome = self.relay(&mut answering, deadline.stop()).await;
        // What the agent still has to say costs: the connection ends before anything else is done.
        rest(answering, &outcome).for_each(|event| self.take(event));
        self.end(outcome, deadline.end()).await;
    }

    /// Relays until the answer has ended, one way or another.
    async fn relay(&mut self, answering: &mut Answering, until: Instant) -> Outcome {
        loop {
            let now = Instant::now();
            let due = self.store_at();
            if self.storing.is_none() && now >= due {
                self.store();
            }
            let due = if self.storing.is_some() { until } else { due };
            let wake = due.min(self.spoke + self.config.keep_alive).min(until);
            tokio::select! {
                event = answering.next() => match event {
                    Ok(Some(event)) => self.take(event),
                    Ok(None) => return Outcome::Finished(self.answer.finish.unwrap_or(FinishReason::Other)),
                    Err(failure) => return Outcome::Failed(failure),
                },
                Some(stored) = OptionFuture::from(self.storing.as_mut()) => {
                    self.storing = None;
                    if let Some(outcome) = self.stored(stored) {
                        return outcome;
                    }
                }
                Some(title) = OptionFuture::from(self.titling.as_mut()) => {
                    self.titling = None;
                    self.title = title;
                    self.heartbeat = Instant::now();
                }
                () = self.reader.closed(), if self.config.stop_on_disconnect => return Outcome::Stopped,
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    if now >= until {
                        return Outcome::OutOfTime;
                    }
                    if now >= self.spoke + self.config.keep_alive {
                        self.keep_alive();
                    }
                }
            }
        }
    }

    fn take(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Chunk(chunk) => self.answer.frames_of(chunk).for_each(|chunk| self.send(&chunk)),
            AgentEvent::Source { chunk, source } => {
                self.answer.frames_of_source(&source, chunk).for_each(|chunk| self.send(&chunk));
                self.outbox.push_source(source);
            }
            AgentEvent::SourcesLeftOut(number) => self.answer.sources_left_out = number,
            AgentEvent::Usage(usage) => self.answer.usage = Some(usage),
            AgentEvent::Model(model) => self.answer.model = Some(model),
            AgentEvent::Finish(reason) => self.answer.finish = Some(reason),
        }
    }

    /// Tells the reader, and has it stored.
    fn send(&mut self, chunk: &Chunk) {
        self.answer.push(chunk);
        let bytes = ui_stream::frame(chunk);
        self.outbox.push(chunk, added_bytes(chunk, bytes.len()), Instant::now());
        if chunk.is_read_by_version_6() {
            self.say(bytes);
        }
    }

    /// Tells the reader alone.
    fn tell(&mut self, chunk: &Chunk) {
        self.say(ui_stream::frame(chunk));
    }

    fn keep_alive(&mut self) {
        self.say(Bytes::from_static(ui_stream::KEEP_ALIVE.as_bytes()));
    }

    fn say(&mut self, bytes: Bytes) {
        self.spoke = Instant::now();
        self.reader.send(bytes);
    }

    /// When the database is to be told something next.
    fn store_at(&self) -> Instant {
        let due = self.outbox.due(self.config.chunk_time, self.config.chunk_bytes);
        due.map_or(self.heartbeat, |due| due.min(self.heartbeat)).max(self.not_before)
    }

    /// Begins to store what isn't stored. With nothing to store it is a heartbeat: the lease is renewed, and what the
    /// user wants is learnt.
    fn store(&mut self) {
        self.outbox.seal();
        let (db, caller, run, lease) = (self.db.clone(), self.asked.caller.clone(), self.run, self.config.lease);
        let (chunks, next) = (self.outbox.sealed().to_vec(), self.outbox.next());
        let (conversation, title) = (self.conversation, self.title.take());
        let storing = async move {
            let title = store_title(&db, &caller, conversation, title).await;
            (next, title, db.as_user(&caller).append_chunks(run, &chunks, lease).await)
        };
        self.storing = Some(storing.boxed());
    }

    /// What the database said. A slow or absent one doesn't stop the words: what isn't stored is sent again.
    fn stored(&mut self, (next, title, state): Stored) -> Option<Outcome> {
        self.title_stored(title);
        let now = Instant::now();
        self.heartbeat = now + HEARTBEAT;
        match state {
            Ok(state) => {
                self.outbox.stored_before(next);
                match state {
                    RunState { live: false, .. } => Some(Outcome::Superseded),
                    RunState { stop_requested: true, .. } => Some(Outcome::Stopped),
                    RunState { .. } => None,
                }
            }
            Err(error) => {
                self.not_before = now + HEARTBEAT;
                let cause = error.cause.as_deref().map(ToString::to_string);
                tracing::warn!(code = error.code.as_str(), cause, "a piece of an answer wasn't stored yet");
                None
            }
        }
    }

    /// Stores how the answer ended, and only then tells the reader so.
    async fn end(mut self, outcome: Outcome, until: Instant) {
        // The connection is busy with it; cut off, its fate would be unknown.
        if let Ok(Some((next, title, state))) = timeout_at(until, OptionFuture::from(self.storing.take())).await {
            self.title_stored(title);
            if state.is_ok() {
                self.outbox.stored_before(next);
            }
        }
        for chunk in self.answer.close() {
            self.send(&chunk);
        }
        let (outcome, step) = self.answer.settle(outcome);
        if let Some(step) = step {
            self.send(&step);
        }
        let (status, metadata) = (outcome.status(), self.answer.end_metadata(&outcome));
        let terminal = match outcome.terminal() {
            Chunk::Finish { finish_reason, .. } => Chunk::Finish { finish_reason, message_metadata: Some(metadata) },
            // The frames of the other ends carry none.
            terminal => {
                self.send(&Chunk::MessageMetadata { message_metadata: metadata });
                terminal
            }
        };
        self.answer.push(&terminal);
        self.outbox.push(&terminal, 0, Instant::now());
        self.outbox.seal();
        let ended = match outcome {
            Outcome::Superseded => Ok(Ended { status, by_this: false }),
            _ => self.store_end(&outcome, until).await,
        };
        self.log(&outcome, &ended);
        if ended.is_ok() {
            self.finish_title(&outcome, until.min(Instant::now() + TITLE_PATIENCE)).await;
        }
        match ended {
            Ok(Ended { by_this: true, .. }) => self.tell(&terminal),
            Ok(Ended { by_this: false, .. }) => self.tell(&Outcome::Superseded.terminal()),
            Err(_) => self.tell(&error("The answer couldn't be stored. What was stored of it is kept.")),
        }
        self.say(Bytes::from_static(ui_stream::DONE.as_bytes()));
    }

    /// Waits for the title, but not behind an agent that failed, and stores it.
    async fn finish_title(&mut self, outcome: &Outcome, until: Instant) {
        if let Some(titling) = self.titling.take().filter(|_| !matches!(outcome, Outcome::Failed(_)))
            && let Ok(title) = timeout_at(until, titling).await
        {
            self.title = title;
        }
        let storing = store_title(&self.db, &self.asked.caller, self.conversation, self.title.take());
        if let Ok(title) = timeout_at(until, storing).await {
            self.title_stored(title);
        }
    }

    /// Tells the reader what its conversation is called now; what couldn't be stored is tried again.
    fn title_stored(&mut self, title: StoredTitle) {
        match title {
            StoredTitle::Stored(title) => {
                let frame = self.conversation_frame(title.as_str());
                self.tell(&frame);
            }
            StoredTitle::NotStored(title) => self.title = Some(title),
            StoredTitle::None => {}
        }
    }

    /// Tries until the deadline.
    async fn store_end(&mut self, outcome: &Outcome, until: Instant) -> Result<Ended, Error> {
        let status = outcome.status();
        let ending = self.answer.ending(outcome, self.outbox.sealed().to_vec());
        let (db, caller, run) = (self.db.clone(), self.asked.caller.clone(), self.run);
        let mut storing = async move {
            loop {
                let ended = timeout_at(until, db.as_user(&caller).end_run(run, &ending)).await;
                match ended.unwrap_or_else(|_| Err(Error::internal("the function's time is over"))) {
                    Err(error) if error.code.status() >= 500 && Instant::now() + HEARTBEAT < until => {
                        sleep(HEARTBEAT).await;
                    }
                    // The run went with its conversation.
                    Ok(None) => return Ok(Ended { status, by_this: false }),
                    Ok(Some(ended)) => return Ok(ended),
                    Err(error) => return Err(error),
                }
            }
        }
        .boxed();
        loop {
            tokio::select! {
                ended = &mut storing => return ended,
                () = sleep_until(self.spoke + self.config.keep_alive) => self.keep_alive(),
            }
        }
    }

    /// Tells a front end what its conversation is called.
    fn conversation_frame(&self, title: &str) -> Chunk {
        Chunk::Data {
            kind: "conversation".to_owned(),
            id: None,
            data: json!({"id": self.conversation, "clientId": self.asked.conversation_id, "title": title}),
            transient: true,
        }
    }

    fn log(&self, outcome: &Outcome, ended: &Result<Ended, Error>) {
        outcome.count(ended, self.answer.first_word.map(|at| at.duration_since(self.began)));
        let millis = |to: Instant| u64::try_from(to.duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        let cause = match (outcome, ended) {
            (_, Err(error)) => error.cause.as_deref().map(ToString::to_string),
            (Outcome::Failed(failure), _) => Some(failure.to_string()),
            _ => None,
        };
        let (run, status) = (self.run, outcome.status().as_str());
        let (millis, first_word) = (millis(Instant::now()), self.answer.first_word.map(millis));
        if ended.is_err() || matches!(outcome, Outcome::Failed(_)) {
            tracing::error!(%run, status, millis, firstWordMillis = first_word, cause, "an answer failed");
        } else {
            tracing::info!(%run, status, millis, firstWordMillis = first_word, "answered a question");
        }
    }
}

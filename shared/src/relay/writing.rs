//! The task that writes one answer.

use std::time::Duration;

use axum::body::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, sleep_until};

use super::outbox::Outbox;
use super::outcome::{Outcome, error};
use super::{Asked, Deadline};
use crate::agent::{Agent, AgentEvent, AgentFailure, AnswerStream, Prompt};
use crate::clock::Clock;
use crate::config::ChatConfig;
use crate::db::Db;
use crate::error::Error;
use crate::id::{ConversationId, RunId};
use crate::model::{Ended, Ending, NewSources, RunState, StartedTurn, Status, Title};
use crate::ui_stream::{self, Assembler, Chunk, FinishReason, OpenParts};

/// How often the database is told that a silent run goes on, and asked whether it should.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// An answer while it is written.
pub(super) struct Writing {
    db: Db,
    config: ChatConfig,
    asked: Asked,
    run: RunId,
    conversation: ConversationId,
    /// Who reads it. Whether anybody still does matters only where the settings say so.
    reader: UnboundedSender<Bytes>,
    outbox: Outbox,
    /// What is being stored, as far as the chunk of this number.
    storing: Option<BoxFuture<'static, (i32, Result<RunState, Error>)>>,
    titling: Option<BoxFuture<'static, Option<Title>>>,
    open: OpenParts,
    /// What is stored of it in the end.
    assembler: Assembler,
    sources: Vec<Map<String, Value>>,
    usage: Option<Map<String, Value>>,
    model: Option<String>,
    finish: Option<FinishReason>,
    began: Instant,
    first_word: Option<Instant>,
    /// When the reader was last told something.
    spoke: Instant,
    /// When the database is to be told something next, at the latest; and after a failure not before this.
    heartbeat: Instant,
    not_before: Instant,
}

/// The agent's side: first it is asked, then it answers.
enum Answering {
    Asking(BoxFuture<'static, Result<AnswerStream, AgentFailure>>),
    Streaming(Box<AnswerStream>),
}

impl Answering {
    /// The next event. Loses nothing when it is dropped while it waits.
    async fn next(&mut self) -> Result<Option<AgentEvent>, AgentFailure> {
        loop {
            match self {
                Self::Asking(asking) => *self = Self::Streaming(Box::new(asking.await?)),
                Self::Streaming(stream) => return stream.next().await,
            }
        }
    }
}

impl Writing {
    pub(super) fn new(
        db: Db,
        config: ChatConfig,
        asked: Asked,
        started: &StartedTurn,
        reader: UnboundedSender<Bytes>,
    ) -> Self {
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
            open: OpenParts::default(),
            assembler: Assembler::default(),
            sources: Vec::new(),
            usage: None,
            model: None,
            finish: None,
            began: now,
            first_word: None,
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
        if started.conversation_made && self.config.title_from_agent {
            self.titling = started.title.clone().and_then(|title| self.title(agent.clone(), title));
        }
        let (run, conversation) = (self.run, self.conversation);
        let (user, token) = (self.asked.caller.user_id(), self.asked.token.take());
        let mut answering = Answering::Asking(
            async move {
                let token = token.as_deref();
                agent.ask(Prompt { run, conversation, user, token, history: &started.history }).await
            }
            .boxed(),
        );
        let outcome = self.relay(&mut answering, deadline.stop()).await;
        // What the agent still has to say costs: the connection ends before anything else is done.
        drop(answering);
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
                    Ok(None) => return Outcome::Finished(self.finish.unwrap_or(FinishReason::Other)),
                    Err(failure) => return Outcome::Failed(failure),
                },
                Some((next, state)) = OptionFuture::from(self.storing.as_mut()) => {
                    self.storing = None;
                    if let Some(outcome) = self.stored(next, state) {
                        return outcome;
                    }
                }
                Some(title) = OptionFuture::from(self.titling.as_mut()) => {
                    self.titling = None;
                    if let Some(title) = title {
                        let frame = self.conversation_frame(title.as_str());
                        self.tell(&frame);
                    }
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
            AgentEvent::Chunk(chunk) => {
                self.first_word.get_or_insert_with(Instant::now);
                self.send(&chunk);
            }
            AgentEvent::Source { chunk, source } => {
                self.sources.push(source.clone());
                let shown = Chunk::parse(NewSources::nth_part_of(&source, self.sources.len()));
                self.send(&shown.unwrap_or(chunk));
                self.outbox.push_source(source);
            }
            AgentEvent::Usage(usage) => self.usage = Some(usage),
            AgentEvent::Model(model) => self.model = Some(model),
            AgentEvent::Finish(reason) => self.finish = Some(reason),
        }
    }

    /// Tells the reader, and has it stored.
    fn send(&mut self, chunk: &Chunk) {
        // The agent's side has judged the order already.
        let _ = self.open.observe(chunk);
        self.assembler.push(chunk);
        let bytes = ui_stream::frame(chunk);
        // Deltas that follow each other are stored as one: what each adds is its text.
        let adds = match chunk {
            Chunk::TextDelta { delta, .. } | Chunk::ReasoningDelta { delta, .. } => delta.len(),
            Chunk::ToolInputDelta { input_text_delta, .. } => input_text_delta.len(),
            _ => bytes.len(),
        };
        self.outbox.push(chunk, adds, Instant::now());
        self.say(bytes);
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
        // Nobody reads any more: the answer is finished and stored all the same.
        let _ = self.reader.send(bytes);
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
        self.storing =
            Some(async move { (next, db.as_user(&caller).append_chunks(run, &chunks, lease).await) }.boxed());
    }

    /// What the database said. A slow or absent one doesn't stop the words: what isn't stored is sent again.
    fn stored(&mut self, next: i32, state: Result<RunState, Error>) -> Option<Outcome> {
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
        if let Some((next, Ok(_))) = OptionFuture::from(self.storing.take()).await {
            self.outbox.stored_before(next);
        }
        for chunk in self.open.close() {
            self.send(&chunk);
        }
        let status = outcome.status();
        let mut metadata = ui_stream::finish_metadata(status, self.usage.as_ref(), self.model.as_deref());
        ui_stream::note_completed(&mut metadata, Clock::system().now());
        if let Outcome::Finished(reason) = outcome {
            ui_stream::note_finish_reason(&mut metadata, reason);
        }
        let terminal = match outcome.terminal() {
            Chunk::Finish { finish_reason, .. } => Chunk::Finish { finish_reason, message_metadata: Some(metadata) },
            // The frames of the other ends carry none.
            terminal => {
                self.send(&Chunk::MessageMetadata { message_metadata: metadata });
                terminal
            }
        };
        self.assembler.push(&terminal);
        self.outbox.push(&terminal, 0, Instant::now());
        self.outbox.seal();
        let ended = match outcome {
            Outcome::Superseded => Ok(Ended { status, by_this: false }),
            _ => self.store_end(status, outcome.gives_back(), until).await,
        };
        self.log(&outcome, &ended);
        match ended {
            Ok(Ended { by_this: true, .. }) => self.tell(&terminal),
            Ok(Ended { by_this: false, .. }) => self.tell(&Outcome::Superseded.terminal()),
            Err(_) => self.tell(&error("The answer couldn't be stored. What was stored of it is kept.")),
        }
        self.say(Bytes::from_static(ui_stream::DONE.as_bytes()));
    }

    /// Tries until the deadline.
    async fn store_end(&mut self, status: Status, give_back: bool, until: Instant) -> Result<Ended, Error> {
        let beside = [self.model.clone().into(), self.usage.clone().into()];
        let assembled = std::mem::take(&mut self.assembler).finish();
        let ending = Ending {
            chunks: self.outbox.sealed().to_vec(),
            status,
            answer: assembled.into_answer(std::mem::take(&mut self.sources), &beside),
            tokens: self.usage.as_ref().and_then(|usage| usage.get("totalTokens")?.as_u64()).unwrap_or_default(),
            usage: self.usage.clone(),
            model: self.model.clone(),
            give_back,
        };
        let (db, caller, run) = (self.db.clone(), self.asked.caller.clone(), self.run);
        let mut storing = async move {
            loop {
                match db.as_user(&caller).end_run(run, &ending).await {
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

    /// Asks the agent for a title, and stores it unless the user was faster. The answer's end doesn't wait for it.
    fn title(&self, agent: Agent, title: String) -> Option<BoxFuture<'static, Option<Title>>> {
        let first = Title::try_from(title).ok()?;
        let (db, caller, conversation) = (self.db.clone(), self.asked.caller.clone(), self.conversation);
        let question = self.asked.question.clone();
        let titling = async move {
            let title = agent.title(&question).await?;
            let stored = db.as_user(&caller).set_generated_title(conversation, &first, &title).await;
            stored.unwrap_or(false).then_some(title)
        };
        Some(titling.boxed())
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
        outcome.count(ended, self.first_word.map(|at| at.duration_since(self.began)));
        let millis = |to: Instant| u64::try_from(to.duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        let cause = match (outcome, ended) {
            (_, Err(error)) => error.cause.as_deref().map(ToString::to_string),
            (Outcome::Failed(failure), _) => Some(failure.to_string()),
            _ => None,
        };
        let (run, status) = (self.run, outcome.status().as_str());
        let (millis, first_word) = (millis(Instant::now()), self.first_word.map(millis));
        if ended.is_err() || matches!(outcome, Outcome::Failed(_)) {
            tracing::error!(%run, status, millis, firstWordMillis = first_word, cause, "an answer failed");
        } else {
            tracing::info!(%run, status, millis, firstWordMillis = first_word, "answered a question");
        }
    }
}

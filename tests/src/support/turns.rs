//! Turns, and the frames of their answers.

use std::time::Duration;

use serde_json::{Value, json};
use shared::db::UserDb;
use shared::error::Error;
use shared::id::{ClientId, ConversationRef, RunId};
use shared::model::{
    Ended, Ending, FoundRun, Message, MessageFilter, PageSize, Quota, RunChunk, StartedTurn, Status, Turn, TurnRules,
    TurnStart,
};
use shared::ui_stream::{Assembler, Chunk};

use super::content::read;

/// Rules without a quota, and with a lease that outlives every test.
pub(crate) fn rules() -> TurnRules {
    TurnRules {
        title_from_agent: true,
        lease: Duration::from_mins(10),
        history_messages: 20,
        history_chars: 24_000,
        history_file_bytes: 1024 * 1024,
        quota: Quota { messages: None, tokens: None, running: None, window: Duration::from_hours(1) },
    }
}

/// Rules whose lease has expired before anybody can look.
pub(crate) fn dead() -> TurnRules {
    TurnRules { lease: Duration::ZERO, ..rules() }
}

/// A user's message as a front end has it.
pub(crate) fn asks(id: &str, text: &str) -> Value {
    json!({"id": id, "role": "user", "parts": [{"type": "text", "text": text}]})
}

#[track_caller]
fn turn(body: Value) -> Turn {
    read(body)
}

/// A new question.
#[track_caller]
pub(crate) fn submit(conversation: &str, id: &str, text: &str) -> Turn {
    turn(json!({"id": conversation, "message": asks(id, text)}))
}

/// Another wording of an earlier question.
#[track_caller]
pub(crate) fn edit(conversation: &str, target: &str, text: &str) -> Turn {
    turn(json!({"id": conversation, "message": asks(target, text), "messageId": target}))
}

/// Another answer.
#[track_caller]
pub(crate) fn regenerate(conversation: &str, target: Option<&str>) -> Turn {
    turn(json!({"id": conversation, "trigger": "regenerate-message", "messageId": target}))
}

/// The same with an `Idempotency-Key`.
pub(crate) fn with_key(turn: Turn, key: &str) -> Turn {
    Turn { key: ClientId::try_from(key.to_owned()).ok(), ..turn }
}

/// What begins a turn.
#[track_caller]
pub(crate) fn begun(start: Result<TurnStart, Error>) -> StartedTurn {
    match start {
        Ok(TurnStart::Started(started)) => *started,
        other => panic!("not started: {other:?}"),
    }
}

/// The run that a repeated request joins.
#[track_caller]
pub(crate) fn joined(start: Result<TurnStart, Error>) -> FoundRun {
    match start {
        Ok(TurnStart::Joined(found)) => found,
        other => panic!("not joined: {other:?}"),
    }
}

/// The frames of an answer that says this.
pub(crate) fn frames(text: &str) -> Vec<Value> {
    vec![
        json!({"type": "start", "messageId": "m"}),
        json!({"type": "text-start", "id": "t"}),
        json!({"type": "text-delta", "id": "t", "delta": text}),
        json!({"type": "text-end", "id": "t"}),
        json!({"type": "finish", "finishReason": "stop"}),
    ]
}

/// One chunk.
pub(crate) fn chunk(n: i32, frames: impl IntoIterator<Item = Value>) -> RunChunk {
    RunChunk { n, frames: frames.into_iter().collect(), sources: Vec::new() }
}

/// An end with these chunks and nothing else: they are the whole stream.
pub(crate) fn ending(status: Status, chunks: Vec<RunChunk>) -> Ending {
    let (mut assembler, mut sources) = (Assembler::default(), Vec::new());
    for chunk in &chunks {
        chunk
            .frames
            .iter()
            .filter_map(|frame| Chunk::parse(frame.clone()).ok())
            .for_each(|frame| assembler.push(&frame));
        sources.extend(chunk.sources.clone());
    }
    let answer = assembler.finish().into_answer(sources, &[]);
    Ending { chunks, status, answer, usage: None, tokens: 0, model: None, give_back: false }
}

/// Ends a run with an answer that says this.
pub(crate) async fn answer(user: UserDb<'_>, run: RunId, text: &str) -> Ended {
    let ending = ending(Status::Complete, vec![chunk(0, frames(text))]);
    let ended = user.end_run(run, &ending).await.unwrap().unwrap();
    assert!(ended.by_this);
    ended
}

/// Asks and is answered.
pub(crate) async fn turn_of(user: UserDb<'_>, turn: &Turn, text: &str) -> StartedTurn {
    let started = begun(user.start_turn(turn, &rules()).await);
    answer(user, started.run, text).await;
    started
}

/// The messages that a reader sees.
pub(crate) async fn shown(user: UserDb<'_>, name: &str) -> Vec<Message> {
    let (name, filter) = (ConversationRef::parse(name), MessageFilter::default());
    user.list_messages(&name, &filter, PageSize::try_from("100").unwrap(), None).await.unwrap().unwrap().data
}

/// Their texts.
pub(crate) async fn texts(user: UserDb<'_>, name: &str) -> Vec<String> {
    shown(user, name).await.into_iter().map(|message| message.content).collect()
}

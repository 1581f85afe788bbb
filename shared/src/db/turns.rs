//! Requests that begin a turn of the chat, show it or change its branch.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use super::UserDb;
use super::conversations::parts;
use super::failure::{too_large, unreadable};
use super::messages::{message, most_bytes};
use super::pipeline::Statement;
use crate::error::{Code, Error, Fault};
use crate::id::{ClientId, ConversationRef, MessageId, MessageRef};
use crate::model::{
    Ask, ChatMessage, Cursor, FoundRun, HistoryMessage, Message, MessageCursor, Metadata, Page, PageSize, Place,
    Question, QuotaState, Siblings, StartedTurn, Title, Turn, TurnRules, TurnStart, limits,
};

const START: &str = include_str!("turns/start.sql");
const ACTIVATE: &str = include_str!("turns/activate.sql");
const PAGE: &str = include_str!("turns/page.sql");

/// How long a question waits for the end of an answer that was asked to stop, and how often it looks.
const STOPPING: Duration = Duration::from_secs(2);
const STOPPING_POLL: Duration = Duration::from_millis(100);

impl UserDb<'_> {
    /// Begins a turn, or answers with what an earlier request began. Where it can't begin, nothing is stored: another
    /// answer is being written, a quota is used up, or what the turn names isn't there. An answer that was asked to stop is
    /// waited for: who presses stop and asks again at once shouldn't be told to come back.
    pub async fn start_turn(&self, turn: &Turn, rules: &TurnRules) -> Result<TurnStart, Error> {
        let until = Instant::now() + STOPPING;
        loop {
            match self.try_start(turn, rules).await? {
                Some(start) => return Ok(start),
                None if Instant::now() + STOPPING_POLL < until => sleep(STOPPING_POLL).await,
                None => return Err(turn_running()),
            }
        }
    }

    /// Tries to begin a turn. `None`: the answer that is being written was asked to stop.
    async fn try_start(&self, turn: &Turn, rules: &TurnRules) -> Result<Option<TurnStart>, Error> {
        let (id, _) = parts(&turn.conversation);
        // No conversation of the client's has a name in the form of our ids, and none is made.
        let client_id = (!turn.conversation.is_ours()).then(|| turn.conversation_id.as_str());
        let title = turn.ask.question().and_then(Question::title);
        let start = Statement {
            sql: START,
            params: &[
                (&self.user(), Type::UUID),
                (&self.caller.issuer_id(), Type::TEXT),
                (&self.caller.subject(), Type::TEXT),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&title.as_ref().map(Title::as_str), Type::TEXT),
                (&Json(AskRow::new(turn)), Type::JSONB),
                (&rules.lease.as_secs_f64(), Type::FLOAT8),
                (&Json(HistoryRoom::of(rules)), Type::JSONB),
                (&rules.quota.messages.map(wide), Type::INT8),
                (&rules.quota.tokens.map(wide), Type::INT8),
                (&wide(rules.quota.window.as_secs().max(1)), Type::INT8),
                (&rules.quota.running.map(|most| i32::try_from(most).unwrap_or(i32::MAX)), Type::INT4),
                (&most_bytes(), Type::INT4),
            ],
        };
        let [rows] = self.write([start]).await?;
        let row = rows.first().ok_or_else(|| Error::internal("start_turn gave no row"))?;
        read_start(row, turn, rules)
    }

    /// Makes a message's branch the one that a reader sees: what leads to it, and what followed it last. Refused while an
    /// answer is being written.
    pub async fn activate_message(
        &self,
        conversation: &ConversationRef,
        name: &MessageRef,
    ) -> Result<Option<Message>, Error> {
        let (conversation_id, conversation_client_id) = parts(conversation);
        let activate = Statement {
            sql: ACTIVATE,
            params: &[
                (&self.user(), Type::UUID),
                (&conversation_id, Type::UUID),
                (&conversation_client_id, Type::TEXT),
                (&name.id.map(MessageId::uuid), Type::UUID),
                (&name.client_id.as_ref().map(ClientId::as_str), Type::TEXT),
            ],
        };
        let [rows] = self.write([activate]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if row.try_get("refused").map_err(unreadable)? {
            return Err(turn_running());
        }
        message(row).map(Some).map_err(unreadable)
    }

    /// The newest messages that a reader sees, in their order, without an answer that is still being written. The cursor
    /// leads to older ones.
    pub async fn chat_page(
        &self,
        name: &ConversationRef,
        size: PageSize,
        cursor: Option<MessageCursor>,
    ) -> Result<Option<Page<ChatMessage>>, Error> {
        let (id, client_id) = parts(name);
        let page = Statement {
            sql: PAGE,
            params: &[
                (&self.user(), Type::UUID),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&cursor.map(|MessageCursor(seq)| seq), Type::INT8),
                (&i64::from(size.get()), Type::INT8),
                (&i64::from(most_bytes()), Type::INT8),
            ],
        };
        // It may have to end a run whose function died.
        let [rows] = self.write([page]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let Some(found) = first.try_get::<_, Option<i64>>("found").map_err(unreadable)? else {
            return Ok(Some(Page { data: Vec::new(), next_cursor: None }));
        };
        let mut data: Vec<ChatMessage> = rows.iter().map(chat_message).collect::<Result<_, _>>().map_err(unreadable)?;
        let more = usize::try_from(found).is_ok_and(|found| found > data.len());
        let next_cursor = data.last().filter(|_| more).map(|last| MessageCursor(last.message.seq).encode());
        data.reverse();
        Ok(Some(Page { data, next_cursor }))
    }
}

/// What is asked for, as the database's function takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AskRow<'a> {
    kind: &'static str,
    target_id: Option<MessageId>,
    target_client_id: Option<&'a str>,
    question: Option<QuestionRow<'a>>,
    key: Option<&'a ClientId>,
    /// Empty where the question is to be the first.
    parent: Option<NameRow<'a>>,
    earlier: Vec<NameRow<'a>>,
}

/// A message as a client names it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct NameRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
}

impl<'a> NameRow<'a> {
    /// A text that can name nothing is looked up as an empty one: left out, it would pass for no name at all.
    fn new(name: &'a MessageRef) -> Self {
        Self { id: name.id, client_id: Some(name.client_id.as_ref().map_or("", ClientId::as_str)) }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QuestionRow<'a> {
    /// The client's id, where it is one of ours: what was stored without a client's id is shown under it.
    id: Option<MessageId>,
    /// Whether it has the form of our ids: nothing is stored under such a name.
    is_ours: bool,
    client_id: Option<&'a ClientId>,
    parts: &'a [Value],
    content: &'a str,
    metadata: &'a Metadata,
    request_hash: String,
}

impl<'a> AskRow<'a> {
    fn new(turn: &'a Turn) -> Self {
        let (kind, target) = match &turn.ask {
            Ask::Submit(_) => ("submit", None),
            Ask::Edit { target, .. } => ("edit", Some(target)),
            Ask::Regenerate { target, .. } => ("regenerate", target.as_ref()),
        };
        let target = target.map(NameRow::new).unwrap_or_default();
        let name_of = |question: &Question| question.client_id.as_ref().map(|id| MessageRef::parse(id.as_str()));
        let question = turn.ask.question().map(|question| QuestionRow {
            id: name_of(question).and_then(|name| name.id),
            is_ours: name_of(question).is_some_and(|name| name.is_ours()),
            client_id: question.client_id.as_ref(),
            parts: &question.parts,
            content: &question.content,
            metadata: &question.metadata,
            request_hash: question.request_hash(),
        });
        Self {
            kind,
            target_id: target.id,
            target_client_id: target.client_id,
            question,
            key: turn.key.as_ref(),
            parent: match &turn.place {
                Place::Root => Some(NameRow::default()),
                Place::Behind(name) => Some(NameRow::new(name)),
                Place::Shown(_) => None,
            },
            earlier: match &turn.place {
                Place::Shown(names) => names.iter().map(NameRow::new).collect(),
                Place::Root | Place::Behind(_) => Vec::new(),
            },
        }
    }
}

fn read_start(row: &Row, turn: &Turn, rules: &TurnRules) -> Result<Option<TurnStart>, Error> {
    let outcome: &str = row.try_get("outcome").map_err(unreadable)?;
    let start = match outcome {
        "started" => started(row, turn).map(|started| TurnStart::Started(Box::new(started))).map_err(unreadable),
        "joined" => Ok(TurnStart::Joined(FoundRun {
            run: row.try_get::<_, uuid::Uuid>("run_id").map_err(unreadable)?.into(),
            message: row.try_get::<_, uuid::Uuid>("message_id").map_err(unreadable)?.into(),
        })),
        "finished" => chat_message(row).map(|message| TurnStart::Finished(Box::new(message))).map_err(unreadable),
        "turn_running" => Err(turn_running()),
        "turn_stopping" => return Ok(None),
        "too_many_running" => Err(too_many_running(rules)),
        "quota_exceeded" => {
            let state = quota_state(row).map_err(unreadable)?;
            Err(state.map_or_else(|| Error::internal("a quota without a state"), |state| quota_exceeded(rules, state)))
        }
        fault => Err(refused(fault)),
    };
    start.map(Some)
}

fn chat_message(row: &Row) -> Result<ChatMessage, tokio_postgres::Error> {
    Ok(ChatMessage { message: message(row)?, siblings: siblings(row, "siblings")? })
}

fn siblings(row: &Row, column: &str) -> Result<Option<Siblings>, tokio_postgres::Error> {
    Ok(row.try_get::<_, Option<Json<Siblings>>>(column)?.map(|siblings| siblings.0))
}

/// How much of a conversation a prompt has room for, as the database's function takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryRoom {
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
    fn of(rules: &TurnRules) -> Self {
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
struct HistoryRow {
    #[serde(flatten)]
    message: HistoryMessage,
    /// Whether it is the question that came with this request. Its parts aren't sent back: with files in them they are
    /// the most of a turn's bytes.
    #[serde(default)]
    asked: bool,
}

impl HistoryRow {
    fn with_parts_of(self, turn: &Turn) -> HistoryMessage {
        let parts = turn.ask.question().filter(|question| self.asked && question.has_files());
        let parts = parts.map_or(self.message.parts, |question| question.parts.clone());
        HistoryMessage { parts, ..self.message }
    }
}

fn started(row: &Row, turn: &Turn) -> Result<StartedTurn, tokio_postgres::Error> {
    let history = row.try_get::<_, Json<Vec<HistoryRow>>>("history")?.0;
    let id = |column: &str| row.try_get::<_, uuid::Uuid>(column);
    Ok(StartedTurn {
        run: id("run_id")?.into(),
        conversation: id("started_in")?.into(),
        conversation_made: row.try_get("made")?,
        title: row.try_get("title")?,
        message: id("message_id")?.into(),
        question: id("question_id")?.into(),
        created_at: row.try_get("created_at")?,
        left: row.try_get::<_, Option<uuid::Uuid>>("left_id")?.map(MessageId::from),
        siblings: siblings(row, "siblings")?,
        question_siblings: siblings(row, "question_siblings")?,
        history: history.into_iter().map(|row| row.with_parts_of(turn)).collect(),
        quota: quota_state(row)?,
    })
}

/// What the user has left, where there is a quota.
fn quota_state(row: &Row) -> Result<Option<QuotaState>, tokio_postgres::Error> {
    let left = |column: &str| {
        row.try_get::<_, Option<i64>>(column).map(|left| left.map(|left| u64::try_from(left).unwrap_or(0)))
    };
    let Some(resets_in) = row.try_get::<_, Option<f64>>("resets_in")? else { return Ok(None) };
    Ok(Some(QuotaState {
        messages_left: left("messages_left")?,
        tokens_left: left("tokens_left")?,
        resets_in: Duration::try_from_secs_f64(resets_in).unwrap_or_default(),
    }))
}

fn turn_running() -> Error {
    Error::new(
        Code::TurnRunning,
        "An answer is still being written in this conversation. Stop it, or wait for its end; nothing was stored.",
    )
    .with_header("retry-after", "1")
}

fn too_many_running(rules: &TurnRules) -> Error {
    let most = rules.quota.running.unwrap_or_default();
    let detail = format!(
        "As many answers are being written for you as may be at a time: {most}. Stop one, or wait for its end; nothing \
         was stored."
    );
    Error::new(Code::QuotaExceeded, detail).with_header("retry-after", "1")
}

fn quota_exceeded(rules: &TurnRules, state: QuotaState) -> Error {
    let error =
        Error::new(Code::QuotaExceeded, "This window's quota is used up; Retry-After says when the next begins.");
    let error = error.with_header("retry-after", state.resets_in.as_secs_f64().ceil().to_string());
    rules.quota.headers(&state).into_iter().fold(error, |error, (name, value)| error.with_header(name, value))
}

/// Why the function stored nothing.
fn refused(fault: &str) -> Error {
    let invalid = |pointer: &str, detail: &'static str| Error::invalid(vec![Fault::body(pointer, detail)]);
    let large = |pointer: &str, bytes: usize| {
        let detail = format!("is too large: it takes more than {bytes} bytes once it is stored");
        too_large(vec![Fault::body(pointer, detail)])
    };
    let reused = |pointer: &str, what: &'static str, detail: &'static str| Error {
        faults: vec![Fault::body(pointer, detail)],
        ..Error::new(Code::IdempotencyKeyReused, what)
    };
    let unknown = |pointer: &str| Error {
        faults: vec![Fault::body(pointer, "is no message of this conversation")],
        ..Error::not_found("message")
    };
    match fault {
        "unknown_conversation" => Error::not_found("conversation"),
        "unknown_message" => unknown("/messageId"),
        "unknown_parent" => unknown("/parentId"),
        "unknown_question" => invalid(
            "/messages",
            "ends with a question whose id has the form of our ids, and is none of this conversation",
        ),
        "other_parent" => invalid("/parentId", "is not the parent of the message that messageId names"),
        "unknown_target" => invalid("/messageId", "is no message of this conversation"),
        "answers_no_question" => invalid("/messageId", "answers no question"),
        "target_is_no_question" => invalid("/messageId", "is no question: only what the user wrote can be edited"),
        "nothing_to_answer" => invalid("/messages", "is missing, and the conversation has no question"),
        "client_id_reused" => reused(
            "/messages",
            "The question's id was used before, with other content or another parent. Nothing was stored; an edit names it \
             in messageId.",
            "ends with a question whose id was used before, with other content or another parent",
        ),
        "key_reused" => reused(
            "/messageId",
            "The Idempotency-Key was used before, for another question. Nothing was stored.",
            "answers another question than the request that had this Idempotency-Key",
        ),
        "metadata_too_large" => large("/messages", limits::METADATA_BYTES),
        "too_large" => large("/messages", limits::PAGE_BYTES),
        _ => Error::internal("the database's functions report a fault that isn't known here"),
    }
}

/// As wide as the database's numbers are.
pub(super) fn wide(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

//! Requests that begin a turn of the chat, show it or change its branch.

mod ask;
mod history;
mod pages;
mod refusal;

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use super::UserDb;
use super::conversations::parts;
use super::failure::unreadable;
use super::messages::{message, most_bytes};
use super::pipeline::Statement;
use super::runs::found_run;
use crate::error::Error;
use crate::id::{ClientId, ConversationRef, MessageId, MessageRef};
use crate::model::{Ask, BaseAnswer, Message, Question, QuotaState, StartedTurn, Title, Turn, TurnRules, TurnStart};
use ask::AskRow;
use history::{HistoryRoom, HistoryRow};
use pages::{chat_message, siblings};
pub(super) use refusal::turn_running;
use refusal::{quota_exceeded, refused, too_many_running};

const START: &str = include_str!("turns/start.sql");
const ACTIVATE: &str = include_str!("turns/activate.sql");

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
                (&Json(AskRow::new(turn, rules)), Type::JSONB),
                (&rules.lease.as_secs_f64(), Type::FLOAT8),
                (&Json(HistoryRoom::of(rules)), Type::JSONB),
                (&rules.quota.messages.map(wide), Type::INT8),
                (&rules.quota.tokens.map(wide), Type::INT8),
                (&wide(rules.quota.window.as_secs().max(1)), Type::INT8),
                (&rules.quota.running.map(|most| i32::try_from(most).unwrap_or(i32::MAX)), Type::INT4),
                (&most_bytes(), Type::INT4),
            ],
        };
        let due = |row: &Row| match row.try_get("outcome")? {
            "parts_due" => row.try_get("run_id"),
            _ => Ok(None),
        };
        let rows = self.write_without_parts_due(start, due).await?;
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
        let rows = self.write_without_parts_due(activate, |row| row.try_get("parts_due")).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if row.try_get("refused").map_err(unreadable)? {
            return Err(turn_running());
        }
        message(row).map(Some).map_err(unreadable)
    }
}

fn read_start(row: &Row, turn: &Turn, rules: &TurnRules) -> Result<Option<TurnStart>, Error> {
    let outcome: &str = row.try_get("outcome").map_err(unreadable)?;
    let goes_on = matches!(turn.ask, Ask::Continue { .. });
    let start = match outcome {
        "started" => started(row, turn).map(|started| TurnStart::Started(Box::new(started))).map_err(unreadable),
        "joined" => found_run(row, goes_on).map(TurnStart::Joined).map_err(unreadable),
        "finished" => {
            let had: Option<i32> = row.try_get("base_parts").map_err(unreadable)?;
            let had = had.filter(|_| goes_on).and_then(|parts| usize::try_from(parts).ok()).unwrap_or_default();
            chat_message(row).map(|message| TurnStart::Finished(Box::new(message), had)).map_err(unreadable)
        }
        "turn_running" => Err(turn_running()),
        "turn_stopping" => return Ok(None),
        "too_many_running" => Err(too_many_running(rules)),
        "quota_exceeded" => {
            let state = quota_state(row).map_err(unreadable)?;
            Err(state.map_or_else(|| Error::internal("a quota without a state"), |state| quota_exceeded(rules, state)))
        }
        fault => Err(refused(fault, turn)),
    };
    start.map(Some)
}

fn started(row: &Row, turn: &Turn) -> Result<StartedTurn, tokio_postgres::Error> {
    let history = row.try_get::<_, Json<Vec<HistoryRow>>>("history")?.0;
    let base = row.try_get::<_, Option<Json<BaseAnswer>>>("base")?.map(|base| base.0);
    let call_ids = row.try_get::<_, Option<Json<HashSet<String>>>>("call_ids")?;
    let id = |column: &str| row.try_get::<_, uuid::Uuid>(column);
    Ok(StartedTurn {
        run: id("run_id")?.into(),
        conversation: id("started_in")?.into(),
        conversation_made: row.try_get("made")?,
        title: row.try_get("title")?,
        title_question: row.try_get("title_question")?,
        message: id("message_id")?.into(),
        question: id("question_id")?.into(),
        created_at: row.try_get("created_at")?,
        left: row.try_get::<_, Option<uuid::Uuid>>("left_id")?.map(MessageId::from),
        siblings: siblings(row, "siblings")?,
        question_siblings: siblings(row, "question_siblings")?,
        history: history.into_iter().map(|row| row.with_parts_of(turn, base.as_ref())).collect(),
        call_ids: call_ids.map(|ids| ids.0).unwrap_or_default(),
        base,
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

/// As wide as the database's numbers are.
pub(super) fn wide(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

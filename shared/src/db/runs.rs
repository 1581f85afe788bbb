//! Requests of a running answer: of the function that relays it, and of those that follow it.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use super::UserDb;
use super::conversations::parts;
use super::failure::unreadable;
use super::pipeline::Statement;
use super::turns::wide;
use crate::error::Error;
use crate::id::{ConversationRef, MessageId, RunId};
use crate::model::{Ended, Ending, FoundRun, RunChunk, RunPage, RunState, Status};

const APPEND_CHUNKS: &str = include_str!("runs/append_chunks.sql");
const END: &str = include_str!("runs/end.sql");
const REQUEST_STOP: &str = include_str!("runs/request_stop.sql");
const FIND: &str = include_str!("runs/find.sql");
const READ: &str = include_str!("runs/read.sql");

impl UserDb<'_> {
    /// Stores chunks of a run and renews its lease; without chunks it does only the latter. Safe to repeat: a chunk that is
    /// there stays as it is.
    pub async fn append_chunks(&self, run: RunId, chunks: &[RunChunk], lease: Duration) -> Result<RunState, Error> {
        let append = Statement {
            sql: APPEND_CHUNKS,
            params: &[
                (&self.user(), Type::UUID),
                (&run.uuid(), Type::UUID),
                (&Json(chunks), Type::JSONB),
                (&lease.as_secs_f64(), Type::FLOAT8),
            ],
        };
        let [rows] = self.write([append]).await?;
        let Some(row) = rows.first() else { return Ok(RunState { live: false, stop_requested: false }) };
        Ok(RunState { live: true, stop_requested: row.try_get("stop_requested").map_err(unreadable)? })
    }

    /// Ends a run and stores its answer. Safe to repeat. `None`: the run is gone, with its conversation.
    pub async fn end_run(&self, run: RunId, ending: &Ending) -> Result<Option<Ended>, Error> {
        let end = Statement {
            sql: END,
            params: &[
                (&self.user(), Type::UUID),
                (&run.uuid(), Type::UUID),
                (&Json(&ending.chunks), Type::JSONB),
                (&ending.status.as_str(), Type::TEXT),
                (&Json(&ending.answer), Type::JSONB),
                (&ending.usage.as_ref().map(Json), Type::JSONB),
                (&wide(ending.tokens), Type::INT8),
                (&ending.model, Type::TEXT),
                (&ending.give_back, Type::BOOL),
            ],
        };
        let [rows] = self.write([end]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Ended {
            status: row.try_get("status").map_err(unreadable)?,
            by_this: row.try_get("by_this").map_err(unreadable)?,
        }))
    }

    /// Asks the running answer of a conversation to stop, wherever it runs. `Some(None)`: nothing runs. `None`: there is no
    /// such conversation.
    #[allow(clippy::option_option, reason = "no conversation isn't the same as one in which nothing runs")]
    pub async fn request_stop(&self, name: &ConversationRef) -> Result<Option<Option<MessageId>>, Error> {
        let (id, client_id) = parts(name);
        let stop = Statement {
            sql: REQUEST_STOP,
            params: &[(&self.user(), Type::UUID), (&id, Type::UUID), (&client_id, Type::TEXT)],
        };
        let rows = self.write_without_parts_due(stop, |row| row.try_get("parts_due")).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let message: Option<uuid::Uuid> = row.try_get("message_id").map_err(unreadable)?;
        Ok(Some(message.map(MessageId::from)))
    }

    /// The run of a conversation whose stream can be followed: the running one, or the last if it ended less than `replay`
    /// ago.
    pub async fn find_run(&self, name: &ConversationRef, replay: Duration) -> Result<Option<FoundRun>, Error> {
        let (id, client_id) = parts(name);
        let find = Statement {
            sql: FIND,
            params: &[
                (&self.user(), Type::UUID),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&replay.as_secs_f64(), Type::FLOAT8),
            ],
        };
        let rows = self.write_without_parts_due(find, |row| row.try_get("parts_due")).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        found_run(row, false).map(Some).map_err(unreadable)
    }

    /// What has been stored of a run behind the chunk `after`; -1 is from its beginning. `None`: there is no such run.
    pub async fn read_run(&self, run: RunId, after: i32) -> Result<Option<RunPage>, Error> {
        let read = Statement {
            sql: READ,
            params: &[(&self.user(), Type::UUID), (&run.uuid(), Type::UUID), (&after, Type::INT4)],
        };
        let [rows] = self.write([read]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let ended: Option<Status> = first.try_get("outcome").map_err(unreadable)?;
        if first.try_get("parts_due").map_err(unreadable)? {
            self.db.store_parts_of(self.caller.user_id(), run).await?;
        }
        let base: Option<Json<Vec<Map<String, Value>>>> = first.try_get("base").map_err(unreadable)?;
        Ok(Some(RunPage { base: base.map(|base| base.0).unwrap_or_default(), chunks: chunks(&rows)?, ended }))
    }
}

/// Reads a run that can be followed, by a reader who has what the answer had before it or hasn't.
pub(super) fn found_run(row: &Row, has_base: bool) -> Result<FoundRun, tokio_postgres::Error> {
    let id = |column: &str| row.try_get::<_, uuid::Uuid>(column);
    Ok(FoundRun { run: id("run_id")?.into(), message: id("message_id")?.into(), has_base })
}

/// Reads chunks; a row of nulls is none. One that can't be read is passed over: its run must come to an end all the same.
pub(super) fn chunks(rows: &[Row]) -> Result<Vec<RunChunk>, Error> {
    let mut chunks = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(n) = row.try_get("n").map_err(unreadable)? else { continue };
        let frames = row.try_get("frames").map(|frames: Json<Vec<Value>>| frames.0);
        let sources = row.try_get("sources").map(|sources: Json<Vec<Map<String, Value>>>| sources.0);
        if let Some(cause) = frames.as_ref().err().or(sources.as_ref().err()) {
            tracing::error!(%cause, "a chunk of a run can't be read");
        }
        chunks.push(RunChunk { n, frames: frames.unwrap_or_default(), sources: sources.unwrap_or_default() });
    }
    Ok(chunks)
}

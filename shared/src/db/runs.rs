//! Requests of a running answer: of the function that relays it, and of those that follow it.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio_postgres::types::{Json, Type};

use super::conversations::parts;
use super::failure::unreadable;
use super::pipeline::{Access, Statement};
use super::turns::wide;
use super::{Db, UserDb};
use crate::error::Error;
use crate::id::{ConversationRef, MessageId, RunId, UserId};
use crate::model::{Ended, Ending, FoundRun, RunChunk, RunPage, RunState, Status};

const APPEND_CHUNKS: &str = include_str!("runs/append_chunks.sql");
const END: &str = include_str!("runs/end.sql");
const REQUEST_STOP: &str = include_str!("runs/request_stop.sql");
const FIND: &str = include_str!("runs/find.sql");
const READ: &str = include_str!("runs/read.sql");
const SWEEP: &str = include_str!("runs/sweep.sql");

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

    /// Ends a run: its answer is written from its chunks. Safe to repeat. `None`: the run is gone, with its conversation.
    pub async fn end_run(&self, run: RunId, ending: &Ending) -> Result<Option<Ended>, Error> {
        let end = Statement {
            sql: END,
            params: &[
                (&self.user(), Type::UUID),
                (&run.uuid(), Type::UUID),
                (&Json(&ending.chunks), Type::JSONB),
                (&ending.status.as_str(), Type::TEXT),
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
        let [rows] = self.write([stop]).await?;
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
        // As every request here that only reads, it may have to end a run whose function died.
        let [rows] = self.write([find]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(FoundRun {
            run: row.try_get::<_, uuid::Uuid>("run_id").map_err(unreadable)?.into(),
            message: row.try_get::<_, uuid::Uuid>("message_id").map_err(unreadable)?.into(),
        }))
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
        let mut chunks = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(n) = row.try_get("n").map_err(unreadable)? else { continue };
            let frames: Json<Vec<Value>> = row.try_get("frames").map_err(unreadable)?;
            let sources: Json<Vec<Map<String, Value>>> = row.try_get("sources").map_err(unreadable)?;
            chunks.push(RunChunk { n, frames: frames.0, sources: sources.0 });
        }
        Ok(Some(RunPage { chunks, ended }))
    }
}

/// What a sweep has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The runs that it ended, whose functions had died.
    pub runs: u64,
    /// The chunks that it dropped, which nobody replays any more.
    pub chunks: u64,
}

impl Db {
    /// Ends runs whose leases have expired, and drops the chunks of those that ended more than `replay` ago: of all users, at
    /// most `batch` runs each. Where both counts are 0, nothing is left to do but what other requests hold.
    pub async fn sweep(&self, batch: u16, replay: Duration) -> Result<Swept, Error> {
        // The function has rights of its own; no user has this id.
        let nobody = UserId::from(uuid::Uuid::nil());
        let sweep =
            Statement { sql: SWEEP, params: &[(&i32::from(batch), Type::INT4), (&replay.as_secs_f64(), Type::FLOAT8)] };
        let rows = self.run(nobody, Access::Write, &[sweep]).await?;
        let row = rows.first().and_then(|rows| rows.first()).ok_or_else(|| Error::internal("sweep gave no row"))?;
        let runs: i32 = row.try_get("ended").map_err(unreadable)?;
        let chunks: i64 = row.try_get("dropped").map_err(unreadable)?;
        Ok(Swept { runs: u64::try_from(runs).unwrap_or(0), chunks: u64::try_from(chunks).unwrap_or(0) })
    }
}

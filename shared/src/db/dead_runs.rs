//! The runs whose functions died: their messages are put together from their chunks by whoever meets them.
//!
//! The database ends such a run at once and reads nothing of it. What it has said is assembled here, by what assembles every
//! answer. Where a request that shows or continues a conversation meets one, it does nothing else, and this costs it two further
//! round trips: the chunks are read; then the message is stored and the request sent again, in one transaction.

use std::time::Duration;

use serde::Deserialize;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use super::failure::unreadable;
use super::pipeline::{Access, Param, Statement};
use super::runs::chunks;
use super::{Db, UserDb};
use crate::error::Error;
use crate::id::{RunId, UserId};
use crate::model::{BaseAnswer, FinishedAnswer, RunChunk};
use crate::ui_stream::{Assembler, Chunk};

const CHUNKS: &str = include_str!("runs/chunks.sql");
const STORE_PARTS: &str = include_str!("runs/store_parts.sql");
const SWEEP: &str = include_str!("runs/sweep.sql");
const PRUNE: &str = include_str!("runs/prune.sql");

impl UserDb<'_> {
    /// Runs a statement that shows or continues a conversation, once no run of it has parts due: `due` reads the run that has
    /// from its answer.
    pub(super) async fn write_without_parts_due(
        &self,
        statement: Statement<'_>,
        due: impl Fn(&Row) -> Result<Option<uuid::Uuid>, tokio_postgres::Error>,
    ) -> Result<Vec<Row>, Error> {
        let due = |rows: &[Row]| rows.first().map_or(Ok(None), &due).map_err(unreadable);
        let [rows] = self.write([statement]).await?;
        let Some(run) = due(&rows)? else { return Ok(rows) };
        let user = self.caller.user_id();
        let answer = self.db.assembled(user, run.into()).await?;
        let parts = [(&self.user() as _, Type::UUID), (&run as _, Type::UUID), (&Json(&answer) as _, Type::JSONB)];
        let again = [Statement { sql: STORE_PARTS, params: &parts }, statement];
        let rows = match self.write(again).await {
            Ok([_, rows]) => rows,
            Err(error) => {
                // The request may be at fault as well as the answer: each by itself, then.
                self.db.store_parts(user, run.into(), &answer).await.map_err(|_| error)?;
                let [rows] = self.write([statement]).await?;
                rows
            }
        };
        match due(&rows)? {
            None => Ok(rows),
            Some(_) => Err(Error::internal("a run still has parts due")),
        }
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

/// A run whose message is still to be put together.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Due {
    user: uuid::Uuid,
    run: uuid::Uuid,
}

impl Db {
    /// Ends runs whose leases have expired, puts their messages together, and drops the chunks of those that ended more than
    /// `replay` ago: of all users, at most `batch` runs each. Where both counts are 0, nothing is left to do but what other
    /// requests hold.
    pub async fn sweep(&self, batch: u16, replay: Duration) -> Result<Swept, Error> {
        let (batch, replay) = (i32::from(batch), replay.as_secs_f64());
        let row = self.over_all_users(SWEEP, &[(&batch, Type::INT4), (&replay, Type::FLOAT8)]).await?;
        let runs: i32 = row.try_get("ended").map_err(unreadable)?;
        let chunks: i64 = row.try_get("dropped").map_err(unreadable)?;
        let due: Json<Vec<Due>> = row.try_get("due").map_err(unreadable)?;
        for Due { user, run } in due.0 {
            let run = RunId::from(run);
            // Each by itself, as its user: one that fails is left to the next sweep, and the others aren't touched.
            if let Err(error) = self.store_parts_of(user.into(), run).await {
                let cause = error.cause.as_deref().map(ToString::to_string);
                tracing::error!(%run, code = error.code.as_str(), cause, "a dead run's message isn't put together yet");
            }
        }
        Ok(Swept { runs: u64::try_from(runs).unwrap_or(0), chunks: u64::try_from(chunks).unwrap_or(0) })
    }

    /// Forgets runs that ended more than `runs` ago, and windows of quotas that began more than `windows` ago, of all users and at
    /// most `batch` of each; answers how many. Where it is 0, nothing is left to do but what other requests hold.
    pub async fn prune(&self, batch: u16, runs: Duration, windows: Duration) -> Result<u64, Error> {
        let (batch, runs, windows) = (i32::from(batch), runs.as_secs_f64(), windows.as_secs_f64());
        let params: [Param<'_>; 3] = [(&batch, Type::INT4), (&runs, Type::FLOAT8), (&windows, Type::FLOAT8)];
        let row = self.over_all_users(PRUNE, &params).await?;
        let pruned: i64 = row.try_get("pruned").map_err(unreadable)?;
        Ok(u64::try_from(pruned).unwrap_or(0))
    }

    /// Calls a function of the database that has rights of its own; answers its row.
    async fn over_all_users(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Row, Error> {
        // No user has this id.
        let nobody = UserId::from(uuid::Uuid::nil());
        let rows = self.run(nobody, Access::Write, &[Statement { sql, params }]).await?;
        rows.into_iter().flatten().next().ok_or_else(|| Error::internal("a function over all users gave no row"))
    }

    /// Puts the message of a dead run together and stores it, unless somebody did meanwhile.
    pub(super) async fn store_parts_of(&self, user: UserId, run: RunId) -> Result<(), Error> {
        let answer = self.assembled(user, run).await?;
        self.store_parts(user, run, &answer).await
    }

    /// What a run's chunks make.
    async fn assembled(&self, user: UserId, run: RunId) -> Result<FinishedAnswer, Error> {
        let params = [(&user.uuid() as _, Type::UUID), (&run.uuid() as _, Type::UUID)];
        let rows = self.run(user, Access::Read, &[Statement { sql: CHUNKS, params: &params }]).await?;
        let rows = rows.first().map(Vec::as_slice).unwrap_or_default();
        let base = rows.first().map(|row| row.try_get::<_, Option<Json<BaseAnswer>>>("base"));
        let base = base.transpose().map_err(unreadable)?.flatten().map(|base| base.0).unwrap_or_default();
        Ok(assemble(base, chunks(rows)?))
    }

    /// Stores it; one that can't be stored is left out, so that the run has an end.
    async fn store_parts(&self, user: UserId, run: RunId, answer: &FinishedAnswer) -> Result<(), Error> {
        let (user_id, run_id) = (user.uuid(), run.uuid());
        for answer in [Some(answer), None] {
            let answer = answer.map(Json);
            let params: [Param<'_>; 3] = [(&user_id, Type::UUID), (&run_id, Type::UUID), (&answer, Type::JSONB)];
            let stored = self.run(user, Access::Write, &[Statement { sql: STORE_PARTS, params: &params }]).await;
            match stored {
                Err(error) if answer.is_some() && error.code.status() == 500 => {
                    let cause = error.cause.as_deref().map(ToString::to_string);
                    tracing::error!(%run, cause, "a dead run's message ends without parts: they can't be stored");
                }
                stored => return stored.map(drop),
            }
        }
        Ok(())
    }
}

/// The answer that a dead run's chunks make, behind what it was before. A frame that can't be read is passed over: an answer
/// that has most of its words is worth more than none.
fn assemble(base: BaseAnswer, chunks: Vec<RunChunk>) -> FinishedAnswer {
    let mut sources = base.embedded_sources();
    let mut assembler = Assembler::going_on(base.parts, base.metadata);
    for chunk in chunks {
        let mut told = chunk.sources.into_iter();
        for frame in chunk.frames.into_iter().filter_map(|frame| Chunk::parse(frame).ok()) {
            assembler.push(&frame);
            match frame {
                Chunk::SourceUrl { .. } | Chunk::SourceDocument { .. } => sources.extend(told.next()),
                Chunk::ResetStep => sources.truncate(assembler.sources()),
                _ => {}
            }
        }
        sources.extend(told);
    }
    assembler.finish().into_answer(sources, &[base.model.into(), base.usage.into()])
}

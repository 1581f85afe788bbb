//! The database: conversations, messages and the runs of answers, each user's own.
//!
//! [`Db::as_user`] is the only way to the tables. What it offers is one method per request, and each is one network round
//! trip: see `db::pipeline`. Behind it stand two walls: every statement says whose rows it means, and row-level security
//! sees to it once more.

mod address;
mod conversations;
mod dead_runs;
mod failure;
pub mod inspect;
mod messages;
pub mod migrate;
mod pipeline;
mod pool;
mod runs;
mod secret;
mod times;
mod turns;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;

pub use self::dead_runs::Swept;
use self::failure::{Failure, timed_out};
use self::pipeline::{Access, Statement, pipeline};
use self::pool::Pool;
pub use self::secret::{app_password, connection_url};
use crate::auth::Caller;
use crate::config::{BadConfig, DatabaseConfig};
use crate::error::Error;
use crate::id::UserId;
use crate::metrics;

/// The database. Clones share one pool.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    request_timeout: Duration,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").finish_non_exhaustive()
    }
}

impl Db {
    /// Reads the settings. Connects to nothing yet.
    pub fn new(config: &DatabaseConfig) -> Result<Self, BadConfig> {
        let pool = Pool::new(config).map_err(|fault| BadConfig(vec![format!("DATABASE_URL {fault}")]))?;
        Ok(Self { inner: Arc::new(Inner { pool, request_timeout: config.request_timeout }) })
    }

    /// Opens a connection while the function initialises. If that fails it is logged, and the first request tries again.
    pub async fn warm(&self) {
        let deadline = self.deadline();
        let connected = async { self.inner.pool.lease(deadline).await.map(pool::Lease::give_back) };
        if let Err(error) = within(deadline, connected).await {
            let cause = error.cause.as_deref().map(ToString::to_string);
            tracing::warn!(cause, "no database connection while initialising");
            self.inner.pool.try_again_at_once().await;
        }
    }

    /// Whether the database answers, and has the tables.
    pub async fn health(&self) -> Result<(), Error> {
        // No user has this id, and row-level security shows nothing: all that matters is that the statement runs.
        let nobody = UserId::from(uuid::Uuid::nil());
        let statement = Statement { sql: "select from messages limit 0", params: &[] };
        self.run(nobody, Access::Read, &[statement]).await.map(drop)
    }

    /// The tables, as this caller may see and change them.
    #[must_use]
    pub fn as_user<'a>(&'a self, caller: &'a Caller) -> UserDb<'a> {
        UserDb { db: self, caller }
    }

    /// Runs the statements of one request in one transaction, and answers with the rows of each.
    ///
    /// The first failure that surely left nothing behind is met with a second attempt on a new connection; of a read
    /// that holds for every failure that a new connection can mend.
    async fn run(&self, user: UserId, access: Access, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        let deadline = self.deadline();
        within(deadline, async {
            match self.attempt(deadline, user, access, statements).await {
                Err(failure) if failure.may_resend(access) => {
                    tracing::debug!(cause = %failure, "sending a request to the database again");
                    // What broke one connection has mostly broken all that were idle meanwhile.
                    if !failure.leaves_connection_usable() {
                        self.inner.pool.forget_idle();
                    }
                    if failure.broke_a_connection() {
                        metrics::record(metrics::Event::DatabaseReconnected);
                    }
                    self.attempt(deadline, user, access, statements).await
                }
                answer => answer,
            }
            .map_err(|failure| failure.at(access))
        })
        .await
    }

    async fn attempt(
        &self,
        deadline: Instant,
        user: UserId,
        access: Access,
        statements: &[Statement<'_>],
    ) -> Result<Vec<Vec<Row>>, Failure> {
        let mut lease = self.inner.pool.lease(deadline).await?;
        let answer = pipeline(lease.client()?, user, access, statements).await;
        if answer.as_ref().err().is_none_or(Failure::leaves_connection_usable) {
            lease.give_back();
        }
        answer
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.inner.request_timeout
    }
}

/// One deadline over waiting for a connection, opening it and all that is done with it. A connection whose answers
/// weren't awaited is dropped with the future: a lease that isn't given back ends its connection.
async fn within<T>(deadline: Instant, work: impl Future<Output = Result<T, impl Into<Error>>>) -> Result<T, Error> {
    match timeout_at(deadline, work).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(timed_out()),
    }
}

/// The tables as one user may see and change them. Every method is one transaction and one round trip.
#[derive(Clone, Copy, Debug)]
pub struct UserDb<'a> {
    db: &'a Db,
    caller: &'a Caller,
}

impl UserDb<'_> {
    fn user(&self) -> uuid::Uuid {
        self.caller.user_id().uuid()
    }

    async fn read<const N: usize>(&self, statements: [Statement<'_>; N]) -> Result<[Vec<Row>; N], Error> {
        exactly(self.db.run(self.caller.user_id(), Access::Read, &statements).await?)
    }

    async fn write<const N: usize>(&self, statements: [Statement<'_>; N]) -> Result<[Vec<Row>; N], Error> {
        exactly(self.db.run(self.caller.user_id(), Access::Write, &statements).await?)
    }
}

/// As many answers as statements.
fn exactly<const N: usize>(answers: Vec<Vec<Row>>) -> Result<[Vec<Row>; N], Error> {
    answers.try_into().map_err(|_| Error::internal("a statement has no answer"))
}

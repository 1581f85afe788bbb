//! One request, one flush: BEGIN, the claim, the statements and COMMIT go out together, and the answers come back
//! together.
//!
//! - All is sent in the first poll, so a request that is dropped is stored whole or not at all. Nothing is awaited
//!   between BEGIN and COMMIT: dropped there, the transaction would stay open and the next request commit it.
//! - Statements are unnamed and typed, so that any pooler in transaction mode serves.
//! - Results have built-in types only. For another one the driver would ask the server first: a second round trip.
//! - All of a request's writes are one statement or one function: a statement that the driver can't encode isn't sent,
//!   and the others are committed without it.

use futures_util::future::{join_all, join3};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::failure::{Failure, Stage};
use crate::id::UserId;

/// A parameter and its type.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A statement and its parameters.
#[derive(Clone, Copy)]
pub(super) struct Statement<'a> {
    pub(super) sql: &'static str,
    pub(super) params: &'a [Param<'a>],
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Access {
    /// The isolation level is said outright: the locking rules hold under this one alone, and a database or role may
    /// have another default. `READ WRITE` isn't: a database that is closed for writing shall stay so.
    const fn begin(self) -> &'static str {
        match self {
            Self::Read => "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY",
            Self::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// Begins a transaction as this user. Both in one message, since each is one more packet to be answered and read. The
    /// id stands in the text: a UUID has nothing in it that SQL could misread, and a message of several statements takes no
    /// parameters.
    fn begin_as(self, user: UserId) -> String {
        format!("{}; select set_config('app.user_id', '{user}', true)", self.begin())
    }
}

/// Runs statements in one transaction as one user, and answers with the rows of each.
///
/// `&mut`: two pipelines that share a connection would interleave, and one user read another's rows.
pub(super) async fn pipeline(
    client: &mut Client,
    user: UserId,
    access: Access,
    statements: &[Statement<'_>],
) -> Result<Vec<Vec<Row>>, Failure> {
    let client = &*client;
    let preamble = access.begin_as(user);
    let statements = statements.iter().map(|statement| client.query_typed(statement.sql, statement.params));
    // Polled in this order, hence sent in this order.
    let (begun, rows, committed) =
        join3(client.batch_execute(&preamble), join_all(statements), client.batch_execute("COMMIT")).await;
    begun.map_err(|error| Failure::postgres(Stage::Begin, error))?;
    // Before COMMIT's answer: that of a failed transaction is Ok, and it rolled back.
    let rows =
        rows.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| Failure::postgres(Stage::Statement, error))?;
    committed.map_err(|error| Failure::postgres(Stage::Commit, error))?;
    Ok(rows)
}

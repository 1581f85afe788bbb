//! What can go wrong with the database, what the client is told and what the log.

mod proxy;
mod verdict;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, Severity};

use self::verdict::{Answer, Resend, Verdict, judge, refuses_the_password};
use super::pipeline::Access;
use crate::error::{Code, Error, Fault, Place};
use crate::secrets::Unread;

/// How far a request had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There was no connection: nothing was sent.
    Connect,
    /// BEGIN failed.
    Begin,
    /// A statement failed.
    Statement,
    /// COMMIT failed: whether the request took effect is unknown.
    Commit,
}

/// A failed request.
pub(super) struct Failure {
    stage: Stage,
    cause: Cause,
}

enum Cause {
    Postgres(tokio_postgres::Error),
    /// No connection within the time for that.
    NoAnswer,
    /// The connection's role may do too much.
    Refused(Cow<'static, str>),
    /// Where the database is and who signs in is kept elsewhere, and can't be had.
    NoSecret(Unread),
}

impl Failure {
    pub(super) fn postgres(stage: Stage, error: tokio_postgres::Error) -> Self {
        Self { stage, cause: Cause::Postgres(error) }
    }

    /// A lease was used after it was given back. No caller can, but the type doesn't say so.
    pub(super) fn lease_ended() -> Self {
        Self { stage: Stage::Connect, cause: Cause::Refused("the lease was given back".into()) }
    }

    fn verdict(&self) -> Verdict {
        match &self.cause {
            Cause::Refused(_) => Verdict::no_connection(30),
            Cause::NoAnswer => Verdict::no_connection(1),
            Cause::NoSecret(unread) => Verdict::no_connection(unread.retry_after),
            Cause::Postgres(error) => match error.as_db_error() {
                Some(db) => judge(self.stage, db.code().code(), db.message(), db.constraint()),
                None => Verdict::without_code(self.stage, lost_connection(error)),
            },
        }
    }

    /// Whether the database refused who wanted to sign in.
    pub(super) fn refuses_the_password(&self) -> bool {
        match &self.cause {
            Cause::Postgres(error) if self.stage == Stage::Connect => {
                error.as_db_error().is_some_and(|db| refuses_the_password(db.code().code(), db.message()))
            }
            _ => false,
        }
    }

    /// Whether the same request may be sent again at once.
    pub(super) fn may_resend(&self, access: Access) -> bool {
        match self.verdict().resend {
            Resend::Always => true,
            Resend::IfRead => access == Access::Read,
            Resend::Later | Resend::Never => false,
        }
    }

    /// Whether there was no connection, and the server says that there will be in a moment.
    pub(super) fn will_pass(&self) -> bool {
        self.verdict().resend == Resend::Later
    }

    /// Whether the next request may have the connection: the server refused a statement and goes on.
    pub(super) fn leaves_connection_usable(&self) -> bool {
        match &self.cause {
            Cause::Postgres(error) => {
                error.as_db_error().is_some_and(|db| db.parsed_severity() == Some(Severity::Error))
            }
            _ => false,
        }
    }

    /// Whether there was a connection, and it is of no use any more.
    pub(super) fn broke_a_connection(&self) -> bool {
        self.stage != Stage::Connect && !self.leaves_connection_usable()
    }

    /// The failure as the client and the log see it.
    pub(super) fn at(self, access: Access) -> Error {
        const BODY: &str = "holds a value that the database can't store, such as a NUL character";
        let place = if access == Access::Read { Place::Query } else { Place::Body };
        let error = match self.verdict().answer {
            Answer::Away(seconds) => Error::unavailable("The database can't be reached right now.", seconds),
            Answer::Busy => Error::unavailable("Another request holds what this one needs.", 1),
            Answer::TimedOut => timed_out(),
            Answer::Conflict => Error::new(
                Code::Conflict,
                "Another request stored or deleted what this one needs. Read again, then decide.",
            ),
            Answer::Unstorable => {
                Error::invalid(vec![Fault { place, pointer: String::new(), detail: Cow::Borrowed(BODY) }])
            }
            Answer::TooLarge(pointer) => too_large(vec![Fault::body(pointer, "is too large to be stored")]),
            Answer::Unforeseen => return Error::internal(self),
        };
        error.because(self)
    }
}

/// The request's deadline passed.
pub(super) fn timed_out() -> Error {
    Error::new(
        Code::Timeout,
        "The database didn't answer in time. Whether the request took effect is unknown; it is safe to repeat with the \
         same client id or Idempotency-Key.",
    )
}

/// The request is too large in these ways.
pub(super) fn too_large(faults: Vec<Fault>) -> Error {
    Error { faults, ..Error::new(Code::ContentTooLarge, "The request is too large; `errors` says where.") }
}

/// A row that isn't what this release expects.
pub(super) fn unreadable(error: tokio_postgres::Error) -> Error {
    Error::internal(error)
}

/// The connection broke; the server's word on the request is missing.
fn lost_connection(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(<dyn StdError>::is::<io::Error>)
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        use deadpool_postgres::HookError;
        let cause = match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => Cause::Postgres(error),
            PoolError::PostCreateHook(HookError::Message(text)) => Cause::Refused(text),
            PoolError::Timeout(_) => Cause::NoAnswer,
            PoolError::Closed | PoolError::NoRuntimeSpecified => Cause::Refused("the pool is closed".into()),
        };
        Self { stage: Stage::Connect, cause }
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        Self { stage: Stage::Connect, cause: Cause::NoSecret(unread) }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.at(Access::Read)
    }
}

/// For the log. Of the server's words only those that can't hold a row's or parameter's text: DETAIL never, and the
/// message not where a value was refused.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Connect => "connecting",
            Stage::Begin => "BEGIN",
            Stage::Statement => "a statement",
            Stage::Commit => "COMMIT",
        };
        write!(f, "{stage} failed: ")?;
        match &self.cause {
            Cause::NoAnswer => f.write_str("no connection in time"),
            Cause::Refused(text) => f.write_str(text),
            Cause::NoSecret(unread) => unread.fmt(f),
            Cause::Postgres(error) => match error.as_db_error() {
                Some(db) => write_db_error(f, db),
                None => match error.source() {
                    Some(source) => write!(f, "{error}: {source}"),
                    None => write!(f, "{error}"),
                },
            },
        }
    }
}

fn write_db_error(f: &mut fmt::Formatter<'_>, db: &DbError) -> fmt::Result {
    let code = db.code().code();
    write!(f, "SQLSTATE {code}")?;
    if let Some(constraint) = db.constraint() {
        write!(f, ", constraint {constraint}")?;
    }
    if ["22", "23", "P0"].iter().any(|class| code.starts_with(class)) {
        Ok(())
    } else {
        write!(f, ": {}", db.message())
    }
}

/// The driver's own `Debug` has the server's DETAIL and CONTEXT, and with them what a client sent.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self})")
    }
}

impl StdError for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_stored_is_not_sent_twice() {
        let lost = |stage| Failure { stage, cause: Cause::Postgres(closed()) };
        assert!(lost(Stage::Connect).may_resend(Access::Write));
        for stage in [Stage::Begin, Stage::Statement, Stage::Commit] {
            assert!(!lost(stage).may_resend(Access::Write), "{stage:?}");
            assert!(lost(stage).may_resend(Access::Read), "{stage:?}");
            assert!(!lost(stage).leaves_connection_usable());
            assert_eq!(lost(stage).at(Access::Write).code, Code::Unavailable);
        }
    }

    #[test]
    fn every_503_says_when_to_come_back() {
        let refused = Failure { stage: Stage::Connect, cause: Cause::Refused("role postgres is a superuser".into()) };
        let error = refused.at(Access::Write);
        assert_eq!(error.code, Code::Unavailable);
        assert!(error.headers.iter().any(|(name, _)| *name == "retry-after"));
        assert!(!error.to_string().contains("postgres"), "the role is the log's affair");
        assert!(error.cause.is_some_and(|cause| cause.to_string().contains("superuser")));
    }

    /// An error that the driver makes without a server: a connection that ended.
    fn closed() -> tokio_postgres::Error {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(64);
            drop(theirs);
            tokio_postgres::Config::new().user("u").connect_raw(ours, tokio_postgres::NoTls).await.err().unwrap()
        })
    }
}

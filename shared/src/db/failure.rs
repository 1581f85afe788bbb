//! What can go wrong with the database, and what the client is told: one table, [`judge`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, Severity};

use super::pipeline::Access;
use crate::error::{Code, Error, Fault, Place};

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
#[derive(Debug)]
pub(super) struct Failure {
    stage: Stage,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Postgres(tokio_postgres::Error),
    /// No connection within the time for that.
    NoAnswer,
    /// The connection's role may do too much.
    Refused(Cow<'static, str>),
}

/// A row of the table: what the client is told, and whether a new attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    answer: Answer,
    /// The same request may succeed at once, on a new connection, and this failure says that nothing was stored.
    resend: bool,
}

/// What the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// 503, and when to come back, in seconds.
    Away(u32),
    /// 503: another request holds what this one needs.
    Busy,
    /// 504.
    TimedOut,
    /// 409.
    Conflict,
    /// 400: the request holds a value that PostgreSQL can't.
    Unstorable,
    /// 413, and where.
    TooLarge(&'static str),
    /// 500.
    Unforeseen,
}

/// The table. `stage` matters where a failure means one thing of a connection and another of a statement.
fn judge(stage: Stage, sqlstate: &str, message: &str, constraint: Option<&str>) -> Verdict {
    use Answer::{Away, Busy, Conflict, TimedOut, TooLarge, Unforeseen, Unstorable};
    let connecting = stage == Stage::Connect;
    let (answer, resend) = match sqlstate {
        // Shut down, crashed, starting up, idle for too long: another connection may be had at once.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => (Away(1), true),
        // The transaction was rolled back so that another could go on.
        "40001" | "40P01" => (Busy, true),
        // lock_timeout
        "55P03" => (Busy, false),
        // statement_timeout
        "57014" => (TimedOut, false),
        // Neon's proxy has this one code for everything.
        "XX000" => return judge_proxy(stage, message),
        // Too many connections.
        "53300" => (Away(2), false),
        // Wrong password, unknown role or database: the deployment must be mended.
        "28000" | "28P01" | "3D000" => (Away(30), false),
        // A standby, or a database that ran out of space and became read-only.
        "25006" => (Away(30), false),
        // The migrations of this release haven't run yet.
        "42P01" | "42703" | "42883" | "42704" | "3F000" => (Away(5), false),
        "23514" => match constraint {
            Some("conversations_metadata_size") => (TooLarge("/metadata"), false),
            Some("messages_metadata_size" | "messages_size") => (TooLarge("/messages"), false),
            _ => (Unforeseen, false),
        },
        // Another request deleted or stored what this one needs.
        "23503" | "23505" => (Conflict, false),
        _ => match sqlstate.get(..2).unwrap_or_default() {
            // The connection. PgBouncer has 08P01 for everything.
            "08" => (Away(1), connecting),
            // Out of memory, disk and the like; the system's own errors.
            "53" | "58" => (Away(5), false),
            // NUL in a text, a number or time out of range.
            "22" => (Unstorable, false),
            // A value that exceeds a limit of PostgreSQL's own.
            "54" => (TooLarge(""), false),
            _ if connecting => (Away(5), false),
            _ => (Unforeseen, false),
        },
    };
    Verdict { answer, resend }
}

/// Neon's proxy, by its messages.
/// <https://neon.com/docs/connect/connection-errors>
fn judge_proxy(stage: Stage, message: &str) -> Verdict {
    let says = |text| message.contains(text);
    if says("Couldn't connect to compute node") || says("Too many database connection attempts") {
        Verdict { answer: Answer::Away(1), resend: stage == Stage::Connect }
    } else if says("exceeded the compute time quota")
        || says("endpoint is disabled")
        || says("endpoint cannot be found")
    {
        Verdict { answer: Answer::Away(60), resend: false }
    } else if stage == Stage::Connect {
        Verdict { answer: Answer::Away(5), resend: false }
    } else {
        Verdict { answer: Answer::Unforeseen, resend: false }
    }
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
            Cause::Refused(_) => Verdict { answer: Answer::Away(30), resend: false },
            // Trying again would take as long again.
            Cause::NoAnswer => Verdict { answer: Answer::Away(1), resend: false },
            Cause::Postgres(error) => match error.as_db_error() {
                Some(db) => judge(self.stage, db.code().code(), db.message(), db.constraint()),
                None if lost_connection(error) => {
                    Verdict { answer: Answer::Away(1), resend: self.stage == Stage::Connect }
                }
                None if self.stage == Stage::Connect => Verdict { answer: Answer::Away(5), resend: false },
                None => Verdict { answer: Answer::Unforeseen, resend: false },
            },
        }
    }

    /// Whether the same request may be sent again: this failure says that nothing was stored, or nothing could have been.
    pub(super) fn may_resend(&self, access: Access) -> bool {
        let verdict = self.verdict();
        match self.stage {
            Stage::Connect => verdict.resend,
            Stage::Begin | Stage::Statement if verdict.resend => true,
            // A read leaves nothing behind, so it may be repeated whatever became of it.
            _ => access == Access::Read && matches!(verdict.answer, Answer::Away(1)),
        }
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
    error.is_closed() || error.source().is_some_and(|source| source.is::<io::Error>())
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

impl StdError for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(stage: Stage, sqlstate: &str) -> (Answer, bool) {
        let Verdict { answer, resend } = judge(stage, sqlstate, "", None);
        (answer, resend)
    }

    #[test]
    fn nothing_foreseeable_is_a_500() {
        use Answer::{Away, Busy, Conflict, TimedOut, TooLarge, Unstorable};
        for (sqlstate, expected) in [
            ("57P01", (Away(1), true)),
            ("57P02", (Away(1), true)),
            ("57P03", (Away(1), true)),
            ("57P05", (Away(1), true)),
            ("25P03", (Away(1), true)),
            ("40001", (Busy, true)),
            ("40P01", (Busy, true)),
            ("55P03", (Busy, false)),
            ("57014", (TimedOut, false)),
            ("53300", (Away(2), false)),
            ("53100", (Away(5), false)),
            ("53200", (Away(5), false)),
            ("58030", (Away(5), false)),
            ("08006", (Away(1), false)),
            ("08P01", (Away(1), false)),
            ("25006", (Away(30), false)),
            ("42P01", (Away(5), false)),
            ("42883", (Away(5), false)),
            ("22021", (Unstorable, false)),
            ("22P05", (Unstorable, false)),
            ("22003", (Unstorable, false)),
            ("22008", (Unstorable, false)),
            ("54000", (TooLarge(""), false)),
            ("23503", (Conflict, false)),
            ("23505", (Conflict, false)),
        ] {
            assert_eq!(answer(Stage::Statement, sqlstate), expected, "{sqlstate}");
        }
        for sqlstate in ["42501", "42601", "23502", "23514", "P0001", "0A000", "XX000", "", "é"] {
            assert_eq!(answer(Stage::Statement, sqlstate), (Answer::Unforeseen, false), "{sqlstate}");
            if sqlstate != "23514" {
                assert_eq!(answer(Stage::Connect, sqlstate), (Away(5), false), "{sqlstate} while connecting");
            }
        }
        for sqlstate in ["28P01", "28000", "3D000"] {
            assert_eq!(answer(Stage::Connect, sqlstate), (Away(30), false), "{sqlstate}");
        }
        assert_eq!(answer(Stage::Connect, "08P01"), (Away(1), true), "nothing was sent yet");
    }

    #[test]
    fn sizes_are_named_by_their_constraint() {
        let at = |constraint| judge(Stage::Statement, "23514", "", Some(constraint)).answer;
        assert_eq!(at("conversations_metadata_size"), Answer::TooLarge("/metadata"));
        assert_eq!(at("messages_metadata_size"), Answer::TooLarge("/messages"));
        assert_eq!(at("messages_size"), Answer::TooLarge("/messages"));
        assert_eq!(at("conversations_title"), Answer::Unforeseen);
    }

    #[test]
    fn neons_proxy_is_understood_by_its_messages() {
        let proxy = |message| {
            let Verdict { answer, resend } = judge(Stage::Connect, "XX000", message, None);
            (answer, resend)
        };
        let woken = "Couldn't connect to compute node: timed out";
        assert_eq!(proxy(woken), (Answer::Away(1), true));
        let crowded = "Too many database connection attempts are currently ongoing";
        assert_eq!(proxy(crowded), (Answer::Away(1), true));
        for mended_by_hand in [
            "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits.",
            "The endpoint is disabled. Enable it using Neon API and retry.",
            "The requested endpoint could not be found, or you don't have access to it: endpoint cannot be found",
        ] {
            assert_eq!(proxy(mended_by_hand), (Answer::Away(60), false), "{mended_by_hand}");
        }
        assert_eq!(proxy("anything else"), (Answer::Away(5), false));
    }

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

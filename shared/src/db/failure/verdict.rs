//! What an SQLSTATE means for the client: one table, [`judge`].

use super::Stage;
use super::proxy::{Meaning, meaning, sent_nothing_on};

/// What the client is told, and whether the same request may be sent again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) answer: Answer,
    pub(super) resend: Resend,
}

/// When a second attempt, on a new connection, is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resend {
    /// It would fail, too, or take as long again.
    Never,
    /// It may succeed, but the first may have been stored: only a read leaves nothing behind.
    IfRead,
    /// It may succeed, and of the first nothing is stored.
    Always,
    /// Nobody could connect, and the server says that this passes: it succeeds after a pause, or a few.
    Later,
}

/// What the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// 503, and when to come back, in seconds.
    Away(u32),
    /// 503: another request holds what this one needs.
    Busy,
    /// 504.
    TimedOut,
    /// 409.
    Conflict,
    /// 400: the request holds a value that the database can't.
    Unstorable,
    /// 413, and where.
    TooLarge(&'static str),
    /// 500.
    Unforeseen,
}

impl Verdict {
    const fn new(answer: Answer, resend: Resend) -> Self {
        Self { answer, resend }
    }

    /// What follows from a failure that holds no SQLSTATE: the connection broke, or the driver gave up.
    pub(super) const fn without_code(stage: Stage, lost_connection: bool) -> Self {
        match stage {
            Stage::Connect if lost_connection => Self::new(Answer::Away(1), Resend::Always),
            Stage::Connect => Self::new(Answer::Away(5), Resend::Never),
            _ if lost_connection => Self::new(Answer::Away(1), Resend::IfRead),
            _ => Self::new(Answer::Unforeseen, Resend::Never),
        }
    }

    /// What follows from there being no usable connection at all.
    pub(super) const fn no_connection(retry_after: u32) -> Self {
        Self::new(Answer::Away(retry_after), Resend::Never)
    }
}

/// The table. `stage` matters where a failure means one thing of a connection and another of a statement.
#[allow(clippy::match_same_arms, reason = "each line has a reason of its own")]
pub(super) fn judge(stage: Stage, sqlstate: &str, message: &str, constraint: Option<&str>) -> Verdict {
    use Answer::{Away, Busy, Conflict, TimedOut, TooLarge, Unforeseen, Unstorable};
    use Resend::Never;
    // COMMIT's failure leaves open what became of the request. Before it, an SQLSTATE says that it was rolled back.
    let rolled_back = if stage == Stage::Commit { Resend::IfRead } else { Resend::Always };
    let (answer, resend) = match sqlstate {
        // Shut down, crashed, starting up: it is back in a moment.
        "57P01" | "57P02" | "57P03" if stage == Stage::Connect => (Away(1), Resend::Later),
        // The same, or idle for too long: another connection may be had at once.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => (Away(1), rolled_back),
        // The transaction was rolled back so that another could go on.
        "40001" | "40P01" => (Busy, rolled_back),
        // lock_timeout
        "55P03" => (Busy, Never),
        // statement_timeout
        "57014" => (TimedOut, Never),
        // Neon's proxy has the one code for everything, PgBouncer the other. The first says nothing once there is a connection.
        "XX000" if stage == Stage::Connect => judge_proxy(message, (Away(5), Never)),
        "08P01" if stage == Stage::Connect => judge_proxy(message, (Away(1), Resend::Always)),
        "08P01" if stage == Stage::Begin && sent_nothing_on(message) => (Away(1), Resend::Always),
        // Too many connections.
        "53300" => (Away(2), Never),
        // Wrong password, unknown role or database: the deployment must be mended.
        "28000" | "28P01" | "3D000" => (Away(30), Never),
        // A standby, or a database that is closed for writing.
        "25006" => (Away(30), Never),
        // The migrations of this release haven't run yet.
        "42P01" | "42703" | "42883" | "42704" | "3F000" => (Away(5), Never),
        "23514" => match constraint {
            Some("conversations_metadata_size") => (TooLarge("/metadata"), Never),
            Some("messages_metadata_size" | "messages_size") => (TooLarge("/messages"), Never),
            _ => (Unforeseen, Never),
        },
        // Another request deleted or stored what this one needs.
        "23503" | "23505" => (Conflict, Never),
        _ => match sqlstate.get(..2).unwrap_or_default() {
            // The connection: what became of the request isn't said.
            "08" if stage == Stage::Connect => (Away(1), Resend::Always),
            "08" => (Away(1), Resend::IfRead),
            // Out of memory, disk and the like; the system's own errors.
            "53" | "58" => (Away(5), Never),
            // NUL in a text, a number or time out of range.
            "22" => (Unstorable, Never),
            // A value that exceeds one of the server's own limits.
            "54" => (TooLarge(""), Never),
            _ if stage == Stage::Connect => (Away(5), Never),
            _ => (Unforeseen, Never),
        },
    };
    Verdict { answer, resend }
}

/// Whether a server refuses the password of who connects, or the role itself: reason to ask for a newer secret. Poolers and
/// Neon's proxy have codes of their own for it, but PostgreSQL's words.
pub(super) fn refuses_the_password(sqlstate: &str, message: &str) -> bool {
    const WORDS: [&str; 2] = ["password authentication failed", "SASL authentication failed"];
    sqlstate.starts_with("28") || WORDS.iter().any(|words| message.contains(words))
}

/// Who connects to Neon's proxy or to PgBouncer. Nothing was sent yet.
fn judge_proxy(message: &str, otherwise: (Answer, Resend)) -> (Answer, Resend) {
    match meaning(message) {
        Meaning::Passing => (Answer::Away(1), Resend::Later),
        Meaning::Lasting(seconds) => (Answer::Away(seconds), Resend::Never),
        Meaning::Unknown => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(stage: Stage, sqlstate: &str) -> (Answer, Resend) {
        let Verdict { answer, resend } = judge(stage, sqlstate, "", None);
        (answer, resend)
    }

    #[test]
    fn nothing_foreseeable_is_a_500() {
        use Answer::{Away, Busy, Conflict, TimedOut, TooLarge, Unstorable};
        use Resend::{Always, IfRead, Never};
        for (sqlstate, expected) in [
            ("57P01", (Away(1), Always)),
            ("57P02", (Away(1), Always)),
            ("57P03", (Away(1), Always)),
            ("57P05", (Away(1), Always)),
            ("25P03", (Away(1), Always)),
            ("40001", (Busy, Always)),
            ("40P01", (Busy, Always)),
            ("55P03", (Busy, Never)),
            ("57014", (TimedOut, Never)),
            ("53300", (Away(2), Never)),
            ("53100", (Away(5), Never)),
            ("53200", (Away(5), Never)),
            ("58030", (Away(5), Never)),
            ("08006", (Away(1), IfRead)),
            ("08P01", (Away(1), IfRead)),
            ("25006", (Away(30), Never)),
            ("42P01", (Away(5), Never)),
            ("42883", (Away(5), Never)),
            ("22021", (Unstorable, Never)),
            ("22P05", (Unstorable, Never)),
            ("22003", (Unstorable, Never)),
            ("22008", (Unstorable, Never)),
            ("54000", (TooLarge(""), Never)),
            ("23503", (Conflict, Never)),
            ("23505", (Conflict, Never)),
        ] {
            assert_eq!(judged(Stage::Statement, sqlstate), expected, "{sqlstate}");
        }
        for sqlstate in ["42501", "42601", "23502", "P0001", "0A000", "XX000", "", "é"] {
            assert_eq!(judged(Stage::Statement, sqlstate), (Answer::Unforeseen, Never), "{sqlstate}");
            assert_eq!(judged(Stage::Connect, sqlstate), (Away(5), Never), "{sqlstate} while connecting");
        }
        for sqlstate in ["28P01", "28000", "3D000"] {
            assert_eq!(judged(Stage::Connect, sqlstate), (Away(30), Never), "{sqlstate}");
        }
        assert_eq!(judged(Stage::Connect, "08P01"), (Away(1), Always), "nothing was sent yet");
    }

    #[test]
    fn a_refused_password_is_understood_from_every_server() {
        for (sqlstate, message) in [
            ("28P01", "password authentication failed for user \"colloquy_app\""),
            ("28000", "role \"colloquy_app\" is not permitted to log in"),
            ("08P01", "password authentication failed"),
            ("08P01", "SASL authentication failed"),
            ("XX000", "password authentication failed for user 'colloquy_app'"),
        ] {
            assert!(refuses_the_password(sqlstate, message), "{sqlstate} {message}");
        }
        for (sqlstate, message) in
            [("XX000", "The endpoint is disabled"), ("08P01", "no more connections"), ("3D000", "")]
        {
            assert!(!refuses_the_password(sqlstate, message), "{sqlstate} {message}");
        }
    }

    #[test]
    fn what_commit_says_leaves_open_whether_it_is_stored() {
        for sqlstate in ["57P01", "40001", "08006"] {
            assert_eq!(judged(Stage::Commit, sqlstate).1, Resend::IfRead, "{sqlstate}");
        }
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
    fn a_proxy_is_understood_by_its_messages() {
        let at = |stage, sqlstate, message| judge(stage, sqlstate, message, None);
        let away = |seconds, resend| Verdict::new(Answer::Away(seconds), resend);
        for sqlstate in ["XX000", "08P01"] {
            let connecting = |message| at(Stage::Connect, sqlstate, message);
            assert_eq!(connecting("Couldn't connect to compute node"), away(1, Resend::Later), "{sqlstate}");
            assert_eq!(
                connecting("server login has been failing, try again later"),
                away(1, Resend::Later),
                "{sqlstate}"
            );
            assert_eq!(connecting("password authentication failed"), away(30, Resend::Never), "{sqlstate}");
            assert_eq!(connecting("The endpoint is disabled."), away(60, Resend::Never), "{sqlstate}");
        }
        assert_eq!(at(Stage::Connect, "XX000", "anything else"), away(5, Resend::Never));
        assert_eq!(at(Stage::Connect, "08P01", "anything else"), away(1, Resend::Always));
        assert_eq!(at(Stage::Begin, "08P01", "query_wait_timeout"), away(1, Resend::Always), "nothing was sent on");
        assert_eq!(at(Stage::Begin, "08P01", "server conn crashed?"), away(1, Resend::IfRead));
        assert_eq!(at(Stage::Statement, "08P01", "query_wait_timeout"), away(1, Resend::IfRead), "BEGIN was sent on");
        let compute = "Couldn't connect to compute node";
        assert_eq!(at(Stage::Statement, "XX000", compute).answer, Answer::Unforeseen, "its texts reach who connects");
    }
}

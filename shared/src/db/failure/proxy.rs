//! What Neon's proxy and PgBouncer say. Each has one SQLSTATE for everything, and the proxy passes on what PgBouncer and
//! PostgreSQL say to it without theirs: <https://neon.com/docs/connect/connection-errors>. The texts are those of the
//! sources: `UserFacingError` in `neondatabase/neon/proxy/src`, `disconnect_client` in `pgbouncer/src`.

/// What follows from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It passes by itself: a compute that wakes, a pooler or database that restarts, a queue that is full.
    Passing,
    /// Somebody must mend it first. And when a client may come back, in seconds.
    Lasting(u32),
    /// None of the known.
    Unknown,
}

/// In whatever else is said with it, since a pooler quotes what its server said last.
const LASTING: [(&str, u32); 22] = [
    // Neon's control plane, and its proxy.
    ("exceeded the", 60),
    ("endpoint is disabled", 60),
    ("endpoint cannot be found", 60),
    ("Endpoint ID is not specified", 60),
    ("VPC endpoint", 60),
    ("is not allowed to connect", 60),
    ("from a blocked network", 60),
    ("authentication protocol violation", 30),
    ("Unsupported authentication method", 30),
    // A password, a role, a database, in the words of all three.
    ("authentication failed", 30),
    ("does not exist", 30),
    ("is not permitted to log in", 30),
    ("no such database", 30),
    ("no such user", 30),
    ("is disabled", 30),
    ("wrong password type", 30),
    ("server signature", 30),
    ("login rejected", 30),
    // How the pooler is set up, and how it is asked.
    ("bouncer config error", 30),
    ("unsupported startup parameter", 30),
    ("unsupported options startup parameter", 30),
    ("SSL required", 30),
];

const PASSING: [&str; 23] = [
    // Neon's proxy. "temporarily unavailable" is also what it says where a quota is used up: a few attempts are no harm.
    "Couldn't connect to compute node",
    "endpoint is temporarily unavailable",
    "Too many database connection attempts",
    "Too many connections attempts",
    "Too many connections to this endpoint",
    "try again",
    "Authentication timed out",
    "Internal error",
    // Its driver, of the way from the proxy to the compute.
    "error communicating with the server",
    "error connecting to server",
    "timeout waiting for server",
    "connection closed",
    // PostgreSQL: starting up, shutting down, in recovery, not accepting connections.
    "the database system is",
    "terminating connection",
    // PgBouncer, of its servers, of itself, and of how many clients it has.
    "server login has been failing",
    "server login failed",
    "cannot connect to server",
    "query_wait_timeout",
    "client_login_timeout",
    "shutting down",
    "suspend_timeout",
    "no more connections allowed",
    "client connections exceeded",
];

/// What PgBouncer says to a client that waits for a server, and has got none: of its requests nothing was sent on.
const WAITING: [&str; 6] = [
    "query_wait_timeout",
    "server login has been failing",
    "server login failed",
    "cannot connect to server",
    "client_login_timeout",
    "server shutting down",
];

/// What a message means to who connects.
pub(super) fn meaning(message: &str) -> Meaning {
    if let Some((_, seconds)) = LASTING.iter().find(|(text, _)| message.contains(text)) {
        Meaning::Lasting(*seconds)
    } else if PASSING.iter().any(|text| message.contains(text)) || message.ends_with("Control plane request failed") {
        Meaning::Passing
    } else {
        Meaning::Unknown
    }
}

/// Whether the pooler says that it has sent nothing on.
pub(super) fn sent_nothing_on(message: &str) -> bool {
    WAITING.iter().any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_lasts() {
        use Meaning::{Lasting, Passing, Unknown};
        for (message, expected) in [
            // Neon's proxy.
            ("Couldn't connect to compute node", Passing),
            ("Control plane request failed", Passing),
            ("Control plane request failed: endpoint cannot be found", Lasting(60)),
            ("Control plane request failed: endpoint is disabled", Lasting(60)),
            (
                "Control plane request failed: endpoint is temporarily unavailable. Check your quotas and/or contact our \
                 support.",
                Passing,
            ),
            (
                "Failed to acquire permit to connect to the database. Too many database connection attempts are currently \
                 ongoing.",
                Passing,
            ),
            ("Too many connections attempts", Passing),
            ("Too many connections to this endpoint. Please try again later.", Passing),
            ("Authentication timed out", Passing),
            ("Your project has exceeded the compute time quota. Upgrade your plan to increase limits.", Lasting(60)),
            (
                "You have exceeded the limit of concurrently active endpoints. Please suspend some endpoints.",
                Lasting(60),
            ),
            ("Your account or project has exceeded the data transfer quota.", Lasting(60)),
            ("The endpoint is disabled. Enable it using Neon API and retry.", Lasting(60)),
            ("The requested endpoint could not be found, or you don't have access.", Unknown),
            ("This IP address 192.0.2.1 is not allowed to connect to this endpoint.", Lasting(60)),
            ("This connection is trying to access this endpoint from a blocked network.", Lasting(60)),
            ("password authentication failed for user 'colloquy_app'", Lasting(30)),
            ("error communicating with the server: Connection reset by peer (os error 104)", Passing),
            ("connection closed", Passing),
            // PostgreSQL's, through it.
            ("the database system is starting up", Passing),
            ("the database system is shutting down", Passing),
            ("the database system is not yet accepting connections", Passing),
            ("terminating connection due to administrator command", Passing),
            ("database \"no\" does not exist", Lasting(30)),
            ("role \"no\" does not exist", Lasting(30)),
            ("sorry, too many clients already", Unknown),
            // PgBouncer.
            ("pgbouncer cannot connect to server", Passing),
            ("server login has been failing, try again later (server_login_retry)", Passing),
            ("server login has been failing, cached error: connect failed (server_login_retry)", Passing),
            (
                "server login has been failing, cached error: password authentication failed for user \"a\" \
                 (server_login_retry)",
                Lasting(30),
            ),
            ("server login failed: wrong password type", Lasting(30)),
            ("query_wait_timeout", Passing),
            ("client_login_timeout (server down)", Passing),
            ("pooler is shutting down", Passing),
            ("server shutting down", Passing),
            ("no more connections allowed (max_client_conn)", Passing),
            ("no such database: colloquy", Lasting(30)),
            ("database \"colloquy\" is disabled", Lasting(30)),
            ("bouncer config error", Lasting(30)),
            ("unsupported startup parameter: extra", Lasting(30)),
            ("SASL authentication failed", Lasting(30)),
            ("anything else", Unknown),
        ] {
            assert_eq!(meaning(message), expected, "{message}");
        }
    }
}

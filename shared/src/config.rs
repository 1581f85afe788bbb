//! The settings: read once, when a function starts, and the only place that reads the environment.
//!
//! All that is missing or malformed is reported at once.

mod agent;
mod auth;
mod chat;
mod http;
mod migrate;
mod reader;
mod secret;

use std::fmt;
use std::time::Duration;

pub use agent::{AgentConfig, AgentFiles, AgentProtocol, SendUser};
pub use auth::AuthConfig;
pub use chat::ChatConfig;
pub use http::{AllowedOrigin, CorsOrigins, HttpConfig};
pub use migrate::MigrateConfig;
use reader::Reader;
pub use reader::is_loopback;
pub use secret::{Secret, StoredSecret};

/// A setting, as the README's table shows it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// What holds where it isn't set.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// The least and the most that it may be, where it is a time: what lies beyond breaks a request or makes no sense.
    pub range: Option<(u64, u64)>,
}

/// Every setting, in the order of the README's table.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(agent::SETTINGS).chain(chat::SETTINGS)
}

const DAY: u64 = 86_400;

/// The settings of every function.
const SETTINGS: &[Setting] = &[
    setting(
        "DATABASE_URL",
        "this or DATABASE_SECRET_ARN",
        "PostgreSQL as `colloquy_app`, through the pooler: `postgresql://colloquy_app:…@ep-…-pooler.….neon.tech/db?sslmode=require`",
    ),
    setting(
        "DATABASE_SECRET_ARN",
        "none",
        "The secret of AWS Secrets Manager that holds such a URL, or the shape of AWS's own database secrets: `{\"username\":\"colloquy_app\",\"password\":\"…\",\"host\":\"ep-…-pooler.….neon.tech\",\"dbname\":\"db\"}`, `port` if it isn't 5432. It is read when a function starts, and again when the database refuses the password",
    ),
    setting(
        "MIGRATE_DATABASE_URL",
        "`migrate`: this or MIGRATE_DATABASE_SECRET_ARN",
        "The same database as its owner, on the direct host (without `-pooler`)",
    ),
    setting("MIGRATE_DATABASE_SECRET_ARN", "none", "The secret that holds that, in either form"),
    setting(
        "APP_DATABASE_PASSWORD",
        "none",
        "The password that `migrate` gives to the role `colloquy_app`; unset, it leaves the password as it is",
    ),
    setting(
        "APP_DATABASE_SECRET_ARN",
        "none",
        "The secret whose password that is: the one that the functions have as DATABASE_SECRET_ARN",
    ),
    setting("AUTH_URL", "required", "Better Auth's base URL with its base path: `https://app.example.com/api/auth`"),
    setting("JWKS_URL", "AUTH_URL + `/jwks`", "Where the key set is, if elsewhere"),
    setting("JWT_ISSUER", "the origin of AUTH_URL", "The `iss` that a token must have"),
    setting("JWT_AUDIENCE", "the origin of AUTH_URL", "The `aud` that a token must have"),
    setting(
        "ISSUER_ID",
        "JWT_ISSUER",
        "What user ids are made from beside the `sub`. Set it to the old issuer when the auth domain changes, and nobody loses their conversations",
    ),
    setting(
        "CORS_ORIGINS",
        "none",
        "Origins whose pages may call, separated by commas: `https://app.example.com`, `https://*.example.com` for each name one label below, `capacitor://localhost`, `chrome-extension://…`, `null`; `*` alone allows every origin",
    ),
    setting("BASE_PATH", "none", "The base path of a custom domain's mapping: `/chat-api`"),
    setting("LOG_LEVEL", "info", "`error`, `warn`, `info`, `debug` or `trace`"),
    setting(
        "METRICS_STACK",
        "none",
        "Metrics are logged in CloudWatch's embedded metric format, as those of the stack of this name",
    ),
    setting("JWKS_TTL_SECONDS", "600", "After this a key set is fetched again").within(10, DAY),
    setting(
        "JWKS_COOLDOWN_SECONDS",
        "30",
        "After a failed fetch at least this long; and between two look-ups of unknown keys, of which three may come at once",
    )
    .within(1, 3600),
    setting("JWKS_STALE_SECONDS", "3600", "While the key set can't be fetched, the last good one serves this long")
        .within(10, 7 * DAY),
    setting("JWT_LEEWAY_SECONDS", "30", "How far clocks may differ").within(1, 600),
    // API Gateway waits 29 seconds for an answer.
    setting("DATABASE_CONNECT_SECONDS", "5", "To reach the database and sign in").within(1, 25),
    setting("DATABASE_REQUEST_SECONDS", "8", "For all of a request's work in the database, a new connection included")
        .within(1, 25),
];

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, meaning, range: None }
}

impl Setting {
    /// The same, a number from `least` to `most`.
    const fn within(mut self, least: u64, most: u64) -> Self {
        self.range = Some((least, most));
        self
    }
}

/// Which database, and how long to wait for it.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// The connection string.
    pub url: Secret,
    /// Connections that one environment keeps: as many as the requests that it serves at a time.
    pub pool_size: usize,
    /// To reach the database and sign in.
    pub connect_timeout: Duration,
    /// For all of a request's work in the database.
    pub request_timeout: Duration,
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig").field("pool_size", &self.pool_size).finish_non_exhaustive()
    }
}

/// All settings of a function.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who signs tokens.
    pub auth: AuthConfig,
    /// Which database.
    pub database: DatabaseConfig,
    /// Who may call from a browser.
    pub http: HttpConfig,
    /// The agent; none where Colloquy keeps histories only.
    pub agent: Option<AgentConfig>,
    /// How answers are relayed.
    pub chat: ChatConfig,
    /// How much is logged.
    pub log_level: tracing::Level,
    /// Whose metrics are logged; none without.
    pub metrics_stack: Option<String>,
}

/// Everything that is wrong with the settings. Names settings, never their values.
#[derive(Debug, PartialEq, Eq)]
pub struct BadConfig(pub Vec<String>);

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings have {} faults: {}", self.0.len(), self.0.join("; "))
    }
}

impl std::error::Error for BadConfig {}

/// Reads one environment variable.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the place that the lint sends everyone to")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Config {
    /// The settings of this process.
    pub fn from_env() -> Result<Self, BadConfig> {
        Self::read(&environment)
    }

    /// Settings from anywhere.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadConfig> {
        let mut reader = Reader { lookup, faults: Vec::new() };
        let config = Self {
            auth: AuthConfig::read(&mut reader),
            database: DatabaseConfig::read(&mut reader),
            http: HttpConfig::read(&mut reader),
            agent: AgentConfig::read(&mut reader),
            chat: ChatConfig::read(&mut reader),
            log_level: reader.log_level(),
            metrics_stack: reader.metrics_stack(),
        };
        reader.or_faults(config)
    }
}

impl DatabaseConfig {
    /// The database's settings of this process, however bad the others are.
    pub fn from_env() -> Result<Self, BadConfig> {
        let mut reader = Reader { lookup: &environment, faults: Vec::new() };
        let config = Self::read(&mut reader);
        reader.or_faults(config)
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            url: reader.required_secret("DATABASE_URL", "DATABASE_SECRET_ARN"),
            // Lambda sets this on Managed Instances, where one environment serves several requests at a time.
            pool_size: reader
                .get("AWS_LAMBDA_MAX_CONCURRENCY")
                .and_then(|n| n.parse().ok())
                .filter(|n| *n > 0)
                .unwrap_or(1),
            connect_timeout: reader.seconds("DATABASE_CONNECT_SECONDS"),
            request_timeout: reader.seconds("DATABASE_REQUEST_SECONDS"),
        }
    }
}

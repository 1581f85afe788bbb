//! The settings: read once, when a function starts, and the only place that reads the environment.
//!
//! All that is missing or malformed is reported at once.

mod agent;
mod chat;
mod migrate;
mod secret;

use std::fmt;
use std::time::Duration;

pub use agent::{AgentConfig, AgentProtocol, SendUser};
pub use chat::ChatConfig;
pub use migrate::MigrateConfig;
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
}

/// Every setting, in the order of the README's table.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(agent::SETTINGS).chain(chat::SETTINGS)
}

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
    setting("CORS_ORIGINS", "none", "Origins whose pages may call, separated by commas; `*` allows every origin"),
    setting("BASE_PATH", "none", "The base path of a custom domain's mapping: `/chat-api`"),
    setting("LOG_LEVEL", "info", "`error`, `warn`, `info`, `debug` or `trace`"),
    setting(
        "METRICS_STACK",
        "none",
        "Metrics are logged in CloudWatch's embedded metric format, as those of the stack of this name",
    ),
    setting("JWKS_TTL_SECONDS", "600", "After this a key set is fetched again"),
    setting(
        "JWKS_COOLDOWN_SECONDS",
        "30",
        "After a failed fetch at least this long; and between two look-ups of unknown keys, of which three may come at once",
    ),
    setting("JWKS_STALE_SECONDS", "3600", "While the key set can't be fetched, the last good one serves this long"),
    setting("JWT_LEEWAY_SECONDS", "30", "How far clocks may differ"),
    setting("DATABASE_CONNECT_SECONDS", "5", "To reach the database and sign in"),
    setting("DATABASE_REQUEST_SECONDS", "8", "For all of a request's work in the database, a new connection included"),
];

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, meaning }
}

/// Who signs tokens, and how they are checked.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Where the key set is.
    pub jwks_url: String,
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The `aud` that a token must have.
    pub audience: String,
    /// What user ids are made from.
    pub issuer_id: String,
    /// When a key set is fetched again.
    pub jwks_ttl: Duration,
    /// Between two fetches at least.
    pub jwks_cooldown: Duration,
    /// How long an old key set serves while no new one can be had, counted from its fetch.
    pub jwks_stale: Duration,
    /// How far clocks may differ.
    pub leeway: Duration,
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

/// Who may call from a browser, and under which path.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// Origins whose pages may call.
    pub cors_origins: CorsOrigins,
    /// The base path of a custom domain's mapping, without a trailing slash; empty where there is none.
    pub base_path: String,
}

/// Whose pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Nobody's.
    #[default]
    None,
    /// Everybody's.
    Any,
    /// Those of these origins.
    These(Vec<String>),
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

/// Reads settings by name and collects what is wrong with them.
struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl Reader<'_> {
    /// A setting; an empty one counts as not set, since templates can't leave one out.
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn required(&mut self, name: &str) -> String {
        self.get(name).unwrap_or_else(|| {
            self.faults.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A setting's text, or that of its default.
    fn or_default(&self, name: &str) -> String {
        let default =
            || settings().find(|setting| setting.name == name).map_or("", |setting| setting.default).to_owned();
        self.get(name).unwrap_or_else(default)
    }

    /// A whole number within bounds.
    fn number(&mut self, name: &'static str, least: u64, most: u64) -> u64 {
        let text = self.or_default(name);
        text.parse().ok().filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
            self.faults.push(format!("{name} must be a whole number from {least} to {most}"));
            least
        })
    }

    /// A whole number within bounds, or nothing.
    fn optional_number(&mut self, name: &'static str, least: u64, most: u64) -> Option<u64> {
        self.get(name)?;
        Some(self.number(name, least, most))
    }

    /// The place of a setting's word among those that it may be; the first is the default.
    fn word<const N: usize>(&mut self, name: &'static str, words: [&str; N]) -> usize {
        let text = self.or_default(name);
        words.iter().position(|word| *word == text).unwrap_or_else(|| {
            self.faults.push(format!("{name} must be one of: {}", words.join(", ")));
            0
        })
    }

    fn seconds(&mut self, name: &'static str) -> Duration {
        match self.or_default(name).parse::<u32>() {
            Ok(seconds) if seconds <= 31 * 86_400 => Duration::from_secs(seconds.into()),
            _ => {
                self.faults.push(format!("{name} must be a whole number of seconds, at most 31 days"));
                Duration::ZERO
            }
        }
    }

    fn log_level(&mut self) -> tracing::Level {
        self.get("LOG_LEVEL").as_deref().unwrap_or("info").parse().unwrap_or_else(|_| {
            self.faults.push("LOG_LEVEL must be error, warn, info, debug or trace".to_owned());
            tracing::Level::INFO
        })
    }

    /// A value that CloudWatch takes as a dimension.
    fn metrics_stack(&mut self) -> Option<String> {
        let stack = self.get("METRICS_STACK")?;
        if stack.len() > 255 || !stack.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            self.faults.push("METRICS_STACK must be a name of at most 255 printable ASCII characters".to_owned());
        }
        Some(stack)
    }

    fn or_faults<T>(self, config: T) -> Result<T, BadConfig> {
        if self.faults.is_empty() { Ok(config) } else { Err(BadConfig(self.faults)) }
    }

    /// Whether a host is this machine: for a function in `sam local`, the one around its container, too.
    fn is_here(&self, host: &str) -> bool {
        let in_sam_local = || self.get("AWS_SAM_LOCAL").is_some_and(|value| value == "true");
        is_loopback(host) || (host == AROUND_THE_CONTAINER && in_sam_local())
    }

    /// A URL: https, or http to this machine.
    fn url(&mut self, name: &str, text: String) -> String {
        if text.is_empty() {
            return text;
        }
        let problem = match reqwest::Url::parse(&text) {
            Err(_) => Some("is not a URL"),
            Ok(url) if url.scheme() == "https" => None,
            Ok(url) if url.scheme() == "http" && url.host_str().is_some_and(|host| self.is_here(host)) => None,
            Ok(_) => Some("must be https (http only to this machine)"),
        };
        if let Some(problem) = problem {
            self.faults.push(format!("{name} {problem}"));
        }
        text
    }
}

/// What a container of `sam local` calls the machine that it runs on.
const AROUND_THE_CONTAINER: &str = "host.docker.internal";

/// Whether a host name or address is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

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

impl AuthConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let auth_url = reader.required("AUTH_URL");
        let auth_url = reader.url("AUTH_URL", auth_url);
        let origin =
            reqwest::Url::parse(&auth_url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization());
        let jwks_url = reader.get("JWKS_URL").unwrap_or_else(|| format!("{}/jwks", auth_url.trim_end_matches('/')));
        let issuer = reader.get("JWT_ISSUER").unwrap_or_else(|| origin.clone());
        Self {
            jwks_url: if auth_url.is_empty() { jwks_url } else { reader.url("JWKS_URL", jwks_url) },
            audience: reader.get("JWT_AUDIENCE").unwrap_or(origin),
            issuer_id: reader.get("ISSUER_ID").unwrap_or_else(|| issuer.clone()),
            issuer,
            jwks_ttl: reader.seconds("JWKS_TTL_SECONDS"),
            jwks_cooldown: reader.seconds("JWKS_COOLDOWN_SECONDS"),
            jwks_stale: reader.seconds("JWKS_STALE_SECONDS"),
            leeway: reader.seconds("JWT_LEEWAY_SECONDS"),
        }
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

impl HttpConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let cors_origins = match reader.get("CORS_ORIGINS").as_deref() {
            None => CorsOrigins::None,
            Some("*") => CorsOrigins::Any,
            Some(list) => CorsOrigins::These(list.split(',').map(|origin| origin.trim().to_owned()).collect()),
        };
        if let CorsOrigins::These(origins) = &cors_origins {
            for origin in origins {
                // A browser sends an origin without a path, so one with a path would silently never match.
                let same = reqwest::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
                if !same {
                    reader
                        .faults
                        .push("CORS_ORIGINS must hold origins such as https://app.example.com, or be *".to_owned());
                }
            }
        }
        let base_path = reader.get("BASE_PATH").unwrap_or_default();
        let base_path = base_path.trim_end_matches('/').to_owned();
        if !base_path.is_empty() && !base_path.starts_with('/') {
            reader.faults.push("BASE_PATH must begin with a slash".to_owned());
        }
        Self { cors_origins, base_path }
    }
}

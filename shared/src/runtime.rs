//! From a binary's `main` to the Lambda Runtime API: settings, logs, keys, database, then one event after the other.

mod answer;
mod door;
mod event;
mod init_error;
mod migrate;
#[cfg(target_os = "linux")]
mod nodelay;
mod sweep;

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use futures_util::future::{OptionFuture, join};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::auth::Verifier;
use crate::clock::Clock;
use crate::config::{BadConfig, Config, DatabaseConfig};
use crate::db::Db;
use crate::http::{App, Endpoint, bounded};
use crate::metrics;
use crate::relay::Relay;

use self::door::Door;
pub use answer::{Answer, Version, bad_event};
pub use event::Event;
pub use migrate::serve_migrate;
pub use sweep::serve_sweep;

/// What a failed start logs and returns.
type StartError = Box<dyn std::error::Error + Send + Sync>;

/// How long a start waits for keys and database. Lambda ends an initialisation after 10 s; what isn't there by then is
/// fetched by the first request.
const START_TIMEOUT: Duration = Duration::from_secs(6);

/// A function that answers HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its binary's name.
    pub name: &'static str,
    /// Whether the issuer's keys are fetched before its first event is asked for.
    pub needs_keys: bool,
    /// Whether the database is reached before its first event is asked for.
    pub needs_database: bool,
    /// Whether its answers are streamed.
    pub streams: bool,
}

impl From<Endpoint> for Function {
    fn from(Endpoint { name, needs_keys, needs_database, streams, .. }: Endpoint) -> Self {
        Self { name, needs_keys, needs_database, streams }
    }
}

/// Serves `router` as a Lambda function until the environment ends.
#[must_use]
pub fn serve(function: impl Into<Function>, router: Router<App>) -> ExitCode {
    let function = function.into();
    block_on(function.name, start(function, router))
}

/// Runs a function until its environment ends.
fn block_on(name: &'static str, function: impl Future<Output = Result<(), StartError>>) -> ExitCode {
    // One request at a time needs one thread: a second costs more CPU per request than it saves.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let failed = |error: &StartError| {
        tracing::error!(function = name, cause = %error, "can't start");
        ExitCode::FAILURE
    };
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(function) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = failed(&error);
            runtime.block_on(init_error::tell(&error));
            code
        }
    }
}

/// Starts the log; first of all, so that even wrong settings are told there.
fn log_from_here(level: tracing::Level) {
    log_to_stdout(level);
    log_panics();
}

/// Reads the settings, and starts the log as they say. What is wrong with the database's URL, of which `config` knows
/// nothing, is told with all the rest.
fn settings() -> Result<(Config, Db), BadConfig> {
    let config = Config::from_env();
    log_from_here(config.as_ref().map_or(tracing::Level::INFO, |config| config.log_level));
    let mut bad = match config {
        Ok(mut config) => {
            metrics::record_for(config.metrics_stack.take());
            let db = Db::new(&config.database)?;
            return Ok((config, db));
        }
        Err(bad) => bad,
    };
    if let Ok(database) = DatabaseConfig::from_env()
        && let Err(BadConfig(faults)) = Db::new(&database)
    {
        bad.0.extend(faults);
    }
    Err(bad)
}

async fn start(function: Function, router: Router<App>) -> Result<(), StartError> {
    let (config, db) = settings()?;
    let clock = Clock::system();
    let verifier = Verifier::new(&config.auth, clock.clone())?;
    let relay = Relay::new(db.clone(), config.agent.as_ref(), config.chat)?;
    let keys = OptionFuture::from(function.needs_keys.then(|| verifier.warm()));
    let database = OptionFuture::from(function.needs_database.then(|| join(db.warm(), relay.warm())));
    if tokio::time::timeout(START_TIMEOUT, join(keys, database)).await.is_err() {
        tracing::warn!("keys or database weren't reached while starting");
    }
    let base_path = config.http.base_path.clone();
    let app = App { db, relay, verifier, config: config.http, clock };
    // One event at a time, unless Lambda says that this environment gets several (`AWS_LAMBDA_MAX_CONCURRENCY`).
    let streams = function.streams && !in_sam_local();
    // As a task: the future that tokio is given to block on is woken through the kernel, once for each wait.
    let runtime_api = crate::config::environment("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
    tokio::spawn(lambda_runtime::run_concurrent(Door { router: bounded(router, app), base_path, runtime_api, streams }))
        .await?
}

/// Whether this is `sam local`, whose gateway answers 502 to a streamed response.
fn in_sam_local() -> bool {
    crate::config::environment("AWS_SAM_LOCAL").is_some_and(|value| value == "true")
}

/// JSON lines on stdout, which Lambda takes to CloudWatch. Other crates are held to warnings: at `debug` some of them log
/// headers and events, and those hold tokens.
fn log_to_stdout(level: tracing::Level) {
    let ours = Targets::new()
        .with_default(tracing::level_filters::LevelFilter::WARN)
        .with_targets([("shared", level), ("functions", level)]);
    let format = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false).with_ansi(false);
    // Fails only where a subscriber is set already, which then serves as well.
    let _ = tracing_subscriber::registry().with(format).with(ours).try_init();
}

/// Logs where a panic happened, never its words, which may quote what a user wrote.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panicked");
    }));
}

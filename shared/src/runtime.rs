//! From a binary's `main` to the Lambda Runtime API: settings, logs, keys, database, then one event after the other.

mod event;
mod migrate;

use std::convert::Infallible;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use lambda_http::Adapter;
use lambda_http::request::LambdaRequest;
use lambda_runtime::{LambdaEvent, Service};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::auth::Verifier;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::http::{App, bounded};

pub use event::{Answer, Event};
pub use migrate::serve_migrate;

/// What a failed start logs and returns.
type StartError = Box<dyn std::error::Error + Send + Sync>;

/// How long a start waits for keys and database. Lambda ends an initialisation after 10 s; what isn't there by then is
/// fetched by the first request.
const START_TIMEOUT: Duration = Duration::from_secs(6);

/// Serves `router` as the Lambda function `name` until the environment ends. With `needs_backends`, keys and database
/// are reached before the first event is asked for.
#[must_use]
pub fn serve(name: &'static str, router: Router<App>, needs_backends: bool) -> ExitCode {
    block_on(name, start(router, needs_backends))
}

/// Runs a function until its environment ends.
fn block_on(name: &'static str, function: impl Future<Output = Result<(), StartError>>) -> ExitCode {
    // One request at a time needs one thread: a second costs more CPU per request than it saves.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(StartError::from).and_then(|runtime| runtime.block_on(function)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function = name, cause = %error, "can't start");
            ExitCode::FAILURE
        }
    }
}

/// Starts the log; first of all, so that even wrong settings are told there.
fn log_from_here(level: tracing::Level) {
    log_to_stdout(level);
    log_panics();
}

async fn start(router: Router<App>, needs_backends: bool) -> Result<(), StartError> {
    let config = Config::from_env();
    log_from_here(config.as_ref().map_or(tracing::Level::INFO, |config| config.log_level));
    let config = config?;
    let clock = Clock::system();
    let verifier = Verifier::new(&config.auth, clock.clone())?;
    let db = Db::new(&config.database)?;
    if needs_backends {
        let both = futures_util::future::join(verifier.warm(), db.warm());
        if tokio::time::timeout(START_TIMEOUT, both).await.is_err() {
            tracing::warn!("keys or database weren't reached while starting");
        }
    }
    let base_path = config.http.base_path.clone();
    let app = App { db, verifier, config: config.http, clock };
    // One event at a time, unless Lambda says that this environment gets several (`AWS_LAMBDA_MAX_CONCURRENCY`).
    lambda_runtime::run_concurrent(Door { adapter: Adapter::from(Buffered(bounded(router, app))), base_path }).await
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

/// The router, its answers' bodies in one piece: that is what a buffered function returns, and unlike a body that may
/// still stream it may be shared between threads, which serving several events at a time asks of an answer.
#[derive(Clone)]
struct Buffered(Router);

impl Service<lambda_http::Request> for Buffered {
    type Response = http::Response<lambda_http::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<lambda_http::Request>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: lambda_http::Request) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let (parts, body) = answer.await?.into_parts();
            // Bodies of this API are made in memory, so that reading one can't fail; and they are JSON, hence UTF-8.
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            let body = match String::from_utf8(bytes.into()) {
                Ok(text) if text.is_empty() => lambda_http::Body::Empty,
                Ok(text) => lambda_http::Body::Text(text),
                Err(error) => lambda_http::Body::Binary(error.into_bytes()),
            };
            Ok(http::Response::from_parts(parts, body))
        })
    }
}

type HttpAdapter = Adapter<'static, http::Response<lambda_http::Body>, Buffered>;
/// What `lambda_http` answers with; the type has no public name.
type HttpAnswer = <HttpAdapter as Service<LambdaEvent<LambdaRequest>>>::Response;

/// Lets events in: what can't be turned into a request is answered with a 400, and ends nothing.
#[derive(Clone)]
struct Door {
    adapter: HttpAdapter,
    base_path: String,
}

impl Service<LambdaEvent<Event>> for Door {
    type Response = Answer<HttpAnswer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.adapter.poll_ready(cx)
    }

    fn call(&mut self, LambdaEvent { payload, context }: LambdaEvent<Event>) -> Self::Future {
        let request_id = context.request_id.clone();
        let bad = move |cause: &str| {
            tracing::info!(requestId = request_id, status = 400, cause, "refused");
            std::future::ready(Ok(Answer::bad_event(&request_id))).boxed()
        };
        let request = match payload.into_request(&self.base_path) {
            Ok(request) => request,
            Err(cause) => return bad(cause),
        };
        // `lambda_http` panics on what its own types let through. Everything known is mended before, this is the belt.
        let call = std::panic::AssertUnwindSafe(|| self.adapter.call(LambdaEvent::new(request, context)));
        match std::panic::catch_unwind(call) {
            Ok(response) => Box::pin(async move { response.await.map(Answer::Http) }),
            Err(_) => bad("the event couldn't be converted"),
        }
    }
}

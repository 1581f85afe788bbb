//! The boundary around every endpoint: here a request gets its id, an error its document and its line in the log, and
//! every answer its headers.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, header};
use lambda_http::RequestExt;
use tracing::Instrument;

use crate::error::{Code, Error};
use crate::http::problem::{self, Failure};
use crate::http::{App, cors};
use crate::metrics;

/// The header that carries a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every answer. The API has no pages: whatever a browser is led to do with an answer, it does nothing.
pub const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains")),
];

/// Puts the boundary around `router`.
pub fn bounded(router: Router<App>, app: App) -> Router {
    router.layer(from_fn_with_state(app.clone(), boundary)).with_state(app)
}

async fn boundary(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let span = tracing::info_span!("request", requestId = %id);
    async {
        let began = app.clock.now();
        let method = request.method().clone();
        // The template, never the path itself: a client's id may be anything.
        let route = request.extensions().get::<MatchedPath>().map_or("-", |path| path.as_str()).to_owned();
        let request_headers = request.headers().clone();

        // A handler that panics fails its request, not the environment and the requests after it. `Accept` isn't read: where
        // it has none of the media types that there are, "the origin server can either honor the header field by sending a
        // 406 (Not Acceptable) response or disregard the header field by treating the response as if it is not subject to
        // content negotiation" (RFC 9110, section 12.5.1). There is one representation here, so that nothing is to negotiate.
        let work = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
        let result = app.verifier.beside(work).await;
        // The panic's own words may quote what a user wrote; the panic hook logs where it happened.
        let response = result.unwrap_or_else(|_| Error::internal("the handler panicked").into_response());

        let failure = response.extensions().get::<Failure>().cloned();
        let mut response = match &failure {
            Some(Failure(error)) => problem::write(response, error, &id),
            None => response,
        };
        let headers = response.headers_mut();
        for (name, value) in SECURITY_HEADERS {
            // A stream has directives of its own for the caches on its way.
            headers.entry(name).or_insert(value);
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, id);
        }
        cors::mark(&app.config.cors_origins, &request_headers, headers);
        let millis = u64::try_from(app.clock.since(began).as_millis()).unwrap_or(u64::MAX);
        log(&method, &route, response.status().as_u16(), millis, failure.as_ref().map(|Failure(error)| &**error));
        response
    }
    .instrument(span)
    .await
}

/// Writes a request's one line.
fn log(method: &http::Method, route: &str, status: u16, millis: u64, failure: Option<&Error>) {
    let Some(error) = failure else {
        tracing::info!(%method, route, status, millis, "answered");
        return;
    };
    if error.code == Code::QuotaExceeded {
        metrics::record(metrics::Event::QuotaRefused);
    }
    let (code, cause) = (error.code.as_str(), causes(error));
    if status >= 500 {
        tracing::error!(%method, route, status, millis, code, cause, "failed");
    } else {
        tracing::info!(%method, route, status, millis, code, cause, "refused");
    }
}

/// An error's causes, outermost first.
fn causes(error: &Error) -> String {
    let mut text = String::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The id of Lambda's invocation, which stands in its own log lines, too; a number where there is no Lambda.
fn request_id(request: &Request) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    match request.lambda_context_ref() {
        Some(context) => context.request_id.clone(),
        None => format!("local-{}", NUMBER.fetch_add(1, Ordering::Relaxed)),
    }
}

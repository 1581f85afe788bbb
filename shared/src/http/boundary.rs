//! The boundary around every endpoint: here a request gets its id, an error its document and its line in the log, and
//! every answer its headers.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, header};
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

        let response = if accepts_json(&request_headers) {
            // A handler that panics fails its request, not the environment and the requests after it.
            let work = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
            let result = app.verifier.beside(work).await;
            // The panic's own words may quote what a user wrote; the panic hook logs where it happened.
            result.unwrap_or_else(|_| Error::internal("the handler panicked").into_response())
        } else {
            let detail = "This API answers with application/json, and with text/event-stream where an answer streams.";
            Error::new(Code::NotAcceptable, detail).into_response()
        };

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

/// Whether the client would take `application/json` (RFC 9110, section 12.5.1). No header means that it would; the most
/// specific range that fits decides. Who asks for an event stream takes a problem document, too.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut best = None;
    for range in
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','))
    {
        let mut parts = range.split(';').map(str::trim);
        let specificity = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" | "text/event-stream" => 3,
            "application/*" => 2,
            "*/*" | "*" => 1,
            "" => continue,
            _ => 0,
        };
        let refused = parts.any(|part| {
            let value = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            value.and_then(|q| q.trim().parse::<f32>().ok()).is_some_and(|q| q <= 0.0)
        });
        let accepted = specificity > 0 && !refused;
        if best.is_none_or(|(known, _)| specificity >= known) {
            best = Some((specificity, accepted));
        }
    }
    best.is_none_or(|(_, accepted)| accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        let accepts = |value: &'static str| {
            accepts_json(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
        };
        for yes in [
            "application/json",
            "*/*",
            "text/html, application/*;q=0.1",
            "text/html, */*;q=0.8",
            "",
            "*/*;q=0, application/json",
            "text/event-stream",
        ] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["text/html", "application/json;q=0", "*/*, application/json; q=0", "text/*"] {
            assert!(!accepts(no), "{no}");
        }
        assert!(accepts_json(&HeaderMap::new()));
    }
}

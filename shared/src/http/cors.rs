//! Which pages may call: closed by default, opened by the setting `CORS_ORIGINS`.
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::config::CorsOrigins;

/// Headers of an answer that a page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id",
);
/// Headers that a page may send.
const ALLOWED: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key, If-Match");
/// How long a browser may remember a preflight, in seconds. Chromium remembers none longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The value of `Access-Control-Allow-Origin`, where the request's origin may call.
fn allowed_origin(origins: &CorsOrigins, request: &HeaderMap) -> Option<HeaderValue> {
    let origin = request.get(header::ORIGIN)?;
    match origins {
        CorsOrigins::None => None,
        // The API knows no cookies, so every origin can be meant without naming it.
        CorsOrigins::Any => Some(HeaderValue::from_static("*")),
        CorsOrigins::These(list) => {
            list.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
        }
    }
}

/// Marks an answer as readable by the page that asked. Goes on errors, too: a page must be able to read why.
pub(crate) fn mark(origins: &CorsOrigins, request: &HeaderMap, answer: &mut HeaderMap) {
    answer.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed_origin(origins, request) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Answers a preflight, or any other OPTIONS, for a path that has the methods `allow`.
///
/// An origin that may not call gets the same answer without the headers that would let it: the browser refuses.
#[must_use]
pub fn preflight(origins: &CorsOrigins, request: &HeaderMap, allow: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        if allowed_origin(origins, request).is_some() && request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        headers.insert(header::ALLOW, allow);
    }
    response
}

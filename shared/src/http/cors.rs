//! Which pages may call: closed by default, opened by the setting `CORS_ORIGINS`.
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::config::CorsOrigins;

/// Headers of an answer that a page may read. A REST API of API Gateway renames one of them on its way.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, \
     X-Amzn-Remapped-WWW-Authenticate, X-Request-Id",
);
/// Headers that a page sends to this API.
const OWN: &str = "Authorization, Content-Type, Idempotency-Key, If-Match";
/// The most bytes of further ones that a preflight may ask for.
const ASKED_BYTES: usize = 4096;
/// How long a browser may remember a preflight, in seconds. Chromium remembers none longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The value of `Access-Control-Allow-Origin`, where the request's origin may call.
fn allowed_origin(origins: &CorsOrigins, request: &HeaderMap) -> Option<HeaderValue> {
    let origin = request.get(header::ORIGIN)?;
    match origins {
        CorsOrigins::None => None,
        // The API knows no cookies, so every origin can be meant without naming it.
        CorsOrigins::Any => Some(HeaderValue::from_static("*")),
        CorsOrigins::These(list) => list.iter().any(|known| known.matches(origin.as_bytes())).then(|| origin.clone()),
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

/// The value of `Access-Control-Allow-Headers`: this API's own, and what is asked for.
///
/// It "indicates which headers are supported by the response's URL for the purposes of the CORS protocol"
/// (<https://fetch.spec.whatwg.org/#http-responses>), and a browser sends nothing of a request that has another. A page's
/// libraries add some of theirs to every request, those of tracing foremost (`traceparent`, `baggage`, `sentry-trace`). What
/// isn't read does no harm; the wildcard `*` doesn't stand for `Authorization`.
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let asked = request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let asked = asked.filter(|value| value.len() <= ASKED_BYTES).filter_map(|value| value.to_str().ok());
    let mut allowed = OWN.to_owned();
    for name in asked.flat_map(|names| names.split(',')).map(str::trim) {
        let is_own = OWN.split(", ").any(|own| own.eq_ignore_ascii_case(name));
        if !is_own && HeaderName::try_from(name).is_ok() && allowed.len() + name.len() <= ASKED_BYTES {
            allowed.push_str(", ");
            allowed.push_str(name);
        }
    }
    // Names of headers are a header's value.
    HeaderValue::try_from(allowed).unwrap_or(HeaderValue::from_static(OWN))
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
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        headers.insert(header::ALLOW, allow);
    }
    response
}

//! Answers that stream: their headers, and how long they may take.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use lambda_http::RequestExt;

use crate::auth;
use crate::http::App;
use crate::model::{Quota, QuotaState};
use crate::relay::{Deadline, last_words};
use crate::ui_stream;

/// A UI message stream. One that panics says so: what just ended there would pass for an answer that was all said.
#[derive(Debug)]
pub struct EventStream(pub Body);

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let stream = AssertUnwindSafe(self.0.into_data_stream()).catch_unwind();
        let stream = stream.map(|piece| piece.unwrap_or_else(|_| Ok(last_words("The server failed."))));
        let mut response = Response::new(Body::from_stream(stream));
        response.headers_mut().extend(ui_stream::HEADERS);
        response
    }
}

impl FromRequestParts<App> for Deadline {
    type Rejection = Infallible;

    /// What Lambda says of this invocation.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let left = parts.extensions.lambda_context_ref().map(|context| {
            let now = u64::try_from(app.clock.now().as_millisecond()).unwrap_or_default();
            Duration::from_millis(context.deadline.saturating_sub(now))
        });
        Ok(Self::after(left))
    }
}

/// The caller's token as it came, for an agent that is to get it.
pub struct BearerToken(pub Option<String>);

impl FromRequestParts<App> for BearerToken {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self(auth::bearer_token(&parts.headers).map(str::to_owned)))
    }
}

/// Prints no token.
impl std::fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BearerToken")
    }
}

/// The headers `RateLimit` and `RateLimit-Policy`, where there is a quota.
#[must_use]
pub fn rate_limit(quota: &Quota, state: Option<&QuotaState>) -> impl IntoResponseParts + use<> {
    RateLimit(state.map(|state| quota.headers(state)).unwrap_or_default())
}

struct RateLimit(Vec<(&'static str, String)>);

impl IntoResponseParts for RateLimit {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        for (name, value) in self.0 {
            if let Ok(value) = HeaderValue::from_str(&value) {
                parts.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        Ok(parts)
    }
}

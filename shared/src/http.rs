//! HTTP: from requests to types, from results to answers, and the boundary around both.

mod boundary;
mod cors;
mod endpoint;
mod extract;
mod json;
mod problem;
mod query;
mod stream;

use axum::extract::FromRef;
use axum::response::{IntoResponseParts, ResponseParts};
use http::{HeaderName, HeaderValue};

pub use boundary::{SECURITY_HEADERS, bounded};
pub use cors::preflight;
pub use endpoint::{Endpoint, Method};
pub use extract::{FromBody, FromHeaders, IdempotencyKey, Input, PageQuery, Path};
pub use problem::{PROBLEM_JSON, Problem};
pub use query::{FromQuery, Query};
pub use stream::{BearerToken, EventStream, rate_limit};

use crate::auth::Verifier;
use crate::clock::Clock;
use crate::config::HttpConfig;
use crate::db::Db;
use crate::relay::Relay;

/// The header `Idempotency-Replayed: true`, where an earlier request had done what this one asks.
#[must_use]
pub fn replayed(replayed: bool) -> impl IntoResponseParts {
    Replayed(replayed)
}

struct Replayed(bool);

impl IntoResponseParts for Replayed {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if self.0 {
            const NAME: HeaderName = HeaderName::from_static("idempotency-replayed");
            parts.headers_mut().insert(NAME, HeaderValue::from_static("true"));
        }
        Ok(parts)
    }
}

/// What every endpoint shares. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// The database.
    pub db: Db,
    /// Who relays answers.
    pub relay: Relay,
    /// Who decides who is asking.
    pub verifier: Verifier,
    /// Who may call from a browser.
    pub config: HttpConfig,
    /// The time.
    pub clock: Clock,
}

impl FromRef<App> for Db {
    fn from_ref(app: &App) -> Self {
        app.db.clone()
    }
}

impl FromRef<App> for Relay {
    fn from_ref(app: &App) -> Self {
        app.relay.clone()
    }
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

impl FromRef<App> for HttpConfig {
    fn from_ref(app: &App) -> Self {
        app.config.clone()
    }
}

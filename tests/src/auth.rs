//! `shared::auth` from outside: when keys are fetched, and whether a real issuer's tokens are admitted. What makes a
//! token good is tested beside the code.

mod better_auth;
mod fetching;
pub(crate) mod key;
pub(crate) mod key_server;
mod misbehaving;
mod refreshing;
mod unknown_keys;

use std::future::Future;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use shared::auth::{Refusal, Verifier};
use shared::clock::Clock;
use shared::config::AuthConfig;
use shared::error::{Code, Error};

use crate::support::eventually;
use key::Key;
use key_server::{Answer, KeyServer};

/// Who signs, and for whom.
pub(crate) const ISSUER: &str = "https://app.example.com";
const TTL: Duration = Duration::from_mins(10);
const COOLDOWN: Duration = Duration::from_secs(30);
const STALE: Duration = Duration::from_hours(1);

/// An issuer's key server, and a verifier that has fetched nothing yet.
struct Scene {
    server: KeyServer,
    verifier: Verifier,
    clock: Clock,
}

impl Scene {
    /// A server that publishes these keys.
    async fn publishing(keys: &[&Key]) -> Self {
        Self::answering(Answer::keys(keys)).await
    }

    /// A server that answers in this way.
    async fn answering(answer: Answer) -> Self {
        let server = KeyServer::start(answer).await;
        let clock = Clock::system();
        let verifier = Verifier::new(&config(server.url()), clock.clone()).unwrap();
        Self { server, verifier, clock }
    }

    /// What becomes of a request with a token of this key.
    async fn admit(&self, key: &Key) -> Outcome {
        outcome(&self.verifier, &key.token(&self.clock)).await
    }
}

fn config(jwks_url: String) -> AuthConfig {
    AuthConfig {
        jwks_url,
        issuer: ISSUER.to_owned(),
        audience: ISSUER.to_owned(),
        issuer_id: ISSUER.to_owned(),
        jwks_ttl: TTL,
        jwks_cooldown: COOLDOWN,
        jwks_stale: STALE,
        leeway: Duration::from_secs(30),
    }
}

/// What becomes of a request, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Admitted,
    Refused(Refusal),
    /// 503, and the seconds of `Retry-After`.
    Unavailable(u64),
}

impl Outcome {
    const UNKNOWN_KEY: Self = Self::Refused(Refusal::UnknownKey);
}

async fn outcome(verifier: &Verifier, token: &str) -> Outcome {
    verifier.caller(&bearer(token)).await.map_or_else(|error| of(&error), |_| Outcome::Admitted)
}

/// The headers of a request with this token.
fn bearer(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
}

fn of(error: &Error) -> Outcome {
    match error.code {
        Code::Unauthenticated | Code::Banned => {
            Outcome::Refused(*error.cause.as_ref().and_then(|cause| cause.downcast_ref()).unwrap())
        }
        Code::Unavailable => {
            let retry_after = error.headers.iter().find(|(name, _)| *name == "retry-after");
            Outcome::Unavailable(retry_after.expect("a 503 says when to retry").1.parse().unwrap())
        }
        _ => panic!("{error:?}"),
    }
}

/// Waits for a condition.
async fn until(what: &str, condition: impl Fn() -> bool) {
    eventually(what, async || condition().then_some(())).await;
}

/// Waits for something that must not hang.
async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("{what}: too long"))
}

//! Who is asking: from an `Authorization` header to a [`Caller`].
//!
//! [`Verifier`] joins the two halves. The cache of the issuer's keys (`jwks`) knows when to fetch and what to do when it
//! can't; the check of a token (`token`, `verify`) is a pure function of token, key, rules and time. A token is never
//! asked how it wants to be checked: the key says which algorithm, the settings say who and for whom.

mod authorization;
mod caller;
mod json;
mod jwks;
mod key;
mod refusal;
#[cfg(test)]
mod tests;
mod token;
mod verify;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::HeaderMap;

pub use authorization::bearer_token;
pub use caller::{Caller, Claims};
pub use jwks::{PublishedKey, published_keys};
pub use refusal::Refusal;

use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::error::Error;
use jwks::{Jwks, NoKey};
use token::Token;
use verify::Rules;

/// Turns a request's headers into its [`Caller`]. Clones share one cache of keys.
#[derive(Clone)]
pub struct Verifier {
    jwks: Jwks,
    rules: Arc<Rules>,
    issuer_id: Arc<str>,
    clock: Clock,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("issuer_id", &self.issuer_id).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier without keys yet; does no I/O.
    pub fn new(config: &AuthConfig, clock: Clock) -> Result<Self, Error> {
        Ok(Self {
            jwks: Jwks::new(config, clock.clone())?,
            rules: Arc::new(Rules {
                issuer: config.issuer.clone(),
                audience: config.audience.clone(),
                leeway: config.leeway,
            }),
            issuer_id: config.issuer_id.as_str().into(),
            clock,
        })
    }

    /// Fetches the keys while the function initialises. A failure is logged, and the first request tries again.
    pub async fn warm(&self) {
        self.jwks.warm().await;
    }

    /// Who sent a request with these headers.
    ///
    /// The error is the answer: 401 for a refused token, 403 for a banned user, 503 where no key can be had. Its cause
    /// is the [`Refusal`], or why the keys couldn't be fetched.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Error> {
        let token = Token::read(authorization::bearer(headers)?)?;
        let key = self.jwks.key(&token.kid).await.map_err(|no_key| match no_key {
            NoKey::Unknown => Refusal::UnknownKey.into(),
            NoKey::Unavailable(error) => error,
        })?;
        let (subject, claims) = verify::verify(&token, &key, &self.rules, self.clock.now())?;
        Ok(Caller::new(Arc::clone(&self.issuer_id), subject, claims))
    }

    /// Does `work`, and beside it a refresh of the keys if one is due: nothing may run once the reply is out, because
    /// Lambda freezes the process then. The refresh gets 250 ms more than the work, and ever more the older the keys are; if
    /// it needs longer it is cancelled and counts as a failed fetch.
    pub async fn beside<F: Future>(&self, work: F) -> F::Output {
        let Some((refresh, grace)) = self.jwks.refresh_if_due() else { return work.await };
        match select(std::pin::pin!(work), refresh).await {
            Either::Left((output, refresh)) => {
                // Out of time, the last handle is dropped here, and with it the fetch.
                let _ = tokio::time::timeout(grace, refresh).await;
                output
            }
            Either::Right(((), work)) => work.await,
        }
    }

    /// Whether tokens can be verified now. Fetches if there are no keys, under the same cooldown as any request.
    pub async fn health(&self) -> Result<(), Error> {
        self.jwks.usable().await
    }
}

//! The issuer's keys: fetched seldom, and never in the way.
//!
//! | event | what happens |
//! |---|---|
//! | cold | fetched during initialisation; if that failed, again at the first request, then 503 |
//! | known `kid`, set usable | no fetch; the lock is held for a map look-up |
//! | unknown `kid` | one fetch for everyone who waits: three at once, then one a cooldown (a token bucket), since a flood of invented kids must not reach the issuer; 401 if still unknown, and for those beyond |
//! | set older than its time to live | a fetch beside the request; the old keys serve, and the older the set, the longer the fetch is waited for |
//! | set older than twice that | the fetch goes before the request: a withdrawn key is dead by then, however slow the endpoint |
//! | no fetch succeeds | the old keys serve until the stale limit, then 503: a 401 would sign users out |
//! | anything but a good answer | a failed fetch: none for a cooldown; the last good set stays, `Retry-After` is honoured |
//!
//! A set replaces the one before: a key that is withdrawn is gone. Cache headers are not read: Better Auth sends none.

mod fetch;
mod published;
mod schedule;
mod set;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

use super::key::VerifyingKey;
use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::error::Error;
use crate::metrics;
use fetch::{Failure, Fetcher, Reason};
pub use published::{PublishedKey, published_keys};
use schedule::{Held, Limits, Schedule};
use set::KeySet;

/// A fetch that is under way, driven by whoever waits for it. It needs no task of its own: when a waiter goes away the
/// others drive it on, and when the last one goes away it is dropped and counts as failed.
pub(super) type Fetching = Shared<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// The cache of one issuer's keys. Clones share it.
#[derive(Clone)]
pub(super) struct Jwks(Arc<Inner>);

struct Inner {
    fetcher: Fetcher,
    clock: Clock,
    limits: Limits,
    /// The last good set.
    held: RwLock<Option<Held<Arc<KeySet>>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    running: Option<WeakShared<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// Why the last fetch failed.
    failure: Option<Reason>,
}

/// What a fetch is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// There is no usable set, or it is old.
    Due,
    /// The set doesn't have a key.
    UnknownKey,
}

/// Why there is no key.
#[derive(Debug)]
pub(super) enum NoKey {
    /// The set doesn't have it.
    Unknown,
    /// There is no usable set.
    Unavailable(Error),
}

/// The cause in the log where there is no usable set.
#[derive(Debug)]
struct NoSet(Option<Reason>);

impl fmt::Display for NoSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no usable key set; the last fetch: ")?;
        match &self.0 {
            Some(reason) => reason.fmt(f),
            None => f.write_str("none failed"),
        }
    }
}

impl std::error::Error for NoSet {}

impl Jwks {
    pub(super) fn new(config: &AuthConfig, clock: Clock) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            fetcher: Fetcher::new(config)?,
            clock,
            limits: Limits { ttl: config.jwks_ttl, cooldown: config.jwks_cooldown, stale: config.jwks_stale },
            held: RwLock::default(),
            state: Mutex::default(),
        })))
    }

    /// A cache that holds this set and is cooling down, so that nothing is fetched; for tests of what tokens it admits.
    #[cfg(test)]
    pub(super) fn holding(document: &[u8], config: &AuthConfig, clock: Clock) -> Self {
        let jwks = Self::new(config, clock).unwrap();
        let now = jwks.0.clock.now();
        let held = KeySet::parse(document).ok().map(|set| Held { set: Arc::new(set), fetched: now });
        *jwks.0.held.write().unwrap() = held;
        jwks.0.state().schedule.failed(&jwks.0.limits, None, now);
        jwks
    }

    /// Fetches the first set. If it fails, the first request may try again at once.
    pub(super) async fn warm(&self) {
        if let Some(fetching) = self.fetch(Occasion::Due) {
            fetching.await;
            if self.0.usable_set().is_none() {
                self.0.state().schedule.waive();
            }
        }
    }

    /// The key of this `kid`.
    pub(super) async fn key(&self, kid: &str) -> Result<Arc<VerifyingKey>, NoKey> {
        let occasion = match self.0.usable_set() {
            Some(set) if !self.0.is_overdue() => match set.get(kid) {
                Some(key) => return Ok(Arc::clone(key)),
                None => Occasion::UnknownKey,
            },
            _ => Occasion::Due,
        };
        if let Some(fetching) = self.fetch(occasion) {
            fetching.await;
        }
        let set = self.0.usable_set().ok_or_else(|| NoKey::Unavailable(self.unavailable()))?;
        set.get(kid).cloned().ok_or(NoKey::Unknown)
    }

    /// Whether there is a usable set, after a fetch if need be.
    pub(super) async fn usable(&self) -> Result<(), Error> {
        if self.0.usable_set().is_none()
            && let Some(fetching) = self.fetch(Occasion::Due)
        {
            fetching.await;
        }
        self.0.usable_set().map(drop).ok_or_else(|| self.unavailable())
    }

    /// A fetch to run beside other work, where the set is older than its time to live, and how long to wait for it after
    /// that work.
    ///
    /// Without a set there is none: a request that needs no key shouldn't wait for one, and the others fetch it.
    pub(super) fn refresh_if_due(&self) -> Option<(Fetching, Duration)> {
        let grace = {
            let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
            let now = self.0.clock.now();
            let old = held.as_ref().filter(|held| held.is_old(&self.0.limits, now))?;
            old.grace(&self.0.limits, fetch::TOTAL_TIMEOUT, now)
        };
        Some((self.fetch(Occasion::Due)?, grace))
    }

    /// Joins the fetch that is under way, or begins one; `None` where none may begin now.
    fn fetch(&self, occasion: Occasion) -> Option<Fetching> {
        let (now, has_set) = (self.0.clock.now(), self.0.usable_set().is_some());
        let mut state = self.0.state();
        if let Some(running) = state.running.as_ref().and_then(WeakShared::upgrade)
            && running.peek().is_none()
        {
            return Some(running);
        }
        let limits = &self.0.limits;
        if !state.schedule.remaining(limits, has_set, now).is_zero()
            || (occasion == Occasion::UnknownKey && !state.schedule.admits_unknown(limits, now))
        {
            return None;
        }
        let attempt = Attempt { inner: Arc::clone(&self.0), ended: false };
        let fetching = attempt.run().boxed().shared();
        // Weak: only those who wait keep it alive.
        state.running = fetching.downgrade();
        Some(fetching)
    }

    fn unavailable(&self) -> Error {
        let state = self.0.state();
        let left = state.schedule.remaining(&self.0.limits, false, self.0.clock.now());
        let wait = left.as_secs_f64().ceil().max(1.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
        let wait = wait as u32;
        Error::unavailable("The sign-in service's keys can't be had at the moment.", wait)
            .because(NoSet(state.failure.clone()))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable_set(&self) -> Option<Arc<KeySet>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| held.is_usable(&self.limits, self.clock.now())).map(|held| Arc::clone(&held.set))
    }

    fn is_overdue(&self) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_some_and(|held| held.is_overdue(&self.limits, self.clock.now()))
    }
}

/// A fetch, from its beginning to its end, which is recorded even if nobody waits for it any more.
struct Attempt {
    inner: Arc<Inner>,
    ended: bool,
}

impl Attempt {
    async fn run(mut self) {
        let inner = Arc::clone(&self.inner);
        // Its age counts from before the answer was made.
        let begun = inner.clock.now();
        let result = inner.fetcher.fetch(|| inner.clock.now()).await;
        self.end(result.map(|set| Held { set: Arc::new(set), fetched: begun }));
    }

    fn end(&mut self, result: Result<Held<Arc<KeySet>>, Failure>) {
        self.ended = true;
        let inner = &self.inner;
        match result {
            Ok(held) => {
                metrics::record(metrics::Event::JwksFetched);
                tracing::debug!(skipped = held.set.skipped, "fetched the key set");
                *inner.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
                let mut state = inner.state();
                state.schedule.succeeded();
                state.failure = None;
            }
            Err(Failure { reason, retry_after }) => {
                metrics::record(metrics::Event::JwksFetchFailed);
                tracing::warn!(url = inner.fetcher.endpoint(), %reason, "the key set couldn't be fetched");
                let mut state = inner.state();
                state.schedule.failed(&inner.limits, retry_after, inner.clock.now());
                state.failure = Some(reason);
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Err(Reason::Cancelled.into()));
        }
    }
}

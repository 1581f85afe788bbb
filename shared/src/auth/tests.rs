//! What tokens are admitted and refused, through [`Verifier::caller`]. The keys are there already, so that a call that
//! had to wait for anything would fail its test; when keys are fetched is tested in the suite, against real servers.

mod algorithms;
mod claims;
mod form;
mod keys;
mod mutations;
mod refusals;
mod signer;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};

use super::jwks::Jwks;
use super::{Caller, Refusal, Verifier};
use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::error::{Code, Error};
use signer::Signer;

const ISSUER: &str = "https://app.example.com";
const LEEWAY: i64 = 30;

/// An issuer with its keys, and a verifier that has fetched them.
struct Desk {
    verifier: Verifier,
    now: i64,
}

impl Desk {
    /// A desk that has fetched these members.
    fn holding(members: &[Value]) -> Self {
        Self::holding_document(json!({ "keys": members }).to_string().as_bytes())
    }

    /// A desk that has fetched this document.
    fn holding_document(document: &[u8]) -> Self {
        let config = AuthConfig {
            // Discard: nobody answers there.
            jwks_url: "http://127.0.0.1:9/api/auth/jwks".to_owned(),
            issuer: ISSUER.to_owned(),
            audience: ISSUER.to_owned(),
            issuer_id: ISSUER.to_owned(),
            jwks_ttl: Duration::from_mins(10),
            jwks_cooldown: Duration::from_secs(30),
            jwks_stale: Duration::from_hours(1),
            leeway: Duration::from_secs(LEEWAY.unsigned_abs()),
        };
        let clock = Clock::system();
        let mut verifier = Verifier::new(&config, clock.clone()).unwrap();
        verifier.jwks = Jwks::holding(document, &config, clock.clone());
        Self { verifier, now: clock.unix_seconds() }
    }

    /// What happens to a request with these headers.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Error> {
        self.verifier.caller(headers).now_or_never().expect("a key that is there is had without waiting")
    }

    /// What happens to a request with this token.
    fn admit(&self, token: &str) -> Result<Caller, Refusal> {
        self.caller(&bearer(token)).map_err(|error| refusal(&error))
    }

    /// The payload of a good token.
    fn payload(&self) -> Value {
        json!({ "iat": self.now, "sub": "kB3dPz0Q", "exp": self.now + 900, "iss": ISSUER, "aud": ISSUER })
    }

    /// The payload of a good token but for these members; null takes one out.
    fn payload_but(&self, changes: &Value) -> Value {
        let mut payload = self.payload();
        for (name, value) in changes.as_object().unwrap() {
            payload[name] = value.clone();
        }
        payload.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        payload
    }
}

/// The issuer's usual key, and a desk that has it.
fn desk() -> (Desk, Signer) {
    let signer = Signer::new("EdDSA", "key-1");
    (Desk::holding(&[signer.jwk()]), signer)
}

/// The header of a request with this token.
fn bearer(token: impl AsRef<[u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = [b"Bearer ", token.as_ref()].concat();
    headers.insert(AUTHORIZATION, HeaderValue::from_bytes(&value).unwrap());
    headers
}

/// Why an error refuses.
fn refusal(error: &Error) -> Refusal {
    assert!(matches!(error.code, Code::Unauthenticated | Code::Banned), "{error:?}");
    *error.cause.as_ref().and_then(|cause| cause.downcast_ref::<Refusal>()).expect("a refusal says why")
}

/// A whole good token, as every other test begins.
#[test]
fn a_good_token_is_its_subjects() {
    let (desk, signer) = desk();
    let payload = desk.payload_but(&json!({ "email": "ada@example.com", "image": null, "role": "authenticated" }));
    let caller = desk.admit(&signer.token(&payload)).unwrap();
    assert_eq!(caller.subject(), "kB3dPz0Q");
    assert_eq!(caller.issuer_id(), ISSUER);
    assert_eq!(caller.user_id(), crate::id::UserId::derive(ISSUER, "kB3dPz0Q"));
    assert_eq!(Value::Object(caller.claims().members().clone()), payload);
    assert_eq!(caller.claims().expires_at().as_second(), desk.now + 900);
    assert_eq!(caller.claims().get("email"), Some(&json!("ada@example.com")));
    assert!(Arc::strong_count(&desk.verifier.issuer_id) > 1, "the issuer's id isn't copied for each request");
}

/// That a signature was verified before says nothing of the claims, of the other bytes, or of another key.
#[test]
fn a_token_that_was_admitted_is_judged_anew_each_time() {
    let (desk, signer) = desk();
    let token = signer.token(&desk.payload_but(&json!({ "exp": desk.now + 60 })));
    assert!(desk.admit(&token).is_ok() && desk.admit(&token).is_ok());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let other = signer.token(&desk.payload_but(&json!({ "sub": "somebody-else", "exp": desk.now + 60 })));
    let swapped = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
    assert_eq!(desk.admit(&swapped).unwrap_err(), Refusal::BadSignature);
    let again = Desk::holding(&[Signer::new("EdDSA", "key-1").jwk()]);
    assert_eq!(again.admit(&format!("{message}.{signature}")).unwrap_err(), Refusal::BadSignature);
    desk.verifier.clock.advance(Duration::from_mins(2));
    assert_eq!(desk.admit(&token).unwrap_err(), Refusal::Expired);
}

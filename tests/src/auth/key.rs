//! A signing key of the tests' own issuer.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shared::clock::Clock;

use super::ISSUER;

/// An Ed25519 key, which Better Auth uses unless told otherwise.
pub(crate) struct Key {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Key {
    pub(crate) fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate().unwrap() }
    }

    /// The key as it is published.
    pub(crate) fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "alg": "EdDSA", "crv": "Ed25519", "x": x, "kty": "OKP", "kid": self.kid })
    }

    /// A good token.
    pub(crate) fn token(&self, clock: &Clock) -> String {
        self.sign(&json!({ "alg": "EdDSA", "kid": self.kid }), clock)
    }

    /// A token that is good but for its header.
    pub(crate) fn sign(&self, header: &Value, clock: &Clock) -> String {
        let exp = clock.unix_seconds() + i64::try_from(Duration::from_mins(15).as_secs()).unwrap();
        let payload = json!({ "sub": "kB3dPz0Q", "iss": ISSUER, "aud": ISSUER, "exp": exp });
        let [header, payload] = [header, &payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

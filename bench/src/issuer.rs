//! An issuer of the benchmark's own: an Ed25519 key, a key set behind HTTP, and tokens such as Better Auth's `jwt` plugin
//! makes. The functions fetch and verify as they would anywhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use shared::clock::Clock;

use crate::wire;

/// The key's name.
const KID: &str = "0199c0de-6b1d-7c1a-9f3e-1f2e3d4c5b6a";
/// Longer than any run.
const EXPIRY_SECONDS: i64 = 24 * 3600;

/// The issuer, listening.
pub(crate) struct Issuer {
    key: Ed25519KeyPair,
    port: u16,
    seen: Arc<Mutex<Option<Fetch>>>,
}

/// A fetch of the key set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch {
    /// When the connection was there.
    pub(crate) begun: Instant,
    /// When the answer was written.
    pub(crate) ended: Instant,
}

impl Issuer {
    pub(crate) fn start() -> Result<Self> {
        let key = Ed25519KeyPair::generate().ok().context("no key can be made")?;
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": KID, "x": x}]}).to_string();
        let seen = Arc::new(Mutex::new(None));
        let recorder = Arc::clone(&seen);
        let port = wire::listen_http(move |mut connection| {
            while let Some(request) = connection.read()? {
                if request.path != "/api/auth/jwks" {
                    connection.write("404 Not Found", "", b"")?;
                    continue;
                }
                connection.write("200 OK", "content-type: application/json\r\n", set.as_bytes())?;
                let fetch = Fetch { begun: connection.accepted, ended: Instant::now() };
                *recorder.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetch);
            }
            Ok(())
        })?;
        Ok(Self { key, port, seen })
    }

    /// The setting `AUTH_URL`.
    pub(crate) fn auth_url(&self) -> String {
        format!("{}/api/auth", self.origin())
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The last fetch, once.
    pub(crate) fn take_fetch(&self) -> Option<Fetch> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A token of this user, with the claims that Better Auth puts in by itself.
    pub(crate) fn token(&self, subject: &str) -> String {
        let now = Clock::system().unix_seconds();
        let claims = json!({
            "iat": now, "name": "Ada Lovelace", "email": format!("{subject}@example.com"), "emailVerified": true,
            "image": null, "createdAt": "2026-01-14T09:26:53.589Z", "updatedAt": "2026-01-14T09:26:53.589Z",
            "id": subject, "sub": subject, "exp": now + EXPIRY_SECONDS, "iss": self.origin(), "aud": self.origin(),
        });
        let header = json!({"alg": "EdDSA", "kid": KID});
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

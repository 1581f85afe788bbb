//! An issuer of a test's own: a key server that does as it is told, and a key to sign with.

use serde_json::{Value, json};
use shared::clock::Clock;

use crate::auth::ISSUER;
use crate::auth::key::Key;
use crate::auth::key_server::{Answer, KeyServer};

/// An issuer whose key server publishes one key.
pub(crate) struct Issuer {
    pub(crate) server: KeyServer,
    pub(crate) key: Key,
    auth_url: String,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let key = Key::new("key-1");
        let server = KeyServer::start(Answer::keys(&[&key])).await;
        let auth_url = server.url().strip_suffix("/jwks").expect("where the keys are").to_owned();
        Self { server, key, auth_url }
    }

    /// What a function must know of it.
    pub(crate) fn settings(&self) -> [(&'static str, &str); 3] {
        [("AUTH_URL", &self.auth_url), ("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", ISSUER)]
    }

    /// The headers of a request with a token of its key.
    pub(crate) fn headers(&self) -> Value {
        headers(&self.key.token(&Clock::system()))
    }
}

/// The headers of a request with this token.
pub(crate) fn headers(token: &str) -> Value {
    json!({"Host": "abc.example.com", "Authorization": format!("Bearer {token}"), "content-type": "application/json"})
}

//! Who is asking, once the token has been verified.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::id::UserId;

/// The user on whose behalf a request is made. A [`super::Verifier`] makes it from a verified token.
#[derive(Clone)]
pub struct Caller {
    user_id: UserId,
    issuer_id: Arc<str>,
    subject: String,
    claims: Claims,
}

impl Caller {
    pub(super) fn new(issuer_id: Arc<str>, subject: String, claims: Claims) -> Self {
        Self { user_id: UserId::derive(&issuer_id, &subject), issuer_id, subject, claims }
    }

    /// A caller whom no token vouches for: for tests, and for commands that an operator runs. Nothing that serves a
    /// request may call this.
    #[must_use]
    pub fn without_token(issuer_id: &str, subject: &str) -> Self {
        Self::new(issuer_id.into(), subject.to_owned(), Claims { expires_at: Timestamp::MAX, members: Map::new() })
    }

    /// The user's id, everywhere in Colloquy.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The issuer's id (the setting `ISSUER_ID`), one of the two things that the user's id is made from.
    #[must_use]
    pub fn issuer_id(&self) -> &str {
        &self.issuer_id
    }

    /// The token's `sub`, the other one: the user's id at the issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// Prints whose request it is by the derived id alone; issuers may use e-mail addresses as subjects.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// A verified token's payload, whole. Profile claims (name, e-mail, picture) are here only to be echoed to their owner:
/// they are never stored and never logged.
#[derive(Clone)]
pub struct Claims {
    pub(super) expires_at: Timestamp,
    pub(super) members: Map<String, Value>,
}

impl Claims {
    /// When the token expires (`exp`).
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The claim `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Every claim, as the token has it.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }
}

/// Prints no claim.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

//! Names of things: typed ids, and the two ways in which a path names a thing.
//!
//! Ids are names, not order: a message's place is its `seq`, never its id.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as the database and the wire know it.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAUuid;

            fn from_str(text: &str) -> Result<Self, NotAUuid> {
                parse_uuid(text).map(Self).ok_or(NotAUuid)
            }
        }
    };
}

uuid_id! {
    /// A user: a UUIDv5 of the issuer and the token's subject, see [`UserId::derive`].
    UserId
}
uuid_id! {
    /// A conversation: a UUIDv7 made by the database.
    ConversationId
}
uuid_id! {
    /// A message: a UUIDv7 made by the database.
    MessageId
}

uuid_id! {
    /// One generation of an answer: a UUIDv7 made by the database.
    RunId
}

/// The text is no UUID of the form `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAUuid;

impl fmt::Display for NotAUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a UUID")
    }
}

/// Only the hyphenated form (RFC 9562, section 4): the crate would also take URNs, braces and bare digits, and then
/// one thing would have four names.
fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

impl UserId {
    /// The namespace of every user id. Never change it: all stored ids hang on it.
    const NAMESPACE: Uuid = Uuid::from_u128(0x3d0a_6f5c_84b1_4e0f_9b8e_52c7_19ad_60e4);

    /// A user's id, from the issuer's id (the setting `ISSUER_ID`) and the token's `sub`: no look-up, no round trip.
    ///
    /// Each part is preceded by its length, so that no two pairs share an input.
    #[must_use]
    pub fn derive(issuer_id: &str, subject: &str) -> Self {
        let mut name = Vec::with_capacity(16 + issuer_id.len() + subject.len());
        for part in [issuer_id, subject] {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Self(Uuid::new_v5(&Self::NAMESPACE, &name))
    }
}

/// The client's own name of a conversation or message, and its idempotency key: 1 to 128 visible ASCII characters,
/// without `/ \ ? # %` (it stands in URLs), and not `.` or `..` (clients resolve them away).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String, min_length = 1, max_length = 128, pattern = r#"^(?!\.{1,2}$)[!"$&-.0->@-\[\]-~]+$"#,
    example = "zVMqu0OQzQqloXUY"
)]
pub struct ClientId(String);

impl ClientId {
    /// The most characters that a client's id may have.
    pub const MAX_CHARS: usize = 128;

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text can't be a client's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAClientId;

impl fmt::Display for NotAClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be 1 to 128 visible ASCII characters without / \\ ? # %, and not . or ..")
    }
}

impl TryFrom<String> for ClientId {
    type Error = NotAClientId;

    fn try_from(text: String) -> Result<Self, NotAClientId> {
        let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b'\\' | b'?' | b'#' | b'%');
        let fits = (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(allowed);
        (fits && text != "." && text != "..").then_some(Self(text)).ok_or(NotAClientId)
    }
}

/// What a path says where a thing's id stands: our UUID, or the client's own id.
///
/// A text that is both is looked up as our UUID first, then as the client's id. A text that is neither names nothing:
/// that is a 404 like any other unknown name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref<Id> {
    /// The text as our id, where it is a UUID.
    pub id: Option<Id>,
    /// The text as the client's id, where it could be one.
    pub client_id: Option<ClientId>,
}

/// A conversation, as a path names it.
pub type ConversationRef = Ref<ConversationId>;
/// A message, as a path names it.
pub type MessageRef = Ref<MessageId>;

impl<Id: From<Uuid>> Ref<Id> {
    /// Reads a path segment, percent-decoded.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self { id: parse_uuid(text).map(Id::from), client_id: ClientId::try_from(text.to_owned()).ok() }
    }
}

impl Ref<MessageId> {
    /// Whether the text has the form of our ids, and so is no name that a client may give.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.id.is_some_and(|id| id.uuid().get_version_num() == 7)
    }
}

impl Ref<ConversationId> {
    /// Whether the text has the form of our ids, and so is no name that a client may give.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.id.is_some_and(|id| id.uuid().get_version_num() == 7)
    }
}

impl<Id> From<Id> for Ref<Id> {
    fn from(id: Id) -> Self {
        Self { id: Some(id), client_id: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_id_never_changes() {
        let id = UserId::derive("https://app.example.com", "kB3dPz0Q");
        assert_eq!(id.to_string(), "cbe89e85-6fdc-5bfc-8f41-b963cf6a5ec7");
        assert_ne!(UserId::derive("ab", "c"), UserId::derive("a", "bc"));
    }

    #[test]
    fn one_uuid_has_one_spelling_in_a_path() {
        let uuid = "0199c0de-0000-7000-8000-000000000001";
        assert!(ConversationRef::parse(uuid).id.is_some());
        for other in ["0199c0de000070008000000000000001", &format!("urn:uuid:{uuid}"), &format!("{{{uuid}}}")] {
            assert!(ConversationRef::parse(other).id.is_none(), "{other}");
        }
    }

    #[test]
    fn client_ids() {
        for good in ["a", "zVMqu0OQzQqloXUY", "msg_1-2.3:4@x", &"x".repeat(128)] {
            assert!(ClientId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "a%20", "é", "a\0", "a\n", &"x".repeat(129)] {
            assert!(ClientId::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}

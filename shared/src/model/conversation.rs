//! Conversations.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::Fault;
use crate::id::{ClientId, ConversationId, ConversationRef};
use crate::model::input::{self, FromJson, List, Object, checked};
use crate::model::new_message::GivenId;
use crate::model::{Message, NewMessage, hash_of, limits};

/// A conversation as the wire shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// Its name, a UUIDv7.
    pub id: ConversationId,
    /// The client's own name of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Absent until set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "Leave policy")]
    pub title: Option<String>,
    /// The client's own data.
    #[schema(value_type = Object, example = json!({"team": "hr"}))]
    pub metadata: Box<RawValue>,
    /// Out of the way, but kept.
    pub archived: bool,
    /// Kept at hand.
    pub pinned: bool,
    /// How many messages are stored, those on inactive branches among them.
    pub message_count: i32,
    /// When it was created or last appended to: the order of the list.
    #[schema(value_type = String, format = DateTime)]
    pub activity_at: Timestamp,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When a PATCH last changed it.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Rises with each PATCH that changes something. On the wire it is the `ETag`.
    #[serde(skip)]
    pub version: i64,
}

impl Conversation {
    /// Its `ETag`: the version of what PATCH changes, so that appending a message spoils no `If-Match`.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

/// A conversation's title: 1 to 200 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
pub struct Title(String);

impl Title {
    /// The title's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Title {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !(1..=limits::TITLE_CHARS).contains(&text.chars().count()) {
            return Err(format!("must have 1 to {} characters", limits::TITLE_CHARS));
        }
        if text.chars().any(char::is_control) {
            return Err("must not have control characters".to_owned());
        }
        Ok(Self(text))
    }
}

impl FromJson for Title {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let text = String::from_json(value, at, faults)?;
        checked(Self::try_from(text), at, faults)
    }
}

impl FromJson for ClientId {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let text = input::name(value, at, faults)?;
        checked(Self::try_from(text), at, faults)
    }
}

/// The client's own data on a conversation or message: an object of at most 16 KB.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct Metadata(pub Map<String, Value>);

impl FromJson for Metadata {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let members = Map::from_json(value, at, faults)?;
        let metadata = Self(members);
        let size = serde_json::to_string(&metadata).map_or(usize::MAX, |json| json.len());
        if size > limits::METADATA_BYTES {
            faults.push(Fault::body(at, format!("must have at most {} bytes of JSON", limits::METADATA_BYTES)));
            return None;
        }
        Some(metadata)
    }
}

/// A conversation to be made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewConversation {
    /// Makes the request safe to repeat: the same id with the same content answers with what was made the first time.
    #[schema(value_type = ClientId, required = false)]
    pub client_id: Option<ClientId>,
    /// A title; may be set later.
    #[schema(value_type = Title, required = false)]
    pub title: Option<Title>,
    /// The client's own data.
    #[schema(value_type = Metadata, required = false)]
    pub metadata: Metadata,
    /// Its first messages, stored with it or not at all.
    #[schema(value_type = Vec<NewMessage>, required = false, max_items = 100)]
    pub messages: Vec<NewMessage>,
}

impl FromJson for NewConversation {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut object = Object::open(value, at, faults)?;
        let new = Self {
            client_id: object.optional::<GivenId>("clientId", faults).map(|given| given.0),
            title: object.optional("title", faults),
            metadata: object.optional("metadata", faults).unwrap_or_default(),
            messages: object
                .optional::<List<NewMessage, 0, { limits::BATCH }>>("messages", faults)
                .map_or_else(Vec::new, |list| list.0),
        };
        object.close(faults);
        Some(new)
    }
}

impl NewConversation {
    /// Names the request after its `Idempotency-Key`, where it has no client id of its own. A key may have the form of our ids,
    /// a name may not.
    pub fn with_key(&mut self, key: Option<&ClientId>) {
        let Some(key) = key.filter(|_| self.client_id.is_none()) else { return };
        let is_ours = ConversationRef::parse(key.as_str()).is_ours();
        self.client_id =
            if is_ours { ClientId::try_from(format!("key:{}", key.as_str())).ok() } else { Some(key.clone()) };
    }

    /// What a repeated request must equal.
    #[must_use]
    pub fn request_hash(&self) -> String {
        hash_of(self)
    }
}

/// What creating a conversation answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedConversation {
    /// The conversation.
    #[serde(flatten)]
    pub conversation: Conversation,
    /// Its first messages, where the request had some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// Whether an earlier request had made it.
    #[serde(skip)]
    pub replayed: bool,
}

/// A change to a conversation: a JSON merge patch (RFC 7396). An absent member stays as it is.
#[derive(Debug, Default, ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ConversationPatch {
    /// Null removes the title.
    #[allow(clippy::option_option, reason = "RFC 7396 tells an absent member from one that is null")]
    #[schema(value_type = Option<Title>)]
    pub title: Option<Option<Title>>,
    /// Null is false.
    pub archived: Option<bool>,
    /// Null is false.
    pub pinned: Option<bool>,
    /// Merged into the stored object, level by level: null removes a member; null for the whole empties it.
    #[allow(clippy::option_option, reason = "RFC 7396 tells an absent member from one that is null")]
    #[schema(value_type = Option<Metadata>)]
    pub metadata: Option<Option<Metadata>>,
}

impl FromJson for ConversationPatch {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut object = Object::open(value, at, faults)?;
        let patch = Self {
            title: object.nullable("title", faults),
            archived: object.nullable("archived", faults).map(Option::unwrap_or_default),
            pinned: object.nullable("pinned", faults).map(Option::unwrap_or_default),
            metadata: object.nullable("metadata", faults),
        };
        object.close(faults);
        Some(patch)
    }
}

/// The precondition of a change (RFC 9110, section 13.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    /// No precondition, or `*`: whatever the version is.
    #[default]
    Any,
    /// One of these versions. Empty where every tag was weak or none of ours: then nothing matches.
    Versions(Vec<i64>),
}

/// Which conversations a list shows. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct ConversationFilter {
    /// Archived ones only, or only those that aren't.
    pub archived: Option<bool>,
    /// Pinned ones only, or only those that aren't.
    pub pinned: Option<bool>,
    /// Members that `metadata` has at its top level, each with this text (a string), or this number or boolean as JSON
    /// writes it.
    pub metadata: Vec<(String, String)>,
    /// A text that the title contains, whatever its case and its normalization form.
    pub title: Option<String>,
    /// Active after this time.
    pub updated_after: Option<Timestamp>,
    /// Active before this time.
    pub updated_before: Option<Timestamp>,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

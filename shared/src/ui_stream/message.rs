//! Messages as a front end holds them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::id::MessageId;
use crate::model::{
    ChatBranches, ChatMessage, Message, NamedMessage, NewSources, Origin, Role, Siblings, StartedTurn, Status,
};
use crate::ui_stream::FinishReason;

/// Who speaks, in the AI SDK's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UiRole {
    /// Instructions to the agent.
    System,
    /// The reader.
    User,
    /// The agent; tools speak through it, for the SDK has no role for them.
    Assistant,
}

impl From<Role> for UiRole {
    fn from(role: Role) -> Self {
        match role {
            Role::System => Self::System,
            Role::User => Self::User,
            Role::Assistant | Role::Tool => Self::Assistant,
        }
    }
}

/// A message as `useChat` takes it: the AI SDK's `UIMessage`.
#[derive(Debug, Serialize, ToSchema)]
pub struct UiMessage {
    /// The client's own name of it where there is one, so that ids survive a reload; else ours.
    pub id: String,
    /// Who speaks.
    pub role: UiRole,
    /// The client's own data, and of ours `id`, `parentId` (both our ids), `createdAt`, `status`, `siblings` where other
    /// messages have the same parent; of an answer also `completedAt`, `usage`, `model`, `branch` where its turn left
    /// another, `finishReason` where it didn't end by itself, and `sourcesLeftOut` where it has room for no more sources.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What it says.
    #[schema(value_type = Vec<Object>)]
    pub parts: Box<RawValue>,
}

impl From<&ChatMessage> for UiMessage {
    fn from(ChatMessage { message, siblings }: &ChatMessage) -> Self {
        let mut metadata = stored_metadata(message);
        metadata.extend(start_metadata(message.id, message.created_at, message.parent_id, siblings.as_ref()));
        let usage = message.usage.as_ref().and_then(|usage| serde_json::from_str(usage.get()).ok());
        metadata.extend(finish_metadata(message.status, usage.as_ref(), message.model.as_deref()));
        Self { id: id_of(message), role: message.role.into(), metadata, parts: shown_parts(message) }
    }
}

/// A message of the tree of a conversation's branches, as assistant-ui's repository imports it.
/// <https://www.assistant-ui.com/docs/api-reference/overview>
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UiBranchMessage {
    /// The message. Its `id` is one that no other has: where versions share the client's, that is the shown one's, and the
    /// others have ours.
    pub message: UiMessage,
    /// The `id` of the message that it follows; null for a first one.
    #[schema(required)]
    pub parent_id: Option<String>,
}

/// All of a conversation's branches.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UiBranches {
    /// The `id` of the last message that a reader sees; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_id: Option<String>,
    /// Oldest first: each behind its parent.
    pub messages: Vec<UiBranchMessage>,
    /// Pass it as `cursor` for later messages; absent on the last page. Opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl From<ChatBranches> for UiBranches {
    fn from(branches: ChatBranches) -> Self {
        let message = |named: NamedMessage| UiBranchMessage {
            message: UiMessage { id: named.name, ..UiMessage::from(&named.shown) },
            parent_id: named.parent,
        };
        Self {
            head_id: branches.head,
            messages: branches.messages.into_iter().map(message).collect(),
            next_cursor: branches.next_cursor,
        }
    }
}

/// The client's own data, or what the agent added while it answered.
pub(super) fn stored_metadata(message: &Message) -> Map<String, Value> {
    // A column of PostgreSQL's, which holds an object.
    let mut metadata: Map<String, Value> = serde_json::from_str(message.metadata.get()).unwrap_or_default();
    // Where a message has neither, a client's member of that name would pass for ours.
    metadata.retain(|name, _| name != "parentId" && name != "siblings");
    metadata
}

/// The parts as a reader is shown them. Those of an answer that was relayed are stored so; a message that a client or an import
/// brought has its sources beside its parts.
pub(super) fn shown_parts(message: &Message) -> Box<RawValue> {
    if message.origin == Origin::Relay || message.sources.get() == "[]" {
        return message.parts.clone();
    }
    let sources: Vec<Map<String, Value>> = serde_json::from_str(message.sources.get()).unwrap_or_default();
    let Ok(mut parts) = serde_json::from_str::<Vec<Map<String, Value>>>(message.parts.get()) else {
        return message.parts.clone();
    };
    let places: HashMap<&Value, usize> =
        sources.iter().enumerate().filter_map(|(place, source)| Some((source.get("id")?, place))).collect();
    for part in &mut parts {
        let Some(place) = part.get("sourceId").and_then(|id| places.get(id).copied()) else { continue };
        if let Value::Object(mut shown) = NewSources::nth_part_of(&sources[place], place + 1)
            && let Some(metadata) = shown.remove("providerMetadata")
        {
            part.insert("providerMetadata".to_owned(), metadata);
        }
    }
    serde_json::value::to_raw_value(&parts).unwrap_or_else(|_| message.parts.clone())
}

pub(super) fn id_of(message: &Message) -> String {
    message.client_id.clone().unwrap_or_else(|| message.id.to_string())
}

/// What the `start` frame tells of an answer. With [`finish_metadata`] merged into it, it is what the answer's
/// [`UiMessage`] says after a reload.
#[must_use]
pub fn start_metadata(
    id: MessageId,
    created_at: Timestamp,
    parent: Option<MessageId>,
    siblings: Option<&Siblings>,
) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("id".to_owned(), id.to_string().into());
    metadata.insert("createdAt".to_owned(), created_at.to_string().into());
    metadata.insert("status".to_owned(), Status::InProgress.as_str().into());
    if let Some(parent) = parent {
        metadata.insert("parentId".to_owned(), parent.to_string().into());
    }
    if let Some(siblings) = siblings {
        metadata.insert("siblings".to_owned(), json!(siblings));
    }
    metadata
}

/// The members of an answer's metadata that are made when it is shown. What else its stream tells is stored with it.
pub const COMPUTED: [&str; 7] = ["id", "createdAt", "status", "parentId", "siblings", "usage", "model"];

/// What the `start` frame tells of an answer that begins: also which branch its turn left, and the versions of its question
/// where it made one, since the page shows the question already and learns nothing more of it.
#[must_use]
pub fn turn_metadata(started: &StartedTurn) -> Map<String, Value> {
    let siblings = started.siblings.as_ref();
    let mut metadata = start_metadata(started.message, started.created_at, Some(started.question), siblings);
    if let Some(left) = started.left {
        let mut branch = Map::from_iter([("left".to_owned(), left.to_string().into())]);
        if let Some(siblings) = &started.question_siblings {
            branch.insert("questionSiblings".to_owned(), json!(siblings));
        }
        metadata.insert("branch".to_owned(), branch.into());
    }
    metadata
}

/// Notes in an answer's metadata when it ended.
pub fn note_completed(metadata: &mut Map<String, Value>, at: Timestamp) {
    // PostgreSQL keeps microseconds, and so does every other time.
    let at = at.round(jiff::Unit::Microsecond).unwrap_or(at);
    metadata.insert("completedAt".to_owned(), at.to_string().into());
}

/// What the frame that ends an answer tells of it, but for why: see [`note_finish_reason`].
#[must_use]
pub fn finish_metadata(status: Status, usage: Option<&Map<String, Value>>, model: Option<&str>) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("status".to_owned(), status.as_str().into());
    if let Some(usage) = usage {
        metadata.insert("usage".to_owned(), usage.clone().into());
    }
    if let Some(model) = model {
        metadata.insert("model".to_owned(), model.into());
    }
    metadata
}

/// Notes in an answer's metadata how many of its sources were left out.
pub fn note_sources_left_out(metadata: &mut Map<String, Value>, number: usize) {
    if number > 0 {
        metadata.insert("sourcesLeftOut".to_owned(), number.into());
    }
}

/// The name under which an answer's metadata tell why it ended, unless its agent had no more to say.
const FINISH_REASON: &str = "finishReason";

/// Notes in an answer's metadata why its agent ended it. It is stored with them, so that a front end can tell a cut answer
/// from a whole one after a reload, and a replay ends as the stream did.
pub fn note_finish_reason(metadata: &mut Map<String, Value>, reason: FinishReason) {
    metadata.insert(FINISH_REASON.to_owned(), reason.as_str().into());
}

/// Why its agent ended an answer, where its metadata say it.
pub(super) fn finish_reason(metadata: &Map<String, Value>) -> Option<FinishReason> {
    FinishReason::from_word(metadata.get(FINISH_REASON)?.as_str()?)
}

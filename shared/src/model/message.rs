//! Messages.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::id::{ConversationId, MessageId};
use crate::model::Order;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value as the wire and the database write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the wire's or the database's word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// Who speaks.
    Role {
        /// The caller.
        User = "user",
        /// The agent.
        Assistant = "assistant",
        /// Instructions to the agent; never accepted from a client.
        System = "system",
        /// The result of a tool.
        Tool = "tool",
    }
}
words! {
    /// How far a message has come.
    Status {
        /// All of it is there.
        Complete = "complete",
        /// The answer is being streamed.
        InProgress = "in_progress",
        /// The user stopped it.
        Stopped = "stopped",
        /// It was cut off.
        Incomplete = "incomplete",
        /// The agent failed.
        Failed = "failed",
    }
}
words! {
    /// Who stored a message.
    Origin {
        /// A client, through this API.
        Client = "client",
        /// Colloquy, which relayed the agent's answer.
        Relay = "relay",
        /// A service of the team.
        Service = "service",
        /// An import.
        Import = "import",
    }
}
words! {
    /// Which of a conversation's messages a list shows.
    Branch {
        /// Those that a reader sees.
        Active = "active",
        /// Those that an edit or a new answer replaced, too.
        All = "all",
    }
}

/// A message as the wire shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its name, a UUIDv7.
    pub id: MessageId,
    /// The conversation's id.
    pub conversation_id: ConversationId,
    /// The client's own name of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The message that it follows; absent for a first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<MessageId>,
    /// Its place: rises through the conversation, may have gaps.
    pub seq: i64,
    /// Whether it is on the branch that a reader sees.
    pub active: bool,
    /// Who speaks.
    pub role: Role,
    /// How far it has come.
    pub status: Status,
    /// Who stored it.
    pub origin: Origin,
    /// The parts of an AI SDK `UIMessage`.
    #[schema(value_type = Vec<Object>)]
    pub parts: Box<RawValue>,
    /// Its text: what its text parts say, one after the other.
    pub content: String,
    /// What it rests on.
    #[schema(value_type = Vec<crate::model::Source>)]
    pub sources: Box<RawValue>,
    /// The client's own data.
    #[schema(value_type = Object)]
    pub metadata: Box<RawValue>,
    /// The model that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it cost, such as `inputTokens` and `outputTokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub usage: Option<Box<RawValue>>,
    /// When it was stored.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What an append answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Appended {
    /// The messages as stored, in the request's order.
    pub data: Vec<Message>,
    /// Whether an earlier request had stored all of them.
    #[serde(skip)]
    pub replayed: bool,
}

/// Which messages a list shows. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Oldest or newest first.
    pub order: Order,
    /// Of this role only.
    pub role: Option<Role>,
    /// Stored after this time.
    pub created_after: Option<Timestamp>,
    /// Stored before this time.
    pub created_before: Option<Timestamp>,
    /// Those on inactive branches, too.
    pub all_branches: bool,
    /// With the embeddings of their sources.
    pub embeddings: bool,
}

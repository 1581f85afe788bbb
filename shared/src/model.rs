//! What Colloquy keeps: conversations and their messages, as the wire shows them and as clients send them.

mod answer;
mod conversation;
mod data_url;
mod extent;
pub mod input;
pub mod limits;
mod message;
mod new_message;
mod new_turn;
mod page;
mod source;
mod text;
mod tool_outcome;
mod turn;

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

pub use answer::FinishedAnswer;
pub use conversation::{
    Conversation, ConversationFilter, ConversationPatch, CreatedConversation, IfMatch, Metadata, NewConversation, Title,
};
pub use data_url::DataUrl;
pub(crate) use extent::{Extent, agents_json};
pub use message::{Appended, Branch, Message, MessageFilter, Origin, Role, Status};
pub use new_message::{NewMessage, NewMessages, Parent, Part};
pub use new_turn::{Ask, Place, Question, Turn};
pub use page::{BadCursor, ConversationCursor, Cursor, MessageCursor, Order, Page, PageSize};
pub(crate) use source::is_web_url;
pub use source::{NewSources, Source};
pub(crate) use text::cut;
pub use tool_outcome::ToolOutcome;
pub use turn::{
    BaseAnswer, ChatBranches, ChatMessage, Ended, Ending, FoundRun, HistoryMessage, NamedMessage, Quota, QuotaState,
    RunChunk, RunPage, RunState, Siblings, StartedTurn, TurnRules, TurnStart,
};

/// The SHA-256 of a request's content, in hexadecimal. Objects are hashed with their members sorted, so that a repeated
/// request that writes them in another order is still the same.
pub(crate) fn hash_of(content: &impl Serialize) -> String {
    // Serialising these types can't fail: their maps have string keys. Were it to, an empty text would be hashed, and
    // the worst that follows is a 422 to a repeated request.
    let json = serde_json::to_value(content).map(|value| value.to_string()).unwrap_or_default();
    digest(&SHA256, json.as_bytes()).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

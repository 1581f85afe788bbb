//! What tests store.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use shared::auth::Caller;
use shared::id::{ConversationId, ConversationRef};
use shared::model::input::FromJson;
use shared::model::{ConversationPatch, NewConversation, NewMessages};
use uuid::Uuid;

/// A user whom no other test knows.
pub(crate) fn someone() -> Caller {
    Caller::without_token("https://issuer.example", &random().to_string())
}

/// A UUID that no other test has.
pub(crate) fn random() -> Uuid {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}:{number}", std::process::id()).as_bytes())
}

/// Reads what a client sends.
#[track_caller]
pub(crate) fn read<T: FromJson>(value: Value) -> T {
    let mut faults = Vec::new();
    let read = T::from_json(value, "", &mut faults);
    assert_eq!(faults, [], "the test sends nonsense");
    read.expect("read")
}

/// A conversation to be made.
#[track_caller]
pub(crate) fn conversation(value: Value) -> NewConversation {
    read(value)
}

/// Messages to be appended.
#[track_caller]
pub(crate) fn messages(list: impl IntoIterator<Item = Value>) -> NewMessages {
    read(json!({"messages": list.into_iter().collect::<Vec<_>>()}))
}

/// A question without a client id.
pub(crate) fn says(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// A change to a conversation.
#[track_caller]
pub(crate) fn patch(value: Value) -> ConversationPatch {
    read(value)
}

/// A path that names a conversation by our id.
pub(crate) fn by_id(id: ConversationId) -> ConversationRef {
    ConversationRef::from(id)
}

//! A conversation's title, as its agent words it.

use crate::auth::Caller;
use crate::db::Db;
use crate::id::ConversationId;
use crate::model::Title;

/// What became of a title.
#[derive(Debug)]
pub(super) enum StoredTitle {
    /// There was none, or the user was faster.
    None,
    /// The conversation is called so now.
    Stored(Title),
    /// The database didn't say that it is stored.
    NotStored(Title),
}

/// Stores a title, unless the user has changed the conversation meanwhile.
pub(super) async fn store_title(
    db: &Db,
    caller: &Caller,
    conversation: ConversationId,
    title: Option<Title>,
) -> StoredTitle {
    let Some(title) = title else { return StoredTitle::None };
    match db.as_user(caller).set_generated_title(conversation, &title).await {
        Ok(true) => StoredTitle::Stored(title),
        Ok(false) => StoredTitle::None,
        Err(_) => StoredTitle::NotStored(title),
    }
}

//! Requests that concern conversations.

use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use super::UserDb;
use super::failure::unreadable;
use super::messages::{Batch, MESSAGE_COLUMNS, message, most_bytes, refused};
use super::pipeline::Statement;
use super::times::{after, before};
use crate::error::{Code, Error};
use crate::id::{ClientId, ConversationId, ConversationRef};
use crate::model::{
    Conversation, ConversationCursor, ConversationFilter, ConversationPatch, CreatedConversation, Cursor, IfMatch,
    NewConversation, Page, PageSize, Title,
};

const CREATE: &str = include_str!("conversations/create.sql");
const DELETE: &str = include_str!("conversations/delete.sql");
const GET: &str = include_str!("conversations/get.sql");
const LIST: &str = include_str!("conversations/list.sql");
const LOCK: &str = include_str!("conversations/lock.sql");
const SET_GENERATED_TITLE: &str = include_str!("conversations/set_generated_title.sql");
const UPDATE: &str = include_str!("conversations/update.sql");

impl UserDb<'_> {
    /// Makes a conversation with its first messages, or answers with what an earlier, equal request made.
    pub async fn create_conversation(&self, new: NewConversation) -> Result<CreatedConversation, Error> {
        let client_id = new.client_id.as_ref().map(ClientId::as_str);
        let hash = client_id.map(|_| new.request_hash());
        let create = Statement {
            sql: CREATE,
            params: &[
                (&self.user(), Type::UUID),
                (&self.caller.issuer_id(), Type::TEXT),
                (&self.caller.subject(), Type::TEXT),
                (&client_id, Type::TEXT),
                (&hash, Type::TEXT),
                (&new.title.as_ref().map(Title::as_str), Type::TEXT),
                (&Json(&new.metadata), Type::JSONB),
                (&Json(Batch::new(&new.messages)), Type::JSONB),
                (&most_bytes(), Type::INT4),
            ],
        };
        let [rows] = self.write([create]).await?;
        if let Some(error) = refused(&rows)? {
            return Err(error);
        }
        let (first, rest) = rows.split_first().ok_or_else(|| Error::internal("create_conversation gave no row"))?;
        let messages = rest.iter().map(message).collect::<Result<_, _>>();
        Ok(CreatedConversation {
            conversation: conversation_from(first, MESSAGE_COLUMNS).map_err(unreadable)?,
            messages: messages.map_err(unreadable)?,
            replayed: first.try_get("replayed").map_err(unreadable)?,
        })
    }

    /// A page of the user's conversations, newest activity first.
    pub async fn list_conversations(
        &self,
        filter: &ConversationFilter,
        size: PageSize,
        cursor: Option<ConversationCursor>,
    ) -> Result<Page<Conversation>, Error> {
        let (keys, values): (Vec<&str>, Vec<&str>) =
            filter.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).unzip();
        let list = Statement {
            sql: LIST,
            params: &[
                (&self.user(), Type::UUID),
                (&filter.archived, Type::BOOL),
                (&filter.pinned, Type::BOOL),
                (&keys, Type::TEXT_ARRAY),
                (&values, Type::TEXT_ARRAY),
                (&filter.title, Type::TEXT),
                (&filter.updated_after.map(after), Type::TIMESTAMPTZ),
                (&filter.updated_before.map(before), Type::TIMESTAMPTZ),
                (&cursor.map(|cursor| cursor.activity_at), Type::TIMESTAMPTZ),
                (&cursor.map(|cursor| cursor.id.uuid()), Type::UUID),
                (&(i64::from(size.get()) + 1), Type::INT8),
            ],
        };
        let [rows] = self.read([list]).await?;
        let mut data = rows.iter().map(conversation).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        // One more than the page was asked for, to learn whether another follows.
        let more = data.len() > usize::from(size.get());
        data.truncate(size.get().into());
        let next = data.last().filter(|_| more);
        let next_cursor = next.map(|last| ConversationCursor { activity_at: last.activity_at, id: last.id }.encode());
        Ok(Page { data, next_cursor })
    }

    /// One conversation.
    pub async fn get_conversation(&self, name: &ConversationRef) -> Result<Option<Conversation>, Error> {
        let (id, client_id) = parts(name);
        let get =
            Statement { sql: GET, params: &[(&self.user(), Type::UUID), (&id, Type::UUID), (&client_id, Type::TEXT)] };
        let [rows] = self.read([get]).await?;
        rows.first().map(conversation).transpose().map_err(unreadable)
    }

    /// Changes a conversation. One that changes nothing leaves its version and `updatedAt` as they are.
    pub async fn update_conversation(
        &self,
        name: &ConversationRef,
        patch: ConversationPatch,
        wanted: &IfMatch,
    ) -> Result<Option<Conversation>, Error> {
        let user = self.user();
        let (id, client_id) = parts(name);
        let title = patch.title.as_ref().map(|title| title.as_ref().map(Title::as_str));
        let metadata = patch.metadata.as_ref().map(Json);
        let by_name = &[(&user as _, Type::UUID), (&id as _, Type::UUID), (&client_id as _, Type::TEXT)];
        let update = Statement {
            sql: UPDATE,
            params: &[
                (&user, Type::UUID),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&title.is_some(), Type::BOOL),
                (&title.flatten(), Type::TEXT),
                (&patch.archived, Type::BOOL),
                (&patch.pinned, Type::BOOL),
                (&metadata, Type::JSONB),
                (&versions(wanted), Type::INT8_ARRAY),
            ],
        };
        let statements = [Statement { sql: LOCK, params: by_name }, update, Statement { sql: GET, params: by_name }];
        let [locked, _, stored] = self.write(statements).await?;
        if !check_version(&locked, wanted)? {
            return Ok(None);
        }
        stored.first().map(conversation).transpose().map_err(unreadable)
    }

    /// Gives a conversation a better title than the one made from its first question, unless it was changed meanwhile.
    pub async fn set_generated_title(&self, id: ConversationId, title: &Title) -> Result<bool, Error> {
        let set = Statement {
            sql: SET_GENERATED_TITLE,
            params: &[(&self.user(), Type::UUID), (&id.uuid(), Type::UUID), (&title.as_str(), Type::TEXT)],
        };
        let [rows] = self.write([set]).await?;
        Ok(!rows.is_empty())
    }

    /// Deletes a conversation and its messages; `false` where there is none.
    pub async fn delete_conversation(&self, name: &ConversationRef, wanted: &IfMatch) -> Result<bool, Error> {
        let user = self.user();
        let (id, client_id) = parts(name);
        let lock = Statement { sql: LOCK, params: &[(&user, Type::UUID), (&id, Type::UUID), (&client_id, Type::TEXT)] };
        let delete = Statement {
            sql: DELETE,
            params: &[
                (&user, Type::UUID),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&versions(wanted), Type::INT8_ARRAY),
            ],
        };
        let [locked, _] = self.write([lock, delete]).await?;
        check_version(&locked, wanted)
    }
}

/// A conversation's name as two parameters; the one that is null finds nothing.
pub(super) fn parts(name: &ConversationRef) -> (Option<uuid::Uuid>, Option<&str>) {
    (name.id.map(ConversationId::uuid), name.client_id.as_ref().map(ClientId::as_str))
}

/// The versions that a change is for; `None` is any.
fn versions(wanted: &IfMatch) -> Option<&[i64]> {
    match wanted {
        IfMatch::Any => None,
        IfMatch::Versions(versions) => Some(versions),
    }
}

/// What the lock found: `false` where there was nothing to lock, a 412 where it has another version.
fn check_version(locked: &[Row], wanted: &IfMatch) -> Result<bool, Error> {
    let Some(row) = locked.first() else { return Ok(false) };
    let version: i64 = row.try_get("version").map_err(unreadable)?;
    if versions(wanted).is_none_or(|versions| versions.contains(&version)) {
        Ok(true)
    } else {
        let detail = "The conversation was changed since the version that If-Match names. Read it again, then decide.";
        Err(Error::new(Code::PreconditionFailed, detail))
    }
}

fn conversation(row: &Row) -> Result<Conversation, tokio_postgres::Error> {
    conversation_from(row, 0)
}

/// Reads a conversation from the columns from `first` on, which have the same order in every statement.
fn conversation_from(row: &Row, first: usize) -> Result<Conversation, tokio_postgres::Error> {
    Ok(Conversation {
        id: row.try_get::<_, uuid::Uuid>(first)?.into(),
        client_id: row.try_get(first + 1)?,
        title: row.try_get(first + 2)?,
        metadata: row.try_get::<_, Json<Box<RawValue>>>(first + 3)?.0,
        archived: row.try_get(first + 4)?,
        pinned: row.try_get(first + 5)?,
        message_count: row.try_get(first + 6)?,
        activity_at: row.try_get(first + 7)?,
        created_at: row.try_get(first + 8)?,
        updated_at: row.try_get(first + 9)?,
        version: row.try_get(first + 10)?,
    })
}

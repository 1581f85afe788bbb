//! Requests that concern a conversation's messages.

use serde::Serialize;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Json, Type};

use super::UserDb;
use super::conversations::parts;
use super::failure::{too_large, unreadable};
use super::pipeline::Statement;
use super::times::{after, before};
use super::turns::turn_running;
use crate::error::{Code, Error, Fault};
use crate::id::{ClientId, ConversationRef, MessageId, MessageRef};
use crate::model::{
    Appended, Cursor, Message, MessageCursor, MessageFilter, NewMessage, NewMessages, Order, Origin, Page, PageSize,
    Role, Status, limits,
};

const APPEND: &str = include_str!("messages/append.sql");
const GET: &str = include_str!("messages/get.sql");
const LIST_ASC: &str = include_str!("messages/list_asc.sql");
const LIST_DESC: &str = include_str!("messages/list_desc.sql");

impl UserDb<'_> {
    /// Appends messages, all or none. Those that an earlier request stored are answered as they are.
    pub async fn append_messages(&self, name: &ConversationRef, new: NewMessages) -> Result<Option<Appended>, Error> {
        let (id, client_id) = parts(name);
        let append = Statement {
            sql: APPEND,
            params: &[
                (&self.user(), Type::UUID),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&Json(Batch::new(&new.messages)), Type::JSONB),
                (&most_bytes(), Type::INT4),
            ],
        };
        let [rows] = self.write([append]).await?;
        if let Some(error) = refused(&rows)? {
            return Err(error);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let data = rows.iter().map(message).collect::<Result<_, _>>().map_err(unreadable)?;
        let replayed = rows.iter().map(|row| row.try_get("replayed")).collect::<Result<Vec<bool>, _>>();
        let replayed = replayed.map_err(unreadable)?.into_iter().all(|replayed| replayed);
        Ok(Some(Appended { data, replayed }))
    }

    /// A page of a conversation's messages.
    pub async fn list_messages(
        &self,
        name: &ConversationRef,
        filter: &MessageFilter,
        size: PageSize,
        cursor: Option<MessageCursor>,
    ) -> Result<Option<Page<Message>>, Error> {
        let (id, client_id) = parts(name);
        let list = Statement {
            sql: match filter.order {
                Order::Asc => LIST_ASC,
                Order::Desc => LIST_DESC,
            },
            params: &[
                (&self.user(), Type::UUID),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&filter.all_branches, Type::BOOL),
                (&filter.role.map(Role::as_str), Type::TEXT),
                (&filter.created_after.map(after), Type::TIMESTAMPTZ),
                (&filter.created_before.map(before), Type::TIMESTAMPTZ),
                (&cursor.map(|MessageCursor(seq)| seq), Type::INT8),
                (&i64::from(size.get()), Type::INT8),
                (&filter.embeddings, Type::BOOL),
                (&i64::from(most_bytes()), Type::INT8),
            ],
        };
        let [rows] = self.read([list]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let Some(found) = first.try_get::<_, Option<i64>>("found").map_err(unreadable)? else {
            return Ok(Some(Page { data: Vec::new(), next_cursor: None }));
        };
        let data: Vec<Message> = rows.iter().map(message).collect::<Result<_, _>>().map_err(unreadable)?;
        let more = usize::try_from(found).is_ok_and(|found| found > data.len());
        let next_cursor = data.last().filter(|_| more).map(|last| MessageCursor(last.seq).encode());
        Ok(Some(Page { data, next_cursor }))
    }

    /// One message.
    pub async fn get_message(
        &self,
        conversation: &ConversationRef,
        name: &MessageRef,
        embeddings: bool,
    ) -> Result<Option<Message>, Error> {
        let (conversation_id, conversation_client_id) = parts(conversation);
        let get = Statement {
            sql: GET,
            params: &[
                (&self.user(), Type::UUID),
                (&conversation_id, Type::UUID),
                (&conversation_client_id, Type::TEXT),
                (&name.id.map(MessageId::uuid), Type::UUID),
                (&name.client_id.as_ref().map(ClientId::as_str), Type::TEXT),
                (&embeddings, Type::BOOL),
            ],
        };
        let [rows] = self.read([get]).await?;
        rows.first().map(message).transpose().map_err(unreadable)
    }
}

/// The most bytes that an answer may have, escaped.
pub(super) fn most_bytes() -> i32 {
    i32::try_from(limits::PAGE_BYTES).unwrap_or(i32::MAX)
}

/// New messages as the database's functions take them.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Batch<'a>(Vec<BatchRow<'a>>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchRow<'a> {
    #[serde(flatten)]
    message: &'a NewMessage,
    request_hash: Option<String>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(messages: &'a [NewMessage]) -> Self {
        let row = |message: &'a NewMessage| BatchRow {
            message,
            // What has no name is never looked up again.
            request_hash: message.client_id.as_ref().map(|_| message.request_hash()),
        };
        Self(messages.iter().map(row).collect())
    }
}

/// Why the functions stored nothing, if so: all faults at once.
pub(super) fn refused(rows: &[Row]) -> Result<Option<Error>, Error> {
    let mut faults = Vec::new();
    for row in rows {
        let fault: Option<&str> = row.try_get("fault").map_err(unreadable)?;
        let index: Option<i32> = row.try_get("n").map_err(unreadable)?;
        if fault == Some("turn_running") {
            return Ok(Some(turn_running()));
        }
        if let Some(fault) = fault {
            faults.push(fault_at(fault, index)?);
        }
    }
    let has = |code: Code| faults.iter().any(|(of, _)| *of == code);
    let codes = [Code::InvalidRequest, Code::ContentTooLarge, Code::IdempotencyKeyReused];
    // What the request is in itself comes before what it collides with.
    let Some(code) = codes.into_iter().find(|code| has(*code)) else { return Ok(None) };
    let faults: Vec<Fault> = faults.into_iter().map(|(_, fault)| fault).collect();
    Ok(Some(match code {
        Code::ContentTooLarge => too_large(faults),
        Code::IdempotencyKeyReused => {
            Error { faults, ..Error::new(code, "A client id was used before, with other content. Nothing was stored.") }
        }
        _ => Error::invalid(faults),
    }))
}

fn fault_at(fault: &str, index: Option<i32>) -> Result<(Code, Fault), Error> {
    let at = |member: &str| match index {
        Some(index) => format!("/messages/{index}{member}"),
        None => member.to_owned(),
    };
    let too_large = |bytes: usize| format!("is too large: it takes more than {bytes} bytes once it is stored");
    Ok(match fault {
        "client_id_reused" => {
            (Code::IdempotencyKeyReused, Fault::body(at("/clientId"), "was used before, with other content"))
        }
        "unknown_parent" => (Code::InvalidRequest, Fault::body(at("/parentId"), "is no message of this conversation")),
        "metadata_too_large" => {
            (Code::ContentTooLarge, Fault::body(at("/metadata"), too_large(limits::METADATA_BYTES)))
        }
        "too_large" => (Code::ContentTooLarge, Fault::body(at(""), too_large(limits::PAGE_BYTES))),
        "batch_too_large" => (Code::ContentTooLarge, Fault::body("/messages", too_large(limits::PAGE_BYTES))),
        _ => return Err(Error::internal("the database's functions report a fault that isn't known here")),
    })
}

/// Reads a message from a row's first columns, which are the same in every statement. By place, not by name: a look-up of
/// 16 names took as long as all else that is done with a row.
pub(super) fn message(row: &Row) -> Result<Message, tokio_postgres::Error> {
    let json = |column: usize| row.try_get::<_, Json<Box<RawValue>>>(column).map(|json| json.0);
    Ok(Message {
        id: row.try_get::<_, uuid::Uuid>(0)?.into(),
        conversation_id: row.try_get::<_, uuid::Uuid>(1)?.into(),
        client_id: row.try_get(2)?,
        parent_id: row.try_get::<_, Option<uuid::Uuid>>(3)?.map(MessageId::from),
        seq: row.try_get(4)?,
        active: row.try_get(5)?,
        role: row.try_get(6)?,
        status: row.try_get(7)?,
        origin: row.try_get(8)?,
        parts: json(9)?,
        content: row.try_get(10)?,
        sources: json(11)?,
        metadata: json(12)?,
        model: row.try_get(13)?,
        usage: row.try_get::<_, Option<Json<Box<RawValue>>>>(14)?.map(|json| json.0),
        created_at: row.try_get(15)?,
    })
}

/// How many columns [`message`] reads.
pub(super) const MESSAGE_COLUMNS: usize = 16;

/// Words are text in the database; one that isn't known here is an error, never a guess.
macro_rules! word_from_sql {
    ($($word:ident),+) => {$(
        impl<'a> FromSql<'a> for $word {
            fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
                let word = <&str>::from_sql(ty, raw)?;
                Self::from_word(word).ok_or_else(|| concat!("no such ", stringify!($word)).into())
            }

            fn accepts(ty: &Type) -> bool {
                <&str as FromSql>::accepts(ty)
            }
        }
    )+};
}

word_from_sql!(Role, Status, Origin);

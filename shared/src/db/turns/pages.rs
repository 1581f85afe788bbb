//! The chat as a reader sees it: the branch that is shown, or all of them.

use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use crate::db::UserDb;
use crate::db::conversations::parts;
use crate::db::failure::unreadable;
use crate::db::messages::{message, most_bytes};
use crate::db::pipeline::Statement;
use crate::error::Error;
use crate::id::ConversationRef;
use crate::model::{ChatBranches, ChatMessage, Cursor, MessageCursor, NamedMessage, Page, PageSize, Siblings};

const PAGE: &str = include_str!("page.sql");
const BRANCHES: &str = include_str!("branches.sql");

impl UserDb<'_> {
    /// The newest messages that a reader sees, in their order, without an answer that is still being written. The cursor
    /// leads to older ones.
    pub async fn chat_page(
        &self,
        name: &ConversationRef,
        size: PageSize,
        cursor: Option<MessageCursor>,
    ) -> Result<Option<Page<ChatMessage>>, Error> {
        let (id, client_id) = parts(name);
        let page = Statement {
            sql: PAGE,
            params: &[
                (&self.user(), Type::UUID),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&cursor.map(|MessageCursor(seq)| seq), Type::INT8),
                (&i64::from(size.get()), Type::INT8),
                (&i64::from(most_bytes()), Type::INT8),
            ],
        };
        // It may have to end a run whose function died.
        let rows = self.write_without_parts_due(page, |row| row.try_get("parts_due")).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let Some(found) = first.try_get::<_, Option<i64>>("found").map_err(unreadable)? else {
            return Ok(Some(Page { data: Vec::new(), next_cursor: None }));
        };
        let mut data: Vec<ChatMessage> = rows.iter().map(chat_message).collect::<Result<_, _>>().map_err(unreadable)?;
        let more = usize::try_from(found).is_ok_and(|found| found > data.len());
        let next_cursor = data.last().filter(|_| more).map(|last| MessageCursor(last.message.seq).encode());
        data.reverse();
        Ok(Some(Page { data, next_cursor }))
    }

    /// All messages but an answer that is still being written, oldest first, so that each stands behind its parent. The
    /// cursor leads to later ones.
    pub async fn chat_branches(
        &self,
        name: &ConversationRef,
        size: PageSize,
        cursor: Option<MessageCursor>,
    ) -> Result<Option<ChatBranches>, Error> {
        let (id, client_id) = parts(name);
        let branches = Statement {
            sql: BRANCHES,
            params: &[
                (&self.user(), Type::UUID),
                (&id, Type::UUID),
                (&client_id, Type::TEXT),
                (&cursor.map(|MessageCursor(seq)| seq), Type::INT8),
                (&i64::from(size.get()), Type::INT8),
                (&i64::from(most_bytes()), Type::INT8),
            ],
        };
        let rows = self.write_without_parts_due(branches, |row| row.try_get("parts_due")).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let head = first.try_get("head").map_err(unreadable)?;
        let Some(found) = first.try_get::<_, Option<i64>>("found").map_err(unreadable)? else {
            return Ok(Some(ChatBranches { head, messages: Vec::new(), next_cursor: None }));
        };
        let messages: Vec<NamedMessage> = rows.iter().map(named).collect::<Result<_, _>>().map_err(unreadable)?;
        let more = usize::try_from(found).is_ok_and(|found| found > messages.len());
        let last = messages.last().filter(|_| more).map(|last| last.shown.message.seq);
        Ok(Some(ChatBranches { head, messages, next_cursor: last.map(|seq| MessageCursor(seq).encode()) }))
    }
}

fn named(row: &Row) -> Result<NamedMessage, tokio_postgres::Error> {
    Ok(NamedMessage { shown: chat_message(row)?, name: row.try_get("name")?, parent: row.try_get("parent_name")? })
}

pub(super) fn chat_message(row: &Row) -> Result<ChatMessage, tokio_postgres::Error> {
    Ok(ChatMessage { message: message(row)?, siblings: siblings(row, "siblings")? })
}

pub(super) fn siblings(row: &Row, column: &str) -> Result<Option<Siblings>, tokio_postgres::Error> {
    Ok(row.try_get::<_, Option<Json<Siblings>>>(column)?.map(|siblings| siblings.0))
}

//! What the measured database holds: in units of 10,000 messages, so that a large one is many small ones side by side.

use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use shared::id::UserId;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use crate::plan::Database;

/// The setting `ISSUER_ID`, from which users' ids are derived.
pub(crate) const ISSUER_ID: &str = "https://bench.example.com";
/// The messages of a unit, nearly.
pub(crate) const UNIT: u64 = 10_000;
/// The messages of a conversation whose first page is read.
pub(crate) const PAGED: i32 = 60;
/// The messages of a conversation whose later pages are read.
pub(crate) const DEEP: i32 = 5_000;

/// Conversations of a question and its answer, of each user.
const SHORT_ONES: i32 = 116;
const SHORT: i32 = 2;
/// Conversations of [`PAGED`] messages, of each user.
const PAGED_ONES: i32 = 13;
/// Users of a unit; one of them has a conversation of [`DEEP`] messages.
const USERS: u64 = 5;
/// Different questions, and as many answers.
const TEXTS: i64 = 500;

/// What a database was filled with.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filled {
    pub(crate) messages: i64,
    pub(crate) conversations: i64,
    pub(crate) bytes: i64,
    pub(crate) seconds: u64,
}

/// Fills an empty, migrated database with about `rows` messages. As a superuser and without checking foreign keys row by
/// row: what is stored refers to what is there.
pub(crate) async fn fill(database: &Database, rows: u64) -> Result<Filled> {
    let begun = Instant::now();
    let (client, connection) = tokio_postgres::connect(&database.superuser_url, NoTls).await?;
    tokio::spawn(connection);
    let users = (rows / UNIT).max(1) * USERS;
    let subjects: Vec<String> = (0..users).map(|n| format!("user-{n:08}")).collect();
    let ids: Vec<uuid::Uuid> = subjects.iter().map(|subject| UserId::derive(ISSUER_ID, subject).uuid()).collect();
    client.batch_execute("set session_replication_role = replica; set work_mem = '1GB'; set jit = off").await?;
    client.query_typed(include_str!("../sql/texts.sql"), &[(&TEXTS, Type::INT8)]).await?;
    client.batch_execute("analyze texts").await?;
    let whose = [(&ids as _, Type::UUID_ARRAY), (&ISSUER_ID as _, Type::TEXT), (&subjects as _, Type::TEXT_ARRAY)];
    client.query_typed(include_str!("../sql/users.sql"), &whose).await?;
    let counts = [&SHORT_ONES, &SHORT, &PAGED_ONES, &PAGED, &DEEP].map(|count| (count as _, Type::INT4));
    client.query_typed(include_str!("../sql/conversations.sql"), &counts).await.context("conversations")?;
    client.batch_execute("analyze conversations").await?;
    client.query_typed(include_str!("../sql/messages.sql"), &[(&TEXTS, Type::INT8)]).await.context("messages")?;
    // As autovacuum leaves a table that has been there for a while, and nothing left for it to do meanwhile.
    client.batch_execute("vacuum (freeze, analyze)").await?;
    client.batch_execute("checkpoint").await?;
    let row = client
        .query_one(
            "select (select count(*) from messages), (select count(*) from conversations), pg_database_size(current_database())",
            &[],
        )
        .await?;
    Ok(Filled {
        messages: row.get(0),
        conversations: row.get(1),
        bytes: row.get(2),
        seconds: begun.elapsed().as_secs(),
    })
}

/// A conversation to read.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) subject: String,
    pub(crate) id: String,
    pub(crate) last_seq: i64,
}

/// A user whose conversations are listed, and a place in the middle of that list.
#[derive(Clone, Debug)]
pub(crate) struct Lister {
    pub(crate) subject: String,
    pub(crate) activity_at: jiff::Timestamp,
    pub(crate) id: uuid::Uuid,
}

/// Up to `most` conversations of so many messages.
pub(crate) async fn conversations(client: &Client, messages: i32, most: i64) -> Result<Vec<Conversation>> {
    let params = [(&messages as _, Type::INT4), (&most as _, Type::INT8)];
    let rows = client.query_typed(include_str!("../sql/sample.sql"), &params).await?;
    let conversation = |row: &tokio_postgres::Row| {
        Ok(Conversation { subject: row.try_get(0)?, id: row.try_get(1)?, last_seq: row.try_get(2)? })
    };
    rows.iter().map(conversation).collect()
}

/// Up to `most` users.
pub(crate) async fn listers(client: &Client, most: i64) -> Result<Vec<Lister>> {
    let rows = client.query_typed(include_str!("../sql/sample_users.sql"), &[(&most, Type::INT8)]).await?;
    let lister = |row: &tokio_postgres::Row| {
        Ok(Lister { subject: row.try_get(0)?, activity_at: row.try_get(1)?, id: row.try_get(2)? })
    };
    rows.iter().map(lister).collect()
}

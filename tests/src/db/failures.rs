//! Statements that the server refuses or ends: what the client is told, and what is sent again.

use serde_json::json;
use shared::error::Code;
use tokio_postgres::Client;

use crate::support::content::{by_id, conversation, messages, says, someone};
use crate::support::database::{Database, Kind, on, on_every_database};
use crate::support::outage::{retry_after, waiting_for_a_lock};

/// A session that holds every conversation, until it is dropped.
async fn hold_conversations(database: &Database) -> Client {
    let holder = database.superuser().await;
    holder.batch_execute("begin; select from conversations for update").await.unwrap();
    holder
}

on_every_database!(
    a_lock_that_is_not_let_go_is_a_503,
    a_statement_that_takes_too_long_is_a_504,
    a_statement_that_is_shot_down_is_stored_once
);

async fn a_lock_that_is_not_let_go_is_a_503(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    let holder = hold_conversations(&database).await;
    let error = user.append_messages(&id, messages([says("a")])).await.unwrap_err();
    assert_eq!((error.code, retry_after(&error)), (Code::Unavailable, Some("1")));
    assert!(user.get_conversation(&id).await.unwrap().is_some(), "readers don't wait");
    drop(holder);
    assert!(user.append_messages(&id, messages([says("a")])).await.unwrap().is_some());
}

async fn a_statement_that_takes_too_long_is_a_504(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    let holder = hold_conversations(&database).await;
    let superuser = database.superuser().await;
    // Cancelling is what statement_timeout does, too: SQLSTATE 57014.
    let cancel = async {
        let pid = waiting_for_a_lock(&superuser).await;
        superuser.execute("select pg_cancel_backend($1)", &[&pid]).await.unwrap();
    };
    let (appended, ()) = tokio::join!(user.append_messages(&id, messages([says("a")])), cancel);
    assert_eq!(appended.unwrap_err().code, Code::Timeout);
    drop(holder);
    assert!(user.append_messages(&id, messages([says("b")])).await.unwrap().is_some());
    assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, 1);
}

async fn a_statement_that_is_shot_down_is_stored_once(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    let holder = hold_conversations(&database).await;
    let superuser = database.superuser().await;
    let shoot = async {
        let pid = waiting_for_a_lock(&superuser).await;
        superuser.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
        if database.kind != Kind::PgBouncer {
            // It is sent again, without a word to the client.
            assert_ne!(waiting_for_another(&superuser, pid).await, pid);
        }
        drop(holder);
    };
    let row = json!({"clientId": "m", "role": "user", "content": "a"});
    let (appended, ()) = tokio::join!(user.append_messages(&id, messages([row.clone()])), shoot);
    match appended {
        Ok(appended) => assert!(!appended.unwrap().replayed),
        // The pooler's own code for every end of a connection says nothing of what became of the request.
        Err(error) => {
            assert_eq!((database.kind, error.code), (Kind::PgBouncer, Code::Unavailable));
            assert!(retry_after(&error).is_some());
        }
    }
    user.append_messages(&id, messages([row])).await.unwrap().unwrap();
    assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, 1);
}

async fn waiting_for_another(superuser: &Client, first: i32) -> i32 {
    crate::support::eventually("the second attempt", async || {
        Some(waiting_for_a_lock(superuser).await).filter(|pid| *pid != first)
    })
    .await
}

#[tokio::test]
async fn before_the_migrations_it_is_a_503() {
    let Some(empty) = Database::unmigrated(Kind::Postgres18).await else { return };
    // Another test's template has made the role.
    on(Kind::Postgres18, async |_| {}).await;
    let (db, caller) = (empty.db(), someone());
    let error = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap_err();
    assert_eq!((error.code, retry_after(&error)), (Code::Unavailable, Some("5")));
    assert_eq!(db.health().await.unwrap_err().code, Code::Unavailable);
}

#[tokio::test]
async fn a_wrong_password_is_a_503_and_no_secret_is_told() {
    on(Kind::Postgres18, async |database: Database| {
        let (role, host) = database.app_url.split_once('@').unwrap();
        let config = shared::config::DatabaseConfig { url: format!("{role}wrong@{host}").into(), ..database.config() };
        let db = shared::db::Db::new(&config).unwrap();
        let error = db.health().await.unwrap_err();
        assert_eq!((error.code, retry_after(&error)), (Code::Unavailable, Some("30")));
        let told = format!("{error:?} {db:?} {config:?}");
        assert!(!told.contains("wrong") && told.contains("28P01"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_poolers_word_for_a_wrong_password_is_known() {
    on(Kind::PgBouncer, async |database: Database| {
        let (role, host) = database.app_url.split_once('@').unwrap();
        let config = shared::config::DatabaseConfig { url: format!("{role}wrong@{host}").into(), ..database.config() };
        let error = shared::db::Db::new(&config).unwrap().health().await.unwrap_err();
        let cause = error.cause.unwrap().to_string();
        // What a secret is read again for; see `db::failure::verdict`.
        let words = ["password authentication failed", "SASL authentication failed"];
        assert!(words.iter().any(|words| cause.contains(words)), "{cause}");
    })
    .await;
}

#[tokio::test]
async fn what_is_stored_is_not_logged() {
    on(Kind::Postgres18, async |database: Database| {
        let (db, caller) = (database.db(), someone());
        // One is refused by a constraint, the other by the JSON parser, whose CONTEXT quotes what it read.
        for (metadata, sqlstate) in
            [(json!({"n": vec![1e300; 60], "canary": "canary"}), "23514"), (json!({"nul": "canary\0canary"}), "22P05")]
        {
            // As it would be if the edge let it through.
            let mut new = conversation(json!({"title": "canary"}));
            new.metadata.0 = metadata.as_object().unwrap().clone();
            let error = db.as_user(&caller).create_conversation(new).await.unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains(sqlstate) && !told.contains("canary"), "{told}");
        }
    })
    .await;
}

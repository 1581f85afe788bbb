//! Two walls between users: every statement says whose rows it means, and row-level security sees to it.

use serde_json::json;
use shared::config::DatabaseConfig;
use shared::db::Db;
use shared::error::Code;
use shared::id::{ConversationRef, MessageRef};
use shared::model::{ConversationFilter, IfMatch, MessageFilter, PageSize};
use tokio_postgres::Client;

use crate::support::content::{by_id, conversation, messages, patch, random, says, someone};
use crate::support::database::{Database, Kind, connect, on, on_every_database, on_every_version};

/// How many rows of each table that the role may read a session sees.
async fn seen(client: &Client) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in ["users", "conversations", "messages"] {
        counts.push(client.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0));
    }
    counts
}

async fn claim(client: &Client, user: &str) {
    client.execute("select set_config('app.user_id', $1, false)", &[&user]).await.unwrap();
}

fn sqlstate<T>(result: Result<T, tokio_postgres::Error>) -> String {
    result.err().and_then(|error| error.code().map(|code| code.code().to_owned())).unwrap_or_default()
}

/// One user has something, and another tries every door of the API.
async fn a_stranger_tries(database: &Database) {
    let db = database.db();
    let (owner, stranger) = (someone(), someone());
    let row = json!({"clientId": "m", "role": "user", "content": "secret"});
    let new = conversation(json!({"clientId": "c", "messages": [row]}));
    let made = db.as_user(&owner).create_conversation(new).await.unwrap();
    let before = serde_json::to_string(&made.conversation).unwrap();
    let user = db.as_user(&stranger);
    let (filter, size) = (MessageFilter::default(), PageSize::default());
    for name in [by_id(made.conversation.id), ConversationRef::parse("c")] {
        assert!(user.get_conversation(&name).await.unwrap().is_none());
        let change = patch(json!({"title": "mine"}));
        assert!(user.update_conversation(&name, change, &IfMatch::Any).await.unwrap().is_none());
        assert!(!user.delete_conversation(&name, &IfMatch::Any).await.unwrap());
        assert!(user.append_messages(&name, messages([says("hello")])).await.unwrap().is_none());
        assert!(user.list_messages(&name, &filter, size, None).await.unwrap().is_none());
        for message in [MessageRef::from(made.messages[0].id), MessageRef::parse("m")] {
            assert!(user.get_message(&name, &message, true).await.unwrap().is_none());
        }
    }
    assert!(user.list_conversations(&ConversationFilter::default(), size, None).await.unwrap().data.is_empty());
    // The same client id is free for everybody.
    let own = user.create_conversation(conversation(json!({"clientId": "c", "title": "other"}))).await.unwrap();
    assert!(!own.replayed);
    let own = by_id(own.conversation.id);
    for message in [MessageRef::from(made.messages[0].id), MessageRef::parse("m")] {
        assert!(user.get_message(&own, &message, true).await.unwrap().is_none(), "through a conversation of one's own");
    }
    let reply = json!({"role": "user", "content": "a", "parentId": made.messages[0].id.to_string()});
    assert!(user.append_messages(&own, messages([reply])).await.is_err());
    let after = db.as_user(&owner).get_conversation(&by_id(made.conversation.id)).await.unwrap().unwrap();
    assert_eq!(serde_json::to_string(&after).unwrap(), before);
    let page =
        db.as_user(&owner).list_messages(&by_id(made.conversation.id), &filter, size, None).await.unwrap().unwrap();
    assert_eq!(serde_json::to_string(&page.data).unwrap(), serde_json::to_string(&made.messages).unwrap());
}

on_every_database!(a_stranger_finds_nothing_and_changes_nothing, the_statements_alone_would_hold);

async fn a_stranger_finds_nothing_and_changes_nothing(database: Database) {
    a_stranger_tries(&database).await;
}

async fn the_statements_alone_would_hold(database: Database) {
    let off = "
        alter table users disable row level security; alter table conversations disable row level security;
        alter table messages disable row level security";
    database.superuser().await.batch_execute(off).await.unwrap();
    a_stranger_tries(&database).await;
}

on_every_version!(without_a_claim_nothing_is_seen, row_level_security_alone_would_hold);

async fn without_a_claim_nothing_is_seen(database: Database) {
    let (db, caller) = (database.db(), someone());
    let new = conversation(json!({"messages": [says("a")]}));
    db.as_user(&caller).create_conversation(new).await.unwrap();
    assert_eq!(seen(&database.superuser().await).await, [1, 1, 1]);
    // FORCE: the owner, too, who isn't a superuser.
    for client in [database.app().await, database.owner().await] {
        assert_eq!(seen(&client).await, [0, 0, 0], "never set");
        for nobody in ["", &random().to_string()] {
            claim(&client, nobody).await;
            assert_eq!(seen(&client).await, [0, 0, 0], "{nobody:?}");
        }
        claim(&client, &caller.user_id().to_string()).await;
        assert_eq!(seen(&client).await, [1, 1, 1]);
        claim(&client, "no uuid").await;
        assert_eq!(sqlstate(client.query("select from messages", &[]).await), "22P02", "fails closed");
    }
}

async fn row_level_security_alone_would_hold(database: Database) {
    let (db, caller, stranger) = (database.db(), someone(), someone());
    let new = || conversation(json!({"messages": [says("a")]}));
    let made = db.as_user(&caller).create_conversation(new()).await.unwrap();
    db.as_user(&stranger).create_conversation(new()).await.unwrap();
    let app = database.app().await;
    claim(&app, &stranger.user_id().to_string()).await;
    assert_eq!(seen(&app).await, [1, 1, 1]);
    assert_eq!(app.execute("update conversations set title = 'mine'", &[]).await.unwrap(), 1);
    assert_eq!(app.execute("update messages set active = false", &[]).await.unwrap(), 1);
    assert_eq!(app.execute("delete from conversations", &[]).await.unwrap(), 1);
    assert_eq!(seen(&database.superuser().await).await, [2, 1, 1]);

    db.as_user(&stranger).create_conversation(new()).await.unwrap();
    let (own, foreign) = (stranger.user_id().uuid(), caller.user_id().uuid());
    let conversation =
        "insert into conversations (user_id, activity_at, created_at, updated_at) values ($1, now(), now(), now())";
    assert_eq!(sqlstate(app.execute(conversation, &[&foreign]).await), "42501", "a row of another user's");
    let message = "
        insert into messages (conversation_id, user_id, seq, role, parts, content, origin, size, created_at)
        values ($1, $2, 9, 'user', '[]', '', 'client', 1, now())";
    let theirs = made.conversation.id.uuid();
    assert_eq!(sqlstate(app.execute(message, &[&theirs, &foreign]).await), "42501");
    assert_eq!(sqlstate(app.execute(message, &[&theirs, &own]).await), "23503", "in another user's conversation");
    let user = "insert into users (id, issuer_id, subject) values ($1, '', '')";
    assert_eq!(sqlstate(app.execute(user, &[&random()]).await), "42501");
    for forbidden in [
        "update messages set content = ''",
        "delete from messages",
        "delete from users",
        "update messages set status = 'stopped'",
        "update messages set seq = seq",
        "delete from runs",
        "update runs set message_id = message_id",
        "delete from run_chunks",
        "update run_chunks set frames = '[]'",
        "delete from quota_usage",
        "set role colloquy_sweep",
        "update conversations set user_id = user_id",
        "truncate messages",
        "select from refinery_schema_history",
    ] {
        assert_eq!(sqlstate(app.execute(forbidden, &[]).await), "42501", "{forbidden}");
    }
}

#[tokio::test]
async fn a_claim_ends_with_its_transaction() {
    on(Kind::PgBouncer, async |database: Database| {
        let (db, caller) = (database.db(), someone());
        let made = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap();
        db.as_user(&caller).get_conversation(&by_id(made.conversation.id)).await.unwrap().unwrap();
        // The pooler has one session so far, and lends it to the next client.
        let next = connect(database.app_url.split_once('?').unwrap().0).await;
        let claim = next.simple_query("select current_setting('app.user_id', true)").await.unwrap();
        let claims = claim.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0)),
            _ => None,
        });
        assert_eq!(claims.collect::<Vec<_>>(), [Some("")], "set once in this session, and empty again");
    })
    .await;
}

/// A database that is asked through such a URL.
fn asked_as(database: &Database, url: &str) -> Db {
    Db::new(&DatabaseConfig { url: url.into(), ..database.config() }).unwrap()
}

async fn is_refused(db: &Db, word: &str) {
    let caller = someone();
    let error = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.cause.as_ref().is_some_and(|cause| cause.to_string().contains(word)), "{:?}", error.cause);
    assert!(!error.detail.contains(word), "only the log is told");
    assert_eq!(db.health().await.unwrap_err().code, Code::Unavailable);
}

#[tokio::test]
async fn a_role_that_row_level_security_does_not_bind_is_refused() {
    on(Kind::Postgres18, async |database: Database| {
        is_refused(&asked_as(&database, &database.superuser_url), "superuser").await;
        is_refused(&asked_as(&database, &database.owner_url), "owns the tables").await;

        // Roles belong to the whole cluster: these have this test's name.
        let superuser = database.superuser().await;
        let (bypass, member) = (format!("bypass_{}", database.name), format!("member_{}", database.name));
        let roles = format!(
            "create role {bypass} login bypassrls password 'p'; create role {member} login password 'p';
            grant colloquy_owner to {member}"
        );
        superuser.batch_execute(&roles).await.unwrap();
        let url = |role: &str| {
            let host = database.superuser_url.split_once('@').unwrap().1;
            format!("postgresql://{role}:p@{host}")
        };
        is_refused(&asked_as(&database, &url(&bypass)), "BYPASSRLS").await;
        is_refused(&asked_as(&database, &url(&member)), "owns the tables").await;
        superuser.batch_execute(&format!("drop role {bypass}; drop role {member}")).await.unwrap();
        let stored = connect(&database.superuser_url).await.query_one("select count(*) from conversations", &[]).await;
        assert_eq!(stored.unwrap().get::<_, i64>(0), 0);
    })
    .await;
}

//! Connections that die, and a database that is away: what a Lambda environment meets after a freeze.

use std::time::Duration;

use serde_json::json;
use shared::config::DatabaseConfig;
use shared::db::Db;
use shared::error::Code;

use crate::support::content::{by_id, conversation, messages, says, someone};
use crate::support::database::{Database, Kind, on, on_every_database};
use crate::support::outage::{behind_a_proxy, behind_a_proxy_within, end_sessions, retry_after};
use crate::support::proxy::Weather;

on_every_database!(a_connection_that_was_closed_while_idle_is_replaced);

async fn a_connection_that_was_closed_while_idle_is_replaced(database: Database) {
    let (db, caller) = (database.db_of(3), someone());
    let user = db.as_user(&caller);
    let superuser = database.superuser().await;
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    for round in 0..5 {
        // Each time there are several to be replaced.
        futures_util::future::join_all((0..3).map(|_| user.get_conversation(&id))).await;
        assert!(end_sessions(&superuser).await > 0);
        user.append_messages(&id, messages([says("a")])).await.unwrap().unwrap();
        assert!(end_sessions(&superuser).await > 0);
        assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, round + 1);
    }
}

#[tokio::test]
async fn on_one_thread_a_closed_connection_is_noticed_before_anything_is_sent() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, db) = behind_a_proxy(&database).await;
        let caller = someone();
        let user = db.as_user(&caller);
        let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
        for n in 1..=5 {
            proxy.cut();
            // No client id: were it sent blindly, nobody could tell whether it was stored.
            user.append_messages(&id, messages([says("a")])).await.unwrap().unwrap();
            assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, n);
        }
    })
    .await;
}

#[tokio::test]
async fn a_silent_network_costs_the_deadline_and_one_connection() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, db) = behind_a_proxy_within(&database, Duration::from_secs(1)).await;
        let caller = someone();
        let user = db.as_user(&caller);
        let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
        proxy.turn(Weather::BlackHole);
        let row = json!({"clientId": "m", "role": "user", "content": "a"});
        let error = user.append_messages(&id, messages([row.clone()])).await.unwrap_err();
        assert_eq!(error.code, Code::Timeout);
        assert_eq!(user.get_conversation(&id).await.unwrap_err().code, Code::Timeout, "no new connection either");
        proxy.turn(Weather::Fair);
        // What was swallowed may reach the server now or never; its client id makes the repetition safe.
        user.append_messages(&id, messages([row])).await.unwrap().unwrap();
        assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, 1);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_a_503() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, _) = behind_a_proxy(&database).await;
        proxy.turn(Weather::BlackHole);
        let config = DatabaseConfig {
            url: proxy.through(&database.app_url).into(),
            connect_timeout: Duration::from_millis(200),
            ..database.config()
        };
        let db = Db::new(&config).unwrap();
        let error = db.health().await.unwrap_err();
        assert_eq!(error.code, Code::Unavailable);
        assert!(error.headers.iter().any(|(name, _)| *name == "retry-after"));
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503_until_it_is_back() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, db) = behind_a_proxy(&database).await;
        let caller = someone();
        let user = db.as_user(&caller);
        let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
        proxy.turn(Weather::Refusing);
        proxy.cut();
        for _ in 0..3 {
            let error = user.append_messages(&id, messages([says("a")])).await.unwrap_err();
            assert_eq!(error.code, Code::Unavailable);
            assert!(error.headers.iter().any(|(name, _)| *name == "retry-after"));
            assert_eq!(user.get_conversation(&id).await.unwrap_err().code, Code::Unavailable);
        }
        db.warm().await;
        proxy.turn(Weather::Fair);
        user.append_messages(&id, messages([says("a")])).await.unwrap().unwrap();
        assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, 1);
    })
    .await;
}

#[tokio::test]
async fn a_database_that_wakes_or_restarts_is_waited_for() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, db) = behind_a_proxy(&database).await;
        let caller = someone();
        for refusal in [
            ("XX000", "Couldn't connect to compute node"),
            ("XX000", "Control plane request failed"),
            ("XX000", "Too many connections to this endpoint. Please try again later."),
            ("XX000", "the database system is starting up"),
            ("XX000", "server login has been failing, cached error: connect failed (server_login_retry)"),
            ("08P01", "pooler is shutting down"),
            ("08P01", "query_wait_timeout"),
            ("57P03", "the database system is starting up"),
        ] {
            let refused = proxy.refused();
            proxy.refuse(3, refusal);
            proxy.cut();
            db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap();
            assert_eq!(proxy.refused(), refused + 3, "{refusal:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_lasts_is_told_at_once() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, db) = behind_a_proxy(&database).await;
        let caller = someone();
        for (refusal, seconds) in [
            (("XX000", "Your project has exceeded the compute time quota."), "60"),
            (("XX000", "The endpoint is disabled. Enable it using Neon API and retry."), "60"),
            (("XX000", "password authentication failed for user 'colloquy_app'"), "30"),
            (("08P01", "no such database: colloquy"), "30"),
            (("3D000", "database \"colloquy\" does not exist"), "30"),
        ] {
            let refused = proxy.refused();
            proxy.refuse(2, refusal);
            let error = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap_err();
            assert_eq!((error.code, retry_after(&error)), (Code::Unavailable, Some(seconds)), "{refusal:?}");
            assert_eq!(proxy.refused(), refused + 1, "{refusal:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_database_that_does_not_wake_is_a_503_within_the_deadline() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, db) = behind_a_proxy_within(&database, Duration::from_millis(500)).await;
        let caller = someone();
        proxy.refuse(1_000, ("XX000", "Couldn't connect to compute node"));
        let error = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap_err();
        // Not a 504: nothing was sent, so what became of the request is known.
        assert_eq!((error.code, retry_after(&error)), (Code::Unavailable, Some("1")));
        assert!((2..=11).contains(&proxy.refused()), "{}", proxy.refused());
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_a_503_to_a_write_and_nothing_to_a_read() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, db) = behind_a_proxy(&database).await;
        let caller = someone();
        let user = db.as_user(&caller);
        let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);

        proxy.turn(Weather::CutAfterCommit);
        let row = json!({"clientId": "m", "role": "user", "content": "a"});
        let error = user.append_messages(&id, messages([row.clone()])).await.unwrap_err();
        assert_eq!(error.code, Code::Unavailable, "it was stored, and nobody here can know");
        db.warm().await;
        proxy.turn(Weather::CutAfterCommit);
        assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, 1, "asked again");
        assert!(user.append_messages(&id, messages([row])).await.unwrap().unwrap().replayed);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_request_leaves_nothing_to_the_next() {
    on(Kind::Postgres18, async |database: Database| {
        let (proxy, db) = behind_a_proxy(&database).await;
        let (first, second) = (someone(), someone());
        let made = db.as_user(&first).create_conversation(conversation(json!({}))).await.unwrap();
        let id = by_id(made.conversation.id);
        proxy.turn(Weather::BlackHole);
        let dropped = db.as_user(&first);
        let dropped = dropped.append_messages(&id, messages([says("a")]));
        assert!(tokio::time::timeout(Duration::from_millis(50), dropped).await.is_err());
        proxy.turn(Weather::Fair);
        let opened = proxy.opened();
        db.as_user(&second).create_conversation(conversation(json!({}))).await.unwrap();
        assert_eq!(proxy.opened(), opened + 1, "the connection ended with its request");
    })
    .await;
}

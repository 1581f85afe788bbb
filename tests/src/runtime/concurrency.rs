//! Several events at a time in one environment, where Lambda says so.

use std::pin::pin;

use futures_util::future::{Either, select};
use serde_json::{Value, json};

use crate::support::api::token;
use crate::support::database::{Database, Kind};
use crate::support::function::{Function, rest_event};
use crate::support::setup;

fn append(conversation: &str, headers: &Value) -> Value {
    let body = json!({"messages": [{"role": "user", "content": "Hi"}]}).to_string();
    rest_event("POST", &format!("/v1/conversations/{conversation}/messages"), headers, Some(&body))
}

/// Two conversations, the first of which somebody holds locked; a function that is to append to both at once.
async fn second_passes_the_first(concurrency: &str) -> bool {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let headers =
        json!({"Host": "x", "Authorization": format!("Bearer {}", token().await), "content-type": "application/json"});
    let create = Function::for_database("create-conversation", &database.app_url).await;
    for name in ["locked", "free"] {
        let body = json!({"clientId": name}).to_string();
        assert_eq!(create.invoke(&rest_event("POST", "/v1/conversations", &headers, Some(&body))).await.status(), 201);
    }
    let settings = [
        ("DATABASE_URL", database.app_url.as_str()),
        ("AUTH_URL", &setup().auth_url),
        ("AWS_LAMBDA_MAX_CONCURRENCY", concurrency),
    ];
    let function = Function::start("append-messages", &settings).await;
    let holder = database.superuser().await;
    holder
        .batch_execute("begin; select from conversations where client_id = 'locked' for update")
        .await
        .expect("a lock");

    let (to_locked, to_free) = (append("locked", &headers), append("free", &headers));
    let mut first = pin!(function.invoke(&to_locked));
    // The first has reached the lock before the second is sent.
    let waits = pin!(crate::support::eventually("a wait for the lock", async || {
        let waiting =
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = 'colloquy_app'
                       and datname = current_database()";
        let waiting: i64 = database.superuser().await.query_one(waiting, &[]).await.expect("a count").get(0);
        (waiting > 0).then_some(())
    }));
    assert!(matches!(select(&mut first, waits).await, Either::Right(_)), "the first didn't wait");
    let mut second = pin!(function.invoke(&to_free));
    // Unless it passes, the second is answered after the first, which gives up at its lock timeout.
    match select(&mut first, &mut second).await {
        Either::Right((second, _)) => {
            assert_eq!(second.status(), 201, "{}", second.answer);
            holder.batch_execute("rollback").await.expect("no lock");
            assert_eq!(first.await.status(), 201);
            true
        }
        Either::Left(_) => false,
    }
}

#[tokio::test]
async fn an_environment_with_room_for_several_serves_them_side_by_side() {
    assert!(second_passes_the_first("4").await);
}

#[tokio::test]
async fn an_environment_serves_one_event_at_a_time_by_default() {
    assert!(!second_passes_the_first("1").await);
}

//! Many streams at once.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use shared::auth::Verifier;
use shared::clock::Clock;

use crate::support::api::{User, config, router, router_with, token};
use crate::support::chat::{question, release, unique};
use crate::support::database::{Database, Kind, connect, on};

/// 200 environments with a connection each, 8 connections of PostgreSQL behind PgBouncer, and a reader on every tenth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_share_a_few_connections() {
    on(Kind::PgBouncer, crowd).await;
}

async fn crowd(database: Database) {
    let token = token().await;
    let verifier = Verifier::new(&config(&database.app_url).auth, Clock::system()).expect("a verifier");
    let streams = (0..200).map(|i| {
        let mut config = config(&database.app_url);
        config.database.pool_size = 1;
        config.chat.quota.running = None;
        // 200 environments sign in at once on one machine.
        config.database.connect_timeout = Duration::from_mins(1);
        config.database.request_timeout = Duration::from_mins(1);
        let user = User { router: router_with(config, verifier.clone()), token: token.clone() };
        async move {
            let chat = format!("c{i}");
            let stream = user.chat(&question(&chat, "q", "How are cursors made?", "bytes=2000 pace=5")).await;
            let stream = stream.expect(StatusCode::OK);
            if i % 10 > 0 {
                return (stream.rest().await, None);
            }
            let reader = user.resume(&chat).await;
            let (stream, reader) = tokio::join!(stream.rest(), reader.rest());
            (stream, Some(reader))
        }
    });
    for (stream, reader) in join_all(streams).await {
        assert_eq!(stream.terminal()["type"], "finish");
        if let Some(reader) = reader {
            assert_eq!((reader.text(), reader.terminal()), (stream.text(), stream.terminal()));
        }
    }
    let superuser = database.superuser().await;
    let count = async |sql: &str| superuser.query_one(sql, &[]).await.expect("a count").get::<_, i64>(0);
    assert_eq!(count("select count(*) from messages where status = 'complete'").await, 400);
    assert_eq!(count("select count(*) from runs where outcome = 'complete'").await, 200);
}

/// PgBouncer drops every connection in the middle of an answer and takes no new one for a while, as when it is restarted.
#[tokio::test]
async fn a_pooler_that_goes_and_comes_back_costs_an_answer_nothing() {
    on(Kind::PgBouncer, without_its_pooler).await;
}

async fn without_its_pooler(database: Database) {
    let user = User { router: router(config(&database.app_url)), token: token().await };
    let hold = unique("pooler").replace(' ', "-");
    let mut stream = user.chat(&question("c", "q", "How?", &format!("bytes=2000 hold@3={hold}"))).await;
    stream.until("text-delta").await;
    let (server, _) = database.app_url.rsplit_once('/').expect("a database");
    let console = format!("{server}/pgbouncer");
    // It speaks the simple protocol alone.
    let console = connect(&console).await;
    console.simple_query(&format!("kill {}", database.name)).await.expect("killed");
    release(&hold).await;
    stream.until("text-end").await;
    assert!(stream.text().len() >= 2000);
    console.simple_query(&format!("resume {}", database.name)).await.expect("resumed");
    let stream = stream.rest().await;
    assert_eq!(stream.terminal()["type"], "finish");
    let page = user.get("/v1/conversations/c/messages").await;
    assert_eq!(
        (page.texts("/data", "/content")[1].as_str(), page.texts("/data", "/status")[1].as_str()),
        (stream.text().as_str(), "complete")
    );
    let resumed = user.resume("c").await.rest().await;
    assert_eq!(resumed.text(), stream.text());
}

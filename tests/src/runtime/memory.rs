//! An environment lives for hours: what it holds must not grow with what it has answered.

use std::sync::Arc;

use serde_json::json;
use shared::clock::Clock;
use tokio::sync::mpsc;

use crate::auth::key::Key;
use crate::support::api::Api;
use crate::support::chat::{question, reply_settings};
use crate::support::database::{Database, Kind};
use crate::support::function::{http_event, rest_event};
use crate::support::issuer::{Issuer, headers};
use crate::support::process::rss;
use crate::support::runtime_api::Environment;

/// The kB that a function may hold more at the end than after a tenth of its invocations. Four bytes an invocation are
/// already too many.
const MOST: u64 = 384;

/// The nth event: everything in it that a function could keep is new each time.
fn event(n: usize, path: &str, ours: &Key, theirs: &Key) -> Vec<u8> {
    let clock = Clock::system();
    let sign = |key: &Key, kid: &str| key.sign(&json!({"alg": "EdDSA", "kid": kid, "n": n}), &clock);
    let token = match n % 4 {
        0 => sign(ours, "key-1"),
        1 => sign(theirs, &format!("unknown-{n}")),
        2 => sign(theirs, "key-1"),
        _ => format!("{n}.{n}.{n}"),
    };
    let mut headers = headers(&token);
    headers[format!("x-{n}")] = n.to_string().into();
    headers["Host"] = format!("{n}.example.com").into();
    headers["Origin"] = format!("https://{n}.example.com").into();
    let make = if n.is_multiple_of(5) { rest_event } else { http_event };
    let path = if n.is_multiple_of(3) { format!("{path}?n{n}={n}") } else { path.to_owned() };
    make("GET", &if n.is_multiple_of(7) { format!("/v1/{n}") } else { path }, &headers, None).to_string().into_bytes()
}

/// How many kB more a function holds after `invocations` than after a tenth of them.
async fn growth(function: &Environment, path: &'static str, issuer: Issuer, invocations: usize) -> u64 {
    let (made, mut events) = mpsc::channel(64);
    // Made beside, for that takes as long as half an invocation.
    let making = tokio::spawn(async move {
        let theirs = Arc::new(Key::new("key-2"));
        for n in 0..invocations {
            made.send(event(n, path, &issuer.key, &theirs)).await.expect("a receiver");
        }
        // The key server is asked to the end.
        issuer
    });
    let (mut answered, mut warm) = ([0; 600], 0);
    for n in 0..invocations {
        if n == invocations / 10 {
            warm = rss(&function.process);
        }
        let event = events.recv().await.expect("an event");
        answered[usize::from(function.invoke_bytes(event).await.response().status)] += 1;
    }
    drop(making.await.expect("events"));
    for (status, count) in answered.iter().enumerate() {
        // Those of many requests that were answered, and of many that were refused.
        let expected = [200, 400, 401, 404].contains(&status);
        assert_eq!(*count > invocations / 20, expected, "{count} × {status}");
    }
    rss(&function.process).saturating_sub(warm)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_requests_leave_nothing_behind() {
    let issuer = Issuer::start().await;
    // A key set that is fetched anew takes with it what its keys remembered: here it stays.
    let database = "postgresql://colloquy_app:x@127.0.0.1:1/none";
    let settings = [("DATABASE_URL", database), ("JWKS_STALE_SECONDS", "86400"), ("JWKS_TTL_SECONDS", "86400")];
    let function = Environment::start("me", &[&settings[..], &issuer.settings()].concat()).await;
    let growth = growth(&function, "/v1/me", issuer, 100_000).await;
    assert!(growth <= MOST, "{growth} kB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_ten_thousand_that_ask_the_database() {
    let issuer = Issuer::start().await;
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let settings = [("DATABASE_URL", database.app_url.as_str())];
    let function = Environment::start("list-conversations", &[&settings[..], &issuer.settings()].concat()).await;
    let growth = growth(&function, "/v1/conversations", issuer, 10_000).await;
    assert!(growth <= MOST, "{growth} kB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_streamed_answers() {
    let api = Api::new().await;
    let function = Environment::start("reply-chat", &reply_settings(&api.database.app_url)).await;
    let headers = headers(&api.user().await.token);
    let mut warm = 0;
    for n in 0..400 {
        if n == 100 {
            warm = rss(&function.process);
        }
        // Answers of all ends, of conversations of their own.
        let script = ["", "cut@2", "error@2", "status=400"][n % 4];
        let body = question(&format!("c{n}"), "q", "How?", script).to_string();
        let answer = function.invoke(&rest_event("POST", "/v1/chat", &headers, Some(&body))).await.response();
        assert!(answer.body.ends_with("data: [DONE]\n\n"), "{}", answer.body);
    }
    let growth = rss(&function.process).saturating_sub(warm);
    assert!(growth <= MOST, "{growth} kB");
}

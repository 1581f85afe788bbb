//! Metrics: each is counted when it happens and at no other time, in lines that CloudWatch understands; without
//! `METRICS_STACK` there are none.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::Clock;

use crate::auth::key::Key;
use crate::auth::key_server::Answer;
use crate::support::api::Api;
use crate::support::chat::{expire, question, release, reply_settings, unique};
use crate::support::database::{Database, Kind};
use crate::support::eventually;
use crate::support::function::rest_event;
use crate::support::issuer::{Issuer, headers};
use crate::support::outage::end_sessions;
use crate::support::process::Lines;
use crate::support::proxy::{Proxy, Weather};
use crate::support::runtime_api::Environment;
use crate::support::setup;

const STACK: (&str, &str) = ("METRICS_STACK", "colloquy-test");

/// How often each metric was told; of a run beside that as `Runs complete`.
async fn counted(function: &Environment) -> BTreeMap<String, u64> {
    // Lines come in their order: when this event's is there, all others are.
    let refused = function.invoke(&json!({})).await;
    function.lines.with(&refused.id).await;
    totals(&function.lines)
}

fn totals(lines: &Lines) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    for line in lines.json().iter().filter(|line| line.get("_aws").is_some()) {
        for (name, value) in check(line) {
            // A time is told once for each run; the rest are counts.
            let value = if name == "TimeToFirstToken" { 1 } else { value.as_u64().expect("a count") };
            assert!(value > 0, "nothing happened: {line}");
            if name == "Runs" {
                *totals.entry(format!("Runs {}", line["Status"].as_str().expect("a status"))).or_default() += value;
            }
            *totals.entry(name).or_default() += value;
        }
    }
    totals
}

/// The metrics of a document, which must be one of the embedded metric format: its JSON schema, and what CloudWatch says of
/// dimensions beside.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn check(document: &Value) -> Vec<(String, Value)> {
    const UNITS: [&str; 2] = ["Count", "Milliseconds"];
    assert!(document.to_string().len() < 256 * 1024);
    let metadata = members(&document["_aws"], &["CloudWatchMetrics", "Timestamp"]);
    // CloudWatch takes times from two weeks ago to two hours ahead.
    let age = Clock::system().now().as_millisecond() - metadata["Timestamp"].as_i64().expect("an integer");
    assert!((0..600_000).contains(&age), "{document}");
    let mut metrics = Vec::new();
    for directive in metadata["CloudWatchMetrics"].as_array().expect("directives") {
        let directive = members(directive, &["Dimensions", "Metrics", "Namespace"]);
        assert_eq!(directive["Namespace"], "Colloquy");
        let sets = directive["Dimensions"].as_array().expect("sets of dimensions");
        assert!(!sets.is_empty());
        for set in sets {
            let set = set.as_array().expect("a set");
            assert!((1..=30).contains(&set.len()), "{document}");
            assert_eq!(set[0], "Stack");
            for name in set.iter().map(|name| name.as_str().expect("a name")) {
                let value = document[name].as_str().unwrap_or_else(|| panic!("{name} is no member: {document}"));
                assert!((1..=250).contains(&name.len()) && (1..=1024).contains(&value.len()), "{document}");
            }
        }
        let values = directive["Metrics"].as_array().expect("metrics");
        assert!((1..=100).contains(&values.len()), "{document}");
        for metric in values {
            let metric = members(metric, &["Name", "Unit"]);
            let name = metric["Name"].as_str().expect("a name");
            assert!((1..=1024).contains(&name.len()));
            assert!(UNITS.contains(&metric["Unit"].as_str().expect("a unit")), "{document}");
            let value = &document[name];
            assert!(value.as_f64().is_some_and(|value| value >= 0.0 && value.is_finite()), "{document}");
            metrics.push((name.to_owned(), value.clone()));
        }
    }
    assert_eq!(document["Stack"], STACK.1);
    // A metric that stood in two directives would count twice.
    let mut expected: Vec<&str> = metrics.iter().map(|(name, _)| name.as_str()).chain(["_aws", "Stack"]).collect();
    expected.extend(document.get("Status").map(|_| "Status"));
    expected.sort_unstable();
    // And nothing beside: no message, no id, nobody's name.
    assert_eq!(document.as_object().expect("an object").keys().collect::<Vec<_>>(), expected);
    metrics
}

/// An object with exactly these members.
#[track_caller]
fn members<'a>(value: &'a Value, names: &[&str]) -> &'a serde_json::Map<String, Value> {
    let object = value.as_object().expect("an object");
    assert_eq!(object.keys().collect::<Vec<_>>(), names);
    object
}

fn these(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn fetches_of_the_key_set_are_counted_and_those_that_fail() {
    let issuer = Issuer::start().await;
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let settings = [("DATABASE_URL", database.app_url.as_str()), STACK];
    let function = Environment::start("me", &[&settings[..], &issuer.settings()].concat()).await;
    let me = rest_event("GET", "/v1/me", &issuer.headers(), None);
    assert_eq!(function.invoke(&me).await.response().status, 200);
    assert_eq!(counted(&function).await, these(&[("JwksFetches", 1)]));
    // An unknown key is asked for once, in vain or not.
    let stranger = rest_event("GET", "/v1/me", &headers(&Key::new("key-2").token(&Clock::system())), None);
    assert_eq!(function.invoke(&stranger).await.response().status, 401);
    assert_eq!(counted(&function).await, these(&[("JwksFetches", 2)]));
    issuer.server.answer(Answer::status("500 Internal Server Error", "", ""));
    assert_eq!(function.invoke(&stranger).await.response().status, 401);
    assert_eq!(counted(&function).await, these(&[("JwksFetches", 3), ("JwksFetchFailures", 1)]));
}

#[tokio::test]
async fn connections_that_died_are_counted_and_those_that_cannot_be_opened() {
    let issuer = Issuer::start().await;
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let proxy = Proxy::before(&database.app_url).await;
    let url = proxy.through(&database.app_url);
    let settings = [("DATABASE_URL", url.as_str()), STACK];
    let function = Environment::start("list-conversations", &[&settings[..], &issuer.settings()].concat()).await;
    let list = rest_event("GET", "/v1/conversations", &issuer.headers(), None);
    for _ in 0..2 {
        assert_eq!(function.invoke(&list).await.response().status, 200);
    }
    assert_eq!(counted(&function).await, these(&[("JwksFetches", 1)]));
    assert_eq!(end_sessions(&database.superuser().await).await, 1);
    assert_eq!(function.invoke(&list).await.response().status, 200);
    assert_eq!(counted(&function).await, these(&[("DatabaseReconnects", 1), ("JwksFetches", 1)]));
    proxy.turn(Weather::Refusing);
    proxy.cut();
    assert_eq!(function.invoke(&list).await.response().status, 503);
    let away = counted(&function).await;
    // The connection that died is one; that none can be opened makes no more of it.
    assert!(away["DatabaseRefusals"] >= 1 && away["DatabaseReconnects"] == 2, "{away:?}");
    // Back again, there is nothing that had died.
    proxy.turn(Weather::Fair);
    assert_eq!(function.invoke(&list).await.response().status, 200);
    assert_eq!(counted(&function).await, away);
}

/// A function that answers questions of this API's users.
async fn reply(api: &Api, more: &[(&str, &str)]) -> Environment {
    Environment::start("reply-chat", &[&reply_settings(&api.database.app_url)[..], more].concat()).await
}

#[tokio::test]
async fn runs_are_counted_by_their_outcome_and_have_a_time_to_the_first_token() {
    let api = Api::new().await;
    let user = api.user().await;
    let headers = headers(&user.token);
    let ask = |chat: &str, script: &str| {
        rest_event("POST", "/v1/chat", &headers, Some(&question(chat, "q", "How?", script).to_string()))
    };
    let mut expected = these(&[("JwksFetches", 1)]);
    let mut function = reply(&api, &[STACK]).await;
    for (script, status, failed, has_words) in [
        ("", "complete", 0, 1),
        ("finish=length", "incomplete", 0, 1),
        ("cut@3", "incomplete", 1, 1),
        ("error@3", "failed", 1, 1),
        ("status=400", "failed", 1, 0),
    ] {
        let streamed = function.invoke(&ask(&format!("c-{script}"), script)).await.response();
        assert!(streamed.body.ends_with("data: [DONE]\n\n"), "{}", streamed.body);
        for (name, count) in
            [("Runs", 1), (&format!("Runs {status}"), 1), ("FailedRuns", failed), ("TimeToFirstToken", has_words)]
        {
            *expected.entry(name.to_owned()).or_default() += count;
        }
        expected.retain(|_, count| *count > 0);
        assert_eq!(counted(&function).await, expected, "{script}");
        // The same again is no run.
        function.invoke(&ask(&format!("c-{script}"), script)).await.response();
        assert_eq!(counted(&function).await, expected, "{script}, again");
    }

    // Stopped by its user; and out of time, with half of it left to store what came.
    let event = ask("stopped", "silent@3");
    let stop = async {
        eventually("a running answer", async || {
            let stopped = user.post("/v1/chat/stopped/stop", &json!({})).await;
            (stopped.status == http::StatusCode::ACCEPTED).then_some(())
        })
        .await;
    };
    let (stopped, ()) = tokio::join!(function.invoke(&event), stop);
    assert!(stopped.response().body.contains("\"type\":\"abort\""));
    function.timeout = Duration::from_secs(8);
    function.invoke(&ask("late", "silent@3")).await.response();
    for (name, count) in
        [("Runs", 2), ("Runs stopped", 1), ("Runs incomplete", 1), ("FailedRuns", 1), ("TimeToFirstToken", 1)]
    {
        *expected.entry(name.to_owned()).or_default() += count;
    }
    let told = counted(&function).await;
    // Whether the agent had said anything yet when it was stopped, nobody can tell.
    let more = told["TimeToFirstToken"] - expected["TimeToFirstToken"];
    expected.insert("TimeToFirstToken".to_owned(), told["TimeToFirstToken"]);
    assert!(more <= 1);
    assert_eq!(told, expected);

    // One whose conversation was deleted has no outcome.
    function.timeout = Duration::from_secs(30);
    let hold = unique("deleted").replace(' ', "-");
    let event = ask("deleted", &format!("hold@3={hold}"));
    let delete = async {
        eventually("the conversation", async || {
            let deleted = user.delete("/v1/conversations/deleted").await;
            (deleted.status == http::StatusCode::NO_CONTENT).then_some(())
        })
        .await;
        release(&hold).await;
    };
    tokio::join!(function.invoke(&event), delete);
    assert_eq!(counted(&function).await, expected);
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_is_a_failed_run() {
    let api = Api::new().await;
    let user = api.user().await;
    let proxy = Proxy::before(&api.database.app_url).await;
    let url = proxy.through(&api.database.app_url);
    let mut function = reply(&api, &[STACK, ("DATABASE_URL", &url), ("DATABASE_REQUEST_SECONDS", "1")]).await;
    // Its time is up while it tries.
    function.timeout = Duration::from_secs(8);
    let hold = unique("unstored").replace(' ', "-");
    let body = question("c", "q", "How?", &format!("hold@3={hold}")).to_string();
    let event = rest_event("POST", "/v1/chat", &headers(&user.token), Some(&body));
    let outage = async {
        eventually("a stored chunk", async || (api.count("select count(*) from run_chunks").await > 0).then_some(()))
            .await;
        proxy.turn(Weather::Refusing);
        proxy.cut();
        release(&hold).await;
    };
    let (streamed, ()) = tokio::join!(function.invoke(&event), outage);
    assert!(streamed.response().body.contains("couldn't be stored"));
    let counted = counted(&function).await;
    for (name, count) in [("Runs", 1), ("Runs incomplete", 1), ("FailedRuns", 1), ("TimeToFirstToken", 1)] {
        assert_eq!(counted[name], count, "{counted:?}");
    }
}

#[tokio::test]
async fn refusals_for_a_quota_are_counted() {
    let api = Api::new().await;
    let headers = headers(&api.user().await.token);
    let function = reply(&api, &[STACK, ("QUOTA_MESSAGES", "1")]).await;
    for (chat, status) in [("a", 200), ("b", 429), ("c", 429)] {
        let body = question(chat, "q", "How?", "").to_string();
        let answer = function.invoke(&rest_event("POST", "/v1/chat", &headers, Some(&body))).await.response();
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let expected =
        [("JwksFetches", 1), ("QuotaRefusals", 2), ("Runs", 1), ("Runs complete", 1), ("TimeToFirstToken", 1)];
    assert_eq!(counted(&function).await, these(&expected));
}

#[tokio::test]
async fn runs_that_a_sweep_ends_are_counted() {
    let api = Api::new().await;
    let user = api.user().await;
    for chat in ["a", "b"] {
        let mut dying = user.chat(&question(chat, "q", "How?", "silent@2")).await;
        dying.until("text-delta").await;
    }
    let superuser = api.database.superuser().await;
    let settings = [("DATABASE_URL", api.database.app_url.as_str()), ("AUTH_URL", setup().auth_url.as_str()), STACK];
    let sweep = Environment::start("sweep", &settings).await;
    let mut swept = 0;
    // A run's own function may renew its lease once more before it is found expired.
    eventually("the end of what died", async || {
        expire(&superuser).await;
        swept += sweep.invoke(&json!({})).await.json()["runs"].as_u64().expect("a count");
        (swept == 2).then_some(())
    })
    .await;
    // And one that finds nothing.
    assert_eq!(sweep.invoke(&json!({})).await.json()["runs"], 0);
    sweep.lines.with("\"runs\":0").await;
    assert_eq!(totals(&sweep.lines), these(&[("RunsSwept", 2)]));
}

#[tokio::test]
async fn without_a_stack_there_is_none() {
    let api = Api::new().await;
    let headers = headers(&api.user().await.token);
    let function = reply(&api, &[("QUOTA_MESSAGES", "1"), ("METRICS_STACK", "")]).await;
    for chat in ["a", "b"] {
        let body = question(chat, "q", "How?", "error@2").to_string();
        function.invoke(&rest_event("POST", "/v1/chat", &headers, Some(&body))).await.response();
        end_sessions(&api.database.superuser().await).await;
    }
    assert_eq!(counted(&function).await, these(&[]));
    assert!(!function.lines.text().contains("CloudWatchMetrics"));
}

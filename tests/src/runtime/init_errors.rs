//! Settings that are wrong end a start, and Lambda is told why. `cargo lambda`'s Runtime API takes such a report and shows
//! it to nobody, so that what answers here is a stand-in of the Runtime API's shape.

use std::process::Stdio;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::process::command;
use crate::support::setup;

/// A report as it came.
struct Report {
    route: String,
    error_type: String,
    body: Value,
}

/// Where the stand-in listens, and what it is told.
async fn runtime_api() -> (String, UnboundedReceiver<Report>) {
    let (reports, told) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let router = Router::new().fallback(take).with_state(reports);
    tokio::spawn(async { axum::serve(listener, router).await });
    (address, told)
}

async fn take(
    State(reports): State<UnboundedSender<Report>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let error_type = headers.get("lambda-runtime-function-error-type").and_then(|value| value.to_str().ok());
    let report = Report {
        route: format!("{method} {uri}"),
        error_type: error_type.unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let _ = reports.send(report);
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

/// Runs a function with these settings to its end; what it wrote, after it failed.
async fn fails(name: &str, runtime_api: &str, settings: &[(&str, &str)]) -> String {
    let ended = command(&setup().bin_dir.join(name), name, runtime_api, settings).stdin(Stdio::null()).output();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), ended).await.expect("an end").expect("run");
    assert!(!ended.status.success());
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[tokio::test]
async fn lambda_is_told_all_that_is_wrong_at_once() {
    let bad_url = [("AUTH_URL", "ftp://canary"), ("DATABASE_URL", "postgresql://u:canary@h/db?sslmode=canary")];
    for (name, settings, named) in [
        ("me", &bad_url[..], &["AUTH_URL must be https", "DATABASE_URL has a value of sslmode that isn't known"][..]),
        (
            "list-messages",
            &bad_url[..1],
            &["AUTH_URL must be https", "DATABASE_URL is not set, nor is DATABASE_SECRET"],
        ),
        ("sweep", &[("DATABASE_SECRET_ARN", "canary")], &["AUTH_URL is not set", "DATABASE_SECRET_ARN is not the ARN"]),
        ("migrate", &[("LOG_LEVEL", "canary")], &["MIGRATE_DATABASE_URL is not set, nor is", "LOG_LEVEL must be"]),
    ] {
        let (address, mut told) = runtime_api().await;
        let log = fails(name, &address, settings).await;
        let Report { route, error_type, body } = told.try_recv().expect("a report, before the end");
        assert_eq!(
            (route.as_str(), error_type.as_str()),
            ("POST /2018-06-01/runtime/init/error", "Runtime.BadSettings")
        );
        assert_eq!((&body["errorType"], &body["stackTrace"]), (&json!("Runtime.BadSettings"), &json!([])));
        let message = body["errorMessage"].as_str().expect("a message");
        for fault in named {
            assert!(message.contains(fault) && log.contains(fault), "{name}: {fault}: {message}");
        }
        assert!(!message.contains("canary") && !log.contains("canary"), "{log}");
        // Told once, and nothing else was asked for.
        assert!(told.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_runtime_api_that_does_not_answer_keeps_nobody() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    assert!(fails("me", &address, &[]).await.contains("the Runtime API wasn't told"));
}

//! What a function logs: one line a request, with its id; never a token, an e-mail, a title or a message's text.

use serde_json::{Value, json};

use crate::support::api::sign_up;
use crate::support::database::{Database, Kind};
use crate::support::function::{Function, rest_event};
use crate::support::setup;

#[tokio::test]
async fn no_canary_is_ever_logged_and_every_line_has_the_request_id() {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let token = sign_up(&setup().auth_url, &format!("canary-{}@example.com", database.name), "canary-name").await;
    let headers = json!({"Host": "abc.example.com", "Authorization": format!("Bearer {token}"), "content-type": "application/json"});
    let create = Function::for_database("create-conversation", &database.app_url).await;
    let list = Function::for_database("list-conversations", &database.app_url).await;

    let good = json!({"title": "canary-title", "clientId": "canary-id", "metadata": {"canary-key": "canary-value"},
                      "messages": [{"role": "user", "content": "canary-text"}]});
    let other = json!({"title": "canary-other", "clientId": "canary-id"});
    let bad = r#"{"canary-member": 1, "title": "canary-title\u0000", "messages": [{"role": "canary-role"}]}"#;
    let mut ids = Vec::new();
    for (body, status) in
        [(good.to_string(), 201), (other.to_string(), 422), (bad.to_owned(), 400), ("{canary-syntax".to_owned(), 400)]
    {
        let answer = create.invoke(&rest_event("POST", "/v1/conversations", &headers, Some(&body))).await;
        assert_eq!(answer.status(), status, "{}", answer.answer);
        ids.push(answer.header("x-request-id").expect("a request id").to_owned());
    }
    let path = "/v1/conversations?title=canary-title&metadata.canary-key=canary-value&canary-parameter=1";
    assert_eq!(list.invoke(&rest_event("GET", path, &headers, None)).await.status(), 400);
    let forged = json!({"Host": "abc.example.com", "Authorization": "Bearer canary.canary.canary"});
    let unknown = list.invoke(&rest_event("GET", "/v1/conversations/canary-path", &forged, None)).await;
    assert_eq!(unknown.status(), 404);
    let nobody = list.invoke(&rest_event("GET", "/v1/conversations", &forged, None)).await;
    assert_eq!(nobody.status(), 401);
    list.logged(nobody.header("x-request-id").expect("a request id")).await;

    for id in &ids {
        let line: Value = serde_json::from_str(&create.logged(id).await).expect("a line is JSON");
        assert!(
            line["status"].is_number() && line["millis"].is_number() && line["route"] == "/v1/conversations",
            "{line}"
        );
    }
    let secret = token.rsplit('.').next().expect("a signature");
    for log in [create.log(), list.log()] {
        for canary in ["canary", "@example.com", secret, "Bearer", "postgresql://"] {
            assert!(!log.contains(canary), "{canary}: {log}");
        }
    }
    let log = create.log();
    let requests = log.lines().filter(|line| line.contains("\"status\"")).count();
    assert_eq!(requests, ids.len(), "one line a request: {log}");
}

#[tokio::test]
async fn a_failures_cause_is_logged_and_the_client_learns_nothing_of_it() {
    let away = "postgresql://colloquy_app:canary-password@127.0.0.1:1/none";
    let function = Function::for_database("health", away).await;
    let answer = function.invoke(&rest_event("GET", "/health", &json!({}), None)).await;
    assert_eq!(answer.status(), 503);
    let line: Value =
        serde_json::from_str(&function.logged(answer.header("x-request-id").expect("an id")).await).expect("JSON");
    assert!(line["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{line}");
    assert!(!answer.body().to_string().contains("127.0.0.1"));
    assert!(!function.log().contains("canary-password"));
}

#[tokio::test]
async fn a_chat_logs_its_run_and_no_word_of_it() {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let token = sign_up(&setup().auth_url, &format!("canary-{}@example.com", database.name), "canary-name").await;
    let settings = [
        ("DATABASE_URL", database.app_url.as_str()),
        ("AUTH_URL", &setup().auth_url),
        ("AGENT_URL", setup().text("agentUrl")),
        ("AGENT_MODEL", "development-agent"),
        ("AGENT_API_KEY", "canary-key"),
        ("AGENT_SYSTEM_PROMPT", "canary-prompt"),
        ("LOG_LEVEL", "trace"),
    ];
    let reply = Function::start("reply-chat", &settings).await;
    let headers = json!({"Host": "abc.example.com", "Authorization": format!("Bearer {token}"), "content-type": "application/json"});
    for (id, script) in
        [("q1", ""), ("q2", "\nagent: error@2"), ("q3", "\nagent: garbage@2"), ("q4", "\nagent: status=400")]
    {
        let text = format!("canary-question: how are cursors made?{script}");
        let body = json!({"id": "canary-chat", "message": {"id": id, "role": "user", "parts": [{"type": "text", "text": text}]}});
        let streamed = reply.stream(&rest_event("POST", "/v1/chat", &headers, Some(&body.to_string()))).await;
        assert!(streamed.body.contains("[DONE]"), "{streamed:?}");
    }
    let line: Value = serde_json::from_str(&reply.logged("answered a question").await).expect("a line is JSON");
    assert!(line["run"].is_string() && line["status"] == "complete" && line["millis"].is_number(), "{line}");
    assert!(line["span"]["requestId"].is_string(), "{line}");
    let log = reply.log();
    let told = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!((told("an answer failed"), told("left out of its answer")), (2, 1), "{log}");
    let secret = token.rsplit('.').next().expect("a signature");
    for canary in ["canary", "cursor", "@example.com", secret, "Bearer", "postgresql://"] {
        assert!(!log.contains(canary), "{canary}: {log}");
    }
}

//! Answers that stream, through the real Runtime API.

use serde_json::{Value, json};

use crate::support::api::token;
use crate::support::chat::reply_settings;
use crate::support::database::{Database, Kind};
use crate::support::function::{Function, http_event, rest_event};

async fn reply(database: &Database, more: &[(&str, &str)]) -> Function {
    Function::start("reply-chat", &[&reply_settings(&database.app_url)[..], more].concat()).await
}

fn question(chat: &str) -> String {
    json!({"id": chat, "message": {"role": "user", "parts": [{"type": "text", "text": "How?"}]}}).to_string()
}

#[tokio::test]
async fn both_versions_of_events_are_answered_with_a_stream() {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let function = reply(&database, &[]).await;
    let headers = json!({"Host": "abc.example.com", "Authorization": format!("Bearer {}", token().await), "content-type": "application/json"});
    // A REST API's and a Function URL's.
    let events = [
        rest_event("POST", "/v1/chat", &headers, Some(&question("a"))),
        http_event("POST", "/v1/chat", &headers, Some(&question("b"))),
    ];
    for event in events {
        let streamed = function.stream(&event).await;
        assert_eq!((streamed.status, streamed.media_type.as_deref()), (200, Some("text/event-stream")));
        let body = streamed.body;
        assert!(body.starts_with("data: {\"type\":\"start\"") && body.ends_with("data: [DONE]\n\n"), "{body}");
    }
    // Problems are streamed, too: API Gateway expects nothing else from such a function.
    for event in [rest_event("POST", "/v1/chat", &json!({"Host": "abc"}), None), json!({"nothing": 1})] {
        let streamed = function.stream(&event).await;
        let problem: Value = serde_json::from_str(&streamed.body).expect("JSON");
        assert_eq!((Some(u64::from(streamed.status))), problem["status"].as_u64());
        assert_eq!(streamed.media_type.as_deref(), Some("application/problem+json"));
    }
}

#[tokio::test]
async fn under_sam_local_an_answer_is_one_piece() {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let function = reply(&database, &[("AWS_SAM_LOCAL", "true")]).await;
    let headers = json!({"Host": "abc", "Authorization": format!("Bearer {}", token().await), "content-type": "application/json"});
    let answer = function.invoke(&rest_event("POST", "/v1/chat", &headers, Some(&question("a")))).await;
    assert_eq!((answer.status(), answer.header("content-type")), (200, Some("text/event-stream")));
    assert!(answer.answer["body"].as_str().is_some_and(|body| body.ends_with("data: [DONE]\n\n")));
}

#[tokio::test]
async fn an_answer_is_cut_in_time_to_be_stored() {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    // The Runtime API tells no deadline of its own that could be moved: the agent's total time stands in for it.
    let function = reply(&database, &[("AGENT_TOTAL_SECONDS", "1")]).await;
    let headers = json!({"Host": "abc", "Authorization": format!("Bearer {}", token().await), "content-type": "application/json"});
    let text = "How?\nagent: silent@2";
    let body = json!({"id": "c", "message": {"role": "user", "parts": [{"type": "text", "text": text}]}}).to_string();
    let streamed = function.stream(&rest_event("POST", "/v1/chat", &headers, Some(&body))).await;
    let streamed = streamed.body;
    assert!(streamed.contains("\"status\":\"incomplete\"") && streamed.contains("\"type\":\"error\""), "{streamed}");
    let superuser = database.superuser().await;
    let row =
        superuser.query_one("select status, content from messages where role = 'assistant'", &[]).await.expect("a row");
    assert_eq!(row.get::<_, String>(0), "incomplete");
    assert!(!row.get::<_, String>(1).is_empty());
}

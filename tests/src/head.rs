//! HEAD: GET without a body (RFC 9110, section 9.3.2), and `Accept`, which changes nothing.

use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use shared::http::Method as Of;

use crate::support::api::{Api, token};
use crate::support::chat::reply_settings;
use crate::support::database::{Database, Kind};
use crate::support::function::{Function, http_event, rest_event};

/// The headers of an answer but those that are another request's.
fn same(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove("x-request-id");
    headers
}

/// The paths that answer GET, for a conversation and a message that are there.
fn paths() -> Vec<String> {
    let gets = functions::endpoints().into_iter().filter(|endpoint| endpoint.method == Of::Get);
    gets.map(|endpoint| endpoint.path.replace("{id}", "ours").replace("{messageId}", "m1")).collect()
}

#[tokio::test]
async fn head_answers_as_get_does_without_a_body() {
    let api = Api::new().await;
    let user = api.user().await;
    user.post("/v1/conversations", &json!({"clientId": "ours"})).await.expect(StatusCode::CREATED);
    let message = json!({"messages": [{"clientId": "m1", "role": "user", "content": "Hi"}]});
    user.post("/v1/conversations/ours/messages", &message).await.expect(StatusCode::CREATED);
    let more = ["/v1/conversations/theirs", "/v1/conversations?limit=0", "/nowhere"].map(str::to_owned);
    for path in [paths(), more.to_vec()].concat() {
        let (get, head) = (user.get(&path).await, user.send(Method::HEAD, &path, &[], None).await);
        assert_eq!((head.status, same(&head.headers)), (get.status, same(&get.headers)), "{path}");
        assert!(head.bytes.is_empty(), "{path}");
    }
    for path in paths() {
        assert!(user.get(&path).await.status.is_success(), "{path}");
    }
}

#[tokio::test]
async fn whatever_a_client_accepts_it_gets_json() {
    let api = Api::new().await;
    let user = api.user().await;
    for accept in [
        "application/problem+json",
        "text/html",
        "image/*",
        "application/json;q=0",
        "*/*;q=0",
        "text/event-stream",
        "",
        "?",
    ] {
        let made = user.send(Method::POST, "/v1/conversations", &[("accept", accept)], Some(&json!({}))).await;
        assert_eq!(
            (made.status, made.header("content-type")),
            (StatusCode::CREATED, Some("application/json")),
            "{accept}"
        );
        user.send(Method::GET, "/v1/me", &[("accept", accept)], None).await.expect(StatusCode::OK);
    }
}

/// Through the Runtime API: what streams and what doesn't, in both versions of events.
#[tokio::test]
async fn a_function_sends_no_body_to_head() {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let headers = json!({"Host": "abc", "Authorization": format!("Bearer {}", token().await)});
    let me = Function::for_database("me", &database.app_url).await;
    for event in [rest_event("HEAD", "/v1/me", &headers, None), http_event("HEAD", "/v1/me", &headers, None)] {
        let answer = me.invoke(&event).await;
        assert_eq!((answer.status(), answer.answer["body"].as_str()), (200, Some("")), "{}", answer.answer);
        assert_eq!((answer.header("content-type"), answer.header("content-length")), (Some("application/json"), None));
    }
    let resume = Function::start("resume-chat", &reply_settings(&database.app_url)).await;
    let nothing = resume.stream(&rest_event("HEAD", "/v1/chat/unknown/stream", &headers, None)).await;
    assert_eq!((nothing.status, nothing.body.as_str()), (204, ""));
    let refused = resume.stream(&rest_event("HEAD", "/v1/chat/unknown/stream", &json!({"Host": "abc"}), None)).await;
    assert_eq!((refused.status, refused.body.as_str()), (401, ""));
}

//! A journey through every endpoint, over HTTP, each request through the local gateway and a function's own process.

use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::token;
use crate::support::{http_client, setup};

struct Traveller {
    http: reqwest::Client,
    token: String,
}

impl Traveller {
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> (StatusCode, http::HeaderMap, Value) {
        let mut request = self.http.request(method, format!("{}{path}", setup().api_url())).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.expect("a body");
        (status, headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, _, body) = self.send(Method::GET, path, &[], None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }
}

#[tokio::test]
async fn from_sign_in_to_deletion_through_every_function() {
    let me = Traveller { http: http_client(), token: token().await };
    assert_eq!(me.get("/health").await, json!({"status": "ok"}));
    assert!(me.get("/v1/openapi.json").await["openapi"].is_string());
    assert!(me.get("/v1/me").await["id"].is_string());

    let new = json!({"clientId": "first", "title": "Leave policy"});
    let (status, headers, created) = me.send(Method::POST, "/v1/conversations", &[], Some(new)).await;
    assert_eq!((status, headers["etag"].as_bytes()), (StatusCode::CREATED, &b"\"1\""[..]));
    let messages = json!({"messages": [
        {"clientId": "q", "role": "user", "content": "How many days?"},
        {"role": "assistant", "content": "Twenty [1].", "sources": [{"url": "https://example.com/handbook", "title": "Handbook"}]},
    ]});
    let (status, _, appended) = me.send(Method::POST, "/v1/conversations/first/messages", &[], Some(messages)).await;
    assert_eq!(status, StatusCode::CREATED, "{appended}");

    let listed = me.get("/v1/conversations?title=leave&limit=1").await;
    assert_eq!(listed["data"][0]["id"], created["id"]);
    assert_eq!(listed["data"][0]["messageCount"], 2);
    let messages = me.get("/v1/conversations/first/messages?order=desc&limit=1").await;
    assert_eq!(messages["data"][0], appended["data"][1]);
    let next = format!(
        "/v1/conversations/first/messages?order=desc&cursor={}",
        messages["nextCursor"].as_str().expect("a cursor")
    );
    assert_eq!(me.get(&next).await["data"], json!([appended["data"][0]]));
    assert_eq!(me.get("/v1/conversations/first/messages/q").await, appended["data"][0]);

    let patch = Some(json!({"archived": true, "metadata": {"team": "hr"}}));
    let (status, _, patched) = me.send(Method::PATCH, "/v1/conversations/first", &[("if-match", "\"1\"")], patch).await;
    assert_eq!((status, &patched["archived"]), (StatusCode::OK, &json!(true)), "{patched}");
    assert_eq!(me.get("/v1/conversations/first").await, patched);
    let (status, _, _) = me.send(Method::DELETE, "/v1/conversations/first", &[("if-match", "\"1\"")], None).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    let (status, _, _) = me.send(Method::DELETE, "/v1/conversations/first", &[], None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _, problem) = me.send(Method::GET, "/v1/conversations/first", &[], None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[tokio::test]
async fn requests_of_one_function_run_side_by_side() {
    let me = Traveller { http: http_client(), token: token().await };
    let many = (0..20)
        .map(|i| me.send(Method::POST, "/v1/conversations", &[], Some(json!({"clientId": format!("c{}", i % 4)}))));
    let answers = futures_util::future::join_all(many).await;
    assert!(answers.iter().all(|(status, _, _)| *status == StatusCode::CREATED), "{answers:?}");
    assert_eq!(me.get("/v1/conversations").await["data"].as_array().map(Vec::len), Some(4));
}

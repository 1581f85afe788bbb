//! The development gateway does to requests and answers what a REST API of API Gateway does.

use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::api::token;
use crate::support::{http_client, setup};

fn url(path: &str) -> String {
    format!("{}{path}", setup().api_url())
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

/// Expects a problem that the gateway tells itself: no function has seen the request.
async fn refused(request: RequestBuilder, status: StatusCode, code: &str) {
    let answer = send(request).await;
    assert_eq!(answer.status(), status);
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!((header("x-request-id"), header("access-control-allow-origin").as_deref()), (None, Some("*")));
    let id = header("x-amzn-requestid");
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!((problem["code"].as_str(), problem["status"].as_u64()), (Some(code), Some(status.as_u16().into())));
    assert_eq!(problem["requestId"].as_str(), id.as_deref());
}

#[tokio::test]
async fn the_challenge_of_a_401_arrives_under_another_name() {
    let answer = send(http_client().get(url("/v1/me"))).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["x-amzn-remapped-www-authenticate"], r#"Bearer realm="colloquy""#);
    assert!(!answer.headers().contains_key("www-authenticate") && answer.headers().contains_key("x-request-id"));
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["code"], "unauthenticated", "a client goes by the document");
}

#[tokio::test]
async fn queries_with_bars_or_braces_are_refused_and_semicolons_split() {
    let (client, token) = (http_client(), token().await);
    let list = |query: &str| client.get(url(&format!("/v1/conversations?{query}"))).bearer_auth(&token);
    for bad in ["title=a|b", "title={a", "title=a}"] {
        refused(list(bad), StatusCode::BAD_REQUEST, "invalid_request").await;
    }
    assert_eq!(send(list("title=a%7Cb%7B%7D%3B")).await.status(), StatusCode::OK);
    let split: Value = send(list("title=a;colour=b")).await.json().await.expect("JSON");
    assert_eq!(split["errors"][0]["pointer"], "/colour", "{split}");
}

#[tokio::test]
async fn what_is_too_large_for_api_gateway_or_lambda_is_refused() {
    let (client, token) = (http_client(), token().await);
    let fat = client.get(url("/v1/me")).bearer_auth(&token).header("x-fat", "x".repeat(10_000));
    refused(fat, StatusCode::BAD_REQUEST, "invalid_request").await;
    let post = |title: String| client.post(url("/v1/conversations")).bearer_auth(&token).json(&json!({"title": title}));
    refused(post("x".repeat(10 * 1024 * 1024)), StatusCode::PAYLOAD_TOO_LARGE, "content_too_large").await;
    // Less than the API's own 4 MB, and more than Lambda's 6 MB once each quote is escaped.
    refused(post("\"".repeat(1_900_000)), StatusCode::PAYLOAD_TOO_LARGE, "content_too_large").await;
    let large = send(post("x".repeat(5_000_000))).await;
    assert!(large.status() == StatusCode::PAYLOAD_TOO_LARGE && large.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn methods_that_no_rest_api_has_are_refused() {
    let client = http_client();
    for method in ["TRACE", "PROPFIND", "QUERY"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        refused(client.request(method, url("/health")), StatusCode::BAD_REQUEST, "invalid_request").await;
    }
    let put = send(client.put(url("/health"))).await;
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED, "the fallback's answer");
}

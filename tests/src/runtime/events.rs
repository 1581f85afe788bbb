//! API Gateway's events of both versions, good and odd: each is answered properly, and none ends the function.

use serde_json::{Value, json};

use crate::support::api::token;
use crate::support::database::{Database, Kind};
use crate::support::function::{Function, http_event, rest_event};

/// A function, and the headers of somebody signed in.
async fn signed_in(name: &str) -> (Database, Function, Value) {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let function = Function::for_database(name, &database.app_url).await;
    let headers = json!({"Host": "abc.example.com", "Authorization": format!("Bearer {}", token().await), "content-type": "application/json"});
    (database, function, headers)
}

#[tokio::test]
async fn both_versions_are_answered_in_their_own_shape() {
    let (_database, function, headers) = signed_in("list-conversations").await;
    let rest = function.invoke(&rest_event("GET", "/v1/conversations?limit=1", &headers, None)).await;
    assert_eq!((rest.status(), rest.body()), (200, json!({"data": []})));
    assert_eq!(rest.answer["multiValueHeaders"]["content-type"], json!(["application/json"]));
    let http = function.invoke(&http_event("GET", "/v1/conversations?limit=1", &headers, None)).await;
    assert_eq!((http.status(), http.body()), (200, json!({"data": []})));
    assert_eq!(http.answer["headers"]["content-type"], "application/json");
    for answer in [rest, http] {
        assert_eq!(answer.answer["isBase64Encoded"], false);
        assert!(answer.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn a_stage_before_the_path_is_taken_off() {
    let (_database, function, headers) = signed_in("me").await;
    let mut event = http_event("GET", "/prod/v1/me", &headers, None);
    event["requestContext"]["stage"] = "prod".into();
    assert_eq!(function.invoke(&event).await.status(), 200);
    let rest = rest_event("GET", "/v1/me", &headers, None);
    assert_eq!(rest["requestContext"]["path"], "/prod/v1/me");
    assert_eq!(function.invoke(&rest).await.status(), 200);
}

#[tokio::test]
async fn a_base64_body_is_decoded() {
    use base64::Engine;
    let (_database, function, headers) = signed_in("create-conversation").await;
    let body = json!({"title": "Grüße 👋"}).to_string();
    for make in [rest_event, http_event] {
        let mut event =
            make("POST", "/v1/conversations", &headers, Some(&base64::prelude::BASE64_STANDARD.encode(&body)));
        event["isBase64Encoded"] = true.into();
        let created = function.invoke(&event).await;
        assert_eq!((created.status(), created.body()["title"].as_str()), (201, Some("Grüße 👋")));
        event["body"] = "%%%".into();
        let refused = function.invoke(&event).await;
        assert_eq!((refused.status(), refused.body()["code"].as_str()), (400, Some("invalid_request")));
    }
}

#[tokio::test]
async fn repeated_and_encoded_query_values_mean_the_same_in_both_versions() {
    let (_database, function, headers) = signed_in("list-conversations").await;
    let query = "/v1/conversations?limit=1&limit=2&metadata.te%20am=a%26b%3Dc&title=100%25+%C3%A9&updatedAfter=2026-01-01T00%3A00%3A00%2B01%3A00";
    for make in [rest_event, http_event] {
        let refused = function.invoke(&make("GET", query, &headers, None)).await;
        assert_eq!(refused.status(), 400);
        let errors = refused.body()["errors"].clone();
        assert_eq!(errors.as_array().map(Vec::len), Some(1), "{errors}");
        assert_eq!(errors[0]["pointer"], "/limit");
    }
}

#[tokio::test]
async fn odd_bytes_are_answered_and_end_nothing() {
    let (_database, function, headers) = signed_in("get-conversation").await;
    let odd_paths = [
        "/v1/conversations/a b",
        "/v1/conversations/\"<>",
        "/v1/conversations/%ff%00",
        "/v1/conversations/é",
        "/v1/conversations/%",
        "/v1/conversations/../me",
        "/v1/conversations/%2e%2e",
        "",
        "v1",
        "//v1//",
        "/v1/conversations/a?x=\"a b<",
        "/v1/conversations/\u{0}",
        "/v1/conversations/a?%ff=%zz&=&&x",
    ];
    for path in odd_paths {
        for (make, version) in [(rest_event as fn(_, _, &_, _) -> _, 1), (http_event, 2)] {
            let answer = function.invoke(&make("GET", path, &headers, None)).await;
            assert!([400, 404].contains(&answer.status()), "version {version} {path:?}: {}", answer.answer);
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path:?}");
        }
    }
    for (name, value) in
        [("Host", "a b"), ("Host", ""), ("Host", "user@host"), ("X-Forwarded-Proto", "ht tp"), ("Host", "[::")]
    {
        let mut headers = headers.clone();
        headers[name] = value.into();
        for make in [rest_event, http_event] {
            let answer = function.invoke(&make("GET", "/v1/conversations/unknown", &headers, None)).await;
            assert_eq!(answer.status(), 404, "{name}: {value:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_request_is_a_400() {
    let (_database, function, headers) = signed_in("me").await;
    let mut odd_method = rest_event("GET", "/v1/me", &headers, None);
    odd_method["httpMethod"] = "G E T".into();
    let mut odd_header = http_event("GET", "/v1/me", &headers, None);
    odd_header["headers"]["x"] = "a\nb".into();
    for event in [
        json!({}),
        json!([1]),
        json!("text"),
        json!(null),
        json!({"Records": [{"eventSource": "aws:sqs"}]}),
        odd_method,
        odd_header,
    ] {
        let answer = function.invoke(&event).await;
        assert_eq!(answer.status(), 400, "{event}");
        assert_eq!(answer.body()["code"], "invalid_request");
        assert_eq!(answer.body()["requestId"].as_str(), answer.header("x-request-id"));
        assert_eq!((answer.header("cache-control"), answer.header("vary")), (Some("no-store"), Some("Origin")));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    // It lives on.
    assert_eq!(function.invoke(&rest_event("GET", "/v1/me", &headers, None)).await.status(), 200);
}

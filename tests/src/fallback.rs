//! What no endpoint answers.

use axum::body::Body;
use http::{Method, Request, StatusCode};

use shared::config::CorsOrigins;

use crate::support::api::{Answer, Api, origin};

async fn send(api: &Api, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn an_unknown_path_is_a_404() {
    let api = Api::new().await;
    for path in ["/", "/v1", "/v1/", "/v1/me/", "/v1//me", "/V1/me", "/v1/conversations/a/b"] {
        send(&api, Method::GET, path, &[]).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    }
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_a_405_that_says_which_it_has() {
    let api = Api::new().await;
    let put = send(&api, Method::PUT, "/v1/conversations/a", &[]).await;
    put.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    assert_eq!(put.header("allow"), Some("GET, HEAD, PATCH, DELETE, OPTIONS"));
    let head = send(&api, Method::HEAD, "/v1/chat", &[]).await;
    assert_eq!((head.status, head.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("POST, OPTIONS")));
    assert!(head.bytes.is_empty());
}

#[tokio::test]
async fn cors_is_closed_by_default() {
    let api = Api::new().await;
    let asked = [("origin", "https://app.example.com"), ("access-control-request-method", "POST")];
    let preflight = send(&api, Method::OPTIONS, "/v1/conversations", &asked).await;
    preflight.expect(StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-origin"), None);
    assert_eq!(preflight.header("access-control-allow-methods"), None);
    assert_eq!(preflight.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn a_preflight_needs_neither_token_nor_database() {
    let api = Api::with_cors().await;
    let asked = [("origin", "https://app.example.com"), ("access-control-request-method", "PATCH")];
    let preflight = send(&api, Method::OPTIONS, "/v1/conversations/a", &asked).await;
    preflight.expect(StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, PATCH, DELETE, OPTIONS"));
    let allowed = preflight.header("access-control-allow-headers").expect("headers");
    for name in ["Authorization", "Content-Type", "Idempotency-Key", "If-Match"] {
        assert!(allowed.contains(name), "{name}");
    }
    // Another origin gets none of it.
    let asked = [("origin", "https://evil.example.com"), ("access-control-request-method", "PATCH")];
    let preflight = send(&api, Method::OPTIONS, "/v1/conversations/a", &asked).await;
    assert_eq!(preflight.header("access-control-allow-origin"), None);
}

/// A browser sends nothing of a request whose headers weren't all allowed, and a page's tracing adds its own.
#[tokio::test]
async fn a_preflight_allows_the_headers_that_it_asks_for() {
    let api = Api::with_cors().await;
    let allowed = async |asked: &str| {
        let headers = [
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", asked),
        ];
        let preflight = send(&api, Method::OPTIONS, "/v1/conversations", &headers).await;
        preflight.expect(StatusCode::NO_CONTENT);
        let allowed = preflight.header("access-control-allow-headers").expect("headers").to_owned();
        allowed.split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let own = ["Authorization", "Content-Type", "Idempotency-Key", "If-Match"];
    assert_eq!(allowed("").await, own);
    assert_eq!(allowed("authorization, content-type").await, own);
    let tracing = ["baggage", "sentry-trace", "traceparent"];
    assert_eq!(allowed("authorization,baggage, sentry-trace ,traceparent").await, [&own[..], &tracing].concat());
    // What is no name is left out, and what no page would ask for.
    assert_eq!(allowed("a b, x-y, (z),, *").await, [&own[..], &["x-y", "*"]].concat());
    assert!(allowed(&"x-0123456789,".repeat(1000)).await.len() < 400);
}

#[tokio::test]
async fn origins_are_matched_as_the_settings_say() {
    let origins = ["https://*.example.com", "capacitor://localhost", "tauri://localhost", "null"];
    let api = Api::with(|config| config.http.cors_origins = CorsOrigins::These(origins.map(origin).to_vec())).await;
    for (asking, may) in [
        ("https://app.example.com", true),
        ("https://pr-1.example.com", true),
        ("capacitor://localhost", true),
        ("tauri://localhost", true),
        ("null", true),
        ("https://example.com", false),
        ("https://a.b.example.com", false),
        ("https://example.com.evil.example", false),
        ("http://app.example.com", false),
        ("ionic://localhost", false),
    ] {
        let asked = [("origin", asking), ("access-control-request-method", "GET")];
        let answers =
            [send(&api, Method::OPTIONS, "/v1/me", &asked).await, send(&api, Method::GET, "/v1/me", &asked).await];
        for answer in answers {
            assert_eq!(answer.header("access-control-allow-origin"), may.then_some(asking));
        }
    }
}

#[tokio::test]
async fn a_page_may_read_errors_and_the_headers_that_matter() {
    let api = Api::with_cors().await;
    let refused = send(&api, Method::GET, "/v1/me", &[("origin", "https://app.example.com")]).await;
    refused.expect_problem(StatusCode::UNAUTHORIZED, "unauthenticated");
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.example.com"));
    let exposed = refused.header("access-control-expose-headers").expect("exposed headers");
    for name in ["ETag", "Idempotency-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"] {
        assert!(exposed.contains(name), "{name}");
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let api = Api::new().await;
    let user = api.user().await;
    let nobody = send(&api, Method::GET, "/v1/me", &[]).await;
    let unknown = send(&api, Method::GET, "/nowhere", &[]).await;
    for answer in [user.get("/v1/me").await, user.get("/v1/conversations?x=1").await, nobody, unknown] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert!(answer.header("strict-transport-security").is_some());
        assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()));
    }
}

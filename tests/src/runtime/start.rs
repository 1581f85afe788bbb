//! A function's start: settings that are wrong are told all at once, and never their values.

use crate::support::function::Function;
use crate::support::setup;

#[tokio::test]
async fn every_fault_of_the_settings_is_told_at_once() {
    let settings = [
        ("DATABASE_URL", ""),
        ("AUTH_URL", "ftp://canary"),
        ("JWKS_TTL_SECONDS", "soon"),
        ("CORS_ORIGINS", "canary/"),
        ("BASE_PATH", "x"),
    ];
    let mut function = Function::start("me", &settings).await;
    let line = function.logged("can't start").await;
    for name in ["DATABASE_URL", "AUTH_URL", "JWKS_TTL_SECONDS", "CORS_ORIGINS", "BASE_PATH"] {
        assert!(line.contains(name), "{name}: {line}");
    }
    assert!(!function.log().contains("canary"), "{}", function.log());
    assert!(!function.process.wait().await.expect("an exit").success());
}

#[tokio::test]
async fn starts_without_database_and_keys_and_says_so_to_each_request() {
    let settings =
        [("DATABASE_URL", "postgresql://colloquy_app:x@127.0.0.1:1/none"), ("AUTH_URL", "http://127.0.0.1:1/api/auth")];
    let function = Function::start("list-conversations", &settings).await;
    let headers = serde_json::json!({"authorization": format!("Bearer {}", crate::support::api::token().await)});
    let event = crate::support::function::rest_event("GET", "/v1/conversations", &headers, None);
    let answer = function.invoke(&event).await;
    assert_eq!((answer.status(), answer.header("retry-after").is_some()), (503, true), "{}", answer.answer);
    assert!(!setup().auth_url.is_empty());
}

//! `GET /health`

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::json;

use crate::support::api::{Answer, Api};

async fn health(api: &Api) -> Answer {
    api.send(Request::get("/health").body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn is_200_with_the_database_and_the_keys_seen() {
    let health = health(&Api::new().await).await;
    health.expect(StatusCode::OK);
    assert_eq!(health.body, json!({"status": "ok"}));
}

#[tokio::test]
async fn is_503_without_the_database() {
    let away = |config: &mut shared::config::Config| {
        config.database.url = "postgresql://colloquy_app:x@127.0.0.1:1/none".into();
    };
    let health = health(&Api::with(away).await).await;
    health.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    assert!(health.header("retry-after").is_some());
}

#[tokio::test]
async fn is_503_without_the_keys() {
    let api = Api::with(|config| config.auth.jwks_url = "http://127.0.0.1:1/jwks".to_owned()).await;
    health(&api).await.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
}

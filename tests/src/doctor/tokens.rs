//! Tokens: what the functions would say to them, and why.

use serde_json::json;

use super::{Said, doctor_with_token, healthy};
use crate::support::api;
use crate::support::auth_server::AuthServer;
use crate::support::database::{Database, Kind};
use crate::support::eventually;

/// What is said of a token, with these settings beside those of a healthy deployment.
async fn judged(token: &str, more: &[(&str, &str)]) -> Said {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let mut settings: Vec<(&str, &str)> = healthy().to_vec();
    settings.retain(|(name, _)| !more.iter().any(|(other, _)| name == other));
    settings.push(("DATABASE_URL", database.app_url.as_str()));
    settings.extend(more);
    doctor_with_token(&settings, token).await
}

#[tokio::test]
async fn a_token_for_somebody_else_says_for_whom() {
    let token = api::token().await;
    let said = judged(&token, &[("JWT_AUDIENCE", "https://other.example.com")]).await;
    said.expect_wrong(2)
        .expect("✗", &["its aud is", "\"https://other.example.com\" is expected", "JWT_AUDIENCE"])
        .expect("✗", &["would be refused with 401: aud isn't the audience"])
        .expect("✓", &["its iss is", "as expected"]);
    let said = judged(&token, &[("JWT_ISSUER", "https://other.example.com")]).await;
    said.expect_wrong(2).expect("✗", &["its iss is"]).expect("✗", &["401: iss isn't the issuer"]);
}

#[tokio::test]
async fn a_foreign_a_fat_and_an_expired_token() {
    let server = AuthServer::start(&[("LEAN_PAYLOAD", "0"), ("TOKEN_EXPIRY", "1s")]).await;
    let image = format!("data:image/png;base64,{}", "A".repeat(9000));
    let fat = server.token(&server.sign_up(&json!({"image": image})).await).await;
    let foreign = judged(&fat, &[]).await;
    foreign
        .expect("✗", &["its iss is", &server.origin()])
        .expect("✗", &["would be refused with 401: the token is too large"]);

    let said = judged(&fat, &[("AUTH_URL", &server.url)]).await;
    said.expect("✗", &["more than the 8192 that are taken", "\"image\" (9", "definePayload"])
        .expect("✗", &["would be refused with 401: the token is too large"]);

    // Near the limit, and good.
    let near = json!({"email": "near@example.com", "image": format!("data:,{}", "A".repeat(4500))});
    let session = server.sign_up(&near).await;
    let near = server.token(&session).await;
    let said = judged(&near, &[("AUTH_URL", &server.url), ("JWT_LEEWAY_SECONDS", "600")]).await;
    said.expect_wrong(0).expect("!", &["8192 are taken", "10240 of all headers", "\"image\" (45"]);

    let lean = json!({"email": "lean@example.com"});
    let lean = server.token(&server.sign_up(&lean).await).await;
    judged(&lean, &[]).await.expect("✗", &["401: no such key", "of another issuer", &server.origin()]);
    // Nothing of a profile is printed.
    let said = eventually("the token's end", async || {
        let said = judged(&lean, &[("AUTH_URL", &server.url), ("JWT_LEEWAY_SECONDS", "1")]).await;
        said.find("✗", &["401: expired", "fetch a new one"]).is_some().then_some(said)
    })
    .await;
    said.expect_wrong(1).expect("✓", &["exp", "ago", "sub"]);
    assert!(!said.lines.iter().any(|line| line.contains("example.com,") || line.contains("Ada")), "{:?}", said.lines);
}

#[tokio::test]
async fn what_is_no_token_is_told_so() {
    let said = judged("zVMqu0OQzQqloXUYzVMqu0OQzQqloXUY", &[]).await;
    said.expect_wrong(1).expect("!", &["no JWT", "session token"]).expect("✗", &["401: not three parts"]);
    let token = api::token().await;
    let cut = &token[..token.len() - 4];
    judged(cut, &[]).await.expect("✗", &["401: the signature doesn't verify", "copy all of it"]);
    let said = judged(&format!("Bearer {token}"), &[]).await;
    said.expect_wrong(0).expect("✓", &["token is good"]);
}

#[tokio::test]
async fn several_faults_are_told_at_once() {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let settings = [
        ("AUTH_URL", "http://127.0.0.1:1/api/auth"),
        ("DATABASE_URL", database.superuser_url.as_str()),
        ("AGENT_URL", "http://127.0.0.1:1/v1"),
        ("BASE_PATH", "chat"),
    ];
    let said = doctor_with_token(&settings, "a.b.c").await;
    said.expect("✗", &["BASE_PATH"])
        .expect("✗", &["/jwks can't be reached"])
        .expect("✗", &["would be refused with 401"])
        .expect("✗", &["superuser"])
        .expect("✗", &["agent at", "can't be reached"])
        .expect_wrong(5);
}

//! `GET /v1/me`

use http::StatusCode;
use shared::id::UserId;

use crate::support::api::Api;
use crate::support::setup;

#[tokio::test]
async fn tells_who_the_token_says_is_asking() {
    let api = Api::new().await;
    let user = api.user().await;
    let me = user.get("/v1/me").await;
    me.expect(StatusCode::OK);
    let issuer = setup().auth_url.strip_suffix("/api/auth").expect("a base path");
    assert_eq!(me.text("/issuer"), issuer);
    assert_eq!(me.text("/id"), UserId::derive(issuer, &me.text("/subject")).to_string());
    assert!(me.text("/claims/email").contains('@'));
    assert!(me.text("/expiresAt").ends_with('Z'));
    for registered in ["iss", "sub", "aud", "exp", "iat"] {
        assert!(me.body["claims"].get(registered).is_none(), "{registered}");
    }
}

#[tokio::test]
async fn the_issuer_id_outlives_the_issuer() {
    let api = Api::with(|config| config.auth.issuer_id = "https://old.example.com".to_owned()).await;
    let me = api.user().await.get("/v1/me").await;
    assert_eq!(me.text("/id"), UserId::derive("https://old.example.com", &me.text("/subject")).to_string());
}

#[tokio::test]
async fn knows_no_parameters() {
    let me = Api::new().await.user().await.get("/v1/me?fields=name").await;
    assert_eq!(me.faults(), ["query:/fields"]);
}

//! `GET /v1/conversations/{id}`

use http::StatusCode;
use serde_json::json;

use crate::support::api::Api;

#[tokio::test]
async fn answers_by_our_id_and_by_the_clients() {
    let api = Api::new().await;
    let user = api.user().await;
    let created = user.post("/v1/conversations", &json!({"clientId": "chat:1", "title": "Leave"})).await;
    let id = created.text("/id");
    for name in [id.as_str(), &id.to_uppercase(), "chat:1", "chat%3A1"] {
        let found = user.get(&format!("/v1/conversations/{name}")).await;
        found.expect(StatusCode::OK);
        assert_eq!(found.body, created.body);
        assert_eq!(found.header("etag"), Some("\"1\""));
    }
}

#[tokio::test]
async fn what_names_nothing_is_a_404() {
    let api = Api::new().await;
    let user = api.user().await;
    for name in
        ["0199c0de-0000-7000-8000-000000000001", "unknown", "%ff", "%00", "a%2Fb", "%E2%82%AC", &"x".repeat(500)]
    {
        let answer = user.get(&format!("/v1/conversations/{name}")).await;
        answer.expect_problem(StatusCode::NOT_FOUND, "not_found");
    }
}

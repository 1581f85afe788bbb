//! `GET /v1/conversations/{id}/messages/{messageId}`

use http::StatusCode;
use serde_json::json;

use crate::support::api::Api;

#[tokio::test]
async fn answers_by_our_id_and_by_the_clients() {
    let api = Api::new().await;
    let user = api.user().await;
    user.post("/v1/conversations", &json!({"clientId": "chat"})).await.expect(StatusCode::CREATED);
    let message =
        json!({"role": "user", "content": "Hi", "clientId": "m1", "sources": [{"id": "a", "embedding": [1]}]});
    let appended = user.post("/v1/conversations/chat/messages", &json!({"messages": [message]})).await;
    for name in [appended.text("/data/0/id").as_str(), "m1"] {
        let found = user.get(&format!("/v1/conversations/chat/messages/{name}")).await;
        found.expect(StatusCode::OK);
        assert_eq!(found.body, appended.body["data"][0]);
    }
    let full = user.get("/v1/conversations/chat/messages/m1?include=embeddings").await;
    assert_eq!(full.body["sources"][0]["embedding"], json!([1]));
    assert_eq!(user.get("/v1/conversations/chat/messages/m1?include=x").await.faults(), ["query:/include"]);
}

#[tokio::test]
async fn a_message_is_found_in_its_own_conversation_alone() {
    let api = Api::new().await;
    let (user, other) = (api.user().await, api.user().await);
    let (mine, elsewhere) = (user.conversation().await, user.conversation().await);
    let id = user.say(&mine, &["Hi"]).await.remove(0);
    for path in
        [format!("{elsewhere}/messages/{id}"), format!("{mine}/messages/{mine}"), format!("{mine}/messages/unknown")]
    {
        user.get(&format!("/v1/conversations/{path}")).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    }
    let theirs = other.get(&format!("/v1/conversations/{mine}/messages/{id}")).await;
    theirs.expect_problem(StatusCode::NOT_FOUND, "not_found");
}

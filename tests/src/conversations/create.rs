//! `POST /v1/conversations`

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::api::Api;

const PATH: &str = "/v1/conversations";

#[tokio::test]
async fn needs_nothing_but_an_empty_object() {
    let api = Api::new().await;
    let created = api.user().await.post(PATH, &json!({})).await;
    created.expect(StatusCode::CREATED);
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert_eq!(created.header("location"), Some(format!("{PATH}/{}", created.text("/id")).as_str()));
    assert_eq!(created.header("idempotency-replayed"), None);
    let mut body = created.body.clone();
    for made in ["id", "activityAt", "createdAt", "updatedAt"] {
        assert!(body.as_object_mut().expect("an object").remove(made).is_some(), "{made}");
    }
    assert_eq!(body, json!({"metadata": {}, "archived": false, "pinned": false, "messageCount": 0}));
}

#[tokio::test]
async fn stores_first_messages_with_it_or_nothing_at_all() {
    let api = Api::new().await;
    let user = api.user().await;
    let messages = json!([
        {"role": "user", "content": "How many days?"},
        {"role": "assistant", "content": "Twenty [1].", "sources": [{"url": "https://example.com/handbook"}]},
    ]);
    let created = user.post(PATH, &json!({"title": "Leave", "messages": messages})).await;
    created.expect(StatusCode::CREATED);
    assert_eq!(created.body["messageCount"], 2);
    assert_eq!(created.texts("/messages", "/role"), ["user", "assistant"]);
    assert_eq!(created.body["messages"][1]["parentId"], created.body["messages"][0]["id"]);

    let unknown_parent = "0199c0de-0000-7000-8000-000000000001";
    let bad = json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b", "parentId": unknown_parent}]});
    assert_eq!(user.post(PATH, &bad).await.faults(), ["body:/messages/1/parentId"]);
    assert_eq!(user.get(PATH).await.texts("/data", "/title"), ["Leave"]);
}

#[tokio::test]
async fn a_repeated_client_id_answers_with_what_was_made_the_first_time() {
    let api = Api::new().await;
    let user = api.user().await;
    let new =
        json!({"clientId": "zVMqu0OQzQqloXUY", "title": "Leave", "messages": [{"role": "user", "content": "Hi"}]});
    let first = user.post(PATH, &new).await;
    first.expect(StatusCode::CREATED);
    let again = user.post(PATH, &new).await;
    again.expect(StatusCode::CREATED);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);

    let other = user.post(PATH, &json!({"clientId": "zVMqu0OQzQqloXUY", "title": "Pay"})).await;
    other.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
    assert_eq!(user.get(PATH).await.body["data"].as_array().map(Vec::len), Some(1));

    // Client ids are each user's own.
    let theirs = api.user().await.post(PATH, &new).await;
    theirs.expect(StatusCode::CREATED);
    assert_ne!(theirs.text("/id"), first.text("/id"));
}

#[tokio::test]
async fn an_idempotency_key_names_a_request_that_has_no_client_id() {
    let api = Api::new().await;
    let user = api.user().await;
    let send = |key: &'static str, body: serde_json::Value| {
        let user = user.clone();
        async move { user.send(Method::POST, PATH, &[("idempotency-key", key)], Some(&body)).await }
    };
    let first = send("key-1", json!({"title": "a"})).await;
    let again = send("\"key-1\"", json!({"title": "a"})).await;
    assert_eq!(again.text("/id"), first.text("/id"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_ne!(send("key-2", json!({"title": "a"})).await.text("/id"), first.text("/id"));
    let own = send("key-1", json!({"clientId": "own", "title": "a"})).await;
    assert_eq!(own.text("/clientId"), "own");
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_nothing_is_stored() {
    let api = Api::new().await;
    let user = api.user().await;
    let body = br#"{"title": "", "metadata": [], "clientId": "a/b", "colour": 1, "title": "x\u0000",
        "messages": [{"role": "system", "content": 1}, {"parts": [{"type": "text"}], "usage": 1e400, "sources": "\ud800"}]}"#;
    let headers = [("idempotency-key", "ä")];
    let refused = user
        .send_bytes(Method::POST, &format!("{PATH}?dry=1"), &headers, Some(("application/json", body.to_vec())))
        .await;
    assert_eq!(
        refused.faults(),
        [
            "body:/clientId",
            "body:/colour",
            "body:/messages/0/content",
            "body:/messages/0/role",
            "body:/messages/1/parts/0/text",
            "body:/messages/1/role",
            "body:/messages/1/sources",
            "body:/messages/1/usage",
            "body:/metadata",
            "body:/title",
            "header:/idempotency-key",
            "query:/dry",
        ]
    );
    assert_eq!(user.get(PATH).await.body, json!({"data": []}));
}

#[tokio::test]
async fn only_json_is_read() {
    let api = Api::new().await;
    let user = api.user().await;
    let send = |media_type: &'static str, bytes: Vec<u8>| {
        let user = user.clone();
        async move { user.send_bytes(Method::POST, PATH, &[], Some((media_type, bytes))).await }
    };
    for media_type in [
        "text/plain",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/json; charset=\"utf-8",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "",
    ] {
        let refused = send(media_type, b"{}".to_vec()).await;
        refused.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
        assert_eq!(refused.header("accept"), Some("application/json"));
    }
    for media_type in [
        "application/json; charset=UTF-8",
        "application/json;charset=utf8",
        "APPLICATION/JSON; Charset=\"Utf-8\"",
        "application/json; charset = \"UTF8\"; profile=\"a\"",
        "application/json;",
    ] {
        send(media_type, b"{}".to_vec()).await.expect(StatusCode::CREATED);
    }
    let large = format!("{{\"title\": \"{}\"}}", "x".repeat(shared::model::limits::BODY_BYTES));
    send("application/json", large.into_bytes())
        .await
        .expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "content_too_large");
    for bytes in [&b""[..], b"{", b"[]", b"null", b"{} x", b"\xff"] {
        assert_eq!(send("application/json", bytes.to_vec()).await.faults()[0], "body:", "{bytes:?}");
    }
}

//! `POST /v1/conversations/{id}/messages`

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::Api;

#[tokio::test]
async fn answers_with_the_messages_as_stored() {
    let api = Api::new().await;
    let user = api.user().await;
    let id = user.conversation().await;
    let path = format!("/v1/conversations/{id}/messages");
    let appended = user
        .post(&path, &json!({"messages": [
            {"role": "user", "content": "How many days?", "clientId": "q1"},
            {"role": "assistant", "parts": [{"type": "text", "text": "Twenty [1]."}], "model": "m-1",
             "usage": {"inputTokens": 9, "outputTokens": 3}, "metadata": {"a": 1},
             "sources": [{"url": "https://example.com/handbook", "title": "Handbook", "score": 0.83, "page": {"n": 7}, "embedding": [0.5, 1]}]},
        ]}))
        .await;
    appended.expect(StatusCode::CREATED);
    let [question, answer] = appended.body["data"].as_array().expect("data").as_slice() else { panic!("two messages") };
    let expected = json!({
        "id": question["id"], "conversationId": id, "clientId": "q1", "seq": 1, "active": true, "role": "user",
        "status": "complete", "origin": "client", "parts": [{"type": "text", "text": "How many days?"}],
        "content": "How many days?", "sources": [], "metadata": {}, "createdAt": question["createdAt"],
    });
    assert_eq!(*question, expected);
    let expected = json!({
        "id": answer["id"], "conversationId": id, "parentId": question["id"], "seq": 2, "active": true, "role": "assistant",
        "status": "complete", "origin": "client", "content": "Twenty [1].", "model": "m-1",
        "parts": [{"type": "text", "text": "Twenty [1]."},
                  {"type": "source-url", "sourceId": "s1", "url": "https://example.com/handbook", "title": "Handbook"}],
        "sources": [{"id": "s1", "type": "url", "url": "https://example.com/handbook", "title": "Handbook", "score": 0.83, "page": {"n": 7}}],
        "usage": {"inputTokens": 9, "outputTokens": 3}, "metadata": {"a": 1}, "createdAt": answer["createdAt"],
    });
    assert_eq!(*answer, expected);
    let listed = user.get(&path).await;
    assert_eq!(listed.body["data"], appended.body["data"]);
    assert_eq!(user.get(&format!("/v1/conversations/{id}")).await.body["messageCount"], 2);
}

#[tokio::test]
async fn a_message_sent_again_is_stored_once() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}/messages", user.conversation().await);
    let hi = json!({"clientId": "a", "role": "user", "content": "Hi"});
    let first = user.post(&path, &json!({"messages": [hi]})).await;
    let again = user.post(&path, &json!({"messages": [hi]})).await;
    again.expect(StatusCode::CREATED);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);

    // A front end that sends its whole history stores what is new of it.
    let history = json!({"messages": [hi, {"clientId": "b", "role": "assistant", "content": "Hello"}]});
    let more = user.post(&path, &history).await;
    assert_eq!(more.header("idempotency-replayed"), None);
    assert_eq!(more.body["data"][0], first.body["data"][0]);
    assert_eq!(more.body["data"][1]["parentId"], first.body["data"][0]["id"]);

    let other = json!({"messages": [{"role": "user", "content": "new"}, {"clientId": "a", "role": "user", "content": "other"}]});
    let refused = user.post(&path, &other).await;
    refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
    assert_eq!(refused.body["errors"][0]["pointer"], "/messages/1/clientId");
    assert_eq!(user.get(&path).await.texts("/data", "/content"), ["Hi", "Hello"]);
}

#[tokio::test]
async fn an_idempotency_key_names_the_rows_of_a_batch() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}/messages", user.conversation().await);
    let batch = json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]});
    let send = async |key| user.send(Method::POST, &path, &[("idempotency-key", key)], Some(&batch)).await;
    let first = send("k").await;
    assert_eq!(first.texts("/data", "/clientId"), ["k:0", "k:1"]);
    let again = send("k").await;
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    assert_eq!(send("l").await.header("idempotency-replayed"), None);
    assert_eq!(user.get(&path).await.body["data"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_parent_that_isnt_the_last_begins_another_branch() {
    let api = Api::new().await;
    let user = api.user().await;
    let id = user.conversation().await;
    let path = format!("/v1/conversations/{id}/messages");
    let ids = user.say(&id, &["q1", "a1", "q2", "a2"]).await;
    let edited = user.post(&path, &json!({"messages": [{"role": "user", "content": "q2b", "parentId": ids[1]}]})).await;
    edited.expect(StatusCode::CREATED);
    assert_eq!(edited.text("/data/0/parentId"), ids[1]);
    assert_eq!(user.get(&path).await.texts("/data", "/content"), ["q1", "a1", "q2b"]);
    let all = user.get(&format!("{path}?branch=all")).await;
    assert_eq!(all.texts("/data", "/content"), ["q1", "a1", "q2", "a2", "q2b"]);
    // What was replaced stays readable, and going on from there makes it the active branch again.
    user.get(&format!("{path}/{}", ids[3])).await.expect(StatusCode::OK);
    user.post(&path, &json!({"messages": [{"role": "user", "content": "q3", "parentId": ids[3]}]}))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(user.get(&path).await.texts("/data", "/content"), ["q1", "a1", "q2", "a2", "q3"]);
    // Null is a parent, too: none.
    user.post(&path, &json!({"messages": [{"role": "user", "content": "q0", "parentId": null}]}))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(user.get(&path).await.texts("/data", "/content"), ["q0"]);
}

#[tokio::test]
async fn sources_and_the_parts_that_speak_of_them_agree() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}/messages", user.conversation().await);
    let append = async |message: Value| {
        let appended = user.post(&path, &json!({"messages": [message]})).await;
        appended.expect(StatusCode::CREATED);
        appended.body["data"][0].clone()
    };
    // What a front end kept of a stream: parts alone.
    let from_parts = append(json!({"role": "assistant", "parts": [
        {"type": "source-url", "sourceId": "x", "url": "https://example.com/a", "title": "A"},
        {"type": "text", "text": "one"}, {"type": "text", "text": "two"},
    ]}))
    .await;
    assert_eq!(
        from_parts["sources"],
        json!([{"id": "x", "type": "url", "url": "https://example.com/a", "title": "A"}])
    );
    assert_eq!(from_parts["content"], "one\n\ntwo");
    assert_eq!(from_parts["parts"][0]["type"], "source-url");
    // `sources` is the truth, and parts that say otherwise go.
    let from_sources = append(json!({"role": "assistant",
        "parts": [{"type": "text", "text": "one"}, {"type": "source-url", "sourceId": "old", "url": "https://example.com/old"}],
        "sources": [{"id": "s1", "title": "Mine"}, {"filename": "b.pdf", "mediaType": "application/pdf", "type": "document"}]}))
    .await;
    assert_eq!(from_sources["sources"][1]["id"], "s2");
    assert_eq!(
        from_sources["parts"],
        json!([{"type": "text", "text": "one"},
               {"type": "source-document", "sourceId": "s1", "mediaType": "text/plain", "title": "Mine"},
               {"type": "source-document", "sourceId": "s2", "mediaType": "application/pdf", "title": "b.pdf", "filename": "b.pdf"}])
    );
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_nothing_is_stored() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}/messages", user.conversation().await);
    let refused = user
        .post(&path, &json!({"messages": [
            {"role": "user", "content": "good"},
            {"role": "robot", "content": "x", "parts": []},
            {},
            {"role": "user", "content": "x", "parentId": "1", "clientId": "a b", "model": "", "colour": "red"},
            {"role": "assistant", "content": "x", "sources": [
                {"url": "javascript:alert(1)", "id": "a"}, {"type": "url", "id": "a"}, {"type": "x"}, {"embedding": ["a"], "score": 1}]},
            "text",
        ], "more": 1}))
        .await;
    assert_eq!(
        refused.faults(),
        [
            "body:/messages/1/content",
            "body:/messages/1/parts",
            "body:/messages/1/role",
            "body:/messages/2/content",
            "body:/messages/2/role",
            "body:/messages/3/clientId",
            "body:/messages/3/colour",
            "body:/messages/3/model",
            "body:/messages/3/parentId",
            "body:/messages/4/sources/0/url",
            "body:/messages/4/sources/1/url",
            "body:/messages/4/sources/2/type",
            "body:/messages/4/sources/3/embedding",
            "body:/messages/5",
            "body:/more",
        ]
    );
    assert_eq!(user.post(&path, &json!({"messages": []})).await.faults(), ["body:/messages"]);
    let many: Vec<Value> = (0..101).map(|_| json!({"role": "user", "content": "x"})).collect();
    assert_eq!(user.post(&path, &json!({"messages": many})).await.faults(), ["body:/messages"]);
    assert_eq!(user.get(&path).await.body, json!({"data": []}));
}

#[tokio::test]
async fn a_batch_whose_answer_lambda_couldnt_carry_is_refused_before_it_is_stored() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}/messages", user.conversation().await);
    let batch = |n: usize| {
        let messages: Vec<Value> = (0..n).map(|_| json!({"role": "user", "content": "\"".repeat(300_000)})).collect();
        json!({"messages": messages})
    };
    let refused = user.post(&path, &batch(6)).await;
    refused.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "content_too_large");
    assert_eq!(user.get(&path).await.body, json!({"data": []}));
    user.post(&path, &batch(1)).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn nobody_appends_to_anothers() {
    let api = Api::new().await;
    let (owner, other) = (api.user().await, api.user().await);
    let id = owner.conversation().await;
    let path = format!("/v1/conversations/{id}/messages");
    let message = json!({"messages": [{"role": "user", "content": "x"}]});
    other.post(&path, &message).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(owner.get(&path).await.body, json!({"data": []}));
    // Nor does anyone hang a message below another's.
    let theirs = owner.say(&id, &["q"]).await;
    let mine = format!("/v1/conversations/{}/messages", other.conversation().await);
    let below = json!({"messages": [{"role": "user", "content": "x", "parentId": theirs[0]}]});
    assert_eq!(other.post(&mine, &below).await.faults(), ["body:/messages/0/parentId"]);
}

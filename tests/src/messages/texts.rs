//! What people, documents and front ends write, and what of it is stored.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::chat::question;

#[tokio::test]
async fn what_postgresql_cannot_store_is_left_out_of_every_text() {
    let api = Api::new().await;
    let user = api.user().await;
    // `json!` can't write half a character: it goes in as an escape.
    let body = json!({
        "clientId": "c", "title": "From\u{0} a PDF", "metadata": {"a\u{0}": ["b\u{0}", "HALF"]},
        "messages": [{"role": "user", "content": "from a\u{0} PDF HALF"},
            {"role": "assistant", "parts": [{"type": "text", "text": "x\u{0}y"}, {"type": "data-x", "data": {"k\u{0}": "\u{0}"}}],
             "sources": [{"title": "A\u{0}", "url": "https://x.example/"}]}],
    });
    let body = format!("\u{feff}{}", body.to_string().replace("HALF", "\\ud83d"));
    let send = async || {
        let body = Some(("application/json", body.clone().into_bytes()));
        user.send_bytes(Method::POST, "/v1/conversations", &[], body).await
    };
    let made = send().await;
    made.expect(StatusCode::CREATED);
    assert_eq!(made.text("/title"), "From a PDF");
    assert_eq!(made.body["metadata"], json!({"a": ["b", "\u{fffd}"]}));
    let page = user.get("/v1/conversations/c/messages").await;
    assert_eq!(page.texts("/data", "/content"), ["from a PDF \u{fffd}", "xy"]);
    assert_eq!(page.body["data"][1]["parts"][1]["data"], json!({"k": ""}));
    assert_eq!(page.text("/data/1/sources/0/title"), "A");
    // The same bytes are the same request.
    let again = send().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    // A name is taken as it is, or not at all.
    let named = user.post("/v1/conversations", &json!({"clientId": "c\u{0}"})).await;
    named.expect_problem(StatusCode::BAD_REQUEST, "invalid_request");
}

#[tokio::test]
async fn a_front_end_sends_its_whole_history_whatever_is_in_it() {
    let api = Api::new().await;
    let user = api.user().await;
    let first = user.chat(&question("c", "q1", "from a PDF\u{0}", "")).await.rest().await;
    assert_eq!(first.terminal()["type"], "finish");
    // Unknown types, what can't be stored, a megabyte, and more values than a body may have.
    let odd = json!({"id": "x", "role": "robot", "parts": vec![json!([{}, "\u{0}", {"type": "hologram"}]); 20_000]});
    let asks = |id: &str, text: &str| json!({"id": id, "role": "user", "parts": [{"type": "text", "text": text}]});
    let body = json!({"id": "c", "messages": [
        asks("q1", "from a PDF\u{0}"), {"id": first.message(), "role": "assistant", "parts": [odd]},
        asks("q2", "a harmless question")]});
    let second = user.chat(&body).await.rest().await;
    assert_eq!(second.terminal()["type"], "finish", "{:?}", second.frames);
    let page = user.get("/v1/chat/c").await;
    assert_eq!(page.text("/data/0/parts/0/text"), "from a PDF");
    assert_eq!(page.text("/data/2/parts/0/text"), "a harmless question");
}

#[tokio::test]
async fn a_body_of_too_many_values_is_refused_shortly() {
    let api = Api::new().await;
    let user = api.user().await;
    let key = "k".repeat(1_000_000);
    for metadata in [json!({"a": vec![json!({"": 0}); 300_000]}), json!({ key: vec![json!([]); 50_000] })] {
        let refused = user.post("/v1/conversations", &json!({ "metadata": metadata })).await;
        let refused = refused.expect_problem(StatusCode::BAD_REQUEST, "invalid_request");
        assert!(refused.body.to_string().len() < 2_000, "the answer is short");
        assert!(refused.text("/errors/0/detail").contains("100000 values"));
    }
}

#[tokio::test]
async fn no_link_runs_in_a_readers_page() {
    let api = Api::new().await;
    let user = api.user().await;
    user.post("/v1/conversations", &json!({"clientId": "c"})).await.expect(StatusCode::CREATED);
    for bad in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "file:///etc",
        "//x",
    ] {
        let source = json!({"type": "source-url", "sourceId": "s", "url": bad});
        let file = json!({"type": "file", "mediaType": "image/png", "url": bad});
        for (part, sources) in
            [(source, Value::Null), (file, Value::Null), (json!({"type": "text", "text": "x"}), json!([{"url": bad}]))]
        {
            let message = json!({"role": "user", "parts": [part], "sources": sources});
            for (path, body) in [
                ("/v1/conversations/c/messages", json!({"messages": [message]})),
                ("/v1/conversations", json!({"messages": [message]})),
            ] {
                let refused = user.post(path, &body).await;
                let refused = refused.expect_problem(StatusCode::BAD_REQUEST, "invalid_request");
                assert!(refused.text("/errors/0/pointer").ends_with("/url"), "{bad}: {}", refused.body);
            }
        }
        let asked = json!({"id": "new", "message": {"id": "q", "role": "user", "parts": [
            {"type": "source-url", "sourceId": "s", "url": bad}, {"type": "text", "text": "?"}]}});
        user.post("/v1/chat", &asked).await.expect_problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let picture = |kind: &str| {
        json!({"messages": [{"role": "user", "parts": [
        {"type": "file", "mediaType": kind, "url": "data:image/png;base64,iVBORw0KGgo="},
        {"type": "file", "mediaType": "application/pdf", "url": "https://files.example/leave.pdf"}]}]})
    };
    user.post("/v1/conversations/c/messages", &picture("image/png")).await.expect(StatusCode::CREATED);
    let other = user.post("/v1/conversations/c/messages", &picture("text/html")).await;
    other.expect_problem(StatusCode::BAD_REQUEST, "invalid_request");
}

#[tokio::test]
async fn no_name_has_the_form_of_our_ids() {
    let api = Api::new().await;
    let user = api.user().await;
    let ours = user.post("/v1/conversations", &json!({"title": "One"})).await.text("/id");
    for name in [ours.clone(), ours.to_uppercase()] {
        let refused = user.post("/v1/conversations", &json!({"clientId": name})).await;
        refused.expect_problem(StatusCode::BAD_REQUEST, "invalid_request");
        let message = json!({"messages": [{"clientId": name, "role": "user", "content": "x"}]});
        let refused = user.post(&format!("/v1/conversations/{ours}/messages"), &message).await;
        refused.expect_problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let version_4 = uuid::Uuid::new_v4().to_string();
    user.post("/v1/conversations", &json!({"clientId": version_4})).await.expect(StatusCode::CREATED);
    // A key is no name: it may be of any version, and is as good for a retry.
    let key = [("idempotency-key", ours.as_str())];
    let made = user.send(Method::POST, "/v1/conversations", &key, Some(&json!({"title": "Two"}))).await;
    let again = user.send(Method::POST, "/v1/conversations", &key, Some(&json!({"title": "Two"}))).await;
    assert_eq!((made.text("/id"), Some("true")), (again.text("/id"), again.header("idempotency-replayed")));
    user.delete(&format!("/v1/conversations/{ours}")).await.expect(StatusCode::NO_CONTENT);
    user.delete(&format!("/v1/conversations/{ours}")).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
}

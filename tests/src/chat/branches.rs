//! Edits and new answers: what they replace stays readable.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::api::{Api, User};
use crate::support::chat::{asked, question, release, unique};

fn edit(chat: &str, id: &str, text: &str) -> Value {
    let mut body = question(chat, id, text, "");
    body["messageId"] = id.into();
    body
}

fn regenerate(chat: &str, answer: Option<&str>) -> Value {
    let mut body = json!({"id": chat, "trigger": "regenerate-message", "messages": []});
    body.as_object_mut().expect("an object").remove("messages");
    if let Some(answer) = answer {
        body["messageId"] = answer.into();
    }
    body
}

async fn shown(user: &User) -> Vec<String> {
    user.get("/v1/chat/c").await.texts("/data", "/id")
}

async fn stored(user: &User) -> usize {
    user.get("/v1/conversations/c/messages?branch=all").await.texts("/data", "/id").len()
}

#[tokio::test]
async fn an_edit_begins_a_branch_under_the_same_id_and_an_equal_one_goes_back() {
    let api = Api::new().await;
    let user = api.user().await;
    let (first_text, second_text) = (unique("first wording"), unique("second wording"));
    let first = user.chat(&question("c", "q", &first_text, "")).await.rest().await;
    user.chat(&question("c", "q2", "And more?", "")).await.rest().await;
    let second = user.chat(&edit("c", "q", &second_text)).await.rest().await;
    assert_eq!(shown(&user).await, ["q", &second.message()]);
    assert_eq!(stored(&user).await, 6);
    // The first wording again: its branch comes back, with all that followed, and nobody pays again.
    let back = user.chat(&edit("c", "q", &first_text)).await.rest().await;
    assert_eq!(back.message(), first.message());
    assert_eq!((shown(&user).await.len(), stored(&user).await), (4, 6));
    assert_eq!((asked(&first_text).await, asked(&second_text).await), (1, 1));
}

#[tokio::test]
async fn other_words_under_a_known_id_are_refused_unless_they_are_an_edit() {
    let api = Api::new().await;
    let user = api.user().await;
    user.chat(&question("c", "q", "One?", "")).await.rest().await;
    let other = user.post("/v1/chat", &question("c", "q", "Two?", "")).await;
    other.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
    let unknown = user.post("/v1/chat", &edit("c", "nobody", "Two?")).await;
    assert_eq!(unknown.faults(), ["body:/messageId"]);
    assert_eq!(stored(&user).await, 2);
}

#[tokio::test]
async fn a_new_answer_replaces_the_last_or_an_earlier_one_and_activating_brings_it_back() {
    let api = Api::new().await;
    let user = api.user().await;
    let first = user.chat(&question("c", "q", "How?", "")).await.rest().await.message();
    user.chat(&question("c", "q2", "And then?", "")).await.rest().await;
    let again = user.chat(&regenerate("c", Some(&first))).await.rest().await.message();
    assert_eq!(shown(&user).await, ["q", &again]);
    let third = user.chat(&regenerate("c", None)).await.rest().await.message();
    assert_eq!(shown(&user).await, ["q", &third]);
    assert_eq!(stored(&user).await, 6);
    let path = format!("/v1/conversations/c/messages/{first}/activate");
    assert_eq!(user.post(&path, &json!({})).await.expect(StatusCode::OK).text("/id"), first);
    assert_eq!(shown(&user).await.len(), 4);
}

#[tokio::test]
async fn no_branch_is_left_while_an_answer_is_being_written_there() {
    let api = Api::new().await;
    let user = api.user().await;
    let first = user.chat(&question("c", "q", "How?", "")).await.rest().await.message();
    let mut stream = user.chat(&question("c", "q2", "And then?", "silent@1")).await;
    stream.until("text-delta").await;
    let appended = async |parent: Option<&str>| {
        let mut message = json!({"role": "user", "content": "Hm"});
        if let Some(parent) = parent {
            message["parentId"] = parent.into();
        }
        user.post("/v1/conversations/c/messages", &json!({"messages": [message]})).await
    };
    appended(Some(&first)).await.expect_problem(StatusCode::CONFLICT, "turn_running");
    // Behind the answer itself there is room.
    appended(Some(&stream.message())).await.expect(StatusCode::CREATED);
    appended(None).await.expect(StatusCode::CREATED);
    user.post("/v1/chat/c/stop", &json!({})).await.expect(StatusCode::ACCEPTED);
    stream.rest().await;
    appended(Some(&first)).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_regenerate_with_a_key_is_safe_to_repeat_and_joins_while_it_runs() {
    let api = Api::new().await;
    let user = api.user().await;
    let text = unique("regenerated");
    let first = user.chat(&question("c", "q", &text, "")).await.rest().await.message();
    let key: &[(&str, &str)] = &[("idempotency-key", "again-1")];
    let body = regenerate("c", None);
    let one = user.stream("POST", "/v1/chat", key, Some(&body)).await.rest().await;
    let two = user.stream("POST", "/v1/chat", key, Some(&body)).await.rest().await;
    assert_eq!(one.message(), two.message());
    assert_ne!(one.message(), first);
    assert_eq!(asked(&text).await, 2);

    let hold = unique("join").replace(' ', "-");
    let first = user.chat(&question("d", "q", "Held?", &format!("hold@1={hold}"))).await;
    let joined = user.chat(&regenerate("d", None)).await;
    release(&hold).await;
    let (first, joined) = tokio::join!(first.rest(), joined.rest());
    assert_eq!(first.message(), joined.message());
}

#[tokio::test]
async fn a_retry_of_a_question_that_never_arrived_submits_it() {
    let api = Api::new().await;
    let user = api.user().await;
    let mut body = question("c", "q", "Did you get this?", "");
    body["trigger"] = "regenerate-message".into();
    let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(shown(&user).await, ["q", &stream.message()]);
}

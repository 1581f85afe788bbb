//! Where a question belongs, as front ends mean it.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::api::{Api, User};
use crate::support::chat::{agent_requests, question, release, sweep_later, unique};

/// A message as a front end shows it.
fn says(role: &str, id: &str, text: &str) -> Value {
    json!({"id": id, "role": role, "parts": [{"type": "text", "text": text}]})
}

/// Two questions and their answers; the answers' ids.
async fn talk(user: &User) -> (String, String) {
    let first = user.chat(&question("c", "q1", "One?", "")).await.rest().await.message();
    let second = user.chat(&question("c", "q2", "Two?", "")).await.rest().await.message();
    (first, second)
}

async fn shown(user: &User) -> Vec<String> {
    user.get("/v1/chat/c").await.texts("/data", "/id")
}

/// What the agent was given of a conversation with this text in it.
async fn given(text: &str) -> Vec<String> {
    let requests = agent_requests(text).await;
    let messages = requests[0]["body"]["messages"].as_array().expect("messages").clone();
    let said = messages.iter().filter(|message| message["role"] != "system");
    said.map(|message| message["role"].as_str().expect("a role").to_owned()).collect()
}

#[tokio::test]
async fn an_edit_of_a_list_that_was_cut_is_a_sibling_of_what_it_replaces() {
    let api = Api::new().await;
    let user = api.user().await;
    let (a1, a2) = talk(&user).await;
    let text = unique("Two, in other words?");
    let body = json!({
        "id": "c", "trigger": "submit-message",
        "messages": [says("user", "q1", "One?"), says("assistant", &a1, "forged"), says("user", "new", &text)],
    });
    let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(shown(&user).await, ["q1", &a1, "new", &stream.message()]);
    assert_eq!(given(&text).await, ["user", "assistant", "user"]);
    let start = &stream.frames[0]["messageMetadata"];
    assert_eq!(start["branch"]["left"], a2);
    let page = user.get("/v1/chat/c").await;
    let told = |pointer: &str| page.body.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(start["branch"]["questionSiblings"], told("/data/2/metadata/siblings"));
    assert_eq!((told("/data/2/metadata/siblings/index"), told("/data/0/metadata/siblings")), (json!(1), Value::Null));
    assert_eq!(told("/data/3/metadata/branch"), start["branch"], "it is told after a reload, too");
    // The same again is the same again, and the arrows lead back.
    let again = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(again.message(), stream.message());
    let other = told("/data/2/metadata/siblings/ids/0").as_str().expect("an id").to_owned();
    let path = format!("/v1/conversations/c/messages/{other}/activate");
    user.post(&path, &json!({})).await.expect(StatusCode::OK);
    assert_eq!(shown(&user).await, ["q1", &a1, "q2", &a2]);
}

#[tokio::test]
async fn a_parent_places_a_question_and_null_is_the_beginning() {
    let api = Api::new().await;
    let user = api.user().await;
    let (a1, a2) = talk(&user).await;
    let text = unique("Another beginning?");
    let mut body = json!({"id": "c", "message": says("user", "new", &text), "parentId": null});
    let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(shown(&user).await, ["new", &stream.message()]);
    assert_eq!(given(&text).await, ["user"]);
    // Every message tells our id and its parent's, so that they join.
    let start = stream.frames[0]["messageMetadata"].clone();
    let page = user.get("/v1/chat/c").await;
    assert_eq!(start["id"], stream.message());
    let time = |pointer: &str| page.text(pointer).parse::<jiff::Timestamp>().expect("a time");
    assert!(time("/data/0/metadata/createdAt") < time("/data/1/metadata/createdAt"));
    assert!(time("/data/1/metadata/createdAt") < time("/data/1/metadata/completedAt"));
    assert_eq!(stream.terminal()["messageMetadata"]["completedAt"], page.text("/data/1/metadata/completedAt"));
    assert!(page.body.pointer("/data/0/metadata/completedAt").is_none());
    assert_eq!(page.text("/data/0/metadata/id"), page.text("/data/1/metadata/parentId"));
    assert_eq!(
        (start["parentId"].clone(), start["id"].clone()),
        (page.text("/data/0/metadata/id").into(), page.text("/data/1/metadata/id").into(),)
    );
    body = json!({"id": "c", "message": says("user", "q3", "Three?"), "parentId": a2});
    user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(shown(&user).await[..4], ["q1", &a1, "q2", &a2]);
    let stored = api.count("select count(*) from messages").await;
    for parent in ["nobody", "0199c0de-0000-7000-8000-000000000001"] {
        body = json!({"id": "c", "message": says("user", "q4", "Four?"), "parentId": parent});
        let refused = user.post("/v1/chat", &body).await;
        refused.expect_problem(StatusCode::NOT_FOUND, "not_found");
        assert_eq!(refused.text("/errors/0/pointer"), "/parentId");
    }
    body["parentId"] = json!(7);
    assert_eq!(user.post("/v1/chat", &body).await.faults(), ["body:/parentId"]);
    assert_eq!(api.count("select count(*) from messages").await, stored);
}

#[tokio::test]
async fn a_deleted_or_foreign_conversation_is_not_made_anew() {
    let api = Api::new().await;
    let (user, other) = (api.user().await, api.user().await);
    let id = user.conversation().await;
    let ask = |id: &str| json!({"id": id, "message": says("user", "q", "Hello?")});
    other.post("/v1/chat", &ask(&id)).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    user.delete(&format!("/v1/conversations/{id}")).await.expect(StatusCode::NO_CONTENT);
    user.post("/v1/chat", &ask(&id)).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    // An id of version 4 is the client's own.
    let own = uuid::Uuid::new_v4().to_string();
    user.chat(&ask(&own)).await.expect(StatusCode::OK).rest().await;
    assert_eq!(api.count("select count(*) from conversations").await, 1);
}

#[tokio::test]
async fn an_edit_with_an_id_of_its_own_is_stored_under_it() {
    let api = Api::new().await;
    let user = api.user().await;
    let (a1, _) = talk(&user).await;
    let body = json!({"id": "c", "messageId": "q1", "message": says("user", "fv3s", "One, in other words?")});
    let edited = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(shown(&user).await, ["fv3s", &edited.message()]);
    let old = user.get("/v1/conversations/c/messages/q1").await;
    assert_eq!((old.text("/content"), old.body["active"].clone()), ("One?".to_owned(), json!(false)));
    user.post("/v1/conversations/c/messages/q1/activate", &json!({})).await.expect(StatusCode::OK);
    assert_eq!(shown(&user).await[..2], ["q1", &a1]);
}

#[tokio::test]
async fn another_answer_to_a_message_that_isnt_there_is_a_404() {
    let api = Api::new().await;
    let user = api.user().await;
    talk(&user).await;
    for (chat, target) in [("c", "nobody"), ("c", "0199c0de-0000-7000-8000-000000000001"), ("d", "q1")] {
        let body = json!({"id": chat, "trigger": "regenerate-message", "messageId": target});
        user.post("/v1/chat", &body).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    }
    assert_eq!(api.count("select count(*) from messages").await, 4);
}

#[tokio::test]
async fn a_key_that_joined_a_running_answer_gets_it_later_too() {
    let api = Api::new().await;
    let user = api.user().await;
    let text = unique("joined");
    let hold = text.replace(' ', "-");
    let first = user.chat(&question("c", "q", &text, &format!("hold@1={hold}"))).await;
    let body = json!({"id": "c", "trigger": "regenerate-message"});
    let again = async |key| user.stream("POST", "/v1/chat", &[("idempotency-key", key)], Some(&body)).await;
    let (one, two) = (again("k1").await, again("k2").await);
    release(&hold).await;
    let (first, one, two) = tokio::join!(first.rest(), one.rest(), two.rest());
    for key in ["k2", "k1"] {
        let later = again(key).await.rest().await;
        assert_eq!((&later.message(), later.text()), (&first.message(), first.text()));
    }
    assert_eq!((one.message(), two.message()), (first.message(), first.message()));
    assert_eq!(agent_requests(&text).await.as_array().expect("requests").len(), 1);
}

#[tokio::test]
async fn all_branches_come_as_a_repository_of_messages() {
    let api = Api::new().await;
    let user = api.user().await;
    let (a1, a2) = talk(&user).await;
    let body = json!({"id": "c", "message": says("user", "q3", "Two, in other words?"), "parentId": a1});
    let other = user.chat(&body).await.rest().await.message();
    let page = user.get("/v1/chat/c?branch=all&limit=4").await;
    assert_eq!(page.text("/headId"), other);
    assert_eq!(page.texts("/messages", "/message/id"), ["q1", &a1, "q2", &a2]);
    assert_eq!(page.body["messages"][0]["parentId"], Value::Null);
    assert!(page.body["messages"][0].as_object().expect("an object").contains_key("parentId"));
    assert_eq!(page.texts("/messages", "/message/role")[..2], ["user", "assistant"]);
    let rest = user.get(&format!("/v1/chat/c?branch=all&cursor={}", page.text("/nextCursor"))).await;
    assert_eq!(rest.texts("/messages", "/message/id"), ["q3", &other]);
    assert_eq!(rest.texts("/messages", "/parentId"), [&a1, "q3"]);
    assert_eq!(rest.text("/headId"), other);
    assert!(rest.body.get("nextCursor").is_none());
    let shown = user.get("/v1/chat/c").await;
    assert_eq!(shown.body["data"][2], rest.body["messages"][0]["message"], "a message is the same in both");
    user.get("/v1/chat/nowhere?branch=all").await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(user.get("/v1/chat/c?branch=some").await.faults(), ["query:/branch"]);
}

/// What a hover card shows of a source comes with it: while it is streamed, after a reload, in a replay from the chunks and
/// from the stored answer.
#[tokio::test]
async fn a_source_tells_its_number_and_its_passage_wherever_it_is_shown() {
    let api = Api::new().await;
    let user = api.user().await;
    let body = question("c", "q", "How are cursors made?", "");
    let first = user.chat(&body).await.rest().await;
    let second = user.chat(&body).await.rest().await;
    sweep_later(&api).await;
    let third = user.chat(&body).await.rest().await;
    let page = user.get("/v1/chat/c").await;
    let parts = page.body["data"][1]["parts"].as_array().expect("parts").clone();
    let of =
        |frames: &[Value]| frames.iter().filter(|frame| frame["type"] == "source-url").cloned().collect::<Vec<_>>();
    let shown = of(&first.frames);
    assert!(!shown.is_empty());
    let sources = user.get(&format!("/v1/conversations/c/messages/{}", first.message())).await.body["sources"].clone();
    for (i, source) in shown.iter().enumerate() {
        let told = &source["providerMetadata"]["colloquy"];
        assert_eq!((told["n"].as_u64(), &told["score"]), (Some(i as u64 + 1), &sources[i]["score"]));
        let snippet = told["snippet"].as_str().expect("a passage");
        assert!((1..=500).contains(&snippet.chars().count()));
        let begins = snippet.trim_end_matches('…');
        assert!(sources[i]["snippet"].as_str().expect("a passage").starts_with(begins));
    }
    for other in [of(&second.frames), of(&third.frames), of(&parts)] {
        assert_eq!(other, shown);
    }
}

#[tokio::test]
async fn a_source_that_a_client_stored_is_shown_alike() {
    let api = Api::new().await;
    let user = api.user().await;
    let source = |title: &str| json!({"url": format!("https://example.com/{title}"), "title": title, "snippet": title});
    let rows = json!([
        {"clientId": "q", "role": "user", "content": "Where?"},
        {"role": "assistant", "content": "There [2].", "sources": [source("one"), source("two")]},
    ]);
    user.post("/v1/conversations", &json!({"clientId": "c", "messages": rows})).await.expect(StatusCode::CREATED);
    let told = |list: &Value| {
        let parts = list.as_array().expect("a list").iter().filter(|part| part["type"] == "source-url");
        parts.map(|part| part["providerMetadata"]["colloquy"].clone()).collect::<Vec<_>>()
    };
    let expected = [json!({"n": 1, "snippet": "one"}), json!({"n": 2, "snippet": "two"})];
    assert_eq!(told(&user.get("/v1/chat/c").await.body["data"][1]["parts"]), expected);
    let replayed = user.chat(&question("c", "q", "Where?", "")).await.rest().await;
    assert_eq!(told(&json!(replayed.frames)), expected);
}

/// What a client keeps in a message's metadata doesn't pass for what we tell of it.
#[tokio::test]
async fn a_clients_metadata_are_no_places() {
    let api = Api::new().await;
    let user = api.user().await;
    let metadata =
        json!({"id": "x", "parentId": "x", "siblings": {"ids": ["x"], "index": 0}, "createdAt": "x", "theme": "dark"});
    let rows = json!([{"role": "user", "content": "Where?", "metadata": metadata}]);
    user.post("/v1/conversations", &json!({"clientId": "c", "messages": rows})).await.expect(StatusCode::CREATED);
    let mut shown = user.get("/v1/chat/c").await.body["data"][0]["metadata"].take();
    let ours = shown.as_object_mut().expect("an object");
    assert_ne!((ours.remove("id"), ours.remove("createdAt")), (Some("x".into()), Some("x".into())));
    assert_eq!(shown, json!({"theme": "dark", "status": "complete"}));
}

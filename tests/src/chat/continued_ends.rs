//! How answers that went on end, and what is kept of them.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use shared::config::AgentProtocol;
use shared::db::Db;

use super::continued::{UI, answered, call, calls, finish, kinds, output, says, scene, scene_with, shown, words};
use crate::support::api::{Api, User, config};
use crate::support::chat::question;

/// A page whose answer waits for the output of a tool; what it sends with it.
async fn waiting(user: &User) -> Value {
    user.chat(&question("c", "q", "Where am I?", "")).await.rest().await;
    let waiting = shown(user, "c").await;
    answered("c", &waiting[1], &[("c1", output(&json!("Bern")))])
}

fn types(message: &Value) -> Vec<&str> {
    message["parts"].as_array().expect("parts").iter().filter_map(|part| part["type"].as_str()).collect()
}

#[tokio::test]
async fn an_agent_that_fails_leaves_the_answer_as_it_was_and_the_page_in_peace() {
    let (_api, user, agent) = scene(AgentProtocol::OpenAi).await;
    agent.says(&calls("c1"));
    let body = waiting(&user).await;
    let failed = user.chat(&body).await.rest().await;
    assert_eq!(kinds(&failed), ["start", "start-step", "message-metadata", "error"]);
    let message = shown(&user, "c").await.pop().expect("an answer");
    assert_eq!(
        (&message["metadata"]["status"], types(&message)),
        (&json!("failed"), vec!["text", "dynamic-tool", "step-start"])
    );
    assert_eq!(message["parts"][1]["output"], "Bern", "the reader's answer is kept");
    // Another answer is another message.
    agent.says(&says("In Bern?"));
    let again = json!({"id": "c", "trigger": "regenerate-message", "messageId": message["id"]});
    let again = user.chat(&again).await.expect(StatusCode::OK).rest().await;
    assert_ne!(again.message(), failed.message());
}

#[tokio::test]
async fn a_stop_keeps_what_was_said_before_and_since() {
    let (_api, user, agent) = scene(AgentProtocol::OpenAi).await;
    agent.says(&calls("c1"));
    let body = waiting(&user).await;
    agent.says(&json!([{"choices": [{"index": 0, "delta": {"content": "In "}}]}, "silent"]));
    let mut stream = user.chat(&body).await;
    stream.until("text-delta").await;
    // Meanwhile it is one that is being written.
    assert_eq!(shown(&user, "c").await.len(), 1);
    let repeated = user.chat(&body).await.expect(StatusCode::OK);
    let other = answered("c", &body["messages"][0], &[("c1", output(&json!("Basel")))]);
    user.post("/v1/chat", &other).await.expect_problem(StatusCode::CONFLICT, "turn_running");
    let resumed = user.resume("c").await.expect(StatusCode::OK);
    user.post("/v1/chat/c/stop", &json!({})).await.expect(StatusCode::ACCEPTED);
    let (stream, repeated, resumed) = tokio::join!(stream.rest(), repeated.rest(), resumed.rest());
    assert_eq!(repeated.text(), "In ", "a page that has the rest gets no more of it");
    assert_eq!((&stream.terminal()["type"], &resumed.terminal()["type"]), (&json!("abort"), &json!("abort")));
    assert_eq!(resumed.text(), "Let me see. In ", "who comes later sees all of it");
    let message = shown(&user, "c").await.pop().expect("an answer");
    assert_eq!(types(&message), ["text", "dynamic-tool", "step-start", "text"]);
    assert_eq!(
        (&message["metadata"]["status"], &message["metadata"]["finishReason"]),
        (&json!("stopped"), &json!("other"))
    );
}

#[tokio::test]
async fn sources_keep_their_places() {
    let source = |id: &str| json!({"type": "source-url", "sourceId": id, "url": format!("https://example.com/{id}")});
    let (_api, user, agent) = scene(UI).await;
    agent.says(&json!([source("a"), source("b"), call("c1", "getLocation"), finish("tool-calls", 1)]));
    let body = waiting(&user).await;
    let [start, delta, end] = words("In Bern [3].");
    agent.says(&json!([source("b"), source("c"), start, delta, end, finish("stop", 1)]));
    let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    let told: Vec<&Value> = stream.frames.iter().filter(|frame| frame["type"] == "source-url").collect();
    assert_eq!(told.len(), 1, "what was told before isn't told again");
    assert_eq!((&told[0]["sourceId"], &told[0]["providerMetadata"]["colloquy"]["n"]), (&json!("c"), &json!(3)));
    let page = user.get("/v1/conversations/c/messages").await;
    assert_eq!(page.texts("/data/1/sources", "/id"), ["a", "b", "c"]);
}

#[tokio::test]
async fn what_was_there_before_is_not_taken_back() {
    let source = json!({"type": "source-url", "sourceId": "a", "url": "https://example.com/a"});
    let (_api, user, agent) = scene(UI).await;
    agent.says(&json!([source, call("c1", "getLocation"), finish("tool-calls", 1)]));
    let body = waiting(&user).await;
    let [start, delta, end] = words("In Bern.");
    let (reset, begin) = (json!({"type": "reset-step"}), json!({"type": "start-step"}));
    agent.says(&json!([reset, begin, {"type": "text-start", "id": "0"}, reset, start, delta, end, finish("stop", 1)]));
    user.chat(&body).await.expect(StatusCode::OK).rest().await;
    let message = shown(&user, "c").await.pop().expect("an answer");
    assert_eq!(types(&message), ["source-url", "tool-getLocation", "step-start", "text"]);
    assert_eq!(user.get("/v1/conversations/c/messages").await.texts("/data/1/sources", "/id"), ["a"]);
}

#[tokio::test]
async fn an_agent_that_stops_behind_its_own_tools_goes_on_when_the_page_asks() {
    let done = json!({"type": "tool-output-available", "toolCallId": "c1", "output": "found"});
    let (_api, user, agent) = scene(UI).await;
    agent.says(&json!([call("c1", "search"), done, finish("tool-calls", 1)]));
    user.chat(&question("c", "q", "Search", "")).await.rest().await;
    let page = shown(&user, "c").await;
    let [start, delta, end] = words("Found.");
    agent.says(&json!([start, delta, end, finish("stop", 1)]));
    let body = answered("c", &page[1], &[]);
    for _ in 0..2 {
        let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
        assert_eq!(kinds(&stream), ["start", "start-step", "text-start", "text-delta", "text-end", "finish"]);
    }
    assert_eq!((agent.times(), types(&shown(&user, "c").await[1])), (2, vec!["tool-search", "step-start", "text"]));

    // One that has ended needs nothing more: a page that looks at the last step finds no call there.
    let [start, delta, end] = words("Found.");
    agent.says(&json!([call("c1", "search"), done, start, delta, end, finish("stop", 1)]));
    user.chat(&question("d", "q", "Search", "")).await.rest().await;
    let page = shown(&user, "d").await;
    assert_eq!(types(&page[1]), ["tool-search", "text", "step-start"]);
    user.post("/v1/chat", &answered("d", &page[1], &[])).await.expect_problem(StatusCode::CONFLICT, "conflict");
}

#[tokio::test]
async fn a_repeat_after_the_streams_end_gets_what_was_added() {
    let (api, user, agent) = scene(AgentProtocol::OpenAi).await;
    agent.says(&calls("c1"));
    let body = waiting(&user).await;
    agent.says(&says("In Bern."));
    let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    forget_streams(&api).await;
    let again = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!((again.text(), again.message()), (stream.text(), stream.message()));
    let expected = [
        "start",
        "tool-output-available",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
    ];
    assert_eq!((kinds(&again), agent.times()), (expected.to_vec(), 2));
    // Who asks the question again gets all of it.
    let asked = user.chat(&question("c", "q", "Where am I?", "")).await.expect(StatusCode::OK).rest().await;
    assert_eq!((asked.text().as_str(), agent.times()), ("Let me see. In Bern.", 2));
}

/// Drops the stored streams, as the sweep does in time.
async fn forget_streams(api: &Api) {
    let db = Db::new(&config(&api.database.app_url).database).expect("a database");
    while db.sweep(10, Duration::ZERO).await.expect("a sweep").chunks > 0 {}
}

#[tokio::test]
async fn each_time_an_answer_goes_on_counts_as_a_message_of_the_quota() {
    let (_api, user, agent) = scene_with(AgentProtocol::OpenAi, |config| config.chat.quota.messages = Some(1)).await;
    agent.says(&calls("c1"));
    let body = waiting(&user).await;
    let before = shown(&user, "c").await;
    user.post("/v1/chat", &body).await.expect_problem(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded");
    assert_eq!((shown(&user, "c").await, agent.times()), (before, 1), "it waits as before");
}

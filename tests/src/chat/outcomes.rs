//! How an answer can end, what the reader is told and what is stored.

use http::StatusCode;
use serde_json::{Value, json};
use shared::clock::Clock;

use crate::support::api::{Api, User};
use crate::support::chat::{Stream, question, release, sweep_later, unique};

/// The answer as the history has it: status, text, sources.
async fn stored(user: &User, chat: &str) -> (String, String, usize) {
    let page = user.get(&format!("/v1/conversations/{chat}/messages?order=desc&limit=1")).await;
    page.expect(StatusCode::OK);
    let message = &page.body["data"][0];
    assert_eq!(message["role"], "assistant");
    let sources = message["sources"].as_array().expect("sources").len();
    (page.text("/data/0/status"), page.text("/data/0/content"), sources)
}

async fn ask(user: &User, chat: &str, script: &str) -> Stream {
    user.chat(&question(chat, "q", "How are cursors made?", script)).await.expect(StatusCode::OK).rest().await
}

#[tokio::test]
async fn a_complete_answer_is_stored_with_all_that_was_streamed() {
    let api = Api::new().await;
    let user = api.user().await;
    let stream = ask(&user, "c", "").await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["x-vercel-ai-ui-message-stream"], "v1");
    assert_eq!(stream.headers.get_all("cache-control").iter().collect::<Vec<_>>(), ["no-store, no-transform"]);
    let finish = stream.terminal();
    assert_eq!((&finish["type"], &finish["finishReason"]), (&json!("finish"), &json!("stop")));
    assert_eq!(finish["messageMetadata"]["status"], "complete");
    assert!(finish["messageMetadata"]["usage"]["totalTokens"].is_u64());
    let streamed = stream.frames.iter().filter(|frame| frame["type"] == "source-url").count();
    assert!(streamed > 0);
    assert_eq!(stored(&user, "c").await, ("complete".to_owned(), stream.text(), streamed));
    // What useChat is given is what it was streamed.
    let page = user.get("/v1/chat/c").await;
    let answer = &page.body["data"][1];
    assert_eq!(
        (answer["id"].as_str(), &answer["metadata"]["usage"]),
        (Some(stream.message().as_str()), &finish["messageMetadata"]["usage"])
    );
    assert_eq!(answer["metadata"]["model"], "development-agent");
}

#[tokio::test]
async fn what_an_agent_breaks_off_is_kept_and_told() {
    let api = Api::new().await;
    let user = api.user().await;
    for (script, status) in
        [("cut@3", "incomplete"), ("end@3", "incomplete"), ("error@3", "failed"), ("garbage@2 end@3", "incomplete")]
    {
        let chat = script.replace(' ', "-");
        let stream = ask(&user, &chat, script).await;
        assert_eq!(stream.terminal()["type"], "error", "{script}");
        assert!(stream.terminal()["errorText"].as_str().is_some_and(|text| !text.is_empty()));
        let metadata = stream.frames.iter().find(|frame| frame["type"] == "message-metadata").expect("metadata");
        assert_eq!(metadata["messageMetadata"]["status"], status, "{script}");
        let (stored_status, content, _) = stored(&user, &chat).await;
        assert_eq!((stored_status.as_str(), content), (status, stream.text()), "{script}");
        assert!(!stream.text().is_empty());
        // Nothing is stuck: the next question is answered.
        let next = user.chat(&question(&chat, "q2", "And then?", "")).await.rest().await;
        assert_eq!(next.terminal()["type"], "finish");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_the_model_is_incomplete_and_no_error() {
    let api = Api::new().await;
    let user = api.user().await;
    let stream = ask(&user, "c", "finish=length").await;
    let told = |stream: &Stream| {
        let last = stream.terminal();
        [&last["type"], &last["finishReason"]].map(Clone::clone)
    };
    assert_eq!(told(&stream), [json!("finish"), json!("length")]);
    assert_eq!(stream.terminal()["messageMetadata"]["finishReason"], "length");
    assert_eq!(stored(&user, "c").await.0, "incomplete");
    // It is known after a reload, and a replay ends as the stream did, also once only the answer is left of it.
    let page = user.get("/v1/chat/c").await;
    assert_eq!(page.text("/data/1/metadata/finishReason"), "length");
    sweep_later(&api).await;
    assert_eq!(told(&ask(&user, "c", "finish=length").await), told(&stream));
}

#[tokio::test]
async fn a_refusal_is_told_and_repeated_without_asking_again() {
    let api = Api::new().await;
    let user = api.user().await;
    let text = unique("refused");
    let body = question("c", "q", &text, "status=500");
    let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(stream.terminal()["type"], "error");
    assert_eq!(stored(&user, "c").await, ("failed".to_owned(), String::new(), 0));
    let again = user.chat(&body).await.rest().await;
    assert_eq!(again.terminal(), stream.terminal());
    assert_eq!(crate::support::chat::asked(&text).await, 1);
}

#[tokio::test]
async fn a_reader_who_leaves_changes_nothing() {
    let api = Api::new().await;
    let user = api.user().await;
    let hold = unique("leaving").replace(' ', "-");
    let mut stream = user.chat(&question("c", "q", "How are cursors made?", &format!("hold@3={hold}"))).await;
    stream.until("text-delta").await;
    drop(stream);
    release(&hold).await;
    let status = crate::support::eventually("the answer's end", async || {
        let (status, ..) = stored(&user, "c").await;
        (status != "in_progress").then_some(status)
    });
    assert_eq!(status.await, "complete");
}

#[tokio::test]
async fn a_reader_who_leaves_stops_the_answer_where_the_settings_say_so() {
    let api = Api::with(|config| config.chat.stop_on_disconnect = true).await;
    let user = api.user().await;
    let mut stream = user.chat(&question("c", "q", "How are cursors made?", "silent@3")).await;
    stream.until("text-delta").await;
    drop(stream);
    let status = crate::support::eventually("the answer's end", async || {
        let (status, ..) = stored(&user, "c").await;
        (status != "in_progress").then_some(status)
    });
    assert_eq!(status.await, "stopped");
}

#[tokio::test]
async fn an_answer_ends_before_its_functions_time_does() {
    let api = Api::new().await;
    let user = api.user().await;
    // Lambda tells when it will end an invocation. Half of so short a time is left for storing.
    let deadline = Clock::system().now().as_millisecond() + 10_000;
    let body = question("c", "q", "How are cursors made?", "silent@4");
    let stream = user.stream_within(10_000, "POST", "/v1/chat", Some(&body)).await.rest().await;
    assert_eq!(stream.terminal()["type"], "error");
    assert!(Clock::system().now().as_millisecond() < deadline, "Lambda would have ended it");
    assert_eq!(stored(&user, "c").await, ("incomplete".to_owned(), stream.text(), 0));
    assert!(!stream.text().is_empty());
}

#[tokio::test]
async fn a_silent_stream_says_that_it_is_alive() {
    let api = Api::with(|config| config.chat.keep_alive = std::time::Duration::from_millis(50)).await;
    let user = api.user().await;
    let mut stream = user.chat(&question("c", "q", "How?", "silent@1")).await;
    stream.until("text-delta").await;
    let mut reader = user.resume("c").await;
    reader.until("text-delta").await;
    assert!(stream.is_kept_alive().await && stream.is_kept_alive().await);
    assert!(reader.is_kept_alive().await);
    user.post("/v1/chat/c/stop", &json!({})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(stream.rest().await.terminal()["type"], "abort");
}

#[tokio::test]
async fn a_title_comes_from_the_question_at_once_and_from_the_agent_where_the_settings_say_so() {
    let api = Api::with(|config| config.chat.title_from_agent = true).await;
    let user = api.user().await;
    let hold = unique("title").replace(' ', "-");
    let text = "What does the cursor of a page hold, and how long is it good?";
    let mut stream = user.chat(&question("c", "q", text, &format!("hold@3={hold}"))).await;
    let first = stream.until("data-conversation").await;
    assert_eq!(first["data"]["title"].as_str().map(|title| title.starts_with("What does the cursor")), Some(true));
    let second = stream.until("data-conversation").await;
    release(&hold).await;
    stream.rest().await;
    let title = user.get("/v1/conversations/c").await.text("/title");
    assert_eq!(second["data"]["title"], title.as_str());
    assert_ne!(first["data"]["title"], second["data"]["title"]);
}

#[tokio::test]
async fn a_reasoning_is_streamed_and_kept() {
    let api = Api::new().await;
    let user = api.user().await;
    let stream = ask(&user, "c", "reasoning").await;
    let kinds: Vec<&str> = stream.frames.iter().filter_map(|frame| frame["type"].as_str()).collect();
    assert!(kinds.contains(&"reasoning-start") && kinds.contains(&"reasoning-end"), "{kinds:?}");
    let page = user.get("/v1/chat/c").await;
    let parts = page.body["data"][1]["parts"].as_array().expect("parts");
    assert!(
        parts.iter().any(|part| part["type"] == "reasoning" && part["text"].as_str().is_some_and(|t| !t.is_empty()))
    );
}

#[tokio::test]
async fn while_an_answer_is_written_the_page_ends_at_its_question() {
    let api = Api::new().await;
    let user = api.user().await;
    let hold = unique("page").replace(' ', "-");
    let mut stream = user.chat(&question("c", "q", "How?", &format!("hold@3={hold}"))).await;
    stream.until("text-delta").await;
    let ids = user.get("/v1/chat/c").await.texts("/data", "/id");
    assert_eq!(ids, ["q"]);
    let resumed = user.resume("c").await;
    release(&hold).await;
    let (stream, resumed) = tokio::join!(stream.rest(), resumed.rest());
    assert_eq!((resumed.message(), resumed.text()), (stream.message(), stream.text()));
    assert_eq!(resumed.terminal(), stream.terminal());
    let parts =
        |frames: &[Value]| frames.iter().filter(|frame| frame["type"] == "source-url").cloned().collect::<Vec<_>>();
    assert_eq!(parts(&resumed.frames), parts(&stream.frames));
}

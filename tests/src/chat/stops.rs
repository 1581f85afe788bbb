//! Stopping a running answer from anywhere.

use http::StatusCode;
use serde_json::json;
use shared::auth::Verifier;
use shared::clock::Clock;
use shared::config::{AgentConfig, AgentProtocol};

use crate::agent::agent_server::{AgentServer, Step};
use crate::support::api::{Api, User, config, router, router_with};
use crate::support::chat::{question, unique};

#[tokio::test]
async fn an_answer_is_stopped_from_another_instance_and_what_was_written_stays() {
    let api = Api::new().await;
    let user = api.user().await;
    let mut stream = user.chat(&question("c", "q", "How are cursors made?", "silent@4")).await;
    for _ in 0..4 {
        stream.until("text-delta").await;
    }
    // Another instance: it shares nothing but the database.
    let elsewhere = User { router: router(config(&api.database.app_url)), token: user.token.clone() };
    let reader = elsewhere.resume("c").await.expect(StatusCode::OK);
    let stopping = elsewhere.post("/v1/chat/c/stop", &json!({})).await;
    stopping.expect(StatusCode::ACCEPTED);
    let (stream, reader) = tokio::join!(stream.rest(), reader.rest());
    assert_eq!(stopping.text("/messageId"), stream.message());
    for stream in [&stream, &reader] {
        assert_eq!(stream.terminal()["type"], "abort");
        assert!(!stream.text().is_empty());
    }
    assert_eq!(reader.text(), stream.text());
    let page = user.get("/v1/chat/c").await;
    assert_eq!(
        (page.text("/data/1/metadata/status"), page.text("/data/1/parts/0/text")),
        ("stopped".into(), stream.text())
    );
    // It is over: nothing to stop, and the next turn begins.
    user.post("/v1/chat/c/stop", &json!({})).await.expect(StatusCode::NO_CONTENT);
    let next = user.chat(&question("c", "q2", &unique("next"), "")).await.rest().await;
    assert_eq!(next.terminal()["type"], "finish");
}

#[tokio::test]
async fn an_answer_is_stopped_before_its_first_word() {
    let api = Api::new().await;
    let user = api.user().await;
    let mut stream = user.chat(&question("c", "q", "How?", "delay=60000")).await;
    stream.until("start").await;
    user.post("/v1/chat/c/stop", &json!({})).await.expect(StatusCode::ACCEPTED);
    let stream = stream.rest().await;
    assert_eq!((stream.terminal()["type"].as_str(), stream.text().as_str()), (Some("abort"), ""));
}

#[tokio::test]
async fn there_is_nothing_to_stop_or_resume_in_a_chat_that_isnt_there() {
    let api = Api::new().await;
    let user = api.user().await;
    for name in ["nowhere", "0199c0de-0000-7000-8000-000000000001"] {
        user.post(&format!("/v1/chat/{name}/stop"), &json!({}))
            .await
            .expect_problem(StatusCode::NOT_FOUND, "not_found");
    }
    user.resume("nowhere").await.expect(StatusCode::NO_CONTENT);
    user.get("/v1/chat/nowhere").await.expect(StatusCode::NOT_FOUND);
}

/// Who presses stop and asks again at once isn't told to come back.
#[tokio::test]
async fn a_question_right_behind_a_stop_waits_for_the_answers_end() {
    let api = Api::new().await;
    let user = api.user().await;
    let mut stream = user.chat(&question("c", "q", "How are cursors made?", "silent@2")).await;
    stream.until("text-delta").await;
    user.post("/v1/chat/c/stop", &json!({})).await.expect(StatusCode::ACCEPTED);
    let next = user.chat(&question("c", "q2", &unique("at once"), "")).await.expect(StatusCode::OK);
    let (stream, next) = tokio::join!(stream.rest(), next.rest());
    assert_eq!((&stream.terminal()["type"], &next.terminal()["type"]), (&"abort".into(), &"finish".into()));
    assert_eq!(user.get("/v1/chat/c").await.texts("/data", "/metadata/status")[1], "stopped");
}

/// What an agent that speaks the AI SDK's stream has said of its cost counts, in whichever frame.
#[tokio::test]
async fn a_stopped_answer_costs_what_its_agent_has_told() {
    let api = Api::new().await;
    let token = api.user().await.token;
    let usage = |kind: &str, name: &str, tokens: u64| {
        let usage = json!({"inputTokens": tokens, "outputTokens": 1});
        json!({"type": kind, "messageMetadata": {name: usage, "model": "m"}})
    };
    let text = ["start", "delta"].map(|kind| json!({"type": format!("text-{kind}"), "id": "t", "delta": "Twenty."}));
    let [start, delta] = &text;
    for (n, (frames, told)) in [
        (vec![usage("start", "usage", 4), start.clone(), delta.clone()], 5),
        (vec![json!({"type": "start"}), start.clone(), usage("message-metadata", "totalUsage", 6), delta.clone()], 7),
        (vec![usage("start", "usage", 4), start.clone(), usage("message-metadata", "usage", 8), delta.clone()], 9),
    ]
    .into_iter()
    .enumerate()
    {
        let frames = frames.iter().map(|frame| Step::send(format!("data: {frame}\n\n")));
        let agent = AgentServer::start([Step::head()].into_iter().chain(frames).chain([Step::Silence]).collect()).await;
        let mut settings = config(&api.database.app_url);
        let verifier = Verifier::new(&settings.auth, Clock::system()).expect("a verifier");
        settings.agent = Some(AgentConfig { protocol: AgentProtocol::UiMessageStream, ..AgentConfig::at(agent.url()) });
        let user = User { router: router_with(settings, verifier), token: token.clone() };
        let chat = format!("c{n}");
        let mut stream = user.chat(&question(&chat, "q", "How many?", "")).await.expect(StatusCode::OK);
        stream.until("text-delta").await;
        user.post(&format!("/v1/chat/{chat}/stop"), &json!({})).await.expect(StatusCode::ACCEPTED);
        assert_eq!(stream.rest().await.terminal()["type"], "abort");
        let metadata = user.get(&format!("/v1/chat/{chat}")).await.body["data"][1]["metadata"].clone();
        assert_eq!((&metadata["status"], &metadata["usage"]["totalTokens"]), (&json!("stopped"), &json!(told)));
        assert_eq!(metadata["model"], "m");
    }
}

//! What version 7 of the AI SDK alone knows, from an agent that speaks it: part of the message as version 7 shows it, and
//! nothing that a page of version 6 would die of.

use http::StatusCode;
use serde_json::{Value, json};
use shared::auth::Verifier;
use shared::clock::Clock;
use shared::config::{AgentConfig, AgentProtocol};

use crate::agent::agent_server::{AgentServer, Gate, Step};
use crate::support::api::{Api, User, config, router_with, token};
use crate::support::chat::{Stream, expire, question, reply_settings, sweep_later};
use crate::support::function::{Function, rest_event};
use crate::support::{eventually, http_client};

const PICTURE: &str = "data:image/png;base64,iVBORw0KGgo=";

/// What the agent says: a step that is taken back, and one that isn't.
fn said() -> Vec<Value> {
    let source = json!({"type": "source-url", "sourceId": "a", "url": "https://x.example/a", "title": "A"});
    let thought = json!({"type": "reasoning-file", "url": PICTURE, "mediaType": "image/png"});
    let text = |id: &str, text: &str| {
        ["start", "delta", "end"].map(|kind| json!({"type": format!("text-{kind}"), "id": id, "delta": text}))
    };
    let mut cited = text("1", "Days [1].");
    cited[2]["citations"] = json!([citation("https://x.example/a"), citation("javascript:alert(1)")]);
    let begun = [json!({"type": "start"}), json!({"type": "start-step"}), source.clone()];
    let wrong = text("0", "Twenty.");
    let taken_back = [
        json!({"type": "custom", "kind": "openai.compaction", "providerMetadata": {}}),
        thought.clone(),
        json!({"type": "text-start", "id": "never ended"}),
        json!({"type": "reset-step"}),
        source,
        json!({"type": "custom", "kind": "openai.compaction", "providerMetadata": {"openai": {"n": 1}}}),
        thought,
        json!({"type": "reasoning-file", "url": "java\nscript:alert(1)", "mediaType": "image/png"}),
    ];
    let call = [
        json!({"type": "tool-input-available", "toolCallId": "c", "toolName": "look", "input": {}, "dynamic": true}),
        json!({"type": "tool-approval-request", "toolCallId": "c", "approvalId": "p", "reason": "It costs.", "isAutomatic": true}),
        json!({"type": "tool-approval-response", "approvalId": "nobody asked", "approved": true}),
        json!({"type": "tool-approval-response", "approvalId": "p", "approved": false, "reason": "Too much."}),
    ];
    let steered = [
        json!({"type": "steering-message", "id": "m", "parts": [
            {"type": "text", "text": "Shorter."}, {"type": "file", "mediaType": "image/png", "url": "blob:https://x.example/1"},
        ]}),
        json!({"type": "finish-step"}),
    ];
    [&begun[..], &wrong, &taken_back, &call, &cited, &steered].concat()
}

fn citation(url: &str) -> Value {
    json!({"source": {"type": "source", "sourceType": "url", "id": "a", "url": url}, "endIndex": 3})
}

/// The parts that version 7 makes of it, but for what links to nothing good.
fn parts() -> Value {
    json!([
        {"type": "step-start"},
        {"type": "source-url", "sourceId": "a", "url": "https://x.example/a", "title": "A",
            "providerMetadata": {"colloquy": {"n": 1}}},
        {"type": "custom", "kind": "openai.compaction", "providerMetadata": {"openai": {"n": 1}}},
        {"type": "reasoning-file", "url": PICTURE, "mediaType": "image/png"},
        {"type": "dynamic-tool", "toolCallId": "c", "toolName": "look", "input": {}, "state": "approval-responded",
            "approval": {"id": "p", "requestReason": "It costs.", "isAutomatic": true, "approved": false,
                "reason": "Too much."}},
        {"type": "text", "text": "Days [1].", "state": "done", "citations": [citation("https://x.example/a")]},
        {"type": "steering-message", "id": "m", "parts": [{"type": "text", "text": "Shorter."}]},
    ])
}

/// Nothing that version 6 can't read, and nothing that was left open.
#[track_caller]
fn is_for_version_6(stream: &Stream) {
    let kinds: Vec<&str> = stream.frames.iter().map(|frame| frame["type"].as_str().expect("a type")).collect();
    for kind in ["custom", "reasoning-file", "steering-message", "reset-step", "tool-approval-response"] {
        assert!(!kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let count = |kind: &str| kinds.iter().filter(|it| **it == kind).count();
    assert_eq!(count("text-start"), count("text-end"), "{kinds:?}");
}

async fn scene(api: &Api, steps: Vec<Step>) -> (User, AgentServer) {
    let agent = AgentServer::start(steps).await;
    let mut settings = config(&api.database.app_url);
    let verifier = Verifier::new(&settings.auth, Clock::system()).expect("a verifier");
    settings.agent = Some(AgentConfig { protocol: AgentProtocol::UiMessageStream, ..AgentConfig::at(agent.url()) });
    (User { router: router_with(settings, verifier), token: token().await }, agent)
}

fn steps(end: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let frames = said().into_iter().map(|frame| Step::send(format!("data: {frame}\n\n")));
    std::iter::once(Step::head()).chain(frames).chain(end).collect()
}

#[tokio::test]
async fn what_version_7_alone_knows_is_kept_and_passed_to_nobody() {
    let api = Api::new().await;
    let gate = Gate::closed();
    let finish = Step::send("data: {\"type\":\"finish\",\"finishReason\":\"interrupted\"}\n\ndata: [DONE]\n\n");
    let (user, agent) = scene(&api, steps([Step::Held(gate.clone()), finish])).await;
    let mut live = user.chat(&question("c", "q", "How many?", "")).await.expect(StatusCode::OK);
    live.until("finish-step").await;
    let mut follower = user.resume("c").await.expect(StatusCode::OK);
    follower.until("finish-step").await;
    gate.open();
    let (live, follower) = tokio::join!(live.rest(), follower.rest());
    let page = user.get("/v1/chat/c").await;
    assert_eq!(page.body["data"][1]["parts"], parts());
    let metadata = &page.body["data"][1]["metadata"];
    assert_eq!((&metadata["status"], &metadata["finishReason"]), (&json!("incomplete"), &json!("interrupted")));
    let sources = user.get("/v1/conversations/c/messages").await.body["data"][1]["sources"].clone();
    assert_eq!(sources.as_array().map(Vec::len), Some(1), "{sources}");
    sweep_later(&api).await;
    let replay = user.chat(&question("c", "q", "How many?", "")).await.rest().await;
    for stream in [&live, &follower, &replay] {
        is_for_version_6(stream);
        assert_eq!(stream.terminal()["finishReason"], "other");
        let mut told = stream.frames.iter().map(|frame| &frame["messageMetadata"]["finishReason"]);
        assert!(told.any(|reason| reason == "interrupted"));
    }
    // What was said can't be unsaid in a page that doesn't know how.
    assert_eq!(
        (live.text(), follower.text(), replay.text()),
        ("Twenty.Days [1].".into(), "Twenty.Days [1].".into(), "Days [1].".into())
    );
    let cited = |stream: &Stream| {
        stream.frames.iter().any(|frame| frame["citations"] == json!([citation("https://x.example/a")]))
    };
    assert!(cited(&live) && cited(&follower) && cited(&replay));
    user.chat(&question("c", "q2", "And now?", "")).await.expect(StatusCode::OK).rest().await;
    let prompt = agent.request().body["messages"].to_string();
    assert!(prompt.contains("Days [1].") && !prompt.contains("Twenty"), "{prompt}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_runs_answer_is_put_together_from_them() {
    let api = Api::new().await;
    let (user, agent) = scene(&api, steps([Step::Silence])).await;
    let url = agent.url();
    let settings = reply_settings(&api.database.app_url).into_iter().filter(|(name, _)| *name != "AGENT_URL");
    let agents = [("AGENT_URL", &*url), ("AGENT_PROTOCOL", "ui-message-stream"), ("CHUNK_MILLIS", "20")];
    let mut function = Function::start("reply-chat", &settings.chain(agents).collect::<Vec<_>>()).await;
    let headers = json!({"authorization": format!("Bearer {}", user.token), "content-type": "application/json"});
    let event = rest_event("POST", "/v1/chat", &headers, Some(&question("c", "q", "How many?", "").to_string()));
    let invocation = http_client().post(function.invocation_url()).body(event.to_string()).send();
    let invocation = tokio::spawn(async move { invocation.await.map(drop) });
    eventually("the last frame, stored", async || {
        let stored = "select count(*) from run_chunks where frames::text like '%finish-step%'";
        (api.count(stored).await > 0).then_some(())
    })
    .await;
    function.process.kill().await.expect("killed");
    invocation.abort();
    expire(&api.database.superuser().await).await;
    let reader = user.resume("c").await.expect(StatusCode::OK).rest().await;
    is_for_version_6(&reader);
    let answer = user.get("/v1/conversations/c/messages").await.body["data"][1].clone();
    assert_eq!((&answer["status"], answer["sources"].as_array().map(Vec::len)), (&json!("incomplete"), Some(1)));
    assert_eq!(user.get("/v1/chat/c").await.body["data"][1]["parts"], parts());
}

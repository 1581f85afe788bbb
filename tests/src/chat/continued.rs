//! Answers that wait for their reader: tools that run in the front end, or only if the reader agrees.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures_util::StreamExt;
use futures_util::stream;
use http::StatusCode;
use serde_json::{Value, json};
use shared::config::{AgentProtocol, Config};
use tokio::net::TcpListener;

use crate::support::api::{Api, User};
use crate::support::chat::{Stream, question};

/// An agent that says these, one after the other, and keeps what it was asked.
#[derive(Clone, Default)]
pub(crate) struct Agent {
    answers: Arc<Mutex<VecDeque<Vec<Value>>>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Agent {
    pub(crate) fn says(&self, frames: &Value) {
        let frames = frames.as_array().expect("frames").clone();
        self.answers.lock().expect("answers").push_back(frames);
    }

    /// What it was asked with last.
    pub(crate) fn asked(&self) -> Value {
        self.asked.lock().expect("requests").last().expect("a request").clone()
    }

    pub(crate) fn times(&self) -> usize {
        self.asked.lock().expect("requests").len()
    }
}

async fn answer(State(agent): State<Agent>, Json(body): Json<Value>) -> Response {
    agent.asked.lock().expect("requests").push(body);
    let frames = agent.answers.lock().expect("answers").pop_front();
    let Some(frames) = frames else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let events = stream::unfold(frames.into_iter(), |mut frames| async {
        let frame = frames.next()?;
        // It says no more, and keeps the connection.
        if frame == "silent" {
            std::future::pending::<()>().await;
        }
        Some((Ok::<_, Infallible>(format!("data: {frame}\n\n")), frames))
    });
    let events = events.chain(stream::once(async { Ok("data: [DONE]\n\n".to_owned()) }));
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

pub(crate) async fn scene(protocol: AgentProtocol) -> (Api, User, Agent) {
    scene_with(protocol, |_| {}).await
}

pub(crate) async fn scene_with(protocol: AgentProtocol, change: impl FnOnce(&mut Config)) -> (Api, User, Agent) {
    let agent = Agent::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(answer).with_state(agent.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let api = Api::with(|config| {
        let agent = config.agent.as_mut().expect("an agent");
        (agent.url, agent.protocol) = (url, protocol);
        change(config);
    })
    .await;
    let user = api.user().await;
    (api, user, agent)
}

pub(crate) const UI: AgentProtocol = AgentProtocol::UiMessageStream;

pub(crate) fn call(id: &str, tool: &str) -> Value {
    json!({"type": "tool-input-available", "toolCallId": id, "toolName": tool, "input": {"name": "a.txt"}})
}

pub(crate) fn approval(id: &str, approval: &str) -> Value {
    json!({"type": "tool-approval-request", "toolCallId": id, "approvalId": approval})
}

/// Words in the agent's stream.
pub(crate) fn words(text: &str) -> [Value; 3] {
    [
        json!({"type": "text-start", "id": "1"}),
        json!({"type": "text-delta", "id": "1", "delta": text}),
        json!({"type": "text-end", "id": "1"}),
    ]
}

pub(crate) fn finish(reason: &str, tokens: u64) -> Value {
    let usage = json!({"inputTokens": tokens, "outputTokens": 1, "totalTokens": tokens + 1});
    json!({"type": "finish", "finishReason": reason, "messageMetadata": {"usage": usage}})
}

/// What a page sends once its reader has answered: its last message, with this in the part of each call.
pub(crate) fn answered(chat: &str, message: &Value, outcomes: &[(&str, Value)]) -> Value {
    let mut message = message.clone();
    for part in message["parts"].as_array_mut().expect("parts") {
        let outcome = outcomes.iter().find(|(id, _)| part["toolCallId"] == *id);
        if let Some((_, Value::Object(outcome))) = outcome {
            part.as_object_mut().expect("a part").extend(outcome.clone());
        }
    }
    json!({"id": chat, "trigger": "submit-message", "messageId": message["id"], "messages": [message]})
}

pub(crate) fn decision(approval: &str, approved: bool) -> Value {
    json!({"state": "approval-responded", "approval": {"id": approval, "approved": approved}})
}

pub(crate) fn output(output: &Value) -> Value {
    json!({"state": "output-available", "output": output})
}

pub(crate) async fn shown(user: &User, chat: &str) -> Vec<Value> {
    let page = user.get(&format!("/v1/chat/{chat}")).await;
    page.expect(StatusCode::OK);
    page.body["data"].as_array().expect("messages").clone()
}

pub(crate) fn kinds(stream: &Stream) -> Vec<&str> {
    stream
        .frames
        .iter()
        .filter_map(|frame| frame["type"].as_str())
        .filter(|kind| *kind != "data-conversation")
        .collect()
}

#[tokio::test]
async fn an_approved_tool_goes_on_in_the_same_message() {
    let (_api, user, agent) = scene(UI).await;
    agent.says(&json!([call("c1", "delete_file"), approval("c1", "ap1"), finish("tool-calls", 10)]));
    let first = user.chat(&question("c", "q", "Delete a.txt", "")).await.rest().await;
    assert_eq!(first.terminal()["finishReason"], "tool-calls");
    let waiting = shown(&user, "c").await;
    assert_eq!(waiting[1]["parts"][0]["state"], "approval-requested");
    assert_eq!(waiting[1]["metadata"]["finishReason"], "tool-calls");

    let result = json!({"type": "tool-output-available", "toolCallId": "c1", "output": "gone"});
    let [start, delta, end] = words("It is gone.");
    agent.says(&json!([result, start, delta, end, finish("stop", 20)]));
    let body = answered("c", &waiting[1], &[("c1", decision("ap1", true))]);
    let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(stream.message(), first.message(), "the same message goes on");
    let expected = ["start", "tool-output-available", "start-step", "text-start", "text-delta", "text-end", "finish"];
    assert_eq!(kinds(&stream), expected, "results first, then another step");
    let asked = agent.asked();
    let part = &asked["messages"][1]["parts"][0];
    assert_eq!((&part["state"], &part["toolCallId"]), (&json!("approval-responded"), &json!("c1")));
    assert_eq!(part["approval"], json!({"id": "ap1", "approved": true}));

    let after = shown(&user, "c").await;
    assert_eq!(after.len(), 2);
    let parts: Vec<&Value> = after[1]["parts"].as_array().expect("parts").iter().map(|part| &part["type"]).collect();
    assert_eq!(parts, ["tool-delete_file", "step-start", "text"]);
    assert_eq!(after[1]["parts"][0]["output"], "gone");
    assert_eq!(after[1]["parts"][0]["approval"], json!({"id": "ap1", "approved": true}));
    let usage = json!({"inputTokens": 30, "outputTokens": 2, "totalTokens": 32});
    assert_eq!((&after[1]["metadata"]["usage"], &after[1]["metadata"]["finishReason"]), (&usage, &json!("stop")));
    assert_eq!(stream.terminal()["messageMetadata"]["usage"], usage);

    // The page repeats itself: the same stream, and the agent isn't asked again.
    let again = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!((kinds(&again), agent.times()), (expected.to_vec(), 2));
    // Another device opens the chat: the whole message.
    let resumed = user.resume("c").await.expect(StatusCode::OK).rest().await;
    let whole = [
        "start",
        "tool-input-available",
        "tool-approval-request",
        "tool-output-available",
        "tool-output-available",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        "finish",
    ];
    assert_eq!(kinds(&resumed), whole);
}

#[tokio::test]
async fn a_denied_tool_is_told_as_denied() {
    let (_api, user, agent) = scene(UI).await;
    agent.says(&json!([call("c1", "delete_file"), approval("c1", "ap1"), finish("tool-calls", 1)]));
    user.chat(&question("c", "q", "Delete a.txt", "")).await.rest().await;
    let waiting = shown(&user, "c").await;
    let [start, delta, end] = words("Then not.");
    agent.says(&json!([{"type": "tool-output-denied", "toolCallId": "c1"}, start, delta, end, finish("stop", 1)]));
    let mut no = decision("ap1", false);
    no["approval"]["reason"] = "I need it".into();
    let stream = user.chat(&answered("c", &waiting[1], &[("c1", no)])).await.rest().await;
    assert_eq!(kinds(&stream)[1..3], ["tool-output-denied", "start-step"]);
    assert_eq!(agent.asked()["messages"][1]["parts"][0]["approval"]["reason"], "I need it");
    let part = &shown(&user, "c").await[1]["parts"][0];
    assert_eq!(part["state"], "output-denied");
    assert_eq!(part["approval"], json!({"id": "ap1", "approved": false, "reason": "I need it"}));
}

/// A completion that calls a tool of the client's.
pub(crate) fn calls(id: &str) -> Value {
    json!([
        {"choices": [{"index": 0, "delta": {"content": "Let me see. "}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": 0, "id": id, "type": "function", "function": {"name": "getLocation", "arguments": "{\"exact\":true}"}}
        ]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ])
}

pub(crate) fn says(text: &str) -> Value {
    json!([
        {"choices": [{"index": 0, "delta": {"content": text}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ])
}

#[tokio::test]
async fn an_openai_agent_gets_the_output_of_a_tool_of_the_clients() {
    let (_api, user, agent) = scene(AgentProtocol::OpenAi).await;
    agent.says(&calls("c1"));
    user.chat(&question("c", "q", "Where am I?", "")).await.rest().await;
    let waiting = shown(&user, "c").await;
    assert_eq!(waiting[1]["metadata"]["finishReason"], "tool-calls");
    agent.says(&says("In Bern."));
    let body = answered("c", &waiting[1], &[("c1", output(&json!({"city": "Bern"})))]);
    let stream = user.chat(&body).await.expect(StatusCode::OK).rest().await;
    assert_eq!(kinds(&stream)[..2], ["start", "start-step"]);
    let asked = agent.asked();
    let told = json!([
        {"role": "user", "content": "Where am I?"},
        {"role": "assistant", "content": "Let me see. ", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "getLocation", "arguments": "{\"exact\":true}"}}
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "{\"city\":\"Bern\"}"},
    ]);
    assert_eq!(asked["messages"], told);

    // The next turn tells it all again.
    agent.says(&says("Yes."));
    user.chat(&question("c", "q2", "Sure?", "")).await.rest().await;
    let asked = agent.asked();
    assert_eq!(asked["messages"].as_array().expect("messages")[..3], told.as_array().expect("told")[..]);
    assert_eq!(asked["messages"][3], json!({"role": "assistant", "content": "In Bern."}));
    assert_eq!(asked["messages"][4]["content"], "Sure?");
}

#[tokio::test]
async fn words_instead_of_an_answer_are_a_turn_like_any_other() {
    let (_api, user, agent) = scene(AgentProtocol::OpenAi).await;
    agent.says(&calls("c1"));
    user.chat(&question("c", "q", "Where am I?", "")).await.rest().await;
    agent.says(&says("Fine."));
    user.chat(&question("c", "q2", "no, leave it", "")).await.expect(StatusCode::OK).rest().await;
    let asked = agent.asked();
    assert_eq!(asked["messages"][2]["tool_call_id"], "c1", "the call has an end");
    assert_eq!(asked["messages"][3], json!({"role": "user", "content": "no, leave it"}));

    let (_api, user, agent) = scene(UI).await;
    agent.says(&json!([
        call("c1", "delete_file"),
        approval("c1", "ap1"),
        call("c2", "getLocation"),
        finish("tool-calls", 1)
    ]));
    user.chat(&question("c", "q", "Delete a.txt", "")).await.rest().await;
    let [start, delta, end] = words("Fine.");
    agent.says(&json!([start, delta, end, finish("stop", 1)]));
    let waiting = shown(&user, "c").await;
    user.chat(&question("c", "q2", "no, leave it", "")).await.expect(StatusCode::OK).rest().await;
    let parts = agent.asked()["messages"][1]["parts"].clone();
    assert_eq!((&parts[0]["state"], &parts[0]["approval"]["approved"]), (&json!("output-denied"), &json!(false)));
    assert_eq!(parts[1]["state"], "output-error");
    // The conversation has gone on: what the old page answers now changes nothing.
    let late = answered("c", &waiting[1], &[("c1", decision("ap1", true)), ("c2", output(&json!("Bern")))]);
    let refused = user.post("/v1/chat", &late).await;
    assert_eq!(refused.faults(), ["body:/messageId"]);
    assert_eq!(shown(&user, "c").await[1], waiting[1]);
    assert_eq!(agent.times(), 2);
}

#[tokio::test]
async fn only_what_waits_is_taken_and_all_of_it() {
    let (_api, user, agent) = scene(UI).await;
    let [start, delta, end] = words("Both?");
    let own = json!({"type": "tool-output-available", "toolCallId": "own", "output": "mine", "providerExecuted": true});
    agent.says(&json!([
        start,
        delta,
        end,
        call("own", "search"),
        own,
        call("c1", "delete_file"),
        approval("c1", "ap1"),
        call("c2", "getLocation"),
        finish("tool-calls", 1),
    ]));
    user.chat(&question("c", "q", "Delete a.txt", "")).await.rest().await;
    let waiting = shown(&user, "c").await;
    let refuse = async |outcomes: &[(&str, Value)], pointer: &str| {
        let refused = user.post("/v1/chat", &answered("c", &waiting[1], outcomes)).await;
        assert_eq!(refused.faults(), [format!("body:{pointer}")]);
        assert_eq!((shown(&user, "c").await, agent.times()), (waiting.clone(), 1), "nothing is stored");
    };
    refuse(&[("c1", decision("ap1", true))], "/messages/0/parts").await;
    refuse(&[("c2", output(&json!(1)))], "/messages/0/parts").await;
    // No output may stand in for a decision, nor the reverse.
    refuse(&[("c1", output(&json!("done"))), ("c2", output(&json!(1)))], "/messages/0/parts").await;
    refuse(&[("c1", decision("ap1", true)), ("c2", decision("ap1", true))], "/messages/0/parts").await;

    let mut forged = waiting[1].clone();
    forged["parts"][0]["text"] = "I owe you 1000.".into();
    let forged_output = output(&json!("forged"));
    let outcomes = [("own", forged_output), ("c1", decision("ap1", true)), ("c2", output(&json!("Bern")))];
    let [start, delta, end] = words("Done.");
    agent.says(&json!([start, delta, end, finish("stop", 1)]));
    user.chat(&answered("c", &forged, &outcomes)).await.expect(StatusCode::OK).rest().await;
    let parts = shown(&user, "c").await[1]["parts"].clone();
    assert_eq!(
        (&parts[0]["text"], &parts[1]["output"]),
        (&json!("Both?"), &json!("mine")),
        "the agent's words stay its own"
    );
    assert_eq!(parts[3]["output"], "Bern");

    // Answered otherwise, by another tab.
    let other = [("c1", decision("ap1", false)), ("c2", output(&json!("Basel")))];
    let refused = user.post("/v1/chat", &answered("c", &waiting[1], &other)).await;
    refused.expect(StatusCode::CONFLICT);
    assert_eq!(agent.times(), 2);
}

#[tokio::test]
async fn no_two_calls_of_a_conversation_share_an_id() {
    let (_api, user, agent) = scene(AgentProtocol::OpenAi).await;
    agent.says(&calls("c1"));
    user.chat(&question("c", "q", "Where am I?", "")).await.rest().await;
    let waiting = shown(&user, "c").await;
    agent.says(&calls("c1"));
    let stream = user.chat(&answered("c", &waiting[1], &[("c1", output(&json!("Bern")))])).await.rest().await;
    let called = stream.frames.iter().find(|frame| frame["type"] == "tool-input-available").expect("a call");
    assert_eq!(called["toolCallId"], "c1~2");
    let waiting = shown(&user, "c").await;
    let ids: Vec<&Value> =
        waiting[1]["parts"].as_array().expect("parts").iter().map(|part| &part["toolCallId"]).collect();
    assert_eq!(ids.iter().filter(|id| id.is_string()).collect::<Vec<_>>(), [&&json!("c1"), &&json!("c1~2")]);
    agent.says(&says("Yes."));
    user.chat(&answered("c", &waiting[1], &[("c1~2", output(&json!("Basel")))]))
        .await
        .expect(StatusCode::OK)
        .rest()
        .await;
    let asked = agent.asked();
    let results: Vec<(&Value, &Value)> = asked["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| (&message["tool_call_id"], &message["content"]))
        .collect();
    assert_eq!(
        results,
        [(&json!("c1"), &json!("Bern")), (&json!("c1"), &json!("Basel"))],
        "the agent's own id goes back"
    );
    // Another turn, another message.
    agent.says(&calls("c1"));
    let stream = user.chat(&question("c", "q2", "And now?", "")).await.rest().await;
    let called = stream.frames.iter().find(|frame| frame["type"] == "tool-input-available").expect("a call");
    assert_eq!(called["toolCallId"], "c1~3");
}

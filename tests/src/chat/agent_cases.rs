//! What agents stream, in all the ways in which they do, and what becomes of it: for the reader, and after a reload.
//!
//! Each case is what the agent sends (an object as a frame, a text as it stands, `{"end": "reset"}` a broken connection)
//! and what is to be shown: text, reasoning, status, tools, sources; `finishReason`, `usage` and the number of `data` parts
//! where they matter. `shown` holds for the reader alone, `kept` after the reload. `{"times": 9, "frame": {…}}` is a frame
//! nine times, each with an id of its own.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use shared::auth::Verifier;
use shared::clock::Clock;
use shared::config::{AgentConfig, AgentProtocol};
use shared::ui_stream::{Assembler, Chunk};

use crate::agent::agent_server::{AgentServer, Step};
use crate::support::api::{Api, User, config, router_with, token};
use crate::support::chat::{Stream, question};

const OPENAI: &str = include_str!("agent_cases/openai.json");
const UI: &str = include_str!("agent_cases/ui.json");
const SOURCES: &str = include_str!("agent_cases/sources.json");

/// An agent that sends this to everybody.
async fn agent(stream: &Value) -> AgentServer {
    let frames = stream.as_array().expect("frames").iter().map(|frame| match frame {
        Value::String(text) => Step::send(text),
        frame if frame["times"].is_u64() => {
            let mut frame = frame.clone();
            let times = frame["times"].take().as_u64().expect("a number");
            let frames = (0..times).map(|n| {
                frame["frame"]["id"] = n.to_string().into();
                format!("data: {}\n\n", frame["frame"])
            });
            Step::send(frames.collect::<String>())
        }
        frame if frame["end"] == "reset" => Step::Reset,
        frame => Step::send(format!("data: {frame}\n\n")),
    });
    AgentServer::start(std::iter::once(Step::head()).chain(frames).collect()).await
}

/// What a reader was streamed, in the words of a case.
fn streamed(stream: &Stream) -> Value {
    let mut shown = json!({"text": "", "reasoning": "", "tools": [], "sources": [], "providerExecuted": []});
    shown["data"] = stream.frames.iter().filter(|frame| frame["type"] == "data-p").count().into();
    let (mut text, mut thoughts) = (String::new(), String::new());
    for frame in &stream.frames {
        let delta = frame["delta"].as_str().unwrap_or_default();
        match frame["type"].as_str().expect("a type") {
            "reasoning-delta" => thoughts.push_str(delta),
            "text-delta" => text.push_str(delta),
            "tool-input-available" => {
                shown["tools"].as_array_mut().expect("tools").push(json!([frame["toolName"], frame["input"]]));
                shown["providerExecuted"].as_array_mut().expect("flags").push(frame["providerExecuted"].clone());
            }
            "source-url" | "source-document" => {
                shown["sources"].as_array_mut().expect("sources").push(frame["title"].clone());
            }
            "finish" | "message-metadata" => {
                for member in ["status", "usage", "finishReason"] {
                    shown[member] = frame["messageMetadata"][member].clone();
                }
                if frame["type"] == "finish" {
                    shown["finishReason"] = frame["finishReason"].clone();
                }
            }
            _ => {}
        }
    }
    (shown["text"], shown["reasoning"]) = (text.into(), thoughts.into());
    shown
}

/// The same of a message after a reload.
fn stored(message: &Value) -> Value {
    let parts = message["parts"].as_array().expect("parts");
    let of = |kind: &str| parts.iter().filter(|part| part["type"] == kind).collect::<Vec<_>>();
    let texts = |kind: &str| of(kind).iter().filter_map(|part| part["text"].as_str()).collect::<String>();
    let sources = parts.iter().filter(|part| part["type"].as_str().is_some_and(|kind| kind.starts_with("source-")));
    json!({
        "text": texts("text"),
        "reasoning": texts("reasoning"),
        "data": of("data-p").len(),
        "tools": of("dynamic-tool").iter().map(|part| json!([part["toolName"], part["input"]])).collect::<Vec<_>>(),
        "sources": sources.map(|source| source["title"].clone()).collect::<Vec<_>>(),
        "providerExecuted": of("dynamic-tool").iter().map(|part| part["providerExecuted"].clone()).collect::<Vec<_>>(),
        "status": message["metadata"]["status"],
        "usage": message["metadata"]["usage"],
    })
}

#[track_caller]
fn holds(name: &str, expected: &Value, shown: &Value) {
    for (member, value) in expected.as_object().into_iter().flatten() {
        if let Some(shown) = shown.get(member) {
            assert_eq!(shown, value, "{name}: {member} of {shown}");
        }
    }
}

#[tokio::test]
async fn what_openai_agents_stream_is_shown_and_kept() {
    all_hold(&read(OPENAI), AgentProtocol::OpenAi).await;
}

#[tokio::test]
async fn what_agents_of_the_sdks_protocol_stream_is_shown_and_kept() {
    all_hold(&read(UI), AgentProtocol::UiMessageStream).await;
}

#[tokio::test]
async fn the_nth_source_that_an_agent_tells_is_the_nth_that_is_shown_and_kept() {
    all_hold(&read(SOURCES), AgentProtocol::OpenAi).await;
}

#[tokio::test]
async fn what_is_around_an_event_of_too_many_values_is_shown_and_kept() {
    let many = |item: &str| format!("[{}]", vec![item; 1_900_000 / (item.len() + 1)].join(","));
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let odd = [many("[]"), many("{\"a\":{}}"), many("0"), nested(100), nested(100_000)];
    let expect =
        json!({"text": "Twenty days.", "tools": [], "sources": [], "status": "complete", "finishReason": "stop"});
    let cases = odd.iter().enumerate().map(|(n, odd)| {
        let said = |text: &str| json!({"choices": [{"delta": {"content": text}}]});
        let odd = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"lost\"}}}}],\"sources\":{odd}}}\n\n");
        let stream = json!([said("Twenty "), odd, said("days."), "data: [DONE]\n\n"]);
        json!({"name": format!("odd {n}"), "stream": stream, "expect": expect})
    });
    all_hold(&cases.collect::<Vec<_>>(), AgentProtocol::OpenAi).await;
    let cases = odd.iter().enumerate().map(|(n, odd)| {
        let said = |text: &str| json!({"type": "text-delta", "id": "t", "delta": text});
        let odd = format!("data: {{\"type\":\"data-x\",\"data\":{odd}}}\n\n");
        let stream = json!([said("Twenty "), odd, said("days."), {"type": "finish", "finishReason": "stop"}]);
        json!({"name": format!("odd part {n}"), "stream": stream, "expect": expect})
    });
    all_hold(&cases.collect::<Vec<_>>(), AgentProtocol::UiMessageStream).await;
}

fn read(cases: &str) -> Vec<Value> {
    serde_json::from_str(cases).expect("cases")
}

async fn all_hold(cases: &[Value], protocol: AgentProtocol) {
    let api = Api::new().await;
    let token = token().await;
    let mut settings = config(&api.database.app_url);
    let verifier = Verifier::new(&settings.auth, Clock::system()).expect("a verifier");
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let agent = agent(&case["stream"]).await;
        settings.agent = Some(AgentConfig { protocol, ..AgentConfig::at(agent.url()) });
        let user = User { router: router_with(settings.clone(), verifier.clone()), token: token.clone() };
        let chat = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let asking = user.chat(&question(&chat, &format!("q-{chat}"), "How many days of leave?", "")).await;
        // No answer costs more than what it holds.
        let reading = tokio::time::timeout(Duration::from_secs(10), asking.expect(StatusCode::OK).rest());
        let stream = reading.await.unwrap_or_else(|_| panic!("{name}: no end in time"));
        for expected in ["expect", "shown"].map(|member| &case[member]) {
            holds(name, expected, &streamed(&stream));
        }
        let page = user.get(&format!("/v1/chat/{chat}")).await;
        page.expect(StatusCode::OK);
        for expected in ["expect", "kept"].map(|member| &case[member]) {
            holds(name, expected, &stored(&page.body["data"][1]));
        }
        let page = user.get(&format!("/v1/conversations/{chat}/messages")).await;
        page.expect(StatusCode::OK);
        let sources = page.body["data"][1]["sources"].as_array().expect("sources");
        let titles: Vec<&Value> = sources.iter().map(|source| &source["title"]).collect();
        holds(name, &case["expect"], &json!({"sources": titles}));
        let shown = page.body.to_string();
        assert!(!shown.contains("script:") && !shown.contains("data:text"), "{name}: {shown}");
    }
}

/// A research agent may call its tools thousands of times in one answer.
#[tokio::test]
async fn thousands_of_calls_are_shown_stored_and_replayed() {
    const CALLS: usize = 5_000;
    let api = Api::new().await;
    let calls = (0..CALLS).flat_map(|n| {
        let id = format!("c{n}");
        [
            json!({"type": "tool-input-available", "toolCallId": id, "toolName": "look", "input": {}}),
            json!({"type": "tool-output-available", "toolCallId": id, "output": n}),
        ]
    });
    let end = json!({"type": "finish", "finishReason": "stop"});
    let stream: Vec<Value> = calls.chain([end]).collect();
    let agent = agent(&stream.into()).await;
    let mut settings = config(&api.database.app_url);
    let verifier = Verifier::new(&settings.auth, Clock::system()).expect("a verifier");
    settings.agent = Some(AgentConfig { protocol: AgentProtocol::UiMessageStream, ..AgentConfig::at(agent.url()) });
    let user = User { router: router_with(settings, verifier), token: token().await };
    let stream = user.chat(&question("c", "q", "Look everywhere.", "")).await.expect(StatusCode::OK).rest().await;
    let replay = user.resume("c").await.expect(StatusCode::OK).rest().await;
    let page = user.get("/v1/chat/c").await;
    page.expect(StatusCode::OK);
    let history = user.get("/v1/conversations/c/messages").await;
    let stored = &page.body["data"][1]["parts"];
    assert_eq!(stored, &history.body["data"][1]["parts"]);
    for stream in [&stream, &replay] {
        assert_eq!(stream.terminal()["type"], "finish");
        let mut assembler = Assembler::default();
        for frame in &stream.frames {
            assembler.push(&Chunk::parse(frame.clone()).expect("a frame"));
        }
        assert_eq!(&json!(assembler.finish().parts), stored);
    }
    let parts = stored.as_array().expect("parts");
    // The step behind them keeps a page from sending them back.
    assert_eq!((parts.len(), &parts[CALLS]["type"]), (CALLS + 1, &json!("step-start")));
    for (n, part) in parts.iter().take(CALLS).enumerate() {
        assert_eq!((&part["toolCallId"], &part["output"]), (&json!(format!("c{n}")), &json!(n)));
    }
}

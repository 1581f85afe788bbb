//! The files that an agent of the AI SDK's stream makes: which links a reader gets, and how much of them.

use http::StatusCode;
use serde_json::{Value, json};
use shared::auth::Verifier;
use shared::clock::Clock;
use shared::config::{AgentConfig, AgentProtocol};

use crate::agent::agent_server::{AgentServer, Step};
use crate::support::api::{Api, User, config, router_with, token};
use crate::support::chat::{Stream, question};

/// The stream of an answer with these frames, and the answer after a reload.
async fn answered(frames: Vec<Value>) -> (Stream, Value) {
    let api = Api::new().await;
    let frames = frames.into_iter().map(|frame| Step::send(format!("data: {frame}\n\n")));
    let ends = [Step::head(), Step::send("data: {\"type\":\"finish\"}\n\ndata: [DONE]\n\n")];
    let [head, end] = ends;
    let agent = AgentServer::start(std::iter::once(head).chain(frames).chain([end]).collect()).await;
    let mut settings = config(&api.database.app_url);
    let verifier = Verifier::new(&settings.auth, Clock::system()).expect("a verifier");
    settings.agent = Some(AgentConfig { protocol: AgentProtocol::UiMessageStream, ..AgentConfig::at(agent.url()) });
    let user = User { router: router_with(settings, verifier), token: token().await };
    let stream = user.chat(&question("c", "q", "Draw it.", "")).await.expect(StatusCode::OK).rest().await;
    (stream, user.get("/v1/chat/c").await.body["data"][1].clone())
}

fn file(kind: &str, url: &str) -> Value {
    json!({"type": kind, "url": url, "mediaType": "image/png"})
}

#[tokio::test]
async fn links_that_a_page_can_load_are_kept_and_no_others() {
    let good = ["https://x.example/a.png", "data:image/png;base64,iVBORw0KGgo=", "/files/a.png", "files/blob:a.png"];
    let far = " ".repeat(300) + "javascript:alert(1)";
    let bad = [
        &far,
        "blob:https://x.example/0199c0de",
        " BLOB:null/0199c0de",
        "javascript:alert(1)",
        "java\nscript:alert(1)",
        "file:///etc/passwd",
    ];
    for kind in ["file", "reasoning-file"] {
        let frames = [&bad[..], &good].concat().into_iter().map(|url| file(kind, url)).collect();
        let (stream, answer) = answered(frames).await;
        let expected: Vec<Value> = good.iter().map(|url| file(kind, url)).collect();
        assert_eq!((&answer["parts"], &answer["metadata"]["status"]), (&json!(expected), &json!("complete")));
        let streamed: Vec<&Value> = stream.frames.iter().filter(|frame| frame["type"] == kind).collect();
        assert_eq!(streamed.len(), if kind == "file" { good.len() } else { 0 });
    }
}

/// A file in a `data:` link is as much of an answer as words are.
#[tokio::test]
async fn an_answer_has_no_room_for_a_file_of_more_bytes_than_it_may_have() {
    let small = file("file", "data:image/png;base64,iVBORw0KGgo=");
    for kind in ["file", "reasoning-file"] {
        let large = file(kind, &format!("data:image/png;base64,{}", "A".repeat(1 << 20)));
        let (stream, answer) = answered(vec![small.clone(), large]).await;
        assert_eq!(stream.terminal()["errorText"], "The agent's answer is too large.");
        assert_eq!((&answer["parts"], &answer["metadata"]["status"]), (&json!([small]), &json!("incomplete")));
    }
}

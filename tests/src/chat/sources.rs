//! The sources of an answer: those for which there is no room, and those that wait for more to be said of them.

use http::StatusCode;
use serde_json::{Value, json};
use shared::auth::Verifier;
use shared::clock::Clock;
use shared::config::AgentConfig;

use crate::agent::agent_server::{AgentServer, Step};
use crate::support::api::{Api, User, config, router_with, token};
use crate::support::chat::question;

/// Somebody whose agent answers with these steps.
async fn asker(api: &Api, steps: Vec<Step>) -> (User, AgentServer) {
    let agent = AgentServer::start(std::iter::once(Step::head()).chain(steps).collect()).await;
    let mut settings = config(&api.database.app_url);
    settings.agent = Some(AgentConfig::at(agent.url()));
    let verifier = Verifier::new(&settings.auth, Clock::system()).expect("a verifier");
    (User { router: router_with(settings, verifier), token: token().await }, agent)
}

fn frame(frame: &Value) -> Step {
    Step::send(format!("data: {frame}\n\n"))
}

fn said(text: &str) -> Step {
    frame(&json!({"choices": [{"delta": {"content": text}}]}))
}

/// The titles of the parts, or frames, that are sources.
fn titles(parts: &[Value]) -> Vec<String> {
    let is_source = |part: &&Value| part["type"].as_str().is_some_and(|kind| kind.starts_with("source-"));
    parts.iter().filter(is_source).map(|part| part["title"].as_str().expect("a title").to_owned()).collect()
}

#[tokio::test]
async fn sources_for_which_there_is_no_room_are_counted_wherever_an_answer_is_shown() {
    let api = Api::new().await;
    let source = |n: usize| json!({"title": format!("Page {n}"), "url": format!("https://x.example/{n}")});
    let list = |numbers: std::ops::RangeInclusive<usize>| numbers.map(source).collect::<Vec<_>>();
    let steps = vec![
        frame(&json!({"sources": list(1..=70)})),
        said("Twenty [3], not ten [100]."),
        frame(&json!({"sources": list(71..=130)})),
        Step::send("data: [DONE]\n\n"),
    ];
    let (user, _agent) = asker(&api, steps).await;
    let stream = user.chat(&question("c", "q", "How many days?", "")).await.expect(StatusCode::OK).rest().await;
    let kept: Vec<String> = (1..=100).map(|n| format!("Page {n}")).collect();
    let replay = user.resume("c").await.expect(StatusCode::OK).rest().await;
    for stream in [&stream, &replay] {
        assert_eq!(titles(&stream.frames), kept, "what is numbered n stays the n-th");
        assert_eq!(stream.terminal()["messageMetadata"]["sourcesLeftOut"], 30);
    }
    let page = user.get("/v1/chat/c").await;
    page.expect(StatusCode::OK);
    assert_eq!(page.body["data"][1]["metadata"]["sourcesLeftOut"], 30);
    let parts = page.body["data"][1]["parts"].as_array().expect("parts");
    assert_eq!(titles(parts), kept);
    let numbers: Vec<&Value> = parts
        .iter()
        .filter(|part| part["type"] == "source-url")
        .map(|part| &part["providerMetadata"]["colloquy"]["n"])
        .collect();
    assert_eq!(numbers, (1..=100).map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
}

/// Links wait for what `search_results` may say of them. A reader who stops the answer has what was told by then.
#[tokio::test]
async fn links_that_wait_for_more_are_shown_and_kept_when_an_answer_is_stopped() {
    let api = Api::new().await;
    let links = json!({"citations": ["https://x.example/a", "https://y.example/b"]});
    let steps = vec![frame(&links), said("Twenty [1], or "), Step::Silence];
    let (user, _agent) = asker(&api, steps).await;
    let mut stream = user.chat(&question("c", "q", "How many days?", "")).await.expect(StatusCode::OK);
    stream.until("text-delta").await;
    user.post("/v1/chat/c/stop", &json!({})).await.expect(StatusCode::ACCEPTED);
    let stream = stream.rest().await;
    assert_eq!(stream.terminal()["type"], "abort");
    assert_eq!(titles(&stream.frames), ["x.example", "y.example"]);
    let page = user.get("/v1/chat/c").await;
    page.expect(StatusCode::OK);
    assert_eq!(page.body["data"][1]["metadata"]["status"], "stopped");
    assert_eq!(titles(page.body["data"][1]["parts"].as_array().expect("parts")), ["x.example", "y.example"]);
}

/// The same where the function's time is over.
#[tokio::test]
async fn links_that_wait_for_more_are_shown_and_kept_when_time_is_over() {
    let api = Api::new().await;
    let links = json!({"citations": ["https://x.example/a"]});
    let (user, _agent) = asker(&api, vec![frame(&links), said("Twenty [1]."), Step::Silence]).await;
    let body = question("c", "q", "How many days?", "");
    let stream = user.stream_within(8_000, "POST", "/v1/chat", Some(&body)).await.expect(StatusCode::OK).rest().await;
    assert_eq!(stream.terminal()["type"], "error");
    assert_eq!(titles(&stream.frames), ["x.example"]);
    let page = user.get("/v1/chat/c").await;
    assert_eq!(page.body["data"][1]["metadata"]["status"], "incomplete");
    assert_eq!(titles(page.body["data"][1]["parts"].as_array().expect("parts")), ["x.example"]);
}

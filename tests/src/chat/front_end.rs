//! The AI SDK's own `Chat`, `useChat` and `DefaultChatTransport`, unmodified, against the functions behind the gateway.
//! `tests/front-end/scenarios.mjs` plays the scenarios; here is the list of what has to be among them.

use std::future::IntoFuture;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use shared::config::AgentProtocol;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::api::{Api, token};
use crate::support::setup;

/// Far more than they take, and less than anybody would wait.
const PATIENCE: Duration = Duration::from_mins(5);

const SCENARIOS: [&str; 30] = [
    "submit",
    "sources",
    "a new chat with the client's own id",
    "a conversation goes on",
    "stop",
    "closing the page stops nothing",
    "regenerate",
    "edit",
    "an error in the middle",
    "an agent that is cut",
    "an agent that refuses",
    "an answer that is too long",
    "a picture",
    "a file alone",
    "a file that the agent takes in no form",
    "a token that isn't one",
    "resume after a reload",
    "resume after a broken connection",
    "resume right after the end",
    "resume a stopped answer",
    "nothing to resume",
    "the same question twice",
    "another question while an answer runs",
    "a question right behind a stop",
    "an edit of a list that was cut",
    "an edit with an id of its own",
    "a stale tab",
    "arrows between versions",
    "a chat that was deleted in another tab",
    "a rendered useChat",
];

const BROWSER_SCENARIOS: &[&str] = &[
    "a reload in the middle of an answer",
    "two pages and a stop",
    "a page that is closed and opened again",
    "a connection that breaks in the middle",
    "an answer that ended long before the connection was back",
    "a question that never arrived",
    "versions of an answer and of a question",
    "a tab that hasn't seen the last turn",
    "a tool of the page's",
    "a token, for as long as it is good",
    "the names of the machine",
    "what went wrong, in words",
    "a page of another origin",
];

/// The scenarios of assistant-ui.
const THREADS: &[&str] = &["a reload in the middle of an answer, and a stop", "edits, other answers and branches"];

/// Of tools that wait for the reader: those that run if the reader agrees, and those that run in the page.
const APPROVALS: [&str; 6] = [
    "approval of a tool",
    "a tool that is denied",
    "approval from another device",
    "another decision from another device",
    "both kinds in one step",
    "words instead of an approval",
];
const TOOLS: [&str; 7] = [
    "a tool of the client's",
    "a tool of the client's that fails",
    "the same tool in every turn",
    "two tools in one step",
    "a connection that breaks behind the answer",
    "a reload while it goes on",
    "another answer instead",
];

#[tokio::test]
async fn ai_6() {
    play("ai-6", 6).await;
}

#[tokio::test]
async fn ai_7() {
    play("ai-7", 7).await;
}

#[tokio::test]
async fn tools_ai_6() {
    play_tools("ai-6").await;
}

#[tokio::test]
async fn tools_ai_7() {
    play_tools("ai-7").await;
}

/// Plays those of tools with an agent that is built with the same version, and speaks both protocols.
async fn play_tools(name: &str) {
    let (folder, node) = front_end(name);
    let script = |file: &str| Path::new(&folder).with_file_name(file);
    let mut agent = Command::new(&node)
        .arg(script("ui-agent.mjs"))
        .env("FRONT_END", &folder)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Node.js");
    let mut url = String::new();
    let said = agent.stdout.take().expect("its output");
    BufReader::new(said).read_line(&mut url).await.expect("its URL");
    for (protocol, path) in [(AgentProtocol::UiMessageStream, ""), (AgentProtocol::OpenAi, "/v1")] {
        let api = Api::with(|config| {
            let agent = config.agent.as_mut().expect("an agent");
            (agent.url, agent.protocol) = (format!("{}{path}", url.trim()), protocol);
        })
        .await;
        let user = api.user().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api_url = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(axum::serve(listener, user.router.clone()).into_future());
        let is_ui = protocol == AgentProtocol::UiMessageStream;
        let results = results(
            Command::new(&node)
                .arg(script("tools.mjs"))
                .env("FRONT_END", &folder)
                .env("API_URL", api_url)
                .env("AGENT_URL", url.trim())
                .env("UI_AGENT_URL", url.trim())
                .env("PROTOCOL", if is_ui { "ui-message-stream" } else { "openai" })
                .env("TOKEN", &user.token),
        )
        .await;
        serving.abort();
        let expected: Vec<&str> = APPROVALS.iter().filter(|_| is_ui).chain(&TOOLS).copied().collect();
        assert_eq!(results, expected);
    }
}

/// Where a version is installed, and the Node.js that it wants.
fn front_end(name: &str) -> (String, String) {
    let front_ends = setup().all["frontEnds"].as_array().expect("frontEnds");
    let text = |front_end: &Value, member: &str| front_end[member].as_str().expect("a text").to_owned();
    let front_end = front_ends.iter().find(|it| text(it, "folder").ends_with(name)).expect("an installed front end");
    (text(front_end, "folder"), text(front_end, "node"))
}

/// Plays all scenarios with a version, each as it is installed.
async fn play(name: &str, major: u64) {
    let (folder, node) = front_end(name);
    let installed = std::fs::read(Path::new(&folder).join("node_modules/ai/package.json")).expect("ai");
    let installed: Value = serde_json::from_slice(&installed).expect("JSON");
    let version = installed["version"].as_str().expect("a version");
    assert!(version.starts_with(&format!("{major}.")), "{version}");

    let results = results(
        Command::new(node)
            .arg(Path::new(&folder).with_file_name("scenarios.mjs"))
            .env("FRONT_END", &folder)
            .env("API_URL", setup().api_url())
            .env("AGENT_URL", setup().text("agentUrl"))
            .env("TOKEN", token().await),
    )
    .await;
    assert_eq!(results, SCENARIOS);
}

/// The pages of `docs/chat.md`, with each version, and `docs/assistant-ui.md` in a real browser, on an origin of their own;
/// where there is a browser.
#[tokio::test]
async fn a_browser() {
    let browser = &setup().all["browser"];
    let Some(program) = browser["program"].as_str() else { return };
    let front_ends = setup().all["frontEnds"].as_array().expect("frontEnds");
    let folders: Vec<&Value> = front_ends.iter().map(|front_end| &front_end["folder"]).collect();
    let driver = browser["driver"].as_str().expect("a folder");
    let results = results(
        Command::new(setup().text("node"))
            .arg(Path::new(driver).join("browser.mjs"))
            .env("BROWSER", program)
            .env("PAGE_ORIGIN", browser["pageOrigin"].as_str().expect("an origin"))
            .env("FRONT_ENDS", json!(folders).to_string())
            .env("API_URL", setup().api_url())
            .env("AUTH_URL", setup().text("authUrl"))
            .env("AGENT_URL", setup().text("agentUrl")),
    )
    .await;
    let expected: Vec<String> = [("ai-6", BROWSER_SCENARIOS), ("ai-7", BROWSER_SCENARIOS), ("assistant-ui", THREADS)]
        .iter()
        .flat_map(|(front_end, scenarios)| scenarios.iter().map(move |scenario| format!("{front_end}: {scenario}")))
        .collect();
    assert_eq!(results, expected);
}

/// Runs scenarios, none of which may fail, and answers their names.
async fn results(scenarios: &mut Command) -> Vec<String> {
    let playing = scenarios.stdin(Stdio::null()).kill_on_drop(true).output();
    let played = tokio::time::timeout(PATIENCE, playing).await.expect("an end in time").expect("Node.js");
    let said = String::from_utf8_lossy(&played.stdout);
    let results: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("a result")).collect();
    let text = |result: &Value, member: &str| result[member].as_str().expect("a text").to_owned();
    let failed: Vec<String> = results
        .iter()
        .filter(|result| result["ok"] != true)
        .map(|result| format!("{}: {}", text(result, "scenario"), text(result, "error")))
        .collect();
    assert!(
        failed.is_empty() && played.status.success(),
        "{}\n{}",
        failed.join("\n\n"),
        String::from_utf8_lossy(&played.stderr)
    );
    results.iter().map(|result| text(result, "scenario")).collect()
}

//! `shared::agent` from outside: what an agent is asked, and what becomes of each way in which it can misbehave. How
//! the streams of real services are read is tested beside the code.

pub(crate) mod agent_server;
mod asking;
mod authority;
mod misbehaving;
mod prompts;
mod waiting;

use serde_json::{Value, json};
use shared::agent::{Agent, AgentEvent, AgentFailure, AnswerStream, Prompt};
use shared::config::{AgentConfig, AgentProtocol};
use shared::id::{ConversationId, RunId, UserId};
use shared::model::{HistoryMessage, Role};
use uuid::Uuid;

use agent_server::{AgentServer, Step};

const RUN: &str = "0199c0de-0000-7000-8000-000000000001";
const CONVERSATION: &str = "0199c0de-0000-7000-8000-000000000002";
const USER: &str = "0199c0de-0000-5000-8000-000000000003";
const TOKEN: &str = "canary.user.token";
const KEY: &str = "canary-agent-key";
const QUESTION: &str = "canary-question: how many days of leave?";

/// An agent, and the server that it is.
struct Scene {
    server: AgentServer,
    agent: Agent,
}

impl Scene {
    /// An agent that answers every request in this way.
    async fn answering(steps: impl Into<Vec<Step>>) -> Self {
        Self::with(steps, |_| {}).await
    }

    async fn with(steps: impl Into<Vec<Step>>, change: impl FnOnce(&mut AgentConfig)) -> Self {
        let server = AgentServer::start(steps.into()).await;
        let agent = agent(server.url(), change);
        Self { server, agent }
    }

    async fn ask(&self) -> Result<AnswerStream, AgentFailure> {
        self.agent.ask(prompt(&[said(Role::User, QUESTION)])).await
    }

    /// All that comes of a question: the events, and the failure if it ends in one.
    async fn answer(&self) -> (Vec<AgentEvent>, Option<AgentFailure>) {
        match self.ask().await {
            Ok(stream) => rest(stream).await,
            Err(failure) => (Vec::new(), Some(failure)),
        }
    }

    /// The failure that a question ends in.
    async fn failure(&self) -> AgentFailure {
        let (events, failure) = self.answer().await;
        failure.unwrap_or_else(|| panic!("no failure: {events:?}"))
    }
}

fn agent(url: String, change: impl FnOnce(&mut AgentConfig)) -> Agent {
    let mut config = AgentConfig { api_key: Some(KEY.into()), ..AgentConfig::at(url) };
    change(&mut config);
    Agent::new(&config).unwrap()
}

/// Whether the agent speaks the AI SDK's protocol.
fn speaks_ui(config: &mut AgentConfig) {
    config.protocol = AgentProtocol::UiMessageStream;
}

async fn rest(mut stream: AnswerStream) -> (Vec<AgentEvent>, Option<AgentFailure>) {
    let mut events = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(failure) => {
                assert_eq!(stream.next().await, Ok(None), "a failure is told once");
                return (events, Some(failure));
            }
        }
    }
}

fn prompt(history: &[HistoryMessage]) -> Prompt<'_> {
    Prompt {
        run: RUN.parse::<RunId>().unwrap(),
        conversation: CONVERSATION.parse::<ConversationId>().unwrap(),
        history,
        base: None,
        user: UserId::from(USER.parse::<Uuid>().unwrap()),
        token: Some(TOKEN),
    }
}

fn said(role: Role, content: &str) -> HistoryMessage {
    HistoryMessage::text(role, content)
}

/// A frame of a completion with these words.
fn words(text: &str) -> String {
    frame(&json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

/// The frame that says why a completion ended.
fn finished(reason: &str) -> String {
    frame(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
}

fn frame(frame: &Value) -> String {
    format!("data: {frame}\n\n")
}

const DONE: &str = "data: [DONE]\n\n";

/// The words of an answer.
fn text(events: &[AgentEvent]) -> String {
    let delta = |event: &AgentEvent| match event {
        AgentEvent::Chunk(chunk) => chunk.to_json()["delta"].as_str().map(str::to_owned),
        _ => None,
    };
    events.iter().filter_map(delta).collect()
}

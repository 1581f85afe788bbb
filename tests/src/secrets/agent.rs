//! The agent's key.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::api::token;
use crate::support::database::{Database, Kind};
use crate::support::function::{Function, Streamed, rest_event};
use crate::support::setup;

use super::expect_no_secret;
use super::store::{self, Door, Store};

/// An agent that answers whoever has its key, and refuses everybody else.
struct Guarded {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    key: Mutex<String>,
    /// What everybody else is answered.
    refusal: StatusCode,
    /// How each question was answered.
    statuses: Mutex<Vec<u16>>,
}

impl Guarded {
    async fn with_key(key: &str) -> Self {
        Self::refusing(key, StatusCode::UNAUTHORIZED).await
    }

    async fn refusing(key: &str, refusal: StatusCode) -> Self {
        let shared = Arc::new(Shared { key: Mutex::new(key.to_owned()), refusal, statuses: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("served") });
        Self { url, shared, task }
    }

    fn change_key(&self, key: &str) {
        key.clone_into(&mut self.shared.key.lock().expect("a key"));
    }

    /// How questions were answered since this was last asked.
    fn statuses(&self) -> Vec<u16> {
        std::mem::take(&mut *self.shared.statuses.lock().expect("statuses"))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let expected = format!("Bearer {}", shared.key.lock().expect("a key"));
    let good = headers.get("authorization").is_some_and(|value| value.as_bytes() == expected.as_bytes());
    let status = if good { StatusCode::OK } else { shared.refusal };
    shared.statuses.lock().expect("statuses").push(status.as_u16());
    let delta = json!({"choices": [{"index": 0, "delta": {"content": "Twenty days."}, "finish_reason": "stop"}]});
    (status, [("content-type", "text/event-stream")], format!("data: {delta}\n\ndata: [DONE]\n\n"))
}

struct Chat {
    _database: Database,
    function: Function,
    headers: Value,
}

impl Chat {
    async fn start(store: &Store, agent: &Guarded, arn: &str) -> Self {
        let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
        let settings = [
            ("DATABASE_URL", database.app_url.as_str()),
            ("AUTH_URL", &setup().auth_url),
            ("AGENT_URL", &agent.url),
            ("AGENT_API_KEY_SECRET_ARN", arn),
            ("LOG_LEVEL", "trace"),
        ];
        let function = Function::start("reply-chat", &[&store.settings()[..], &settings].concat()).await;
        let headers = json!({
            "Host": "x", "Authorization": format!("Bearer {}", token().await), "content-type": "application/json",
        });
        Self { _database: database, function, headers }
    }

    async fn ask(&self, id: &str) -> Streamed {
        let message = json!({"id": id, "role": "user", "parts": [{"type": "text", "text": "How many days?"}]});
        let body = json!({"id": "chat", "message": message}).to_string();
        self.function.stream(&rest_event("POST", "/v1/chat", &self.headers, Some(&body))).await
    }
}

#[tokio::test]
async fn the_key_is_read_once_and_again_where_the_agent_refuses_it() {
    let (store, agent) = (Store::open().await, Guarded::with_key("canary-1").await);
    let arn = store::create("canary-1").await;
    let chat = Chat::start(&store, &agent, &arn).await;
    for id in ["q1", "q2"] {
        let answer = chat.ask(id).await;
        assert!(answer.body.contains("Twenty days."), "{answer:?} {}", chat.function.log());
    }
    assert_eq!((store.reads(&arn), agent.statuses()), (1, vec![200, 200]));

    agent.change_key("canary-2");
    store::put(&arn, "canary-2\n").await;
    let answer = chat.ask("q3").await;
    assert!(answer.body.contains("Twenty days."), "{answer:?} {}", chat.function.log());
    assert_eq!((store.reads(&arn), agent.statuses()), (2, vec![401, 200]));

    // Refused for good: asked once more where it changed, and never again without.
    agent.change_key("canary-3");
    for id in ["q4", "q5", "q6"] {
        let answer = chat.ask(id).await;
        assert!(answer.body.contains("The agent refused to answer."), "{answer:?}");
    }
    assert_eq!((store.reads(&arn), agent.statuses()), (3, vec![401, 401, 401]));
    expect_no_secret(&chat.function);
}

/// What some gateways before a model say to a key that was withdrawn.
#[tokio::test]
async fn the_key_is_read_again_after_a_403_as_well() {
    let (store, agent) = (Store::open().await, Guarded::refusing("canary-1", StatusCode::FORBIDDEN).await);
    let arn = store::create("canary-1").await;
    let chat = Chat::start(&store, &agent, &arn).await;
    assert!(chat.ask("q1").await.body.contains("Twenty days."));
    agent.change_key("canary-2");
    store::put(&arn, "canary-2").await;
    let answer = chat.ask("q2").await;
    assert!(answer.body.contains("Twenty days."), "{answer:?} {}", chat.function.log());
    assert_eq!((store.reads(&arn), agent.statuses()), (2, vec![200, 403, 200]));
    expect_no_secret(&chat.function);
}

#[tokio::test]
async fn without_its_key_the_agent_is_not_asked() {
    let (store, agent) = (Store::open().await, Guarded::with_key("canary-1").await);
    let arn = store::create("canary-1").await;
    store.turn(Door::Denied);
    let chat = Chat::start(&store, &agent, &arn).await;
    let line = chat.function.logged("no key for the agent while initialising").await;
    assert!(line.contains("AGENT_API_KEY_SECRET_ARN") && line.contains("AccessDeniedException"), "{line}");
    let answer = chat.ask("q1").await;
    assert!(answer.body.contains("The agent can't be reached at the moment."), "{answer:?}");
    assert_eq!(agent.statuses(), Vec::<u16>::new());
    store.turn(Door::Open);
    // Each one is a new question: a repeated one would be a replay.
    let mut number = 1;
    crate::support::eventually("an answer", async || {
        number += 1;
        chat.ask(&format!("q{number}")).await.body.contains("Twenty days.").then_some(())
    })
    .await;
    expect_no_secret(&chat.function);
}

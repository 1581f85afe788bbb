//! A conversation's title from its agent: asked for beside the answer, and never in its way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::support::api::{Api, User};
use crate::support::chat::question;

/// An agent whose answers and titles come when a test wants them.
#[derive(Clone, Copy, Default)]
struct Script {
    /// How long the answer takes; none is one that fails.
    answer: Option<Duration>,
    /// The same of it where it fails.
    failure: Duration,
    /// How long the title takes; none is one that never comes.
    title: Option<Duration>,
}

#[derive(Clone)]
struct Agent {
    script: Arc<dyn Fn(usize) -> Script + Send + Sync>,
    answers: Arc<AtomicUsize>,
    titles: Arc<AtomicUsize>,
    /// What it says as a title: the content of its message.
    said: Arc<Mutex<Value>>,
}

async fn complete(State(agent): State<Agent>, Json(body): Json<Value>) -> Response {
    if body["stream"] == true {
        let script = (agent.script)(agent.answers.fetch_add(1, Ordering::SeqCst));
        let Some(delay) = script.answer else {
            sleep(script.failure).await;
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        sleep(delay).await;
        let words = json!({"choices": [{"index": 0, "delta": {"content": "Twenty."}}]});
        let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        return format!("data: {words}\n\ndata: {finish}\n\ndata: [DONE]\n\n").into_response();
    }
    let script = (agent.script)(agent.titles.fetch_add(1, Ordering::SeqCst));
    sleep(script.title.unwrap_or(Duration::from_mins(1))).await;
    let said = agent.said.lock().expect("a content").clone();
    Json(json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]}))
        .into_response()
}

/// The API with this agent and one connection to its database, and somebody who asks.
async fn scene(script: impl Fn(usize) -> Script + Send + Sync + 'static) -> (Api, User, Agent) {
    let said = Arc::new(Mutex::new(json!("Leave")));
    let agent = Agent { script: Arc::new(script), answers: Arc::default(), titles: Arc::default(), said };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(agent.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let api = Api::with(|config| {
        config.database.pool_size = 1;
        config.chat.title_from_agent = true;
        config.agent.as_mut().expect("an agent").url = url;
    })
    .await;
    let user = api.user().await;
    (api, user, agent)
}

async fn title(user: &User, chat: &str) -> String {
    user.get(&format!("/v1/conversations/{chat}")).await.text("/title").clone()
}

#[tokio::test]
async fn a_title_comes_with_its_answer() {
    let now = Script { answer: Some(Duration::ZERO), title: Some(Duration::ZERO), ..Script::default() };
    let (_api, user, _) = scene(move |_| now).await;
    let stream = user.chat(&question("c", "q", "How many days of leave do I have?", "")).await.rest().await;
    assert_eq!((stream.text().as_str(), &stream.terminal()["type"]), ("Twenty.", &json!("finish")));
    let told: Vec<&Value> = stream.frames.iter().filter(|frame| frame["type"] == "data-conversation").collect();
    assert_eq!(told.last().expect("told")["data"]["title"], "Leave");
    assert_eq!(title(&user, "c").await, "Leave");
}

#[tokio::test]
async fn a_title_is_what_a_model_says_without_its_thoughts_and_wrapping() {
    let now = Script { answer: Some(Duration::ZERO), title: Some(Duration::ZERO), ..Script::default() };
    let (_api, user, agent) = scene(move |_| now).await;
    let words = "How many days of leave do I have?";
    for (n, (said, expected)) in [
        (json!("<think>The user asks about leave</think>"), words),
        (json!("<think>The user wants a title. Perhaps \"Leave\""), words),
        (json!("<thinking>The user asks</thinking>\nLeave"), "Leave"),
        (json!("{\"title\":\"Leave\"}"), "Leave"),
        (json!("```json\n{\"title\":\"Leave\"}\n```"), "Leave"),
        (json!([{"type": "text", "text": "Leave"}]), "Leave"),
        (json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Leave"}]), "Leave"),
        (json!([{"type": "thinking", "thinking": "hm"}]), words),
        (json!("“Leave”."), "Leave"),
    ]
    .into_iter()
    .enumerate()
    {
        *agent.said.lock().expect("a content") = said.clone();
        let chat = format!("c{n}");
        user.chat(&question(&chat, "q", words, "")).await.rest().await;
        assert_eq!(title(&user, &chat).await, expected, "{said}");
    }
    let listed = user.get("/v1/conversations").await.texts("/data", "/title");
    assert_eq!(listed.iter().filter(|title| *title == "Leave").count(), 6);
}

#[tokio::test]
async fn a_title_that_comes_later_is_waited_for_and_one_that_does_not_come_is_asked_for_again() {
    let at_once = Some(Duration::ZERO);
    let (_api, user, agent) = scene(move |n| match n {
        0 => Script { answer: at_once, title: None, ..Script::default() },
        _ => Script { answer: at_once, title: Some(Duration::from_millis(300)), ..Script::default() },
    })
    .await;
    let words = "How many days of leave do I have?";
    let stream = user.chat(&question("c", "q", words, "")).await.rest().await;
    assert!(stream.done, "it has an end all the same");
    assert_eq!(title(&user, "c").await, words);
    user.chat(&question("c", "q2", "And in March?", "")).await.rest().await;
    assert_eq!(title(&user, "c").await, "Leave");
    user.chat(&question("c", "q3", "And in May?", "")).await.rest().await;
    assert_eq!((agent.answers.load(Ordering::SeqCst), agent.titles.load(Ordering::SeqCst)), (3, 2));
}

/// With one connection an answer's end and its title never wait for each other.
#[tokio::test]
async fn in_any_order_an_answer_ends_at_once() {
    let (_api, user, _) = scene(|n| {
        let random =
            |salt: usize| Duration::from_millis(u64::try_from((n * 7919 + salt * 104_729) % 25).expect("small"));
        Script { answer: (n % 3 == 0).then(|| random(1)), failure: random(1), title: Some(random(2)) }
    })
    .await;
    for n in 0..100 {
        let began = Instant::now();
        let stream = user.chat(&question(&format!("c{n}"), "q", "How many days?", "")).await.rest().await;
        let kind = if n % 3 == 0 { "finish" } else { "error" };
        assert!(stream.done && stream.terminal()["type"] == kind, "{n}: {:?}", stream.terminal());
        // Far from any wait for a connection, which is eight seconds.
        assert!(began.elapsed() < Duration::from_secs(4), "{n}");
    }
}

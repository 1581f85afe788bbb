//! A front end's side of the chat, and the agent's script.

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use http::{HeaderMap, Request, StatusCode};
use lambda_http::{Context, RequestExt};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::Config;
use shared::ui_stream::sse::Decoder;
use tokio_postgres::Client;
use tower::ServiceExt;

use super::api::{Api, User, config, router};
use super::proxy::Proxy;
use super::{http_client, setup};

/// A question as `useChat` sends it, with what the development agent is to do.
pub(crate) fn question(chat: &str, id: &str, text: &str, script: &str) -> Value {
    let text = if script.is_empty() { text.to_owned() } else { format!("{text}\nagent: {script}") };
    json!({
        "id": chat, "trigger": "submit-message",
        "messages": [{"id": id, "role": "user", "parts": [{"type": "text", "text": text}]}],
    })
}

/// A text that no other question has: the agent's log is the suite's.
pub(crate) fn unique(text: &str) -> String {
    format!("{text} {}", uuid::Uuid::new_v4().simple())
}

/// How often the agent was asked a question with this text in it, whole answers aside.
pub(crate) async fn asked(text: &str) -> usize {
    agent_requests(text).await.as_array().expect("requests").len()
}

/// What the agent was asked with this text in it.
pub(crate) async fn agent_requests(text: &str) -> Value {
    let path = format!("requests/{}", text.replace(' ', "%20"));
    http_client().get(agent(&path)).send().await.expect("the agent").json().await.expect("JSON")
}

/// Lets the agent go on where its script holds it.
pub(crate) async fn release(name: &str) {
    let released = http_client().post(agent(&format!("release/{name}"))).send().await.expect("the agent");
    assert_eq!(released.status().as_u16(), 204);
}

fn agent(path: &str) -> String {
    let base = setup().text("agentUrl").strip_suffix("/v1").expect("the agent's URL").to_owned();
    format!("{base}/{path}")
}

/// A stream of frames.
pub(crate) struct Stream {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: BodyDataStream,
    decoder: Decoder,
    waiting: std::collections::VecDeque<String>,
    /// All that came.
    pub(crate) frames: Vec<Value>,
    /// Whether `[DONE]` came.
    pub(crate) done: bool,
}

impl User {
    /// Sends a question; the stream of its answer.
    pub(crate) async fn chat(&self, body: &Value) -> Stream {
        self.stream("POST", "/v1/chat", &[], Some(body)).await
    }

    /// Resumes the stream of a chat.
    pub(crate) async fn resume(&self, chat: &str) -> Stream {
        self.stream("GET", &format!("/v1/chat/{chat}/stream"), &[], None).await
    }

    pub(crate) async fn stream(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Stream {
        self.stream_of(self.request(method, path, headers, body)).await
    }

    /// The same, of a function that must have answered in so many milliseconds, as Lambda tells it.
    pub(crate) async fn stream_within(&self, millis: i64, method: &str, path: &str, body: Option<&Value>) -> Stream {
        let mut context = Context::default();
        context.deadline = u64::try_from(Clock::system().now().as_millisecond() + millis).expect("a time");
        self.stream_of(self.request(method, path, &[], body).with_lambda_context(context)).await
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.token));
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        request.body(body).expect("a request")
    }

    /// The stream that a request is answered with.
    async fn stream_of(&self, request: Request<Body>) -> Stream {
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        Stream {
            status: parts.status,
            headers: parts.headers,
            body: body.into_data_stream(),
            decoder: Decoder::new(1 << 22),
            waiting: std::collections::VecDeque::new(),
            frames: Vec::new(),
            done: false,
        }
    }
}

impl Stream {
    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status);
        self
    }

    /// The next frame; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(data) = self.waiting.pop_front() {
                if data == "[DONE]" {
                    self.done = true;
                    continue;
                }
                let frame: Value = serde_json::from_str(&data).expect("a frame is JSON");
                self.frames.push(frame.clone());
                return Some(frame);
            }
            let bytes = self.body.next().await?.expect("bytes");
            self.waiting.extend(self.decoder.feed(&bytes).expect("events"));
        }
    }

    /// Reads until a frame of this type.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        let reading = async {
            while let Some(frame) = self.next().await {
                if frame["type"] == kind {
                    return frame;
                }
            }
            panic!("the stream ended without {kind}: {:?}", self.frames);
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), reading).await.expect("a frame in time")
    }

    /// Reads to the end.
    pub(crate) async fn rest(mut self) -> Self {
        let reading = async { while self.next().await.is_some() {} };
        tokio::time::timeout(std::time::Duration::from_mins(1), reading).await.expect("an end in time");
        self
    }

    /// Whether the next bytes are a comment, which no reader shows. Frames are kept for later.
    pub(crate) async fn is_kept_alive(&mut self) -> bool {
        let Some(bytes) = self.body.next().await else { return false };
        let bytes = bytes.expect("bytes");
        self.waiting.extend(self.decoder.feed(&bytes).expect("events"));
        bytes.starts_with(b":")
    }

    /// The text so far.
    pub(crate) fn text(&self) -> String {
        self.frames.iter().filter_map(|frame| frame["delta"].as_str()).collect()
    }

    /// The last frame, after `[DONE]` came.
    #[track_caller]
    pub(crate) fn terminal(&self) -> &Value {
        assert!(self.done, "no [DONE]: {:?}", self.frames.last());
        self.frames.last().expect("a frame")
    }

    /// The answer's id.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        assert_eq!(self.frames[0]["type"], "start");
        self.frames[0]["messageId"].as_str().expect("an id").to_owned()
    }
}

/// An instance behind a network that can be cut.
pub(crate) async fn behind_a_proxy(api: &Api, user: &User, change: impl FnOnce(&mut Config)) -> (Proxy, User) {
    let proxy = Proxy::before(&api.database.app_url).await;
    let mut config = config(&proxy.through(&api.database.app_url));
    config.database.request_timeout = std::time::Duration::from_secs(2);
    change(&mut config);
    (proxy, User { router: router(config), token: user.token.clone() })
}

/// An answer that the agent holds back after its fifth word.
pub(crate) async fn held(user: &User, hold: &str) -> Stream {
    let mut stream =
        user.chat(&question("c", "q", "How are cursors made?", &format!("bytes=4000 hold@5={hold}"))).await;
    for _ in 0..5 {
        stream.until("text-delta").await;
    }
    stream
}

/// The settings of `reply-chat` with this database, the suite's sign-in and its agent.
pub(crate) fn reply_settings(database_url: &str) -> [(&'static str, &str); 4] {
    [
        ("DATABASE_URL", database_url),
        ("AUTH_URL", &setup().auth_url),
        ("AGENT_URL", setup().text("agentUrl")),
        ("AGENT_MODEL", "development-agent"),
    ]
}

/// Ends every running lease, as 30 s without a word would.
pub(crate) async fn expire(superuser: &Client) {
    let expire = "update runs set lease_until = clock_timestamp() - interval '1 s' where outcome is null";
    superuser.execute(expire, &[]).await.expect("expired");
}

/// Two minutes later: the chunks of all answers that have ended are swept.
pub(crate) async fn sweep_later(api: &Api) {
    let later = "update runs set ended_at = ended_at - interval '2 min'";
    api.database.superuser().await.batch_execute(later).await.expect("later");
    assert!(api.database.db().sweep(100, std::time::Duration::from_mins(1)).await.expect("swept").chunks > 0);
}

//! The agent: asked over HTTP, in one of two protocols, and never trusted to behave.
//!
//! [`Agent::ask`] sends a question with its history; [`AnswerStream::next`] gives the answer, event by event. Whatever an
//! agent does ends in [`AgentEvent::Finish`] or in one [`AgentFailure`]: it may be silent, slow, endless, malformed, cut
//! off, or refuse. A question is sent a second time only if it surely never arrived, since an agent is paid twice for a
//! repeated one. No URL that it names is ever fetched.

mod answer;
mod events;
mod failure;
mod files;
mod frames;
mod json;
mod oddities;
mod openai;
mod prompt;
mod reading;
mod sources;
#[cfg(test)]
mod tests;
mod title;
mod ui_message_stream;
mod usage;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use crate::config::{AgentConfig, AgentProtocol, SendUser};
use crate::error::Error;
use crate::id::{ConversationId, RunId, UserId};
use crate::model::{BaseAnswer, HistoryMessage};
use crate::secrets::{Credential, Unread};
use crate::tls;
use files::FileRules;
use openai::Completion;
use reading::Dialect;
use ui_message_stream::Passage;

pub use answer::AnswerStream;
pub use events::AgentEvent;
pub use failure::{AgentFailure, FailureKind};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const USER: HeaderName = HeaderName::from_static("x-colloquy-user");
const USER_TOKEN: HeaderName = HeaderName::from_static("x-colloquy-user-token");
/// Before a second try to connect.
const PAUSE: Duration = Duration::from_millis(250);

/// Asks the agent. Clones share it.
#[derive(Clone)]
pub struct Agent(Arc<Inner>);

struct Inner {
    client: Client,
    url: Url,
    /// What lets Colloquy in, as a header.
    key: Option<Credential<HeaderValue>>,
    config: AgentConfig,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Agent").field(&self.0.config).finish()
    }
}

/// A question, and what the agent is told with it.
#[derive(Clone, Copy)]
pub struct Prompt<'a> {
    /// The answer's run, which is the request's `Idempotency-Key`.
    pub run: RunId,
    /// The conversation.
    pub conversation: ConversationId,
    /// What was said, oldest first, the question last, or the answer that goes on.
    pub history: &'a [HistoryMessage],
    /// The answer so far, where it goes on.
    pub base: Option<&'a BaseAnswer>,
    /// Who asks. Told only where the settings say so.
    pub user: UserId,
    /// Their token. Told only where the settings say so.
    pub token: Option<&'a str>,
}

/// Prints neither a text nor the token.
impl fmt::Debug for Prompt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt").field("run", &self.run).finish_non_exhaustive()
    }
}

/// Until when each thing is waited for.
#[derive(Clone, Copy, Debug)]
struct Waits {
    first_byte: Instant,
    total: Option<Instant>,
    limits: Limits,
}

/// The settings that the instants come from.
#[derive(Clone, Copy, Debug)]
struct Limits {
    first_byte: Duration,
    idle: Duration,
    total: Duration,
}

impl Waits {
    fn from_now(config: &AgentConfig) -> Self {
        let now = Instant::now();
        Self {
            first_byte: now + config.first_byte_timeout,
            total: config.total_timeout.map(|total| now + total),
            limits: Limits {
                first_byte: config.first_byte_timeout,
                idle: config.idle_timeout,
                total: config.total_timeout.unwrap_or_default(),
            },
        }
    }

    /// For no more than this.
    fn within(limit: Duration) -> Self {
        let end = Instant::now() + limit;
        Self { first_byte: end, total: Some(end), limits: Limits { first_byte: limit, idle: limit, total: limit } }
    }
}

impl Agent {
    /// An agent; connects to nothing yet.
    pub fn new(config: &AgentConfig) -> Result<Self, Error> {
        let mut url = Url::parse(&config.url).map_err(Error::internal)?;
        if config.protocol == AgentProtocol::OpenAi {
            // Some services want a query, which stays at the end.
            let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        let roots = config.authorities.clone().unwrap_or_else(tls::web_roots);
        let mut client =
            tls::http_client_trusting(roots).map_err(Error::internal)?.connect_timeout(config.connect_timeout);
        if config.private_http {
            client = client.dns_resolver(Arc::new(tls::PrivateNetwork));
        }
        let client = client.build().map_err(Error::internal)?;
        let parse = |key: &str| bearer(key.trim()).ok_or_else(|| "has characters that no header may have".to_owned());
        let key = config.api_key.as_ref().map(|key| Credential::new(key, parse)).transpose();
        Ok(Self(Arc::new(Inner { client, url, key: key.map_err(Error::internal)?, config: config.clone() })))
    }

    /// Reads the key while the function initialises, where Secrets Manager keeps it. If that fails it is logged, and the
    /// first question tries again.
    pub async fn warm(&self) {
        if let Some(key) = &self.0.key
            && let Err(unread) = key.get().await
        {
            tracing::warn!(cause = %unread, "no key for the agent while initialising");
            key.waive_pause().await;
        }
    }

    /// Asks a question; returns when the answer's head is there.
    pub async fn ask(&self, prompt: Prompt<'_>) -> Result<AnswerStream, AgentFailure> {
        let config = &self.0.config;
        let mut headers = self.user_headers(prompt.user, prompt.token);
        headers.extend(uuid(&prompt.run).map(|run| (IDEMPOTENCY_KEY, run)));
        let (body, dialect) = match config.protocol {
            AgentProtocol::OpenAi => {
                let completion = Completion::new(config.think_tags, prompt.base);
                (self.completion(&prompt), Dialect::Completion(Box::new(completion)))
            }
            AgentProtocol::UiMessageStream => {
                let body = json!({
                    "id": prompt.conversation,
                    "messages": prompt::ui_messages(prompt.history, &FileRules::of(config)),
                    "trigger": "submit-message",
                });
                (body, Dialect::Passage(Box::new(Passage::new(prompt.base))))
            }
        };
        let waits = Waits::from_now(config);
        let response = self.send(headers, &body, waits).await?;
        Ok(AnswerStream::new(response, waits, dialect))
    }

    /// What the agent learns of who asks, as headers.
    fn user_headers(&self, user: UserId, token: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self.0.config.send_user {
            SendUser::Nothing => {}
            SendUser::Id => headers.extend(uuid(&user).map(|user| (USER, user))),
            SendUser::Token => {
                // An agent without a key of its own takes the token where every service takes one.
                let bearer = self.0.key.is_none().then(|| token.and_then(bearer)).flatten();
                headers.extend(bearer.map(|bearer| (AUTHORIZATION, bearer)));
                headers.extend(token.and_then(secret).map(|token| (USER_TOKEN, token)));
            }
        }
        headers
    }

    /// The same, as members of a completion's request.
    fn user_member(&self, user: UserId) -> Map<String, Value> {
        let told = self.0.config.send_user == SendUser::Id;
        told.then(|| ("user".to_owned(), user.to_string().into())).into_iter().collect()
    }

    /// The body of a request for a completion: `members`, what the settings add to them or take away, and the messages.
    fn body(&self, mut members: Map<String, Value>, messages: Vec<Value>, stream: bool) -> Value {
        if let Some(model) = &self.0.config.model {
            members.insert("model".into(), model.as_str().into());
        }
        members.extend(self.0.config.body.clone());
        members.retain(|_, value| !value.is_null());
        members.insert("messages".into(), messages.into());
        members.insert("stream".into(), stream.into());
        members.into()
    }

    fn completion(&self, prompt: &Prompt<'_>) -> Value {
        let config = &self.0.config;
        let mut members = self.user_member(prompt.user);
        members.insert("stream_options".into(), json!({"include_usage": true}));
        let messages = prompt::messages(config.system_prompt.as_deref(), prompt.history, &FileRules::of(config));
        self.body(members, messages, true)
    }

    /// Sends a request and waits for the head of a good answer.
    async fn send(&self, mut headers: HeaderMap, body: &Value, waits: Waits) -> Result<Response, AgentFailure> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
        let until = waits.total.map_or(waits.first_byte, |total| total.min(waits.first_byte));
        let sent = timeout_at(until, self.send_with_key(headers, &body.to_string())).await;
        sent.unwrap_or_else(|_| match waits.total {
            Some(total) if total <= waits.first_byte => {
                Err(AgentFailure::too_late(FailureKind::TotalTimeout, waits.limits.total))
            }
            _ => Err(AgentFailure::too_late(FailureKind::FirstByteTimeout, waits.limits.first_byte)),
        })
    }

    /// Sends it with the key; where that is refused and Secrets Manager keeps another one by now, again with that. A 401, or
    /// the 403 that some services answer instead, has done no work, so nothing is paid twice.
    async fn send_with_key(&self, mut headers: HeaderMap, body: &str) -> Result<Response, AgentFailure> {
        let Some(key) = &self.0.key else { return self.post(headers, body).await };
        let unread = |unread: Unread| AgentFailure::new(FailureKind::Unreachable, unread.to_string());
        let held = key.get().await.map_err(unread)?;
        headers.insert(AUTHORIZATION, HeaderValue::clone(&held));
        let sent = self.post(headers.clone(), body).await;
        if sent.as_ref().is_err_and(|failure| matches!(failure.kind(), FailureKind::Refused(401 | 403)))
            && let Some(newer) = key.after(&held).await
        {
            headers.insert(AUTHORIZATION, HeaderValue::clone(&newer));
            return self.post(headers, body).await;
        }
        sent
    }

    async fn post(&self, mut headers: HeaderMap, body: &str) -> Result<Response, AgentFailure> {
        let Inner { client, url, config, .. } = &*self.0;
        // The operator's word is the last.
        for (name, value) in &config.headers {
            headers.insert(name, value.clone());
        }
        let attempt = || client.post(url.clone()).headers(headers.clone()).body(body.to_owned()).send();
        let mut sent = attempt().await;
        // Where no connection came about nothing was sent, and nothing is paid twice. In all other cases it may be.
        if sent.as_ref().is_err_and(|error| error.is_connect() && !error.is_timeout()) {
            tokio::time::sleep(PAUSE).await;
            sent = attempt().await;
        }
        match sent {
            Ok(response) if response.status().is_success() => Ok(response),
            // Its body may repeat the prompt: it is neither read nor shown.
            Ok(response) => Err(AgentFailure::new(FailureKind::Refused(response.status().as_u16()), "")),
            Err(error) if error.is_connect() => Err(AgentFailure::transport(FailureKind::Unreachable, error)),
            Err(error) => Err(AgentFailure::transport(FailureKind::Cut, error)),
        }
    }
}

/// An id as a header's value, which every UUID is.
fn uuid(id: &dyn fmt::Display) -> Option<HeaderValue> {
    HeaderValue::try_from(id.to_string()).ok()
}

/// A header value that is never printed.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

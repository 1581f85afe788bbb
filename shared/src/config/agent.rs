//! The agent's settings.

mod files;

use std::fmt;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};

use rustls::RootCertStore;
use serde_json::{Map, Value};

use super::{Reader, Secret, Setting, setting};
use crate::tls;

pub use files::AgentFiles;

/// The settings of the agent.
pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "AGENT_URL",
        "none",
        "The agent. `openai`: the base URL before `/chat/completions`, such as `https://api.openai.com/v1`; `ui-message-stream`: the URL itself. Unset, Colloquy keeps histories only and the chat routes answer 501",
    ),
    setting(
        "AGENT_ALLOW_HTTP",
        "false",
        "`true`: AGENT_URL may be http to a private network (RFC 1918, 4193 or 6598), where nobody reads along; whatever else its name leads to isn't connected to",
    ),
    setting(
        "AGENT_CA_FILE",
        "none",
        "A PEM file of the certificate authorities that vouch for the agent, in the place of the web's",
    ),
    setting(
        "AGENT_PROTOCOL",
        "openai",
        "`openai`: any OpenAI-compatible stream of chat completions; `ui-message-stream`: an agent that speaks the AI SDK's stream, which is checked, recorded and passed on",
    ),
    setting("AGENT_API_KEY", "none", "Sent to the agent as `Authorization: Bearer …`"),
    setting(
        "AGENT_API_KEY_SECRET_ARN",
        "none",
        "The secret of AWS Secrets Manager whose text is that key. It is read when a function starts, and again when the agent answers 401 or 403",
    ),
    setting("AGENT_MODEL", "none", "The `model` that is asked for; unset, the agent chooses (`openai`)"),
    setting("AGENT_HEADERS", "none", "Further headers for the agent, a JSON object of texts: `{\"api-key\":\"…\"}`"),
    setting(
        "AGENT_BODY",
        "none",
        "Further members of the request's body, a JSON object: what a service needs to search, or to tell its sources; null takes one away that it doesn't know, such as `stream_options` (`openai`)",
    ),
    setting("AGENT_SYSTEM_PROMPT", "none", "Goes before the history (`openai`)"),
    setting(
        "AGENT_THINK_TAGS",
        "on",
        "`on`: what stands in `<think>`, `<thinking>` or `<thought>` where an answer begins with it is shown as reasoning; `off`: as the words that it is (`openai`)",
    ),
    setting(
        "AGENT_FILES",
        "images",
        "The files that the agent takes; a question with another one is refused. `none`; `images`: PNG, JPEG, GIF and WebP; `all` that its protocol has a form for; or a list of media types: `image/*, application/pdf`",
    ),
    setting("AGENT_FILE_BYTES", "3000000", "The most bytes of one file that a question holds"),
    setting(
        "AGENT_HISTORY_MESSAGES",
        "20",
        "The most messages of a conversation that the agent is given, the question among them",
    ),
    setting("AGENT_HISTORY_CHARS", "24000", "The most characters of those messages; the question is always whole"),
    setting(
        "AGENT_HISTORY_FILE_BYTES",
        "1048576",
        "The most bytes of earlier questions with files that are sent again with a later one, the newest first, a file in base64; of all others the files' names are told. 0: only the question's own files are sent",
    ),
    setting(
        "AGENT_SEND_USER",
        "none",
        "What the agent learns of who asks, for retrieval that filters per user. `id`: the user's id, in `X-Colloquy-User` (and as `user`, `openai`); `token`: the caller's own token, in `X-Colloquy-User-Token`, and as `Authorization: Bearer …` where there is no AGENT_API_KEY",
    ),
    setting("AGENT_CONNECT_SECONDS", "5", "To reach the agent, TLS included").within(1, 60),
    setting("AGENT_FIRST_BYTE_SECONDS", "60", "Until the first byte of its answer").within(1, 800),
    setting("AGENT_IDLE_SECONDS", "30", "Between two bytes of its answer").within(1, 800),
    // Lambda's longest.
    setting("AGENT_TOTAL_SECONDS", "none", "For the whole answer; unset, the function's deadline").within(1, 900),
];

/// Where the agent is, how it is spoken to and how long it is waited for.
#[derive(Clone)]
pub struct AgentConfig {
    /// Its URL: with [`AgentProtocol::OpenAi`] the base, which `/chat/completions` is appended to.
    pub url: String,
    /// Whether it is reached by http in a private network.
    pub private_http: bool,
    /// Who vouches for it, where the web's certificate authorities don't.
    pub authorities: Option<RootCertStore>,
    /// What it speaks.
    pub protocol: AgentProtocol,
    /// Its key.
    pub api_key: Option<Secret>,
    /// The model to ask for.
    pub model: Option<String>,
    /// Further headers. May hold secrets: never printed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Further members of a request's body; null takes a member away. May hold secrets: never printed.
    pub body: Map<String, Value>,
    /// What goes before the history.
    pub system_prompt: Option<String>,
    /// Whether the tags of thoughts that its words begin with are read as such.
    pub think_tags: bool,
    /// The files that it takes.
    pub files: AgentFiles,
    /// The most bytes of one file.
    pub file_bytes: u32,
    /// The most messages that it is given.
    pub history_messages: u32,
    /// The most characters of those messages.
    pub history_chars: u32,
    /// The most bytes of earlier questions that are sent again with their files.
    pub history_file_bytes: u32,
    /// What it learns of who asks.
    pub send_user: SendUser,
    /// To reach it, TLS included.
    pub connect_timeout: Duration,
    /// Until the first byte of an answer.
    pub first_byte_timeout: Duration,
    /// Between two bytes of an answer.
    pub idle_timeout: Duration,
    /// For a whole answer; none where only the caller's deadline ends it.
    pub total_timeout: Option<Duration>,
}

/// Prints no URL (its query may hold a key), no key, no header, no body and no prompt.
impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentConfig")
            .field("protocol", &self.protocol)
            .field("model", &self.model)
            .field("send_user", &self.send_user)
            .finish_non_exhaustive()
    }
}

/// What an agent speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentProtocol {
    /// A stream of OpenAI-compatible chat completions.
    #[default]
    OpenAi,
    /// The AI SDK's UI message stream.
    UiMessageStream,
}

/// What an agent learns of who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendUser {
    /// Nothing.
    #[default]
    Nothing,
    /// The user's id.
    Id,
    /// The caller's own token.
    Token,
}

impl AgentConfig {
    /// An OpenAI-compatible agent at this URL, all else as where nothing is set.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        let mut reader = Reader { lookup: &|_| None, faults: Vec::new() };
        Self::at_url(&mut reader, url.into())
    }

    /// `None` where there is no `AGENT_URL`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.get("AGENT_URL")?;
        let url = reader.url_or_private("AGENT_URL", url, "AGENT_ALLOW_HTTP");
        Some(Self::at_url(reader, url))
    }

    fn at_url(reader: &mut Reader<'_>, url: String) -> Self {
        let protocols = [AgentProtocol::OpenAi, AgentProtocol::UiMessageStream];
        let protocol = protocols[reader.word("AGENT_PROTOCOL", ["openai", "ui-message-stream"])];
        let send_users = [SendUser::Nothing, SendUser::Id, SendUser::Token];
        let send_user = send_users[reader.word("AGENT_SEND_USER", ["none", "id", "token"])];
        let api_key = reader.secret("AGENT_API_KEY", "AGENT_API_KEY_SECRET_ARN");
        if matches!(&api_key, Some(Secret::Text(key)) if HeaderValue::from_str(key).is_err()) {
            reader.faults.push("AGENT_API_KEY has characters that no header may have".to_owned());
        }
        let private_http = url.starts_with("http:") && reader.get("AGENT_ALLOW_HTTP").is_some_and(|it| it == "true");
        Self {
            url,
            private_http,
            authorities: authorities(reader),
            protocol,
            api_key,
            model: reader.get("AGENT_MODEL"),
            headers: headers(reader),
            body: body(reader),
            system_prompt: reader.get("AGENT_SYSTEM_PROMPT"),
            think_tags: reader.word("AGENT_THINK_TAGS", ["on", "off"]) == 0,
            files: AgentFiles::read(reader),
            file_bytes: number(reader, "AGENT_FILE_BYTES", 1, 4 * 1024 * 1024),
            history_messages: number(reader, "AGENT_HISTORY_MESSAGES", 1, 1000),
            history_chars: number(reader, "AGENT_HISTORY_CHARS", 1, 4_000_000),
            history_file_bytes: number(reader, "AGENT_HISTORY_FILE_BYTES", 0, 64 * 1024 * 1024),
            send_user,
            connect_timeout: reader.seconds("AGENT_CONNECT_SECONDS"),
            first_byte_timeout: reader.seconds("AGENT_FIRST_BYTE_SECONDS"),
            idle_timeout: reader.seconds("AGENT_IDLE_SECONDS"),
            total_timeout: reader.get("AGENT_TOTAL_SECONDS").is_some().then(|| reader.seconds("AGENT_TOTAL_SECONDS")),
        }
    }
}

fn authorities(reader: &mut Reader<'_>) -> Option<RootCertStore> {
    let file = reader.get("AGENT_CA_FILE")?;
    tls::roots_of_file(&file).map_err(|fault| reader.faults.push(format!("AGENT_CA_FILE {fault}"))).ok()
}

fn number(reader: &mut Reader<'_>, name: &'static str, least: u32, most: u32) -> u32 {
    // Within its bounds it fits.
    u32::try_from(reader.number(name, least.into(), most.into())).unwrap_or(most)
}

/// The members that are not for the settings to say.
const OWN_MEMBERS: [&str; 2] = ["messages", "stream"];

fn body(reader: &mut Reader<'_>) -> Map<String, Value> {
    let Some(text) = reader.get("AGENT_BODY") else { return Map::new() };
    let members = serde_json::from_str::<Map<String, Value>>(&text).ok();
    let members = members.filter(|members| !OWN_MEMBERS.iter().any(|name| members.contains_key(*name)));
    members.unwrap_or_else(|| {
        reader.faults.push(format!("AGENT_BODY must be a JSON object without {}", OWN_MEMBERS.join(", ")));
        Map::new()
    })
}

/// The headers that say how the body is sent; the HTTP client's own affair.
const OWN: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

fn headers(reader: &mut Reader<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let Some(text) = reader.get("AGENT_HEADERS") else { return Vec::new() };
    let read = |(name, value): (&String, &Value)| {
        let name = HeaderName::try_from(name).ok().filter(|name| !OWN.contains(name))?;
        let mut value = HeaderValue::from_str(value.as_str()?).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    let members = serde_json::from_str::<Map<_, _>>(&text).ok();
    members.and_then(|members| members.iter().map(read).collect()).unwrap_or_else(|| {
        reader.faults.push(
            "AGENT_HEADERS must be a JSON object of header names and texts, without those that frame a request"
                .to_owned(),
        );
        Vec::new()
    })
}

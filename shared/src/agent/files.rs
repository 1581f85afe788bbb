//! Which files an agent is given, and in which form.

use serde_json::{Map, Value, json};

use super::Agent;
use crate::config::{AgentConfig, AgentFiles, AgentProtocol};
use crate::error::{Error, Fault};
use crate::model::{DataUrl, Question, is_web_url, limits};

type Object = Map<String, Value>;

/// Which files an agent takes, as its settings say.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileRules<'a> {
    protocol: AgentProtocol,
    types: &'a AgentFiles,
    bytes: usize,
}

impl<'a> FileRules<'a> {
    pub(super) fn of(config: &'a AgentConfig) -> Self {
        // A number of 32 bits is one of these.
        Self {
            protocol: config.protocol,
            types: &config.files,
            bytes: usize::try_from(config.file_bytes).unwrap_or(usize::MAX),
        }
    }

    /// Whether the agent takes files of this one's type.
    pub(super) fn takes(&self, file: &Object) -> bool {
        self.types.takes(&media_type(file))
    }

    /// Why a file can't be sent, and which of its members says so.
    fn refusal(&self, file: &Object) -> Option<(&'static str, String)> {
        let media_type = media_type(file);
        if self.types.is_none() {
            return Some(("", "is a file, and the agent takes none".to_owned()));
        }
        if media_type.is_empty() && self.protocol == AgentProtocol::OpenAi {
            return Some(("mediaType", "says nothing of the file's kind, which the agent has to know".to_owned()));
        }
        if !self.types.takes(&media_type) {
            return Some(("mediaType", format!("is of no kind that the agent takes: {}", self.types)));
        }
        let url = text(file, "url");
        let data = DataUrl::parse(url);
        if data.is_none() && !is_web_url(url) {
            return Some(("url", "must be a data: URL, or begin with https:// or http://".to_owned()));
        }
        let size = data.map_or(0, |data| data.most_bytes());
        if size > self.bytes {
            return Some(("url", format!("holds {size} bytes, and a file may have {}", self.bytes)));
        }
        if data.is_some_and(|data| data.bytes().is_none()) {
            return Some(("url", "doesn't hold what it says: it is no base64".to_owned()));
        }
        if self.protocol == AgentProtocol::UiMessageStream {
            return None;
        }
        openai_part(file).err().map(|unsendable| match unsendable {
            Unsendable::Kind => ("mediaType", "is of a kind that the agent's protocol has no form for".to_owned()),
            Unsendable::Link => {
                ("url", "is a link, and the agent takes a file of this kind as a data: URL alone".to_owned())
            }
            Unsendable::Contents => ("url", "doesn't hold what it says: it is no text in UTF-8".to_owned()),
        })
    }
}

impl Agent {
    /// Refuses a question with a file that the agent can't be given, before anything is stored of it: nothing that a user
    /// sends is dropped in silence.
    pub fn check_files(&self, question: &Question) -> Result<(), Error> {
        let rules = FileRules::of(&self.0.config);
        let files = question.parts.iter().enumerate().filter_map(|(i, part)| {
            part.as_object().filter(|part| part.get("type").is_some_and(|kind| kind == "file")).map(|file| (i, file))
        });
        let mut faults = Vec::new();
        for (n, (i, file)) in files.enumerate() {
            let at = format!("{}/parts/{i}", question.pointer);
            if n == limits::FILES {
                faults.push(Fault::body(&at, format!("is one file too many: a question may have {}", limits::FILES)));
                break;
            }
            if let Some((member, detail)) = rules.refusal(file) {
                let at = if member.is_empty() { at } else { format!("{at}/{member}") };
                faults.push(Fault::body(at, detail));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
    }
}

/// Why a file has no form in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsendable {
    /// The protocol knows none for its type.
    Kind,
    /// It knows one, but not for a link; and no link is ever fetched here.
    Link,
    /// Its data can't be read.
    Contents,
}

/// A file as a part of a chat completion's message.
/// <https://platform.openai.com/docs/api-reference/chat/create>
pub(super) fn openai_part(file: &Object) -> Result<Value, Unsendable> {
    let media_type = media_type(file);
    let url = text(file, "url");
    let data = DataUrl::parse(url);
    let base64 = || data.ok_or(Unsendable::Link)?.base64().ok_or(Unsendable::Contents);
    let data_url = || base64().map(|data| format!("data:{media_type};base64,{data}"));
    let link = || if data.is_some() { data_url() } else { Ok(url.to_owned()) };
    match media_type.split_once('/').ok_or(Unsendable::Kind)? {
        ("image", _) => Ok(json!({"type": "image_url", "image_url": {"url": link()?}})),
        // No service of OpenAI's takes it; vLLM and the AI SDK's providers do.
        ("video", _) => Ok(json!({"type": "video_url", "video_url": {"url": link()?}})),
        ("application", "pdf") => {
            let name = Some(text(file, "filename")).filter(|name| !name.is_empty()).unwrap_or("file.pdf");
            Ok(json!({"type": "file", "file": {"filename": name, "file_data": data_url()?}}))
        }
        ("audio", "wav" | "wave" | "x-wav" | "vnd.wave") => audio(&base64()?, "wav"),
        ("audio", "mpeg" | "mp3") => audio(&base64()?, "mp3"),
        ("text", _) | ("application", "json") => {
            let bytes = data.ok_or(Unsendable::Link)?.bytes().ok_or(Unsendable::Contents)?;
            let text = String::from_utf8(bytes).map_err(|_| Unsendable::Contents)?;
            Ok(json!({"type": "text", "text": text}))
        }
        _ => Err(Unsendable::Kind),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "an arm of a match on results")]
fn audio(data: &str, format: &str) -> Result<Value, Unsendable> {
    Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
}

/// The media type without its parameters, in lower case.
fn media_type(file: &Object) -> String {
    text(file, "mediaType").split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn text<'a>(file: &'a Object, name: &str) -> &'a str {
    file.get(name).and_then(Value::as_str).unwrap_or_default()
}

//! Messages to be stored, and how they are read.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::Fault;
use crate::id::{ClientId, MessageId, MessageRef};
use crate::model::input::{FromJson, List, Object, checked};
use crate::model::{DataUrl, Metadata, NewSources, Role, Source, hash_of, is_web_url, limits};

/// What a new message follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// The last active message, or the message before it in the same request.
    #[default]
    Last,
    /// Nothing: it begins another first branch.
    Root,
    /// This message. Where that isn't the last active one, what followed it leaves the active branch.
    Message(MessageId),
}

impl Serialize for Parent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Last => serializer.serialize_str("last"),
            Self::Root => serializer.serialize_str("root"),
            Self::Message(id) => id.serialize(serializer),
        }
    }
}

/// A message to be stored. It has `parts` or `content`, never both.
// Serialised, it is what the database's function takes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMessage {
    /// Makes the request safe to repeat: the same id with the same content answers with what was stored the first time.
    #[schema(value_type = ClientId, required = false)]
    pub client_id: Option<ClientId>,
    /// The message that this one follows; null for none. Where it is absent, the last active message, or the one before
    /// it in the same request.
    #[serde(rename = "parentId")]
    #[schema(value_type = Option<MessageId>)]
    pub parent: Parent,
    /// Who speaks. `system` is never accepted from a client.
    #[schema(value_type = String, pattern = "^(user|assistant|tool)$")]
    pub role: Role,
    /// The parts of an AI SDK `UIMessage`: objects with a `type`. Send these or `content`.
    #[schema(value_type = Vec<Part>, required = false, min_items = 1, max_items = 200)]
    pub parts: Vec<Value>,
    /// The text, where there are no `parts`.
    #[schema(value_type = String, required = false)]
    pub content: String,
    /// What it rests on. Parts of the types `source-url` and `source-document` are made from these; where there are
    /// only such parts, the sources are made from them.
    #[schema(value_type = Vec<Source>, required = false, max_items = 200)]
    pub sources: Vec<Map<String, Value>>,
    /// The embeddings by source id.
    #[schema(ignore)]
    pub source_embeddings: Option<Map<String, Value>>,
    /// The client's own data.
    #[schema(value_type = Metadata, required = false)]
    pub metadata: Metadata,
    /// The model that wrote it.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    pub model: Option<String>,
    /// What it cost, such as `inputTokens` and `outputTokens`: at most 4 KB.
    #[schema(value_type = Object, required = false)]
    pub usage: Option<Map<String, Value>>,
}

impl NewMessage {
    /// What a repeated message must equal: everything but its name.
    #[must_use]
    pub fn request_hash(&self) -> String {
        hash_of(&(
            (&self.parent, self.role, &self.parts, &self.content, &self.sources),
            (&self.source_embeddings, &self.metadata, &self.model, &self.usage),
        ))
    }
}

impl FromJson for NewMessage {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let mut object = Object::open(value, at, faults)?;
        let client_id = object.optional::<GivenId>("clientId", faults).map(|given| given.0);
        let role = object.required("role", faults);
        let parts = object.optional::<Parts>("parts", faults);
        let content = object.optional::<String>("content", faults);
        let sources = object.optional::<NewSources>("sources", faults);
        let metadata = object.optional("metadata", faults).unwrap_or_default();
        let model = object.optional::<ModelName>("model", faults).map(|model| model.0);
        let usage = object.optional::<Usage>("usage", faults).map(|usage| usage.0);
        let parent = match object.nullable::<MessageId>("parentId", faults) {
            None => Parent::Last,
            Some(None) => Parent::Root,
            Some(Some(id)) => Parent::Message(id),
        };
        let (has_parts, has_content) = (object.has("parts"), object.has("content"));
        if has_parts == has_content {
            let detail =
                if has_parts { "stands beside parts; send one of the two" } else { "is missing, and so is parts" };
            faults.push(Fault::body(object.pointer("content"), detail));
        }
        object.close(faults);
        if faults.len() > before {
            return None;
        }
        let parts = match (parts, content) {
            (Some(Parts(parts)), _) => parts,
            (None, content) => text_part(content.unwrap_or_default()),
        };
        // `sources` is the truth: parts that speak of sources are made from it. A message that has such parts and no
        // `sources`, as a front end stores what it was streamed, says the same the other way round.
        let (parts, sources): (Vec<Value>, _) = match sources {
            None => (parts.iter().cloned().map(Value::Object).collect(), NewSources::from_parts(&parts)),
            Some(sources) => {
                let own = parts.into_iter().filter(|part| !is_source_part(part)).map(Value::Object);
                (own.chain(sources.parts()).collect(), sources)
            }
        };
        Some(Self {
            client_id,
            parent,
            role: role?,
            content: text_of(&parts),
            parts,
            sources: sources.sources().to_vec(),
            source_embeddings: sources.embeddings().cloned(),
            metadata,
            model,
            usage,
        })
    }
}

fn text_part(text: String) -> Vec<Map<String, Value>> {
    let mut part = Map::new();
    part.insert("type".into(), "text".into());
    part.insert("text".into(), text.into());
    vec![part]
}

fn is_source_part(part: &Map<String, Value>) -> bool {
    part.get("type").is_some_and(|kind| kind == "source-url" || kind == "source-document")
}

/// Where a part's file is, if it is one: mostly it is the file itself.
fn file_url(part: &Map<String, Value>) -> Option<&str> {
    part.get("type").filter(|kind| *kind == "file").and_then(|_| part.get("url")).and_then(Value::as_str)
}

/// The text of the text parts, an empty line between two of them.
pub(super) fn text_of(parts: &[Value]) -> String {
    let texts = parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n\n")
}

impl FromJson for MessageId {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let text = String::from_json(value, at, faults)?;
        checked(text.parse(), at, faults)
    }
}

impl FromJson for Role {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let text = String::from_json(value, at, faults)?;
        let role = Self::from_word(&text).filter(|role| *role != Self::System);
        checked(role.ok_or("must be one of: user, assistant, tool"), at, faults)
    }
}

/// A part of an AI SDK `UIMessage`. What else it holds is for its type to say, and is kept as it came.
///
/// This type documents what every part has; `text` and `reasoning` need a `text` beside it, `source-url` a `sourceId` and
/// a `url`, `source-document` a `sourceId`, a `mediaType` and a `title`.
#[derive(Debug, ToSchema)]
pub struct Part {
    /// `text`, `reasoning`, `source-url`, `source-document`, `file`, `tool-…`, `data-…`, …
    #[schema(rename = "type")]
    pub kind: String,
}

/// A message's parts: objects with a `type`; what further types hold is the front end's affair.
pub(super) struct Parts(pub(super) Vec<Map<String, Value>>);

impl FromJson for Parts {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let List(parts) = List::<Map<String, Value>, 1, { limits::PARTS }>::from_json(value, at, faults)?;
        for (i, part) in parts.iter().enumerate() {
            let mut must_be_text = |name: &str| {
                let detail = match part.get(name) {
                    Some(Value::String(_)) => return,
                    Some(_) => "must be a string",
                    None => "is missing",
                };
                faults.push(Fault::body(format!("{at}/{i}/{name}"), detail));
            };
            must_be_text("type");
            let kind = part.get("type").and_then(Value::as_str);
            match kind {
                Some("text" | "reasoning") => must_be_text("text"),
                Some("source-url") => ["sourceId", "url"].into_iter().for_each(must_be_text),
                Some("source-document") => ["sourceId", "mediaType", "title"].into_iter().for_each(must_be_text),
                _ => {}
            }
            let fault = match (kind, part.get("url")) {
                (Some("source-url" | "source-document"), Some(Value::String(url))) if !is_web_url(url) => {
                    "must be an http or https link"
                }
                (Some("file"), Some(url)) if !is_file_url(url, part.get("mediaType")) => {
                    "must be an http or https link, or a data: URL of the part's mediaType"
                }
                _ => continue,
            };
            faults.push(Fault::body(format!("{at}/{i}/url"), fault));
        }
        let size = serde_json::to_string(&parts).map_or(usize::MAX, |json| json.len());
        // Files are bounded by the body that brings them, and by the page that shows them.
        let files: usize = parts.iter().filter_map(file_url).map(str::len).sum();
        if size.saturating_sub(files) > limits::PARTS_BYTES {
            let detail = format!("must have at most {} bytes of JSON without its files", limits::PARTS_BYTES);
            faults.push(Fault::body(at, detail));
        }
        (faults.len() == before).then_some(Self(parts))
    }
}

/// Whether a file's link leads nowhere but to the web, or is the file itself, of the type that it is said to be.
fn is_file_url(url: &Value, media_type: Option<&Value>) -> bool {
    let Some(url) = url.as_str() else { return false };
    let stated = media_type.and_then(Value::as_str).unwrap_or_default();
    // A front end that can't tell a file's type leaves it empty.
    let of_type = |data: &DataUrl<'_>| stated.is_empty() || data.media_type().eq_ignore_ascii_case(stated);
    is_web_url(url) || DataUrl::parse(url).is_some_and(|data| of_type(&data) && data.bytes().is_some())
}

/// A name that a client gives. None has the form of our ids: a path that names something by one of ours must not lead to
/// something else.
pub(super) struct GivenId(pub(super) ClientId);

impl FromJson for GivenId {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let id = ClientId::from_json(value, at, faults)?;
        let fault = "must not be a UUID of version 7, the form of this API's own ids";
        let is_ours = MessageRef::parse(id.as_str()).is_ours();
        checked((!is_ours).then_some(Self(id)).ok_or(fault), at, faults)
    }
}

struct ModelName(String);

impl FromJson for ModelName {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let text = String::from_json(value, at, faults)?;
        let fits = (1..=limits::MODEL_CHARS).contains(&text.chars().count());
        let result =
            fits.then_some(Self(text)).ok_or_else(|| format!("must have 1 to {} characters", limits::MODEL_CHARS));
        checked(result, at, faults)
    }
}

struct Usage(Map<String, Value>);

impl FromJson for Usage {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let usage = Map::from_json(value, at, faults)?;
        let size = serde_json::to_string(&usage).map_or(usize::MAX, |json| json.len());
        let result = (size <= limits::USAGE_BYTES).then_some(Self(usage));
        checked(result.ok_or_else(|| format!("must have at most {} bytes of JSON", limits::USAGE_BYTES)), at, faults)
    }
}

/// Messages to be appended: all or none of them are stored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessages {
    /// 1 to 100 messages, in their order.
    #[schema(min_items = 1, max_items = 100)]
    pub messages: Vec<NewMessage>,
}

impl FromJson for NewMessages {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut object = Object::open(value, at, faults)?;
        let messages = object.required::<List<NewMessage, 1, { limits::BATCH }>>("messages", faults);
        object.close(faults);
        Some(Self { messages: messages?.0 })
    }
}

impl NewMessages {
    /// Names the rows that have no client id of their own after the request's `Idempotency-Key`: `KEY:0`, `KEY:1`, …
    pub fn with_key(&mut self, key: Option<&ClientId>) {
        let Some(key) = key else { return };
        for (i, message) in self.messages.iter_mut().enumerate().filter(|(_, message)| message.client_id.is_none()) {
            message.client_id = ClientId::try_from(format!("{}:{i}", key.as_str())).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::NewConversation;

    fn read<T: FromJson>(value: Value) -> T {
        let mut faults = Vec::new();
        let read = T::from_json(value, "", &mut faults);
        read.unwrap_or_else(|| panic!("{faults:?}"))
    }

    /// Hashes are stored. Were they to change with a release, a retry that began before it would be a 422 after it.
    #[test]
    fn the_hash_of_a_request_never_changes() {
        let message = json!({
            "clientId": "a", "role": "assistant", "content": "Twenty [1].", "metadata": {"b": 1, "a": [true, null]},
            "sources": [{"url": "https://example.com/handbook", "score": 0.83, "embedding": [0.5]}],
            "model": "m-1", "usage": {"inputTokens": 9},
        });
        assert_eq!(
            read::<NewMessage>(message.clone()).request_hash(),
            "063fc78ebdd05ff173b8fcb3bd5b9f0c4b63cbba45fad4a4acfb8217a1776733"
        );
        let conversation = json!({"clientId": "c", "title": "Leave", "metadata": {"x": 1}, "messages": [message]});
        assert_eq!(
            read::<NewConversation>(conversation).request_hash(),
            "bcaac4c5ff52ee8d85ff52415615554996820d6d7f9b35bbd34c233ba2c36989"
        );
    }

    #[test]
    fn the_order_of_members_and_the_name_of_a_message_leave_its_hash_alone() {
        let hash = |value| read::<NewMessage>(value).request_hash();
        let first = hash(json!({"clientId": "a", "role": "user", "content": "Hi", "metadata": {"a": 1, "b": 2}}));
        assert_eq!(
            hash(json!({"metadata": {"b": 2, "a": 1}, "content": "Hi", "role": "user", "clientId": "b"})),
            first
        );
        assert_eq!(
            hash(json!({"parts": [{"type": "text", "text": "Hi"}], "role": "user", "metadata": {"a": 1, "b": 2}})),
            first
        );
        for other in [
            json!({"role": "user", "content": "Hi"}),
            json!({"role": "tool", "content": "Hi", "metadata": {"a": 1, "b": 2}}),
        ] {
            assert_ne!(hash(other), first);
        }
    }
}

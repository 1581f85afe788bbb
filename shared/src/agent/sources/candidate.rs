//! What an agent says of a source, under whatever names, and the source that is made of it.

use serde_json::{Map, Number, Value};

use super::links;
use crate::model::{cut, is_web_url, limits};

type Object = Map<String, Value>;

/// A source before it is numbered.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate {
    pub(super) url: Option<String>,
    pub(super) title: Option<String>,
    pub(super) snippet: Option<String>,
    pub(super) score: Option<Number>,
    pub(super) document_id: Option<String>,
    pub(super) chunk_id: Option<String>,
    pub(super) filename: Option<String>,
    pub(super) media_type: Option<String>,
    /// What else was said of it.
    pub(super) extra: Object,
}

/// What is ours to say, or too large for what it is worth.
const NOT_KEPT: [&str; 6] = ["id", "type", "object", "embedding", "vector", "embeddings"];

/// What a source's members are called here.
const OURS: [&str; 8] = ["url", "title", "snippet", "score", "documentId", "chunkId", "filename", "mediaType"];

impl Candidate {
    /// Reads an object by the names that are in use for each member. What `LangChain` says in `metadata` and `LlamaIndex` in
    /// `node` counts where the object itself says nothing.
    pub(super) fn of(object: &Object) -> Self {
        let mut candidate = Self::of_members(object);
        for name in ["node", "kwargs", "document"] {
            if let Some(Value::Object(inner)) = candidate.extra.remove(name) {
                candidate.fill(Self::of(&inner));
            }
        }
        if let Some(Value::Object(metadata)) = object.get("metadata") {
            let mut said = Self::of_members(metadata);
            said.extra.clear();
            if let Some(origin) = metadata.get("source").and_then(Value::as_str).filter(|origin| !origin.is_empty()) {
                let place = if is_web_url(origin) { &mut said.url } else { &mut said.filename };
                place.get_or_insert(origin.to_owned());
            }
            candidate.fill(said);
        }
        candidate
    }

    fn of_members(object: &Object) -> Self {
        let mut rest = object.clone();
        rest.retain(|_, value| !value.is_null() && value != "");
        let id = text(&mut rest, &["id", "id_"]);
        let mut candidate = Self {
            url: text(&mut rest, &["url", "link", "uri", "href", "source_url"]),
            title: text(&mut rest, &["title", "name", "document_title"]),
            snippet: text(
                &mut rest,
                &[
                    "snippet",
                    "content",
                    "text",
                    "quote",
                    "content_with_weight",
                    "page_content",
                    "pageContent",
                    "cited_text",
                ],
            ),
            score: number(&mut rest, &["score", "similarity", "rerank_score", "relevance_score"]),
            document_id: text(&mut rest, &["documentId", "document_id", "doc_id", "file_id"]),
            chunk_id: text(&mut rest, &["chunkId", "chunk_id"]),
            filename: text(
                &mut rest,
                &["filename", "file_name", "filepath", "file_path", "document_name", "docnm_kwd"],
            ),
            media_type: text(&mut rest, &["mediaType", "media_type", "mime_type", "content_type"]),
            extra: rest,
        };
        // A bare id names the chunk where something else names the document.
        if let Some(id) = id {
            let place =
                if candidate.document_id.is_some() { &mut candidate.chunk_id } else { &mut candidate.document_id };
            place.get_or_insert(id);
        }
        candidate.extra.retain(|name, _| !NOT_KEPT.contains(&name.as_str()));
        candidate
    }

    /// Takes from another what this one doesn't say.
    fn fill(&mut self, other: Self) {
        let Self { url, title, snippet, score, document_id, chunk_id, filename, media_type, extra } = other;
        self.url = self.url.take().or(url);
        self.title = self.title.take().or(title);
        self.snippet = self.snippet.take().or(snippet);
        self.score = self.score.take().or(score);
        self.document_id = self.document_id.take().or(document_id);
        self.chunk_id = self.chunk_id.take().or(chunk_id);
        self.filename = self.filename.take().or(filename);
        self.media_type = self.media_type.take().or(media_type);
        for (name, value) in extra {
            self.extra.entry(name).or_insert(value);
        }
    }

    /// What says which page or document it is.
    pub(super) fn place(&self) -> Option<&str> {
        let members = [&self.url, &self.document_id, &self.filename, &self.title];
        members.into_iter().find_map(Option::as_deref)
    }

    /// Whether there is nothing that a reader could be shown.
    pub(super) fn is_empty(&self) -> bool {
        self.place().is_none() && self.snippet.is_none()
    }

    /// Takes away links that don't lead to the web.
    pub(super) fn without_bad_links(mut self) -> Self {
        self.url = self.url.filter(|url| links::is_good(url));
        for name in [&mut self.document_id, &mut self.chunk_id, &mut self.filename, &mut self.title] {
            name.take_if(|text| links::runs(text));
        }
        links::remove_running(&mut self.extra);
        self
    }

    /// The name of its file without folders.
    pub(super) fn file_title(&self) -> Option<String> {
        let name = self.filename.as_ref()?.rsplit(['/', '\\']).next()?.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }

    pub(super) fn into_source(self, id: String, title: &str) -> Object {
        let mut source = if size_of(&self.extra) <= limits::SOURCE_EXTRA_BYTES { self.extra } else { Object::new() };
        // What is left under a name of ours isn't what the name says.
        source.retain(|name, _| !OURS.contains(&name.as_str()));
        let kind = if self.url.is_some() { "url" } else { "document" };
        source.insert("id".into(), id.into());
        source.insert("type".into(), kind.into());
        source.insert("title".into(), cut(title, limits::SOURCE_TITLE_CHARS).into());
        let short = |text: String| cut(&text, limits::SOURCE_TITLE_CHARS);
        for (name, value) in [
            ("url", self.url),
            ("snippet", self.snippet.map(|snippet| cut(&snippet, limits::SNIPPET_CHARS))),
            ("documentId", self.document_id.map(short)),
            ("chunkId", self.chunk_id.map(short)),
            ("filename", self.filename.map(short)),
            ("mediaType", self.media_type.map(short)),
        ] {
            if let Some(value) = value {
                source.insert(name.into(), value.into());
            }
        }
        if let Some(score) = self.score {
            source.insert("score".into(), score.into());
        }
        source
    }
}

impl From<&Value> for Candidate {
    /// Reads an entry of a list: an object, a link, or a name.
    fn from(value: &Value) -> Self {
        match value {
            Value::Object(object) => Self::of(object),
            Value::String(text) => {
                let text = text.trim().to_owned();
                if is_web_url(&text) {
                    Self { url: Some(text), ..Self::default() }
                } else {
                    Self { title: Some(text).filter(|text| !text.is_empty()), ..Self::default() }
                }
            }
            _ => Self::default(),
        }
    }
}

/// The first of these members that holds text, or a number as text; all of them are taken out.
fn text(object: &mut Object, names: &[&str]) -> Option<String> {
    let mut found = None;
    for name in names {
        let value = match object.remove(*name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Some(Value::Number(number)) => Some(number.to_string()),
            // Not what its name says: kept as it is.
            Some(other @ (Value::Object(_) | Value::Array(_))) => {
                object.insert((*name).to_owned(), other);
                None
            }
            _ => None,
        };
        found = found.or(value);
    }
    found
}

fn number(object: &mut Object, names: &[&str]) -> Option<Number> {
    let name = names.iter().find(|name| object.get(**name).is_some_and(Value::is_number))?;
    match object.remove(*name) {
        Some(Value::Number(number)) => Some(number),
        _ => None,
    }
}

/// Whether a member of a source is one that is known here.
pub(super) fn is_known(name: &str) -> bool {
    matches!(name, "id" | "type") || OURS.contains(&name)
}

/// The bytes of an object as compact JSON.
pub(in crate::agent) fn size_of(object: &Object) -> usize {
    serde_json::to_string(object).map_or(usize::MAX, |json| json.len())
}

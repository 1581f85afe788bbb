//! What an agent says of a source, under whatever names, and the source that is made of it.

use serde_json::{Map, Number, Value};

use crate::model::{cut, limits};

type Object = Map<String, Value>;

/// A source before it is numbered.
#[derive(Debug, Default)]
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
    /// Reads an object by the names that are in use for each member.
    pub(super) fn of(object: &Object) -> Self {
        let mut rest = object.clone();
        rest.retain(|_, value| !value.is_null() && value != "");
        let id = text(&mut rest, &["id"]);
        let mut candidate = Self {
            url: text(&mut rest, &["url", "link", "uri"]),
            title: text(&mut rest, &["title", "name"]),
            snippet: text(&mut rest, &["snippet", "content", "text", "quote", "content_with_weight"]),
            score: number(&mut rest, &["score", "similarity", "rerank_score", "relevance_score"]),
            document_id: text(&mut rest, &["documentId", "document_id", "doc_id", "file_id"]),
            chunk_id: text(&mut rest, &["chunkId", "chunk_id"]),
            filename: text(&mut rest, &["filename", "file_name", "filepath", "document_name", "docnm_kwd"]),
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

    /// A bare link.
    pub(super) fn link(url: &str) -> Self {
        Self { url: Some(url.to_owned()), ..Self::default() }
    }

    /// What tells it from others: its link, else its document and chunk, else its passage. `None` where there is nothing
    /// that a reader could be shown.
    pub(super) fn key(&self) -> Option<String> {
        if let Some(url) = &self.url {
            return Some(url.clone());
        }
        let document = self.document_id.as_ref().or(self.filename.as_ref()).or(self.title.as_ref());
        match (document, &self.chunk_id) {
            (Some(document), Some(chunk)) => Some(format!("{document}\0{chunk}")),
            (Some(document), None) if self.document_id.is_some() || self.snippet.is_none() => {
                Some(format!("{document}\0"))
            }
            (None, None) if self.snippet.is_none() => None,
            (document, _) => Some(format!("{document:?}\0\0{:?}", self.snippet)),
        }
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

/// The bytes of an object as compact JSON.
pub(in crate::agent) fn size_of(object: &Object) -> usize {
    serde_json::to_string(object).map_or(usize::MAX, |json| json.len())
}

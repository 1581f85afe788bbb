//! The sources of one answer, made alike: numbered, told apart, capped, and never fetched.

mod candidate;
mod shapes;

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::model::{NewSources, cut, is_web_url, limits};
use candidate::Candidate;

pub(super) use candidate::size_of;

type Object = Map<String, Value>;

/// Collects the sources of an answer as they arrive.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// What tells the sources apart that are already there.
    keys: HashSet<String>,
    ids: HashSet<String>,
    number: usize,
    bytes: usize,
    left_out: usize,
    /// Bare links, kept back until it is clear that nothing richer comes: see [`Sources::rest`].
    links: Vec<Candidate>,
    searched: bool,
}

impl Sources {
    /// The new sources in a frame of an OpenAI-compatible stream, whose `delta` or `message` is `message`.
    pub(super) fn of_completion(&mut self, frame: &Object, message: Option<&Object>) -> Vec<Object> {
        let found = shapes::probe(frame, message);
        self.searched |= found.searched;
        // Perplexity repeats the list in every frame.
        if !found.links.is_empty() {
            self.links = found.links;
        }
        found.candidates.into_iter().filter_map(|candidate| self.add(candidate)).collect()
    }

    /// The new source in an annotation, as OpenAI's Responses send them one by one.
    pub(super) fn of_annotation(&mut self, annotation: &Value) -> Option<Object> {
        shapes::annotation(annotation).and_then(|candidate| self.add(candidate))
    }

    /// The source of a part of the AI SDK, which keeps its id.
    pub(super) fn of_part(&mut self, part: &Object) -> Option<Object> {
        let mut source = NewSources::from_parts(std::slice::from_ref(part)).sources().first()?.clone();
        source.retain(|_, value| !value.is_null());
        let text = |source: &Object, name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
        let url = text(&source, "url").filter(|url| is_good_url(url));
        if url.is_none() {
            source.remove("url");
            source.insert("type".into(), "document".into());
        }
        let id = text(&source, "id").filter(|id| (1..=200).contains(&id.chars().count()) && !self.ids.contains(id));
        let key = url.clone().or_else(|| id.clone()).unwrap_or_else(|| Value::Object(source.clone()).to_string());
        if self.keys.contains(&key) {
            return None;
        }
        let id = id.unwrap_or_else(|| self.next_id());
        let title = text(&source, "title").or_else(|| text(&source, "filename")).filter(|title| !title.is_empty());
        let title = title.or_else(|| url.as_deref().and_then(host)).unwrap_or_else(|| self.unnamed());
        source.insert("title".into(), cut(&title, limits::SOURCE_TITLE_CHARS).into());
        source.insert("id".into(), id.into());
        self.keep(key, source)
    }

    /// What is only known to be all at the end: bare links, where nothing said more of what was found.
    pub(super) fn rest(&mut self) -> Vec<Object> {
        let links = std::mem::take(&mut self.links);
        if self.left_out > 0 {
            tracing::warn!(left_out = self.left_out, "the agent has more sources than an answer keeps");
        }
        if self.searched { Vec::new() } else { links.into_iter().filter_map(|link| self.add(link)).collect() }
    }

    fn add(&mut self, mut candidate: Candidate) -> Option<Object> {
        candidate.url = candidate.url.filter(|url| is_good_url(url));
        let key = candidate.key()?;
        if self.keys.contains(&key) {
            return None;
        }
        let title = candidate.title.take().or_else(|| candidate.file_title());
        let title = title.or_else(|| candidate.url.as_deref().and_then(host)).unwrap_or_else(|| self.unnamed());
        let id = self.next_id();
        self.keep(key, candidate.into_source(id, &title))
    }

    /// Keeps a source if there is room, if need be without what else was said of it.
    fn keep(&mut self, key: String, source: Object) -> Option<Object> {
        let size = size_of(&source);
        if self.ids.len() >= limits::ANSWER_SOURCES || self.bytes + size > limits::ANSWER_SOURCES_BYTES {
            self.left_out += 1;
            return None;
        }
        self.bytes += size;
        self.keys.insert(key);
        if let Some(id) = source.get("id").and_then(Value::as_str) {
            self.ids.insert(id.to_owned());
        }
        Some(source)
    }

    fn next_id(&mut self) -> String {
        loop {
            self.number += 1;
            let id = format!("s{}", self.number);
            if !self.ids.contains(&id) {
                return id;
            }
        }
    }

    fn unnamed(&self) -> String {
        format!("Source {}", self.ids.len() + 1)
    }
}

/// Whether a link is one that a reader may be led to: `javascript:` and `data:` links are a way into their page.
fn is_good_url(url: &str) -> bool {
    url.len() <= limits::SOURCE_URL_BYTES
        && is_web_url(url)
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
        && host(url).is_some()
}

fn host(url: &str) -> Option<String> {
    reqwest::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

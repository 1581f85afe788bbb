//! Where OpenAI-compatible services put their sources, in the order in which they are looked for.
//!
//! | service | where |
//! |---|---|
//! | OpenAI, OpenRouter | `annotations` |
//! | Azure OpenAI On Your Data | `context.citations` |
//! | RAGFlow | `reference` |
//! | Open WebUI and many others | `sources` |
//! | LlamaIndex, LangChain | `source_nodes`, `source_documents`, `documents`, a list as `context` |
//! | Perplexity, xAI | links in `citations`, with what `search_results` say of them |

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::candidate::Candidate;
use super::open_webui;

type Object = Map<String, Value>;

/// A kind of list, which services send again as it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Annotations,
    Citations,
    Reference,
    Sources,
    Documents,
    Links,
    Results,
}

impl Kind {
    /// Whether an entry is a passage, of which a page may have several; otherwise it is a page, or a mention of one.
    pub(super) fn has_passages(self) -> bool {
        !matches!(self, Self::Annotations | Self::Links | Self::Results)
    }
}

/// One entry of a list.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) candidate: Candidate,
    /// What tells the files of Open WebUI apart.
    pub(super) file: Option<String>,
}

impl From<Candidate> for Entry {
    fn from(candidate: Candidate) -> Self {
        Self { candidate, file: None }
    }
}

/// Where in a frame sources may stand: the delta, the message, what stands beside them, the frame itself.
pub(super) fn places<'a>(frame: &'a Object, choice: Option<&'a Object>) -> Vec<&'a Object> {
    let within = |name: &str| choice.and_then(|choice| choice.get(name)?.as_object());
    let spoken = [within("delta"), within("message")].into_iter().flatten();
    // LiteLLM puts there what the service added.
    let beside = |place: &'a Object| [Some(place), place.get("provider_specific_fields").and_then(Value::as_object)];
    spoken.chain(choice).chain([frame]).flat_map(beside).flatten().collect()
}

/// The members of this name, where they are lists.
pub(super) fn arrays<'a>(places: &'a [&Object], name: &'static str) -> impl DoubleEndedIterator<Item = &'a Vec<Value>> {
    let members = places.iter().filter_map(move |place| place.get(name)?.as_array());
    members.filter(|list| !list.is_empty())
}

/// The lists in these places, but for those of [`Web`](super::web::Web).
pub(super) fn lists(places: &[&Object]) -> Vec<(Kind, Vec<Entry>)> {
    let members = |name: &'static str| places.iter().filter_map(move |place| place.get(name));
    let mut lists = Vec::new();
    for list in arrays(places, "annotations") {
        lists.push((Kind::Annotations, annotations(list.iter())));
    }
    for citations in members("context").filter_map(|context| context.get("citations")?.as_array()) {
        lists.push((Kind::Citations, entries(citations)));
    }
    for reference in members("reference").chain(members("references")) {
        lists.push((Kind::Reference, chunks(reference)));
    }
    for list in arrays(places, "sources") {
        lists.push((Kind::Sources, entries(list)));
    }
    for name in ["source_nodes", "source_documents", "documents", "context"] {
        for list in arrays(places, name) {
            lists.push((Kind::Documents, entries(list)));
        }
    }
    lists.retain(|(_, entries)| !entries.is_empty());
    lists
}

/// `{"type":"url_citation","url_citation":{…}}`, or the same without the inner object, as OpenAI's Responses have it.
fn annotation(annotation: &Value) -> Option<Candidate> {
    let object = annotation.as_object()?;
    let kind = object.get("type")?.as_str()?;
    // A `file_path` is a file that was made, no source.
    if !kind.ends_with("citation") {
        return None;
    }
    Some(Candidate::of(object.get(kind).and_then(Value::as_object).unwrap_or(object)))
}

pub(super) fn annotations<'a>(list: impl Iterator<Item = &'a Value>) -> Vec<Entry> {
    list.filter_map(annotation).map(Entry::from).collect()
}

/// RAGFlow's chunks: a list, a list within an object, or an object by number.
fn chunks(reference: &Value) -> Vec<Entry> {
    match reference.get("chunks").unwrap_or(reference) {
        Value::Array(chunks) => entries(chunks),
        Value::Object(chunks) => {
            let numbered = chunks.iter().filter_map(|(name, chunk)| Some((name.parse().ok()?, chunk)));
            let mut chunks: Vec<(u64, &Value)> = numbered.collect();
            // By number, not by text: 10 comes after 9.
            chunks.sort_by_key(|(number, _)| *number);
            chunks.into_iter().map(|(_, chunk)| Entry::from(Candidate::from(chunk))).collect()
        }
        _ => Vec::new(),
    }
}

/// The entries of a list. One of which nothing can be told keeps its place where another follows.
fn entries(list: &[Value]) -> Vec<Entry> {
    let (mut entries, mut files) = (Vec::new(), HashMap::new());
    let grouped = list.iter().any(|value| value.get("document").is_some_and(Value::is_array));
    for value in list {
        // Open WebUI counts no empty group.
        if grouped && value.as_object().is_some_and(Map::is_empty) {
            continue;
        }
        let is_group = value.as_object().is_some_and(|group| open_webui::read(group, &mut entries, &mut files));
        if !is_group {
            entries.push(Candidate::from(value).into());
        }
    }
    while entries.pop_if(|entry| entry.file.is_none() && entry.candidate.is_empty()).is_some() {}
    entries
}

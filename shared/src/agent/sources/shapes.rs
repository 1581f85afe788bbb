//! Where OpenAI-compatible services put their sources, in the order in which they are looked for.
//!
//! | service | where |
//! |---|---|
//! | OpenAI, OpenRouter | `annotations` of the message |
//! | Azure OpenAI On Your Data | `context.citations` of the message |
//! | RAGFlow | `reference` of the message |
//! | Open WebUI and many others | `sources` of the frame |
//! | Perplexity | `search_results` of the frame, or bare links in `citations` |

use serde_json::{Map, Value};

use super::candidate::Candidate;
use crate::model::is_web_url;

type Object = Map<String, Value>;

/// What a frame says of sources.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    /// Bare links: worth something only where nothing richer comes.
    pub(super) links: Vec<Candidate>,
    /// Whether there were search results, of which bare links are a copy.
    pub(super) searched: bool,
}

pub(super) fn probe(frame: &Object, message: Option<&Object>) -> Found {
    let mut found = Found::default();
    // Some services put into the frame what others put into the message.
    let member = |name: &str| message.and_then(|message| message.get(name)).or_else(|| frame.get(name));
    let list = |name: &str| member(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);

    found.candidates.extend(list("annotations").iter().filter_map(annotation));
    let citations = member("context").and_then(|context| context.get("citations")).and_then(Value::as_array);
    found.candidates.extend(citations.into_iter().flatten().filter_map(Value::as_object).map(Candidate::of));
    if let Some(reference) = member("reference") {
        found.candidates.extend(chunks(reference).into_iter().filter_map(Value::as_object).map(Candidate::of));
    }
    for source in list("sources") {
        group(source, &mut found.candidates);
    }
    let results = list("search_results");
    found.searched = !results.is_empty();
    found.candidates.extend(results.iter().filter_map(Value::as_object).map(Candidate::of));
    found.links.extend(list("citations").iter().filter_map(|citation| match citation {
        Value::String(url) => Some(Candidate::link(url)),
        Value::Object(object) => Some(Candidate::of(object)),
        _ => None,
    }));
    found
}

/// `{"type":"url_citation","url_citation":{…}}`, or the same without the inner object, as OpenAI's Responses have it.
pub(super) fn annotation(annotation: &Value) -> Option<Candidate> {
    let object = annotation.as_object()?;
    let kind = object.get("type")?.as_str()?;
    // A `file_path` is a file that was made, no source.
    if !kind.ends_with("citation") {
        return None;
    }
    Some(Candidate::of(object.get(kind).and_then(Value::as_object).unwrap_or(object)))
}

/// RAGFlow's chunks: a list, a list within an object, or an object by number.
fn chunks(reference: &Value) -> Vec<&Value> {
    let chunks = reference.get("chunks").unwrap_or(reference);
    match chunks {
        Value::Array(chunks) => chunks.iter().collect(),
        Value::Object(chunks) => {
            let mut chunks: Vec<(&String, &Value)> = chunks.iter().collect();
            // By number, not by text: 10 comes after 9.
            chunks.sort_by_key(|(name, _)| (name.parse::<u64>().unwrap_or(u64::MAX), name.as_str()));
            chunks.into_iter().map(|(_, chunk)| chunk).collect()
        }
        _ => Vec::new(),
    }
}

/// One of Open WebUI's groups, `{"source":{…},"document":[…],"metadata":[…],"distances":[…]}`, a source for each of its
/// documents; or a source as it is.
fn group(source: &Value, candidates: &mut Vec<Candidate>) {
    let object = match source {
        Value::String(url) => return candidates.push(Candidate::link(url)),
        Value::Object(object) => object,
        _ => return,
    };
    let list = |name: &str| object.get(name).and_then(Value::as_array);
    let (Some(documents), metadata) = (list("document"), list("metadata")) else {
        return candidates.push(Candidate::of(object));
    };
    // Of the group no more than this: it may hold who owns the collection, their e-mail address included.
    let whole = object.get("source");
    let of_whole = |name: &str| whole.and_then(|whole| whole.get(name)).and_then(Value::as_str).map(str::to_owned);
    for (i, document) in documents.iter().enumerate() {
        let said =
            metadata.and_then(|metadata| metadata.get(i)).and_then(Value::as_object).cloned().unwrap_or_default();
        let mut candidate = Candidate::of(&said);
        candidate.snippet = document.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(Value::String(origin)) = candidate.extra.remove("source") {
            let place = if is_web_url(&origin) { &mut candidate.url } else { &mut candidate.filename };
            place.get_or_insert(origin);
        }
        candidate.url = candidate.url.or_else(|| of_whole("url"));
        candidate.title = candidate.title.or_else(|| of_whole("name"));
        candidate.document_id = candidate.document_id.or_else(|| of_whole("id"));
        if candidate.url.is_none() {
            candidate.chunk_id = candidate.chunk_id.or_else(|| Some(i.to_string()));
        }
        if let Some(Value::Number(distance)) = list("distances").and_then(|distances| distances.get(i)) {
            candidate.score = Some(distance.clone());
        }
        candidates.push(candidate);
    }
}

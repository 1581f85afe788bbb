//! Open WebUI's groups of passages, `{"source":{…},"document":[…],"metadata":[…],"distances":[…]}`.
//!
//! Its `[n]` is the n-th distinct file of all groups, told apart by the passage's `source`, else by the group's id:
//! <https://github.com/open-webui/open-webui/blob/main/src/lib/components/chat/Messages/Citations.svelte>

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::candidate::Candidate;
use super::shapes::Entry;
use crate::model::{is_web_url, limits};

/// Adds the files of a group to the entries; false where it is no group. `files` says where among the entries each stands.
pub(super) fn read(group: &Map<String, Value>, entries: &mut Vec<Entry>, files: &mut HashMap<String, usize>) -> bool {
    let list = |name: &str| group.get(name).and_then(Value::as_array);
    let Some(documents) = list("document") else { return false };
    for (i, document) in documents.iter().enumerate() {
        let metadata = list("metadata").and_then(|metadata| metadata.get(i)).and_then(Value::as_object);
        let file = file(group, metadata);
        let passage = document.as_str().map(str::trim).filter(|text| !text.is_empty());
        if let Some(at) = files.get(&file) {
            if let (Some(entry), Some(passage)) = (entries.get_mut(*at), passage) {
                add(&mut entry.candidate.snippet, passage);
            }
            continue;
        }
        files.insert(file.clone(), entries.len());
        let mut candidate = candidate(group, metadata);
        candidate.snippet = passage.map(str::to_owned);
        if let Some(Value::Number(distance)) = list("distances").and_then(|distances| distances.get(i)) {
            candidate.score = Some(distance.clone());
        }
        entries.push(Entry { candidate, file: Some(file) });
    }
    true
}

/// What its passages have in common.
fn file(group: &Map<String, Value>, metadata: Option<&Map<String, Value>>) -> String {
    let source = group.get("source").and_then(Value::as_object);
    let of = |object: Option<&Map<String, Value>>, name: &str| match object?.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let mut names = ["id", "name", "url"].into_iter();
    of(metadata, "source").or_else(|| names.find_map(|name| of(source, name))).unwrap_or_default()
}

fn candidate(group: &Map<String, Value>, metadata: Option<&Map<String, Value>>) -> Candidate {
    // Of the group no more than this: it may hold who owns the collection, their e-mail address included.
    let of_group = |name: &str| group.get("source")?.get(name)?.as_str().map(str::to_owned);
    let mut candidate = Candidate::of(&metadata.cloned().unwrap_or_default());
    if let Some(Value::String(origin)) = candidate.extra.remove("source") {
        let place = if is_web_url(&origin) { &mut candidate.url } else { &mut candidate.filename };
        place.get_or_insert(origin);
    }
    if let Some(Value::String(url)) = candidate.extra.remove("source_url") {
        candidate.url = Some(url);
    }
    candidate.url = candidate.url.or_else(|| of_group("url"));
    candidate.title = candidate.title.or_else(|| of_group("name"));
    candidate.document_id = candidate.document_id.or_else(|| of_group("id"));
    candidate
}

fn add(snippet: &mut Option<String>, passage: &str) {
    match snippet {
        // What is beyond isn't kept.
        Some(snippet) if snippet.len() > limits::SNIPPET_CHARS * 4 => {}
        Some(snippet) => *snippet = format!("{snippet}\n\n{passage}"),
        None => *snippet = Some(passage.to_owned()),
    }
}

//! The sources that an answer rests on.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::Fault;
use crate::model::input::{FromJson, List, Object};
use crate::model::{cut, limits};

/// A source of an answer. Any further member is kept as it came.
///
/// This type documents the members that Colloquy knows; it is stored and answered as the client sent it.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Source {
    /// Unique in its message; numbered `s1`, `s2`, … where it is missing.
    #[schema(min_length = 1, max_length = 200, value_type = String, required = false)]
    pub id: Option<String>,
    /// `url` or `document`; `url` where it is missing and there is a `url`.
    #[schema(rename = "type", pattern = "^(url|document)$", value_type = String, required = false)]
    pub kind: Option<String>,
    /// Only `http` and `https`. Never fetched.
    #[schema(example = "https://example.com/handbook", pattern = "^[Hh][Tt][Tt][Pp][Ss]?://", value_type = String, required = false)]
    pub url: Option<String>,
    /// What a reader is shown.
    #[schema(value_type = String, required = false)]
    pub title: Option<String>,
    /// The passage that was used.
    #[schema(value_type = String, required = false)]
    pub snippet: Option<String>,
    /// How well it matched.
    #[schema(value_type = f64, required = false)]
    pub score: Option<f64>,
    /// The retriever's document.
    #[schema(value_type = String, required = false)]
    pub document_id: Option<String>,
    /// The retriever's chunk.
    #[schema(value_type = String, required = false)]
    pub chunk_id: Option<String>,
    /// Stored apart and answered only with `include=embeddings`.
    #[schema(value_type = Vec<f64>, required = false)]
    pub embedding: Option<Vec<f64>>,
}

/// A message's sources, ready to be stored: each with an id and a type, their embeddings taken out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewSources {
    sources: Vec<Map<String, Value>>,
    /// By source id.
    embeddings: Map<String, Value>,
}

impl NewSources {
    /// The sources, without embeddings.
    #[must_use]
    pub fn sources(&self) -> &[Map<String, Value>] {
        &self.sources
    }

    /// Their embeddings by source id; `None` where there are none.
    #[must_use]
    pub fn embeddings(&self) -> Option<&Map<String, Value>> {
        (!self.embeddings.is_empty()).then_some(&self.embeddings)
    }

    /// The AI SDK's parts for these sources.
    pub fn parts(&self) -> impl Iterator<Item = Value> {
        self.sources.iter().map(Self::part_of)
    }

    /// The AI SDK's part for the `n`th source of a message, from 1. As its provider's metadata it tells what a reader is
    /// shown of it: which source it is, the beginning of the passage, how well it matched.
    #[must_use]
    pub fn nth_part_of(source: &Map<String, Value>, n: usize) -> Value {
        let mut part = Self::part_of(source);
        let mut shown = Map::from_iter([("n".to_owned(), Value::from(n))]);
        if let Some(Value::String(snippet)) = source.get("snippet") {
            shown.insert("snippet".to_owned(), cut(snippet, limits::SHOWN_SNIPPET_CHARS).into());
        }
        if let Some(score) = source.get("score").filter(|score| score.is_number()) {
            shown.insert("score".to_owned(), score.clone());
        }
        if let Value::Object(part) = &mut part {
            let metadata = part.entry("providerMetadata").or_insert_with(|| Value::Object(Map::new()));
            metadata["colloquy"] = Value::Object(shown);
        }
        part
    }

    /// The AI SDK's part for a source. It shows what the front end's types know; the rest is in `sources`.
    /// <https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message>
    #[must_use]
    pub fn part_of(source: &Map<String, Value>) -> Value {
        let is_url = source.get("type").is_some_and(|kind| kind == "url");
        let mut part = json!({
            "type": if is_url { "source-url" } else { "source-document" },
            "sourceId": source.get("id"),
        });
        let text = |name: &str| source.get(name).filter(|value| value.is_string()).cloned();
        let title = text("title").or_else(|| text("filename"));
        if let Value::Object(part) = &mut part {
            if is_url {
                part.insert("url".into(), source.get("url").cloned().unwrap_or_default());
                part.extend(title.map(|title| ("title".into(), title)));
            } else {
                part.insert("mediaType".into(), text("mediaType").unwrap_or_else(|| "text/plain".into()));
                // The SDK's schema demands a title of a document.
                part.insert("title".into(), title.or_else(|| source.get("id").cloned()).unwrap_or_default());
                part.extend(text("filename").map(|filename| ("filename".into(), filename)));
            }
            // An object of objects, or the SDK's reader refuses it.
            let metadata = source.get("providerMetadata").and_then(Value::as_object);
            let metadata = metadata.filter(|metadata| metadata.values().all(Value::is_object));
            part.extend(metadata.map(|metadata| ("providerMetadata".into(), metadata.clone().into())));
        }
        part
    }

    /// The sources that an AI SDK message carries in its parts.
    #[must_use]
    pub fn from_parts(parts: &[Map<String, Value>]) -> Self {
        let sources = parts.iter().filter_map(|part| {
            let kind = part.get("type")?.as_str()?.strip_prefix("source-")?;
            let mut source: Map<String, Value> =
                part.iter().filter(|(name, _)| !matches!(name.as_str(), "type" | "sourceId")).map(own).collect();
            // What this API showed of it when it was streamed.
            if let Some(Value::Object(metadata)) = source.get_mut("providerMetadata")
                && let Some(Value::Object(shown)) = metadata.remove("colloquy")
            {
                if metadata.is_empty() {
                    source.remove("providerMetadata");
                }
                source.extend(shown.into_iter().filter(|(name, _)| matches!(name.as_str(), "snippet" | "score")));
            }
            source.insert("id".into(), part.get("sourceId")?.clone());
            source.insert("type".into(), kind.into());
            Some(source)
        });
        Self { sources: sources.collect(), embeddings: Map::new() }
    }
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

impl FromJson for NewSources {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let List(items) = List::<Map<String, Value>, 0, { limits::SOURCES }>::from_json(value, at, faults)?;
        let mut new = Self::default();
        let mut ids: Vec<String> = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            let pointer = format!("{at}/{i}");
            let Some(source) = check_source(item, &pointer, faults) else { continue };
            if let Some(Value::String(id)) = source.get("id") {
                if ids.contains(id) {
                    faults.push(Fault::body(format!("{pointer}/id"), "is the id of an earlier source, too"));
                }
                ids.push(id.clone());
            }
            new.sources.push(source);
        }
        let mut number = 0;
        for source in &mut new.sources {
            let id = if let Some(Value::String(id)) = source.get("id") {
                id.clone()
            } else {
                let id = loop {
                    number += 1;
                    let id = format!("s{number}");
                    if !ids.contains(&id) {
                        break id;
                    }
                };
                source.insert("id".into(), id.as_str().into());
                id
            };
            if let Some(embedding) = source.remove("embedding") {
                new.embeddings.insert(id, embedding);
            }
        }
        let size = serde_json::to_string(&new.sources).map_or(usize::MAX, |json| json.len());
        if size > limits::SOURCES_BYTES {
            let detail = format!("must have at most {} bytes of JSON without embeddings", limits::SOURCES_BYTES);
            faults.push(Fault::body(at, detail));
        }
        (faults.len() == before).then_some(new)
    }
}

/// Checks what Colloquy knows of a source, and lets the rest be.
fn check_source(item: Map<String, Value>, at: &str, faults: &mut Vec<Fault>) -> Option<Map<String, Value>> {
    let before = faults.len();
    let mut object = Object::open(Value::Object(item.clone()), at, faults)?;
    let id: Option<String> = object.optional("id", faults);
    if id.is_some_and(|id| id.is_empty() || id.chars().count() > 200) {
        faults.push(Fault::body(object.pointer("id"), "must have 1 to 200 characters"));
    }
    let url: Option<String> = object.optional("url", faults);
    if url.as_deref().is_some_and(|url| !is_web_url(url)) {
        faults.push(Fault::body(object.pointer("url"), "must begin with http:// or https://"));
    }
    let kind: Option<String> = object.optional("type", faults);
    match (kind.as_deref(), &url) {
        (None | Some("document"), _) | (Some("url"), Some(_)) => {}
        (Some("url"), None) => faults.push(Fault::body(object.pointer("url"), "is missing")),
        (Some(_), _) => faults.push(Fault::body(object.pointer("type"), "must be one of: url, document")),
    }
    for name in ["title", "snippet"] {
        let _: Option<String> = object.optional(name, faults);
    }
    if let Some(embedding) = object.take("embedding") {
        let numbers = embedding.as_array().filter(|array| array.iter().all(Value::is_number));
        if numbers.is_none_or(|numbers| numbers.len() > limits::EMBEDDING_NUMBERS) {
            let detail = format!("must be an array of at most {} numbers", limits::EMBEDDING_NUMBERS);
            faults.push(Fault::body(object.pointer("embedding"), detail));
        }
    }
    let mut source = item;
    source.retain(|_, value| !value.is_null());
    if !source.contains_key("type") {
        source.insert("type".into(), if url.is_some() { "url" } else { "document" }.into());
    }
    (faults.len() == before).then_some(source)
}

/// Whether a link leads to the web: `javascript:` and `data:` links are a way into a reader's page.
pub(crate) fn is_web_url(url: &str) -> bool {
    // A browser passes over white space and control characters within a scheme, and what it then sees may be another.
    let Some((scheme, rest)) =
        url.split_once("://").filter(|_| !url.contains(|c: char| c.is_whitespace() || c.is_control()))
    else {
        return false;
    };
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_web && !rest.is_empty() && !rest.starts_with(['/', '?', '#'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_part_shows_its_number_the_passage_and_what_its_agent_adds() {
        let source = object(&json!({
            "id": "s1", "type": "url", "url": "https://a.example", "title": "A", "snippet": "x".repeat(900), "score": 0.5,
            "providerMetadata": {"rag": {"page": 3}, "colloquy": {"n": 9}},
        }));
        let part = NewSources::nth_part_of(&source, 2);
        let metadata = &part["providerMetadata"];
        assert_eq!(metadata["rag"], json!({"page": 3}));
        assert_eq!((&metadata["colloquy"]["n"], &metadata["colloquy"]["score"]), (&json!(2), &json!(0.5)));
        let snippet = metadata["colloquy"]["snippet"].as_str().unwrap_or_default();
        assert_eq!(snippet.chars().count(), limits::SHOWN_SNIPPET_CHARS);

        for odd in [json!("x"), json!([]), json!({"rag": 7}), json!({"rag": {}, "other": null})] {
            let source = object(&json!({"id": "s1", "type": "document", "providerMetadata": odd, "score": "high"}));
            let part = NewSources::nth_part_of(&source, 1);
            assert_eq!(part["providerMetadata"], json!({"colloquy": {"n": 1}}), "{odd}");
        }
    }

    #[test]
    fn a_part_that_was_streamed_says_what_its_source_said() {
        for extra in [json!({}), json!({"providerMetadata": {"rag": {"page": 3}}})] {
            let mut source = object(&json!({
                "id": "s1", "type": "url", "url": "https://a.example", "title": "A", "snippet": "x", "score": 0.5,
            }));
            source.extend(object(&extra));
            let part = object(&NewSources::nth_part_of(&source, 1));
            assert_eq!(NewSources::from_parts(&[part]).sources(), [source]);
        }
    }
}

//! Properties: whatever an agent sends, nothing panics, and what is passed on is a stream that a front end can read.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::dialect;
use crate::agent::events::AgentEvent;
use crate::agent::reading::{Next, Reading};
use crate::model::{NewSources, is_web_url, limits};
use crate::ui_stream::OpenParts;

/// Reads an answer and holds what comes of it to what the relay and a front end rely on.
fn holds(name: &str, bytes: &[u8], size: usize) -> Result<(), TestCaseError> {
    let mut reading = Reading::new(dialect(name));
    let (mut parts, mut ids, mut ended, mut stored) = (OpenParts::default(), HashSet::new(), false, 0);
    let mut pieces = bytes.chunks(size);
    loop {
        match reading.take() {
            Next::Bytes => match pieces.next() {
                Some(piece) => reading.read(piece),
                None => reading.end_of_bytes("text/event-stream"),
            },
            Next::Event(event) => {
                prop_assert!(!ended, "nothing comes after the end");
                match event {
                    AgentEvent::Chunk(chunk) => {
                        prop_assert!(!chunk.is_terminal());
                        prop_assert_eq!(parts.observe(&chunk), Ok(()), "{:?}", chunk);
                    }
                    AgentEvent::Source { chunk, source } => {
                        prop_assert_eq!(chunk.to_json(), NewSources::part_of(&source));
                        prop_assert!(ids.insert(source["id"].clone()), "one name, one source");
                        prop_assert!(source["title"].as_str().is_some_and(|title| !title.is_empty()));
                        let url = source.get("url").map(|url| url.as_str().unwrap_or_default());
                        prop_assert!(url.is_none_or(is_web_url), "{:?}", url);
                        prop_assert_eq!(source["type"] == "url", url.is_some());
                        stored += Value::Object(source).to_string().len();
                    }
                    AgentEvent::Model(model) => {
                        prop_assert!((1..=limits::MODEL_CHARS).contains(&model.chars().count()));
                    }
                    AgentEvent::SourcesLeftOut(number) => prop_assert!(number > 0),
                    AgentEvent::Usage(usage) => prop_assert!(usage.values().all(Value::is_u64)),
                    AgentEvent::Finish(_) => {
                        prop_assert!(parts.close().is_empty(), "what has ended well has closed its parts");
                        ended = true;
                    }
                }
            }
            Next::Failure(_) => {
                prop_assert!(!ended);
                ended = true;
            }
            Next::End => break,
        }
    }
    prop_assert!(ended, "every answer has an outcome");
    prop_assert!(stored <= limits::ANSWER_SOURCES_BYTES);
    Ok(())
}

/// JSON of any shape, with the names and words that mean something in a stream more often than chance.
fn any_json(names: &'static [&'static str], words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let texts = prop_oneof![select(words).prop_map(str::to_owned), any::<String>()];
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => (0_u64..3).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        6 => texts.prop_map(Value::from),
    ];
    let names = prop_oneof![9 => select(names).prop_map(str::to_owned), 1 => any::<String>()];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

const SOURCE_NAMES: &[&str] = &[
    "url",
    "link",
    "title",
    "name",
    "snippet",
    "content",
    "text",
    "score",
    "similarity",
    "document_id",
    "chunk_id",
    "id",
    "type",
    "url_citation",
    "file_citation",
    "filename",
    "filepath",
    "document",
    "metadata",
    "distances",
    "source",
    "chunks",
    "citations",
    "sources",
    "embedding",
    "mediaType",
];
const SOURCE_WORDS: &[&str] = &[
    "https://example.com/",
    "http://x",
    "javascript:alert(1)",
    "url_citation",
    "file_citation",
    "a",
    "b",
    "",
    "s1",
    "s2",
];

/// A piece of an answer whose shape is right and whose contents are anybody's guess.
fn delta() -> impl Strategy<Value = Value> {
    let text =
        || select(vec![json!("words"), json!(""), json!(null), json!([{"type": "text", "text": "x"}]), json!(7)]);
    let ids = || select(vec![json!(null), json!("call_1"), json!("call_2"), json!("a"), json!("")]);
    let call = (
        0_u64..3,
        ids(),
        select(vec![json!("search"), json!(null), json!("")]),
        select(vec![json!("{}"), json!("{\"a"), json!({"b": 1})]),
    );
    let call = call.prop_map(|(index, id, name, arguments)| {
        json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]})
    });
    prop_oneof![
        3 => text().prop_map(|text| json!({"content": text})),
        2 => text().prop_map(|text| json!({"reasoning_content": text, "content": "both"})),
        1 => text().prop_map(|text| json!({"reasoning": text, "refusal": text})),
        4 => call,
        2 => (ids(), text()).prop_map(|(id, text)| json!({"role": "tool", "tool_call_id": id, "content": text})),
        1 => any_json(SOURCE_NAMES, SOURCE_WORDS).prop_map(|it| json!({"annotations": [it], "context": {"citations": [it]}})),
        1 => any_json(SOURCE_NAMES, SOURCE_WORDS).prop_map(|it| json!({"reference": it})),
    ]
}

fn completion_frame() -> impl Strategy<Value = Value> {
    let reasons = select(vec![
        json!(null),
        json!(null),
        json!(null),
        json!(""),
        json!("stop"),
        json!("tool_calls"),
        json!("odd"),
    ]);
    prop_oneof![
        6 => (delta(), reasons).prop_map(|(delta, reason)| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})),
        1 => any_json(SOURCE_NAMES, SOURCE_WORDS).prop_map(|it| json!({"sources": [it], "choices": []})),
        1 => any_json(SOURCE_NAMES, SOURCE_WORDS).prop_map(|it| json!({"search_results": [it], "citations": it})),
        1 => any_json(SOURCE_NAMES, SOURCE_WORDS).prop_map(|it| json!({"type": "response.output_text.annotation.added", "annotation": it})),
        1 => any_json(SOURCE_NAMES, SOURCE_WORDS).prop_map(|it| json!({"usage": it, "model": it, "choices": it})),
        1 => Just(json!({"usage": {"prompt_tokens": 1, "completion_tokens": u64::MAX}, "model": "m"})),
    ]
}

const UI_NAMES: &[&str] = &[
    "type",
    "id",
    "delta",
    "sourceId",
    "url",
    "title",
    "mediaType",
    "filename",
    "toolCallId",
    "toolName",
    "input",
    "output",
    "inputTextDelta",
    "data",
    "messageMetadata",
    "usage",
    "providerMetadata",
    "errorText",
];

/// A frame of the AI SDK, mostly a good one.
fn ui_frame() -> impl Strategy<Value = Value> {
    let ids = || select(vec!["a", "b"]);
    let kinds = vec!["text-start", "text-delta", "text-end", "reasoning-start", "reasoning-delta", "reasoning-end"];
    let tools = vec![
        "tool-input-start",
        "tool-input-delta",
        "tool-input-available",
        "tool-output-available",
        "tool-output-error",
    ];
    prop_oneof![
        6 => (select(kinds), ids()).prop_map(|(kind, id)| json!({"type": kind, "id": id, "delta": "x"})),
        3 => (select(tools), ids()).prop_map(|(kind, id)| json!({
            "type": kind, "toolCallId": id, "toolName": "t", "inputTextDelta": "{", "input": 1, "output": 2, "errorText": "e",
        })),
        1 => select(vec!["start", "start-step", "finish-step", "start-step"]).prop_map(|kind| json!({"type": kind})),
        2 => (ids(), select(SOURCE_WORDS)).prop_map(|(id, url)| json!({"type": "source-url", "sourceId": id, "url": url})),
        1 => ids().prop_map(|id| json!({"type": "source-document", "sourceId": id, "mediaType": "text/plain", "title": ""})),
        1 => any_json(UI_NAMES, &["start", "finish", "text-start", "file", "data-x", "https://example.com/"]),
    ]
}

fn stream(frames: &[Value], done: bool) -> String {
    let data: Vec<String> = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    data.concat() + if done { "data: [DONE]\n\n" } else { "" }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_completion_becomes_a_good_stream(frames in prop::collection::vec(completion_frame(), 0..12), done in any::<bool>(), size in 1_usize..200) {
        holds("openai", stream(&frames, done).as_bytes(), size)?;
    }

    #[test]
    fn a_passage_stays_a_good_stream(frames in prop::collection::vec(ui_frame(), 0..12), done in any::<bool>(), size in 1_usize..200) {
        holds("ui_", stream(&frames, done).as_bytes(), size)?;
    }

    #[test]
    fn any_document_has_an_outcome(document in any_json(SOURCE_NAMES, SOURCE_WORDS), message in any_json(SOURCE_NAMES, SOURCE_WORDS)) {
        holds("openai", document.to_string().as_bytes(), 4096)?;
        holds("openai", json!({"choices": [{"message": message}], "sources": document}).to_string().as_bytes(), 4096)?;
    }

    #[test]
    fn any_bytes_have_an_outcome(bytes in prop::collection::vec(any::<u8>(), 0..200), data in any::<bool>(), size in 1_usize..50) {
        let bytes = if data { [b"data: ", bytes.as_slice(), b"\n\n"].concat() } else { bytes };
        holds("openai", &bytes, size)?;
        holds("ui_", &bytes, size)?;
    }
}

//! What holds of every stream, shown with made-up ones.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// Any JSON, without what the SDK refuses.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-z]{0,6}", any_json(), 0..3).prop_map(|members| members.into_iter().collect())
}

/// A field that may be absent or null.
fn maybe(strategy: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![Just(None), Just(Some(Value::Null)), strategy.prop_map(Some)].boxed()
}

fn field(name: &str) -> BoxedStrategy<Option<Value>> {
    let text = "\\PC{0,20}|[\\x00-\\x7f]{0,8}".prop_map(Value::from);
    match name {
        "id" | "delta" | "toolCallId" | "toolName" | "inputTextDelta" | "sourceId" | "url" | "mediaType"
        | "errorText" | "approvalId" | "title" | "kind" => text.prop_map(Some).boxed(),
        "input" | "output" | "data" => any_json().prop_map(Some).boxed(),
        "approvalDescriptor" | "inputSchemaInput" => maybe(any_json()),
        "providerExecuted" | "dynamic" | "transient" | "preliminary" | "isAutomatic" => {
            maybe(any::<bool>().prop_map(Value::from))
        }
        "messageMetadata" | "toolMetadata" => maybe(object().prop_map(Value::from)),
        "providerMetadata" => {
            let providers = prop::collection::btree_map("[a-z]{1,6}", object(), 0..3);
            maybe(providers.prop_map(|providers| json!(providers)))
        }
        "approved" => any::<bool>().prop_map(|flag| Some(flag.into())).boxed(),
        "parts" => text.prop_map(|text| Some(json!([{"type": "text", "text": text}]))).boxed(),
        "citations" => {
            let source =
                |id| json!({"type": "source", "sourceType": "document", "id": id, "mediaType": "m", "title": "t"});
            maybe(text.prop_map(move |id| json!([{"source": source(id), "startIndex": 1}])))
        }
        "finishReason" => maybe(prop::sample::select(&FinishReason::ALL[..5]).prop_map(|word| word.as_str().into())),
        "inputEncoding" => maybe(prop::sample::select(InputEncoding::ALL).prop_map(|word| word.as_str().into())),
        _ => maybe(text),
    }
}

const FIELDS: [&str; 34] = [
    "approvalDescriptor",
    "approvalId",
    "approved",
    "citations",
    "data",
    "delta",
    "dynamic",
    "errorText",
    "filename",
    "finishReason",
    "id",
    "input",
    "inputEncoding",
    "inputSchemaInput",
    "inputTextDelta",
    "isAutomatic",
    "kind",
    "mediaType",
    "messageId",
    "messageMetadata",
    "output",
    "parts",
    "preliminary",
    "providerExecuted",
    "providerMetadata",
    "reason",
    "signature",
    "sourceId",
    "title",
    "toolCallId",
    "toolMetadata",
    "toolName",
    "transient",
    "url",
];

pub(super) const KINDS: [&str; 30] = [
    "start",
    "message-metadata",
    "start-step",
    "finish-step",
    "text-start",
    "text-delta",
    "text-end",
    "reasoning-start",
    "reasoning-delta",
    "reasoning-end",
    "source-url",
    "source-document",
    "file",
    "tool-input-start",
    "tool-input-delta",
    "tool-input-available",
    "tool-input-error",
    "tool-approval-request",
    "tool-output-available",
    "tool-output-error",
    "tool-output-denied",
    "data-weather",
    "custom",
    "reasoning-file",
    "steering-message",
    "tool-approval-response",
    "reset-step",
    "finish",
    "abort",
    "error",
];

/// A frame of any type with every field that any type has: those of other types are superfluous, as an agent's may be.
fn any_frame() -> impl Strategy<Value = Value> {
    let fields: Vec<_> = FIELDS.iter().map(|name| field(name)).collect();
    (prop::sample::select(&KINDS[..]), fields).prop_map(|(kind, values)| {
        let fields = FIELDS.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        let mut frame: Map<String, Value> = fields.collect();
        frame.insert("type".to_owned(), kind.into());
        frame.into()
    })
}

pub(super) fn any_chunk() -> impl Strategy<Value = Chunk> {
    any_frame().prop_map(|frame| Chunk::parse(frame.clone()).unwrap_or_else(|bad| panic!("{frame} {bad}")))
}

/// Frames whose names collide, so that many of them belong together and many don't.
pub(super) fn colliding_chunk() -> impl Strategy<Value = Chunk> {
    (prop::sample::select(&KINDS[..]), prop::sample::select(vec!["a", "b"]), ".{0,3}", any::<bool>()).prop_map(
        |(kind, id, text, flag)| {
            let frame = json!({
                "type": kind, "id": id, "toolCallId": id, "toolName": "search", "delta": text, "inputTextDelta": text,
                "input": text, "output": text, "errorText": text, "sourceId": id, "url": text, "mediaType": text,
                "title": text, "approvalId": id, "kind": text, "parts": [], "approved": flag, "dynamic": flag.then_some(true), "messageMetadata": {},
                "providerMetadata": flag.then(|| json!({"p": {"text": text}})),
            });
            Chunk::parse(frame).expect("a frame")
        },
    )
}

/// What a stream is made of: where it breaks decides little, where its lines end decides much.
fn event_bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        prop::sample::select(vec![
            "data:", "data: ", "data", ":", " ", "\n", "\r", "\r\n", "\n\n", "\u{feff}", "event: x", "é", "😀",
            "[DONE]",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

/// What a decoder gives in all, and whether it found an event too long.
fn decode<'a>(cap: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
    let mut decoder = sse::Decoder::new(cap);
    let mut events = Vec::new();
    for piece in pieces {
        match decoder.feed(piece) {
            Ok(more) => events.extend(more),
            Err(sse::TooLong) => return (events, true),
        }
    }
    match decoder.finish() {
        Ok(last) => events.extend(last),
        Err(sse::TooLong) => return (events, true),
    }
    (events, false)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_frame_is_read_as_it_was_written(chunk in any_chunk()) {
        let json = chunk.to_json();
        // The SDK takes null where any JSON may stand, and nowhere else.
        for (name, value) in json.as_object().expect("an object") {
            prop_assert!(!value.is_null() || ["input", "output", "data"].contains(&name.as_str()), "{name} of {json}");
        }
        prop_assert_eq!(&Chunk::parse(json.clone()), &Ok(chunk.clone()));
        prop_assert_eq!(frame(&chunk).len(), frame(&json).len());
        let events = decode(usize::MAX, [&frame(&chunk)[..]]).0;
        let [event] = events.as_slice() else { panic!("{events:?}") };
        prop_assert_eq!(serde_json::from_str::<Value>(event).expect("JSON"), json);
    }

    #[test]
    fn where_a_stream_is_cut_makes_no_difference(bytes in event_bytes(), cap in 0..60usize, cut in 1..9usize) {
        let whole = decode(cap, [bytes.as_slice()]);
        prop_assert_eq!(&decode(cap, bytes.chunks(1)), &whole);
        prop_assert_eq!(&decode(cap, bytes.chunks(cut)), &whole);
        prop_assert!(whole.0.iter().all(|event| !event.is_empty()));
    }

    #[test]
    fn no_bytes_panic(bytes in event_bytes(), value in any_json(), kind in prop::sample::select(&KINDS[..]), name in "\\PC{0,9}") {
        for event in decode(usize::MAX, [bytes.as_slice()]).0 {
            let _ = serde_json::from_str(&event).map(Chunk::parse);
        }
        let _ = Chunk::parse(value.clone());
        for name in FIELDS.iter().copied().chain([name.as_str()]) {
            let _ = Chunk::parse(json!({"type": kind, name: value}));
        }
    }

    #[test]
    fn merged_frames_say_the_same(chunks in prop::collection::vec(colliding_chunk(), 0..30)) {
        let mut merged = Vec::new();
        for chunk in &chunks {
            merge(&mut merged, chunk);
        }
        let merged: Vec<Chunk> = merged.into_iter().map(|frame| Chunk::parse(frame).expect("a frame")).collect();
        prop_assert_eq!(letters(&merged), letters(&chunks));
        for pair in merged.windows(2) {
            let same = std::mem::discriminant(&pair[0]) == std::mem::discriminant(&pair[1]);
            prop_assert!(!same || delta_of(&pair[0]).is_none_or(|it| Some(it.0) != delta_of(&pair[1]).map(|it| it.0)));
        }
    }

    #[test]
    fn what_is_closed_is_over(chunks in prop::collection::vec(colliding_chunk(), 0..40)) {
        let mut open = OpenParts::default();
        let mut sent = Vec::new();
        for chunk in chunks {
            let before = open.close_before(&chunk);
            sent.extend(before);
            if open.observe(&chunk).is_ok() {
                sent.push(chunk);
            }
        }
        sent.extend(open.close());
        let mut again = OpenParts::default();
        for chunk in &sent {
            prop_assert_eq!(again.observe(chunk), Ok(()));
        }
        prop_assert_eq!(again.close(), []);
    }
}

fn delta_of(chunk: &Chunk) -> Option<(&str, &str)> {
    match chunk {
        Chunk::TextDelta { id, delta, .. } | Chunk::ReasoningDelta { id, delta, .. } => Some((id, delta)),
        Chunk::ToolInputDelta { tool_call_id, input_text_delta } => Some((tool_call_id, input_text_delta)),
        _ => None,
    }
}

/// The frames with every delta split into its characters; the last of a run has what the provider added.
fn letters(chunks: &[Chunk]) -> Vec<String> {
    let mut letters: Vec<String> = Vec::new();
    for chunk in chunks {
        let Some((id, text)) = delta_of(chunk) else {
            letters.push(chunk.to_json().to_string());
            continue;
        };
        let prefix = format!("{} {id}", chunk.kind());
        letters.extend(text.chars().map(|letter| format!("{prefix} {letter}")));
    }
    letters
}

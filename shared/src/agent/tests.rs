//! Streams in the shapes that services document, read whole, and split at every byte.
//!
//! | stream | after |
//! |---|---|
//! | `openai` | <https://platform.openai.com/docs/api-reference/chat-streaming>, <https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat> |
//! | `completion` | <https://platform.openai.com/docs/api-reference/chat/object> |
//! | `responses` | <https://platform.openai.com/docs/api-reference/responses-streaming> |
//! | `openrouter` | <https://openrouter.ai/docs/api-reference/streaming>, <https://openrouter.ai/docs/features/web-search> |
//! | `perplexity` | <https://docs.perplexity.ai/guides/streaming-responses> |
//! | `azure` | <https://learn.microsoft.com/azure/ai-services/openai/references/on-your-data> |
//! | `open_webui` | <https://github.com/openai-php/client/issues/545>, <https://docs.openwebui.com/features/plugin/tools/development> |
//! | `ragflow` | <https://ragflow.io/docs/dev/http_api_reference> |
//! | `vllm` | <https://docs.vllm.ai/en/latest/features/reasoning_outputs.html> |
//! | `llama_cpp` | <https://github.com/ggml-org/llama.cpp/blob/master/docs/function-calling.md> |
//! | `tools` | <https://docs.mistral.ai/capabilities/reasoning/>, and results of tools as agents stream them |
//! | `ui_message_stream` | <https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol> |

mod limits;
mod properties;
mod tools;

use serde_json::{Value, json};

use super::events::AgentEvent;
use super::failure::{AgentFailure, FailureKind};
use super::reading::{Dialect, Next, Reading};
use crate::model::NewSources;

macro_rules! recorded {
    ($($name:ident)+) => {
        [$((
            stringify!($name),
            include_str!(concat!("tests/recorded/", stringify!($name), ".sse")),
            include_str!(concat!("tests/recorded/", stringify!($name), ".json")),
        )),+]
    };
}

/// Name, stream, and the events that it is read as.
const RECORDED: [(&str, &str, &str); 17] = recorded![
    openai completion responses openrouter openrouter_error perplexity perplexity_links azure open_webui ragflow
    ragflow_failure vllm vllm_error llama_cpp tools ui_message_stream ui_message_stream_error
];

fn dialect(name: &str) -> Dialect {
    if name.starts_with("ui_") { Dialect::Passage(Box::default()) } else { Dialect::Completion(Box::default()) }
}

/// All that is read of an answer that comes in these pieces.
fn read<'a>(dialect: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Value> {
    read_as("text/event-stream; charset=utf-8", dialect, pieces)
}

fn read_as<'a>(content_type: &str, dialect: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Value> {
    let mut reading = Reading::new(dialect);
    let mut told = Vec::new();
    let mut take = |reading: &mut Reading| {
        loop {
            told.push(match reading.take() {
                Next::Event(event) => tell(event),
                Next::Failure(failure) => tell_failure(&failure),
                Next::Bytes => return false,
                Next::End => return true,
            });
        }
    };
    let ended = pieces.into_iter().any(|piece| {
        reading.read(piece);
        take(&mut reading)
    });
    if !ended {
        reading.end_of_bytes(content_type);
        assert!(take(&mut reading), "an end is an end");
    }
    told
}

fn tell(event: AgentEvent) -> Value {
    match event {
        AgentEvent::Chunk(chunk) => chunk.to_json(),
        AgentEvent::Source { chunk, source } => {
            assert_eq!(chunk.to_json(), NewSources::part_of(&source), "what is streamed is what is stored");
            json!({"source": source})
        }
        AgentEvent::SourcesLeftOut(number) => json!({"sourcesLeftOut": number}),
        AgentEvent::Usage(usage) => json!({"usage": usage}),
        AgentEvent::Model(model) => json!({"model": model}),
        AgentEvent::Finish(reason) => json!({"finish": reason.as_str()}),
    }
}

fn tell_failure(failure: &AgentFailure) -> Value {
    json!({"failure": failure.to_string(), "text": failure.text(), "gaveNothing": failure.gave_nothing()})
}

#[test]
fn every_recorded_stream_is_read_whole() {
    for (name, stream, expected) in RECORDED {
        let expected: Vec<Value> = serde_json::from_str(expected).unwrap();
        let read = read(dialect(name), [stream.as_bytes()]);
        assert_eq!(read, expected, "{name}:\n{}", Value::from(read.clone()));
        assert!(!Value::from(read).to_string().contains("canary"), "{name}");
    }
}

#[test]
fn how_a_stream_is_cut_into_pieces_makes_no_difference() {
    for (name, stream, expected) in RECORDED {
        let expected: Vec<Value> = serde_json::from_str(expected).unwrap();
        let bytes = stream.as_bytes();
        for at in 0..=bytes.len() {
            let (before, after) = bytes.split_at(at);
            assert_eq!(read(dialect(name), [before, after]), expected, "{name}, split at {at}");
        }
        for size in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(read(dialect(name), bytes.chunks(size)), expected, "{name}, pieces of {size}");
        }
        // As some servers and proxies write lines.
        let windows = stream.replace('\n', "\r\n");
        assert_eq!(read(dialect(name), windows.as_bytes().chunks(1)), expected, "{name}, CRLF");
        let marked = format!("\u{feff}{stream}");
        assert_eq!(read(dialect(name), marked.as_bytes().chunks(1)), expected, "{name}, byte order mark");
    }
}

/// A stream that ends anywhere is finished, or cut, and never panics; what came before is as it is.
#[test]
fn a_stream_may_end_at_every_byte() {
    for (name, stream, expected) in RECORDED {
        let expected: Vec<Value> = serde_json::from_str(expected).unwrap();
        let good = |value: &Value| value.get("failure").is_none() && value.get("finish").is_none();
        for end in 0..stream.len() {
            let read = read(dialect(name), [&stream.as_bytes()[..end]]);
            let last = read.last().expect("an outcome");
            assert!(last.get("failure").is_some() || last.get("finish").is_some(), "{name}, {end}: {read:?}");
            let text = |events: &[Value]| events.iter().filter_map(|event| event["delta"].as_str()).collect::<String>();
            let (read_text, whole) = (text(&read), text(&expected));
            assert!(whole.starts_with(&read_text), "{name}, {end}: {read_text}");
            assert!(read.iter().filter(|event| !good(event)).count() == 1, "{name}, {end}: one outcome");
        }
    }
}

fn failure(read: &[Value]) -> &str {
    read.last().and_then(|last| last["failure"].as_str()).unwrap_or_else(|| panic!("no failure: {read:?}"))
}

fn completion(stream: &str) -> Vec<Value> {
    read(Dialect::Completion(Box::default()), [stream.as_bytes()])
}

fn passage(stream: &str) -> Vec<Value> {
    read(Dialect::Passage(Box::default()), [stream.as_bytes()])
}

#[test]
fn what_is_no_stream_is_malformed() {
    for (stream, cause) in [
        ("<!doctype html><title>Sign in</title>", "no event in an answer of the type text/html"),
        ("SSH-2.0", "no event"),
        ("data: {\"a\n\n", "no JSON"),
        ("data: 1\n\n", "no JSON object"),
        ("data: [1]\n\n", "no JSON object"),
        ("data: {\"hello\":\"world\"}\n\ndata: [DONE]\n\n", "completion"),
        ("{\"hello\":\"world\"}", "completion"),
        ("{\"hello", "no JSON"),
        ("{} {}", "no JSON"),
        ("[]", "no event"),
        ("data: [DONE]\n\n", "completion"),
        ("{\"choices\":[{\"message\":{\"content\":\"\\ud8\"}}]}", "no JSON"),
    ] {
        let read = read_as("text/html; charset=utf-8", dialect("openai"), [stream.as_bytes()]);
        assert!(failure(&read).starts_with("the agent failed: malformed: "), "{stream}: {read:?}");
        assert!(failure(&read).contains(cause), "{stream}: {read:?}");
        assert_eq!(read.last().unwrap()["gaveNothing"], true, "{stream}");
    }
}

#[test]
fn what_a_passage_costs_is_told_where_it_is_said() {
    let stream = [
        json!({"type": "message-metadata", "messageMetadata": {"usage": {"inputTokens": 4}}}),
        json!({"type": "text-delta", "id": "t", "delta": "Twenty."}),
        json!({"type": "finish", "messageMetadata": {"totalUsage": {"inputTokens": 5}}}),
    ];
    let read = passage(&stream.map(|frame| format!("data: {frame}\n\n")).concat());
    let counts: Vec<_> = read.iter().map(|event| event["usage"]["inputTokens"].as_u64()).collect();
    assert_eq!(counts, [Some(4), None, None, Some(5), None, None], "{read:?}");
}

#[test]
fn what_the_sdk_cannot_read_is_left_out_and_the_rest_is_whole() {
    let frame = |frame: &str| format!("data: {frame}\n\n");
    for odd in [
        r#"{"type":"source-odd"}"#,
        r#"{"type":"a sentence, a secret"}"#,
        r#"{"type":1}"#,
        r#"{"type":"text-end","id":"u"}"#,
        r#"{"type":"text-start"}"#,
        r#"{"type":"text-start","id":"t"}"#,
        r#"{"type":"tool-output-available","toolCallId":"c","output":1}"#,
        r#"{"type":"data-x","data":{"__proto__":{}}}"#,
        r#"{"type":"start","messageMetadata":"v1"}"#,
        "nonsense",
    ] {
        let stream = [
            frame(r#"{"type":"text-start","id":"t"}"#),
            frame(odd),
            frame(r#"{"type":"text-delta","id":"t","delta":"Twenty."}"#),
            frame(r#"{"type":"text-end","id":"t"}"#),
            frame(r#"{"type":"finish","finishReason":"stop"}"#),
        ];
        let expected = json!([
            {"type": "text-start", "id": "t"}, {"type": "text-delta", "id": "t", "delta": "Twenty."},
            {"type": "text-end", "id": "t"}, {"finish": "stop"},
        ]);
        assert_eq!(json!(passage(&stream.concat())), expected, "{odd}");
    }
    assert!(failure(&passage("{\"type\":\"start\"}")).contains("malformed"));
    assert!(failure(&passage("data: {\"type\":\"abort\",\"reason\":\"canary\"}\n\n")).contains("cut: it aborted"));
    assert!(failure(&passage("data: {\"type\":\"start\"}\n\n")).contains("cut"));
}

#[test]
fn an_end_without_a_reason_is_an_end_where_the_service_says_so() {
    let delta = r#"data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}]}"#;
    let done = completion(&format!("{delta}\n\ndata: [DONE]\n\n"));
    assert_eq!(done.last().unwrap(), &json!({"finish": "stop"}));
    let cut = completion(&format!("{delta}\n\n"));
    assert_eq!(failure(&cut), "the agent failed: cut: it ended before it was finished");
    assert_eq!(cut.last().unwrap()["gaveNothing"], false);
    for nothing in ["", " ", ": keep-alive\n\n", "event: x\n\n"] {
        assert_eq!(failure(&completion(nothing)), "the agent failed: cut: it ended before it was finished");
    }
    // It had called a tool, and said more afterwards: the reason before that is none of the whole.
    let called = r#"data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;
    assert!(failure(&completion(&format!("{called}\n\n{delta}\n\n"))).contains("cut"));
    assert_eq!(completion(&format!("{called}\n\n")).last().unwrap(), &json!({"finish": "tool-calls"}));
    for (word, reason) in [
        ("content_filter", "content-filter"),
        ("function_call", "tool-calls"),
        ("max_tokens", "length"),
        ("odd", "other"),
    ] {
        let read = completion(&format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"{word}"}}]}}"#));
        assert_eq!(read.last().unwrap(), &json!({"finish": reason}));
    }
}

/// A reason to end is a note: words after it belong to the answer, and nothing that goes wrong after it breaks it.
#[test]
fn what_goes_wrong_after_a_reason_to_end_breaks_nothing() {
    let delta = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let reason =
        |reason: &str| format!("data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n");
    for odd in [
        "",
        "data: nonsense\n\n",
        "data: {\"cho",
        "data: {\"error\":{\"message\":\"x\",\"code\":500}}\n\n",
        "data: {\"error\":\"x\"}\n\ndata: [DONE]\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
    ] {
        for words in ["", " days"] {
            let read = completion(&(delta("Twenty") + &reason("length") + &delta(words) + odd));
            assert_eq!(read.last().unwrap(), &json!({"finish": "length"}), "{odd}");
            let text: String = read.iter().filter_map(|event| event["delta"].as_str()).collect();
            assert_eq!(text, format!("Twenty{words}"));
        }
    }
    let read = completion(&(delta("Twenty") + &reason("length") + &delta(".") + &reason("") + &reason("stop")));
    assert_eq!(read.last().unwrap(), &json!({"finish": "stop"}), "the last that says something");
}

#[test]
fn what_says_nothing_is_passed_over() {
    let words = r#"{"choices":[{"delta":{"content":"Twenty"}}]}"#;
    for odd in [
        "ping",
        "null",
        "1",
        "[]",
        "[1]",
        "{}",
        "\"\"",
        "{\"a",
        "{\"error\":\"\"}",
        "{\"error\":false}",
        "{\"error\":{}}",
        "{\"error\":[]}",
        "{\"error\":0}",
        "{\"error\":{\"code\":null,\"message\":\"\"}}",
        "{\"code\":0,\"message\":\"\"}",
        "{\"code\":200,\"message\":\"OK\"}",
        "{\"error\":{\"code\":200,\"message\":\"\"}}",
        "{\"choices\":[{\"delta\":{},\"error\":{}}]}",
        "{\"choices\":[],\"code\":200,\"message\":\"OK\"}",
        "{\"choices\":[{\"delta\":{}}],\"usage\":NaN}",
    ] {
        let read = completion(&format!("data: {odd}\n\ndata: {words}\n\ndata: {odd}\n\ndata: [DONE]\n\n"));
        assert_eq!(
            (read[1]["delta"].as_str(), read.last().unwrap()),
            (Some("Twenty"), &json!({"finish": "stop"})),
            "{odd}"
        );
    }
    for failing in
        ["{\"error\":\"x\"}", "{\"error\":true}", "{\"error\":{\"code\":500}}", "{\"code\":102,\"message\":\"x\"}"]
    {
        let read = completion(&format!("data: {failing}\n\ndata: {words}\n\n"));
        assert!(failure(&read).starts_with("the agent failed: reported"), "{failing}: {read:?}");
    }
}

#[test]
fn a_failure_shows_neither_what_was_said_nor_how_it_is_kept() {
    let report =
        r#"{"error":{"message":"canary-message","type":"invalid_request_error","code":"canary code, a sentence"}}"#;
    for stream in [report.to_owned(), format!("data: {report}\n\n")] {
        let read = completion(&stream);
        assert_eq!(failure(&read), "the agent failed: reported: invalid_request_error …");
        assert_eq!(read.last().unwrap()["text"], "The agent failed.");
    }
    let failure = AgentFailure::new(FailureKind::Reported(Some("canary".to_owned())), "");
    assert!(!format!("{failure:?} {failure}").contains("canary"));
    assert_eq!(failure.text(), "canary");
}

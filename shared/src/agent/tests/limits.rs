//! What is too much: of words, of frames, of sources.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{completion, failure, passage};
use crate::model::limits;

fn delta(text: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]}))
}

#[test]
fn an_answer_is_as_large_as_can_be_kept_and_no_larger() {
    let piece = "x".repeat(64 * 1024);
    let pieces = limits::ANSWER_BYTES / piece.len() - 1;
    let stream = delta(&piece).repeat(pieces) + "data: [DONE]\n\n";
    assert_eq!(completion(&stream).last().unwrap(), &json!({"finish": "stop"}));
    let stream = delta(&piece).repeat(pieces + 1) + "data: [DONE]\n\n";
    let read = completion(&stream);
    assert_eq!(failure(&read), "the agent failed: too large: its frames");
    assert_eq!(read.last().unwrap()["gaveNothing"], false);
    // As JSON a control character is six bytes.
    let stream = delta(&"\u{1}".repeat(limits::ANSWER_BYTES / 6)) + "data: [DONE]\n\n";
    assert!(failure(&completion(&stream)).contains("too large"));
    // A tree takes many times the bytes that it is written with.
    let data = format!("data: {}\n\n", json!({"type": "data-x", "data": vec![json!({}); 9_998]}));
    let read = passage(&(data.repeat(2) + "data: [DONE]\n\n"));
    assert_eq!(read.last().unwrap(), &json!({"finish": "stop"}));
    let read = passage(&(data.repeat(3) + "data: [DONE]\n\n"));
    assert_eq!((read.len(), failure(&read)), (3, "the agent failed: too large: its frames"));
    assert_eq!(
        completion(&(delta("x").repeat(40_000) + "data: [DONE]\n\n")).last().unwrap(),
        &json!({"finish": "stop"})
    );
    let data = format!("data: {}\n\n", json!({"type": "data-x", "data": piece}));
    assert_eq!(failure(&passage(&data.repeat(17))), "the agent failed: too large: its frames");
}

#[test]
fn an_event_and_a_document_have_a_limit() {
    let large = "x".repeat(limits::AGENT_EVENT_BYTES);
    assert_eq!(failure(&completion(&format!("data: {large}"))), "the agent failed: too large: one event");
    assert_eq!(failure(&completion(&format!("{{\"a\":\"{large}"))), "the agent failed: too large: one event");
    // Words that are whole before it are told.
    let read = completion(&(delta("Twenty") + "data: " + &large));
    assert_eq!((read[1]["delta"].as_str(), failure(&read)), (Some("Twenty"), "the agent failed: too large: one event"));
}

#[test]
fn an_event_of_too_many_values_or_too_deep_is_left_out_alone() {
    let many = |item: &str, bytes: usize| format!("[{}]", vec![item; bytes / (item.len() + 1)].join(","));
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let large = limits::AGENT_EVENT_BYTES - 1000;
    for odd in [
        many("[]", large),
        many("{\"a\":{}}", large),
        many("{\"\":0}", large),
        many("0", large),
        many("1e400", large),
        nested(limits::AGENT_DEPTH),
        nested(100_000),
    ] {
        let shape = &odd[..10];
        let frame = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"lost\"}}}}],\"sources\":{odd}}}\n\n");
        let read = completion(&(delta("Twenty ") + &frame + &delta("days.") + "data: [DONE]\n\n"));
        let words: String = read.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!((words.as_str(), read.last().unwrap()), ("Twenty days.", &json!({"finish": "stop"})), "{shape}");
        assert_eq!(sources(&read).len(), 0, "{shape}");

        let part = format!("data: {{\"type\":\"data-x\",\"data\":{odd}}}\n\n");
        let words = "data: {\"type\":\"text-delta\",\"id\":\"t\",\"delta\":\"Twenty\"}\n\n";
        let read = passage(&(part + words + "data: [DONE]\n\n"));
        assert!(read.iter().all(|event| event["type"] != "data-x"), "{shape}");
        assert_eq!(read.last().unwrap(), &json!({"finish": "stop"}), "{shape}");

        // Alone it is no answer.
        let whole = format!("{{\"choices\":[{{\"message\":{{\"content\":\"Twenty\"}}}}],\"sources\":{odd}}}");
        let read = completion(&whole);
        assert!(failure(&read).starts_with("the agent failed: too large: an event "), "{shape}: {read:?}");
        assert_eq!(read.len(), 1, "{shape}");
    }
    // Arguments stay the text that they are.
    for (odd, is_text) in [(many("[]", 300_000), true), (nested(limits::AGENT_DEPTH + 1), true), (many("[]", 9), false)]
    {
        let call = json!([{"id": "c", "function": {"name": "search", "arguments": odd}}]);
        let read = completion(&json!({"choices": [{"message": {"tool_calls": call}}]}).to_string());
        let input = read.iter().find(|event| event["type"] == "tool-input-available").map(|event| &event["input"]);
        assert_eq!(input.map(Value::is_string), Some(is_text), "{}", &odd[..9]);
    }
    // What agents retrieve may come with its embeddings.
    let source = json!({"url": "https://example.com/", "embedding": vec![0.5; 3072]});
    let found: Vec<Value> = (0..30).map(|_| source.clone()).collect();
    assert_eq!(sources(&searched(&found)).len(), 30);
}

#[test]
fn calls_of_tools_have_a_limit() {
    let call = |i: usize| json!({"index": i, "id": format!("c{i}"), "function": {"name": "search", "arguments": "{}"}});
    let calls: Vec<Value> = (0..limits::PARTS + 5).map(call).collect();
    let read = completion(&json!({"choices": [{"message": {"content": "x", "tool_calls": calls}}]}).to_string());
    let called = read.iter().filter(|event| event["type"] == "tool-input-available").count();
    assert_eq!((called, read.last().unwrap()), (limits::PARTS, &json!({"finish": "stop"})));
}

#[test]
fn a_stream_of_nothing_has_a_limit() {
    let comment = format!(":{}\n", "x".repeat(1024 * 1024 - 2));
    let pieces = std::iter::repeat_n(comment.as_bytes(), limits::AGENT_STREAM_BYTES / comment.len() + 1);
    let read = super::read(super::dialect("openai"), pieces);
    assert_eq!(failure(&read), "the agent failed: too large: all of the stream");
}

fn sources(read: &[Value]) -> Vec<&Value> {
    read.iter().filter_map(|event| event.get("source")).collect()
}

fn searched(results: &[Value]) -> Vec<Value> {
    completion(&json!({"choices": [{"message": {"content": "x"}}], "search_results": results}).to_string())
}

#[test]
fn sources_are_capped_in_number_and_size() {
    let many: Vec<Value> =
        (0..limits::ANSWER_SOURCES + 5).map(|i| json!({"url": format!("https://example.com/{i}")})).collect();
    let read = searched(&many);
    let kept = sources(&read);
    assert_eq!(kept.len(), limits::ANSWER_SOURCES);
    assert_eq!(kept.last().unwrap()["id"], format!("s{}", limits::ANSWER_SOURCES));
    assert_eq!(read.last().unwrap(), &json!({"finish": "stop"}), "the answer is as good as before");
    assert!(read.contains(&json!({"sourcesLeftOut": 5})), "{read:?}");

    let large = |i: usize| json!({"url": format!("https://example.com/{i}"), "title": "t".repeat(5000), "snippet": "ß".repeat(5000), "tags": "x".repeat(3000)});
    let read = searched(&(0..90).map(large).collect::<Vec<_>>());
    let kept = sources(&read);
    assert_eq!(kept.len(), 90, "a passage is worth less than a place");
    assert_eq!(kept[89]["url"], "https://example.com/89");
    let size: usize = kept.iter().map(|source| source.to_string().len()).sum();
    assert!((200 * 1024..=limits::ANSWER_SOURCES_BYTES).contains(&size), "{size}");
    assert_eq!(kept[0]["snippet"].as_str().unwrap().chars().count(), limits::SNIPPET_CHARS);
    assert_eq!(kept[0]["title"].as_str().unwrap().chars().count(), limits::SOURCE_TITLE_CHARS);
    assert_eq!(kept[0]["tags"].as_str().unwrap().len(), 3000);

    let odd = json!({"url": "https://example.com/", "embedding": vec![0.5; 2000], "extra": "x".repeat(limits::SOURCE_EXTRA_BYTES)});
    let read = searched(&[odd]);
    assert_eq!(
        sources(&read),
        [&json!({"id": "s1", "type": "url", "url": "https://example.com/", "title": "example.com"})]
    );
}

#[test]
fn only_links_to_the_web_are_links() {
    let long = format!("https://example.com/{}", "x".repeat(limits::SOURCE_URL_BYTES));
    for bad in [
        "javascript:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "\u{1}javascript:alert(1)",
        "vbscript:x",
        "ht\ttps://example.com/",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://example.com/",
        "//example.com/",
        "/docs/leave.md",
        "https://",
        "https://exa mple.com/",
        "https://example.com/\u{1}",
        "https:// /x",
        "http://[::1/",
        &long,
    ] {
        let read = searched(&[json!({"url": bad, "title": "T"}), json!({"url": bad})]);
        let second = json!({"id": "s2", "type": "document", "title": "Source 2"});
        assert_eq!(sources(&read), [&json!({"id": "s1", "type": "document", "title": "T"}), &second], "{bad}");
        let part = json!({"type": "source-url", "sourceId": "a", "url": bad, "title": "T"});
        let read = passage(&format!("data: {part}\n\ndata: [DONE]\n\n"));
        assert_eq!(sources(&read), [&json!({"id": "a", "type": "document", "title": "T"})], "{bad}");
    }
    for good in ["https://example.com", "http://example.com/a?b#c", "HTTPS://EXAMPLE.com/", "https://exämple.com/ä"] {
        assert_eq!(sources(&searched(&[json!({"url": good})]))[0]["url"], good);
    }
}

#[test]
fn sources_have_titles_and_keep_their_places() {
    let read = searched(&[
        json!({"filepath": "docs/leave days.md", "chunk_id": 3}),
        json!({"filepath": "docs/leave days.md", "chunk_id": "3", "title": "The same"}),
        json!({"filepath": "docs/leave days.md", "chunk_id": 4}),
        json!({"url": "https://www.example.com/a", "chunk_id": 1}),
        json!({"url": "https://www.example.com/a", "chunk_id": 2}),
        json!({"snippet": "Said somewhere."}),
        json!({"snippet": "Said somewhere."}),
        json!({"document_id": 7, "id": "c1"}),
        json!({"id": "d8"}),
        json!({"title": {"odd": true}, "score": "high", "snippet": ["odd"]}),
        json!({}),
        json!("odd"),
    ]);
    let mut told = String::new();
    for source in sources(&read) {
        let text = |name: &str| source[name].as_str().unwrap_or("-").to_owned();
        writeln!(told, "{} {} {} {} {}", text("id"), text("type"), text("title"), text("documentId"), text("chunkId"))
            .unwrap();
    }
    assert_eq!(
        told,
        "s1 document leave days.md - 3\n\
         s2 document The same - 3\n\
         s3 document leave days.md - 4\n\
         s4 url www.example.com - 1\n\
         s5 url www.example.com - 2\n\
         s6 document Source 6 - -\n\
         s7 document Source 7 - -\n\
         s8 document Source 8 7 c1\n\
         s9 document Source 9 d8 -\n\
         s10 document Source 10 - -\n\
         s11 document Source 11 - -\n\
         s12 document odd - -\n"
    );
}

//! An answer's parts are those that the AI SDK's own reader makes of its stream, whatever the stream: random ones, read by
//! `readUIMessageStream` of both versions.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Map, Value, json};
use shared::ui_stream::{Assembler, Chunk, OpenParts};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::setup;

/// How many streams.
const STREAMS: u64 = 400;

/// A generator of numbers (xorshift): the same streams at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).expect("small")).expect("small")
    }

    fn of<'a, T: ?Sized>(&mut self, values: &[&'a T]) -> &'a T {
        values[self.below(values.len())]
    }

    fn json(&mut self) -> Value {
        match self.below(6) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1.5),
            3 => json!([1, {"a": null}]),
            4 => json!({"b": [], "ü": "😀"}),
            _ => json!("text \u{7f} \"\\"),
        }
    }
}

/// The types of frames that both versions know; some more often than others.
const BOTH: [&str; 23] = [
    "text-start",
    "text-delta",
    "text-delta",
    "text-end",
    "reasoning-start",
    "reasoning-delta",
    "reasoning-end",
    "source-url",
    "source-document",
    "file",
    "data-x",
    "data-y",
    "tool-input-start",
    "tool-input-delta",
    "tool-input-available",
    "tool-input-error",
    "tool-approval-request",
    "tool-output-available",
    "tool-output-error",
    "tool-output-denied",
    "start-step",
    "finish-step",
    "message-metadata",
];

/// Those that version 7 alone knows.
const VERSION_7: [&str; 6] =
    ["custom", "reasoning-file", "steering-message", "tool-approval-response", "tool-approval-response", "reset-step"];

/// A frame of any type, about few enough things that frames meet.
fn frame(random: &mut Random, version_7: bool) -> Value {
    let id = random.of(&["a", "b"]);
    let kind = if version_7 && random.below(5) == 0 { random.of(&VERSION_7) } else { random.of(&BOTH) };
    let mut frame = json!({
        "type": kind, "id": id, "delta": random.of(&["", "Hi ", "语😀"]), "sourceId": id, "url": "https://x.example/",
        "mediaType": "image/png", "title": "T", "data": random.json(), "toolCallId": format!("c{id}"),
        "toolName": random.of(&["search", "look"]), "inputTextDelta": random.of(&["{", "\"a\":", "1}"]),
        "input": random.json(), "errorText": "no", "approvalId": format!("p{id}"),
        "kind": "p.k", "parts": [{"type": "text", "text": "Shorter."}], "approved": random.below(2) == 0, "output": random.json(),
        "messageMetadata": {"theme": random.json(), "nested": {random.of(&["k", "l"]): random.json()}},
    });
    let members = frame.as_object_mut().expect("an object");
    for (name, value) in [
        ("providerMetadata", json!({random.of(&["p", "q"]): {"n": random.json()}})),
        ("dynamic", json!(true)),
        ("preliminary", json!(true)),
        ("providerExecuted", json!(true)),
        ("signature", json!("s")),
    ] {
        if random.below(3) == 0 {
            members.insert(name.to_owned(), value);
        }
    }
    if version_7 {
        let source = json!({"type": "source", "sourceType": "url", "id": "s", "url": "https://x.example/"});
        for (name, value) in [
            ("citations", json!([{"source": source, "startIndex": 0, "endIndex": 2}])),
            ("reason", json!("for a reason")),
            ("isAutomatic", json!(random.below(2) == 0)),
        ] {
            if random.below(3) == 0 {
                members.insert(name.to_owned(), value);
            }
        }
    }
    if random.below(2) == 0 && kind.starts_with("data-") {
        members.remove("id");
    }
    frame
}

/// A stream as a reader may get it: what can't stand where it stands is left out, what must come before is put in.
fn stream(random: &mut Random, version_7: bool) -> Vec<Chunk> {
    let mut open = OpenParts::default();
    let mut chunks = vec![Chunk::Start { message_id: Some("m".to_owned()), message_metadata: None }];
    let mut take = |chunk: Chunk, chunks: &mut Vec<Chunk>| {
        for before in open.close_before(&chunk) {
            let _ = open.observe(&before);
            chunks.push(before);
        }
        if open.observe(&chunk).is_ok() {
            chunks.push(chunk);
        }
    };
    for _ in 0..random.below(60) {
        if let Ok(chunk) = Chunk::parse(frame(random, version_7)) {
            take(chunk, &mut chunks);
        }
    }
    take(Chunk::Finish { finish_reason: None, message_metadata: Some(Map::new()) }, &mut chunks);
    chunks
}

#[tokio::test]
async fn parts_are_those_that_the_sdks_own_reader_makes() {
    let mut random = Random(88_172_645_463_325_252);
    for front_end in setup().all["frontEnds"].as_array().expect("frontEnds") {
        let text = |member: &str| front_end[member].as_str().expect("a text");
        let version_7 = text("folder").ends_with('7');
        let streams: Vec<Vec<Chunk>> = (0..STREAMS).map(|_| stream(&mut random, version_7)).collect();
        let lines: Vec<String> = streams.iter().map(|stream| json!(stream).to_string()).collect();
        for kind in VERSION_7 {
            let kind = format!("\"type\":\"{kind}\"");
            let told = lines.iter().filter(|line| line.contains(&kind)).count();
            assert_eq!(told > 20, version_7, "{kind}: {told}");
        }
        let mut reading = Command::new(text("node"))
            .arg(Path::new(text("folder")).with_file_name("assemble.mjs"))
            .env("FRONT_END", text("folder"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js");
        let mut input = reading.stdin.take().expect("an input");
        let all = lines.join("\n");
        let writing = tokio::spawn(async move { input.write_all(all.as_bytes()).await });
        let read = reading.wait_with_output().await.expect("an end");
        writing.await.expect("a task").expect("written");
        assert!(read.status.success(), "{}", text("folder"));
        let read = String::from_utf8(read.stdout).expect("UTF-8");
        assert_eq!(read.lines().count(), streams.len(), "{}", text("folder"));
        for ((stream, line), read) in streams.iter().zip(&lines).zip(read.lines()) {
            let mut assembler = Assembler::default();
            for chunk in stream {
                assembler.push(chunk);
            }
            let made = assembler.finish();
            let mut made = json!({"parts": made.parts, "metadata": made.metadata});
            let mut read: Value = serde_json::from_str(read).expect("JSON");
            // Version 7 has an input that can't be used as `input`, where version 6 has it as `rawInput`: it is stored as that.
            if line.contains("tool-input-error") && version_7 {
                for message in [&mut made, &mut read] {
                    for part in message["parts"].as_array_mut().expect("parts") {
                        part.as_object_mut()
                            .expect("a part")
                            .retain(|name, _| !["input", "rawInput"].contains(&name.as_str()));
                    }
                }
            }
            assert_eq!(made, read, "{}: {line}", text("folder"));
        }
    }
}

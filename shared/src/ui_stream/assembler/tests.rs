//! What a stream's frames make.

use serde::Deserialize;
use serde_json::json;

use super::*;

/// A stream and what the SDK makes of it: `readUIMessageStream` of ai 6.0.326 and of ai 7.0.173, both the same.
#[derive(Deserialize)]
struct Case {
    name: String,
    frames: Vec<Value>,
    parts: Value,
    metadata: Value,
}

fn assembled<'a>(frames: impl IntoIterator<Item = &'a Value>) -> Assembled {
    let mut assembler = Assembler::default();
    for frame in frames {
        if let Ok(chunk) = Chunk::parse(frame.clone()) {
            assembler.push(&chunk);
        }
    }
    assembler.finish()
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("parts.json")).unwrap()
}

#[test]
fn parts_are_those_that_the_sdk_makes() {
    for case in cases() {
        let made = assembled(&case.frames);
        assert_eq!(json!(made.parts), case.parts, "{}", case.name);
        assert_eq!(json!(made.metadata), case.metadata, "{}", case.name);
    }
}

/// A message that is stored half-way goes on as if it had never been.
#[test]
fn where_a_message_goes_on_makes_no_difference() {
    let frames = json!([
        {"type": "start-step"}, {"type": "data-x", "id": "1", "data": 1},
        {"type": "tool-input-available", "toolCallId": "c", "toolName": "a", "input": {}},
        {"type": "tool-input-available", "toolCallId": "d", "toolName": "b", "input": {}, "dynamic": true},
        {"type": "finish-step"}, {"type": "data-x", "id": "1", "data": 2},
        {"type": "tool-output-available", "toolCallId": "c", "output": 1},
        {"type": "tool-output-error", "toolCallId": "d", "errorText": "no"},
        {"type": "start-step"}, {"type": "tool-input-available", "toolCallId": "c", "toolName": "a", "input": {}},
        {"type": "tool-output-available", "toolCallId": "c", "output": 2},
        {"type": "text-start", "id": "t"}, {"type": "text-delta", "id": "t", "delta": "So."}, {"type": "text-end", "id": "t"},
    ]);
    let frames: Vec<Chunk> =
        frames.as_array().unwrap().iter().map(|frame| Chunk::parse(frame.clone()).unwrap()).collect();
    let pushed = |mut assembler: Assembler, frames: &[Chunk]| {
        for frame in frames {
            assembler.push(frame);
        }
        assembler.finish()
    };
    let whole = pushed(Assembler::default(), &frames);
    assert_eq!(whole.parts.len(), 7);
    for cut in 0..11 {
        let first = pushed(Assembler::default(), &frames[..cut]);
        let second = pushed(Assembler::going_on(first.parts, first.metadata), &frames[cut..]);
        assert_eq!(second, whole, "cut at {cut}");
    }
}

#[test]
fn what_no_front_end_would_take_spoils_nothing() {
    let frames = json!([
        {"type": "text-delta", "id": "t", "delta": "nobody began it"}, {"type": "text-end", "id": "t"}, {"type": "new"},
        {"type": "tool-output-available", "toolCallId": "c", "output": 1}, {"type": "tool-input-delta", "toolCallId": "c"},
        {"type": "text-start", "id": "t"}, {"type": "text-delta", "id": "t"}, {}, 7, null,
        {"type": "text-delta", "id": "t", "delta": "Hi"}, {"type": "reasoning-start", "id": "a:b"},
        {"type": "tool-input-start", "toolCallId": "c", "toolName": "n"},
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "{\"a"},
    ]);
    let parts = json!([
        {"type": "text", "text": "Hi", "state": "streaming"},
        {"type": "reasoning", "id": "a:b", "text": "", "state": "streaming"},
        {"type": "tool-n", "toolCallId": "c", "state": "input-streaming", "rawInput": "{\"a"},
    ]);
    assert_eq!(json!(assembled(frames.as_array().unwrap()).parts), parts);
}

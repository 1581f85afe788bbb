//! What is open, what is refused and what is put in.

use serde_json::json;

use super::*;

fn read(frames: &[Value]) -> Vec<Chunk> {
    frames.iter().map(|frame| Chunk::parse(frame.clone()).unwrap_or_else(|bad| panic!("{frame}: {bad}"))).collect()
}

/// The fault of the last frame; those before it must be good.
fn fault(frames: &[Value]) -> Option<String> {
    let mut open = OpenParts::default();
    let chunks = read(frames);
    let (last, before) = chunks.split_last().expect("a frame");
    for chunk in before {
        open.observe(chunk).expect("in order");
    }
    open.observe(last).err().map(|bad| bad.to_string())
}

fn text(what: &str, id: &str) -> Value {
    json!({"type": format!("text-{what}"), "id": id, "delta": "x"})
}

fn tool(what: &str, dynamic: bool) -> Value {
    json!({
        "type": format!("tool-{what}"), "toolCallId": "c", "toolName": "search", "dynamic": dynamic,
        "inputTextDelta": "{", "input": {}, "output": 1, "errorText": "e", "approvalId": "a",
    })
}

#[test]
fn a_text_is_spoken_of_while_it_is_open() {
    assert_eq!(fault(&[text("start", "a"), text("delta", "a"), text("end", "a"), text("start", "a")]), None);
    let none = Some("is a text-delta that belongs to no part that is open".to_owned());
    assert_eq!(fault(&[text("delta", "a")]), none);
    assert_eq!(fault(&[json!({"type": "reasoning-start", "id": "a"}), text("delta", "a")]), none);
    assert_eq!(fault(&[text("start", "a"), text("end", "a"), text("delta", "a")]), none);
    let twice = Some("is a text-start that begins a part that is open already".to_owned());
    assert_eq!(fault(&[text("start", "a"), text("start", "a")]), twice);
}

#[test]
fn a_call_begins_before_it_is_spoken_of() {
    assert_eq!(fault(&[tool("input-available", true), tool("output-available", true)]), None);
    assert_eq!(fault(&[tool("input-start", false), tool("input-delta", false), tool("input-error", false)]), None);
    for kind in ["output-available", "output-error", "output-denied", "approval-request"] {
        let told = Some(format!("is a tool-{kind} that is about a call that never began"));
        assert_eq!(fault(&[tool(kind, false)]), told);
    }
    let closed = Some("is a tool-input-delta that continues no tool input that is open".to_owned());
    assert_eq!(fault(&[tool("input-delta", false)]), closed);
    assert_eq!(
        fault(&[tool("input-start", false), tool("input-available", false), tool("input-delta", false)]),
        closed
    );
    let other = "is a tool-input-available that is dynamic where the call's first frame wasn't, or the reverse";
    assert_eq!(fault(&[tool("input-start", false), tool("input-available", true)]).as_deref(), Some(other));
}

#[test]
fn a_call_may_have_the_name_of_one_of_an_earlier_step() {
    let step = json!({"type": "start-step"});
    let first = [step.clone(), tool("input-start", false), tool("input-available", false)];
    let then = [step, tool("input-start", true), tool("input-available", true), tool("output-error", true)];
    assert_eq!(fault(&[&first[..], &then[..]].concat()), None);
    assert!(fault(&[&first[..], &then[1..]].concat()[..4]).is_some());
}

#[test]
fn a_call_that_was_taken_back_never_began() {
    let [step, reset] = ["start-step", "reset-step"].map(|kind| json!({"type": kind}));
    let response = json!({"type": "tool-approval-response", "approvalId": "a", "approved": true});
    let asked = [step.clone(), tool("input-available", true), tool("approval-request", true)];
    let none = Some("is a tool-approval-response that answers what was never asked".to_owned());
    assert_eq!(fault(&[&asked[..1], std::slice::from_ref(&response)].concat()), none);
    assert_eq!(fault(&[&asked[..], std::slice::from_ref(&response)].concat()), None);
    assert_eq!(fault(&[&asked[..], &[reset.clone(), response.clone()]].concat()), none);
    let never = Some("is a tool-output-available that is about a call that never began".to_owned());
    assert_eq!(fault(&[&asked[..], &[reset.clone(), tool("output-available", true)]].concat()), never);
    // One of an earlier step goes on.
    let again = [step, tool("input-available", false), reset, response];
    assert_eq!(fault(&[&asked[..], &again[..]].concat()), None);
    let mut other = tool("approval-request", true);
    other["approvalId"] = "b".into();
    assert_eq!(fault(&[&asked[..], &[other, again[3].clone()]].concat()), none);
}

#[test]
fn what_is_open_is_ended_where_a_stream_or_a_step_ends() {
    let finish = json!({"type": "finish-step"});
    assert!(fault(&[text("start", "a"), finish.clone()]).is_some());
    let begun = [text("start", "a"), json!({"type": "reasoning-start", "id": "r"}), tool("input-start", true)];
    let expected = [
        json!({"type": "text-end", "id": "a"}),
        json!({"type": "reasoning-end", "id": "r"}),
        json!({"type": "tool-input-error", "toolCallId": "c", "toolName": "search", "input": "{", "dynamic": true,
            "errorText": INPUT_CUT}),
    ];
    let reset = json!({"type": "reset-step"});
    assert!(fault(&[text("start", "a"), reset.clone()]).is_some());
    for ends in [None, Some(finish), Some(reset), Some(json!({"type": "abort"}))] {
        let mut open = OpenParts::default();
        for chunk in read(&begun).iter().chain(&read(&[tool("input-delta", true)])) {
            assert_eq!(open.close_before(chunk), []);
            open.observe(chunk).expect("in order");
        }
        let closing = match ends {
            None => open.close(),
            Some(frame) => open.close_before(&read(&[frame])[0]),
        };
        assert_eq!(closing, read(&expected));
        assert_eq!(open.close(), []);
    }
}

#[test]
fn what_comes_of_a_call_has_its_whole_input_before_it() {
    let start = |encoding: &str| {
        let mut start = tool("input-start", false);
        start["inputEncoding"] = encoding.into();
        start
    };
    let delta = |text: &str| {
        let mut delta = tool("input-delta", false);
        delta["inputTextDelta"] = text.into();
        delta
    };
    let cases =
        [("json", "{\"q\":1}", json!({"q": 1})), ("json", "{\"q\":", json!("{\"q\":")), ("text", "{}", json!("{}"))];
    for next in ["approval-request", "output-available", "output-error", "output-denied"] {
        for (encoding, text, input) in &cases {
            let mut open = OpenParts::default();
            for chunk in &read(&[start(encoding), delta(&text[..1]), delta(&text[1..])]) {
                open.observe(chunk).expect("in order");
            }
            let next = &read(&[tool(next, false)])[0];
            let whole =
                json!({"type": "tool-input-available", "toolCallId": "c", "toolName": "search", "input": input});
            assert_eq!(open.close_before(next), read(&[whole]));
            assert_eq!(open.close_before(next), []);
            open.observe(next).expect("in order");
            assert_eq!(open.close(), []);
        }
    }
}

#[test]
fn deltas_that_follow_each_other_become_one() {
    let frames = [text("start", "a"), text("delta", "a"), text("delta", "a"), text("delta", "b"), text("delta", "a")];
    let mut merged = Vec::new();
    for chunk in &read(&frames) {
        merge(&mut merged, chunk);
    }
    let deltas: Vec<_> = merged[1..].iter().map(|frame| (frame["id"].as_str(), frame["delta"].as_str())).collect();
    assert_eq!(deltas, [(Some("a"), Some("xx")), (Some("b"), Some("x")), (Some("a"), Some("x"))]);
    let more = json!({"type": "text-delta", "id": "a", "delta": "y", "providerMetadata": {"p": {"k": 1}}});
    for chunk in &read(&[more.clone(), text("delta", "a")]) {
        merge(&mut merged, chunk);
    }
    assert_eq!((&merged[3]["delta"], &merged[3]["providerMetadata"]), (&json!("xyx"), &more["providerMetadata"]));
}

//! Calls of tools, however their pieces come.

use serde_json::{Value, json};

use super::completion;

fn frames(deltas: &[Value], reason: &str) -> Vec<Value> {
    let frame = |delta: &Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
    completion(&format!("{}data: {end}\n\ndata: [DONE]\n\n", deltas.iter().map(frame).collect::<String>()))
}

/// Names and inputs of the calls, after the pieces.
fn calls(pieces: &[Value]) -> Vec<Value> {
    let deltas: Vec<Value> = pieces.iter().map(|pieces| json!({"tool_calls": pieces})).collect();
    inputs(&frames(&deltas, "stop"))
}

fn inputs(read: &[Value]) -> Vec<Value> {
    let mut calls: Vec<(&Value, Value)> = Vec::new();
    for event in read.iter().filter(|event| event["type"] == "tool-input-start") {
        assert!(calls.iter().all(|(id, _)| *id != &event["toolCallId"]), "one id, one call: {read:?}");
        calls.push((&event["toolCallId"], Value::Null));
    }
    for event in read.iter().filter(|event| event["type"] == "tool-input-available") {
        let call = calls.iter_mut().find(|(id, _)| *id == &event["toolCallId"]).expect("a call that has begun");
        call.1 = json!([event["toolName"], event["input"]]);
    }
    calls.into_iter().map(|(_, call)| call).collect()
}

#[allow(clippy::needless_pass_by_value, reason = "the cases write `json!` in place")]
fn piece(index: Value, id: Value, name: Value, arguments: Value) -> Value {
    json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn calls_are_put_together_however_their_pieces_come() {
    let none = || Value::Null;
    let (paris, rome) = (json!(["weather", {"city": "Paris"}]), json!(["weather", {"city": "Rome"}]));
    let (of_paris, of_rome) = ("{\"city\":\"Paris\"}", "{\"city\":\"Rome\"}");
    let weather = || json!("weather");
    let both = vec![paris.clone(), rome.clone()];
    for (kind, pieces, expected) in [
        (
            "by index, interleaved",
            vec![
                json!([
                    piece(json!(0), json!("a"), weather(), json!("")),
                    piece(json!(1), json!("b"), weather(), json!(""))
                ]),
                json!([piece(json!(1), none(), none(), json!("{\"city\":"))]),
                json!([piece(json!(0), none(), none(), json!(of_paris))]),
                json!([piece(json!(1), none(), none(), json!("\"Rome\"}"))]),
            ],
            both.clone(),
        ),
        (
            "all of index 0, whole",
            vec![
                json!([piece(json!(0), json!("a"), weather(), json!(of_paris))]),
                json!([piece(json!(0), json!("b"), weather(), json!(of_rome))]),
            ],
            both.clone(),
        ),
        (
            "all of index 0, by id",
            vec![
                json!([
                    piece(json!(0), json!("a"), weather(), json!("")),
                    piece(json!(0), json!("b"), weather(), json!(""))
                ]),
                json!([piece(json!(0), json!("a"), none(), json!(of_paris))]),
                json!([piece(json!(0), json!("b"), none(), json!(of_rome))]),
            ],
            both.clone(),
        ),
        (
            "by order, without ids",
            vec![json!([
                piece(none(), none(), weather(), json!(of_paris)),
                piece(none(), none(), weather(), json!(of_rome))
            ])],
            both.clone(),
        ),
        (
            "one after the other, without anything",
            vec![
                json!([piece(none(), none(), weather(), json!("{\"city\":"))]),
                json!([piece(none(), none(), none(), json!("\"Paris\"}"))]),
                json!([piece(none(), json!(""), weather(), json!(of_rome))]),
            ],
            both.clone(),
        ),
        (
            "by id alone",
            vec![
                json!([
                    piece(none(), json!("a"), weather(), json!("")),
                    piece(none(), json!("b"), weather(), json!(""))
                ]),
                json!([
                    piece(none(), json!("b"), none(), json!(of_rome)),
                    piece(none(), json!("a"), none(), json!(of_paris))
                ]),
            ],
            both.clone(),
        ),
        (
            "one id for both",
            vec![
                json!([
                    piece(json!(0), json!("a"), weather(), json!("")),
                    piece(json!(1), json!("a"), weather(), json!(""))
                ]),
                json!([
                    piece(json!(0), none(), none(), json!(of_paris)),
                    piece(json!(1), json!("a"), none(), json!(of_rome))
                ]),
            ],
            both.clone(),
        ),
        (
            "id and name late, an index as text",
            vec![
                json!([piece(json!("0"), none(), none(), json!("{\"ci"))]),
                json!([piece(json!("0"), json!("a"), none(), json!("ty\":"))]),
                json!([piece(json!(0.0), json!("a"), weather(), json!("\"Paris\"}"))]),
            ],
            vec![paris.clone()],
        ),
        (
            "another id and the name again with each piece",
            vec![
                json!([piece(json!(0), json!("a"), weather(), json!("{\"ci"))]),
                json!([piece(json!(0), json!("b"), weather(), json!("ty\":"))]),
                json!([piece(json!(0), json!("c"), none(), json!("\"Paris\"}"))]),
                json!([piece(json!(0), json!("c"), json!(""), json!(""))]),
            ],
            vec![paris.clone()],
        ),
        (
            "told again whole",
            vec![
                json!([piece(json!(0), json!("a"), weather(), json!(of_paris))]),
                json!([piece(json!(0), json!("a"), weather(), json!(of_paris))]),
            ],
            vec![paris.clone()],
        ),
        ("an object", vec![json!([piece(none(), none(), weather(), json!({"city": "Paris"}))])], vec![paris.clone()]),
        (
            "one that stands alone",
            vec![piece(none(), none(), weather(), json!({"city": "Paris"}))],
            vec![paris.clone()],
        ),
        (
            "arguments of none first",
            vec![
                json!([piece(json!(0), json!("a"), weather(), json!("{}"))]),
                json!([piece(json!(0), none(), none(), json!(of_paris))]),
            ],
            vec![paris.clone()],
        ),
        ("null", vec![json!([piece(json!(0), json!("a"), weather(), none())])], vec![json!(["weather", {}])]),
        ("no JSON", vec![json!([piece(json!(0), json!("a"), weather(), json!("{x"))])], vec![json!(["weather", "{x"])]),
        (
            "all at the top, and a custom tool",
            vec![
                json!([{"index": 0, "id": "a", "name": "weather", "arguments": of_paris}]),
                json!([{"index": 1, "id": "b", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}]),
            ],
            vec![paris.clone(), json!(["sql", "select 1"])],
        ),
        ("never a name", vec![json!([piece(json!(0), json!("a"), none(), json!("{}"))])], vec![]),
    ] {
        assert_eq!(calls(&pieces), expected, "{kind}");
    }
}

#[test]
fn an_old_call_of_a_function_is_one() {
    let read = frames(
        &[
            json!({"function_call": {"name": "weather", "arguments": ""}}),
            json!({"function_call": {"arguments": "{\"city\":\"Paris\"}"}}),
            json!({"role": "function", "name": "weather", "content": "Rain."}),
        ],
        "stop",
    );
    assert_eq!(inputs(&read), [json!(["weather", {"city": "Paris"}])]);
    assert!(read.iter().any(|event| event["output"] == "Rain."), "{read:?}");
}

#[test]
fn words_between_the_pieces_of_a_call_leave_it_whole() {
    let piece =
        |arguments: &str| json!({"tool_calls": [piece(json!(0), json!("a"), json!("weather"), json!(arguments))]});
    let read = frames(
        &[piece("{\"ci"), json!({"content": "\n"}), piece("ty\":\"Paris\"}"), json!({"content": "Done."})],
        "stop",
    );
    assert_eq!(inputs(&read), [json!(["weather", {"city": "Paris"}])]);
    let text: Vec<&str> = read.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(text, ["\nDone."]);
}

/// Whether each call is the agent's own, and how the answer ended.
fn whose(deltas: &[Value], reason: &str) -> (Vec<Value>, Value) {
    let read = frames(deltas, reason);
    let told = read.iter().filter(|event| event["type"] == "tool-input-available");
    let told = told.map(|event| event["providerExecuted"].clone()).collect();
    assert!(read.iter().all(|event| event["type"] != "tool-input-start" || event["providerExecuted"].is_null()));
    (told, read.last().expect("an end")["finish"].clone())
}

#[test]
fn whose_a_call_is_is_told_once_it_is_known() {
    let call = |id: &str| json!({"tool_calls": [piece(Value::Null, json!(id), json!("weather"), json!("{}"))]});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "Rain."});
    let words = json!({"content": "It rains."});
    let (own, clients) = (json!(true), Value::Null);
    for (deltas, reason, told, end) in [
        (vec![call("a")], "tool_calls", vec![clients.clone()], "tool-calls"),
        (vec![call("a"), words.clone()], "tool_calls", vec![clients.clone()], "tool-calls"),
        (vec![call("a")], "stop", vec![own.clone()], "stop"),
        (vec![call("a"), result("a"), words.clone()], "stop", vec![own.clone()], "stop"),
        (vec![call("a"), call("b"), result("b")], "tool_calls", vec![own.clone(), clients.clone()], "tool-calls"),
    ] {
        assert_eq!(whose(&deltas, reason), (told, json!(end)), "{deltas:?}");
    }
    // An agent that runs its tools after the model has called them, and one that shows no results.
    let called = json!({"choices": [{"delta": call("a"), "finish_reason": "tool_calls"}]});
    for after in [result("a"), words] {
        let after = json!({"choices": [{"delta": after}]});
        let read = completion(&format!("data: {called}\n\ndata: {after}\n\ndata: [DONE]\n\n"));
        let told = read.iter().find(|event| event["type"] == "tool-input-available").expect("a call");
        assert_eq!((&told["providerExecuted"], &read.last().unwrap()["finish"]), (&own, &json!("stop")), "{read:?}");
    }
    // Calls that wait, and others that don't.
    let read = completion(&format!("data: {called}\n\n"));
    assert_eq!(read.last().unwrap(), &json!({"finish": "tool-calls"}));
}

/// An agent that counts its calls anew with each turn of its loop.
#[test]
fn an_id_that_an_agent_uses_again_is_another_call() {
    let call = || json!({"tool_calls": [piece(json!(0), json!("call_0"), json!("weather"), json!("{}"))]});
    let result = |text: &str| json!({"role": "tool", "tool_call_id": "call_0", "content": text});
    let read = frames(&[call(), result("Rain."), call(), result("Sun.")], "stop");
    let results: Vec<(&Value, &Value)> = read
        .iter()
        .filter(|it| it["type"] == "tool-output-available")
        .map(|it| (&it["toolCallId"], &it["output"]))
        .collect();
    assert_eq!(results.len(), 2, "{read:?}");
    assert_ne!(results[0].0, results[1].0);
    assert_eq!((results[0].1, results[1].1), (&json!("Rain."), &json!("Sun.")));
}

#[test]
fn results_come_in_many_shapes() {
    let call = |id: &str| json!({"tool_calls": [piece(Value::Null, json!(id), json!("weather"), json!("{}"))]});
    for (result, output) in [
        (json!({"role": "tool", "content": "Rain."}), json!("Rain.")),
        (json!({"tool_call_id": "a", "content": [{"type": "text", "text": "Rain."}]}), json!("Rain.")),
        (json!({"role": "tool", "tool_call_id": "a", "content": {"sky": "grey"}}), json!({"sky": "grey"})),
        (json!({"role": "tool", "tool_call_id": "a"}), json!("")),
    ] {
        let read = frames(&[call("a"), result], "stop");
        let told = read.iter().find(|event| event["type"] == "tool-output-available").expect("a result");
        assert_eq!((&told["output"], &told["toolCallId"]), (&output, &json!("a")));
    }
}

#[test]
fn an_emoji_that_is_cut_in_two_is_whole_in_arguments_and_reasoning() {
    let pieces = [
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"q\":\"\ud83d"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"\ude00\"}"}}]}"#,
    ]
    .into_iter()
    .chain([r#"{"reasoning":"hm \ud83d"}"#, r#"{"reasoning":"\ude00"}"#, r#"{"reasoning":" \ud83d"}"#]);
    let frames: Vec<String> =
        pieces.map(|delta| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n")).collect();
    let stream = frames.concat();
    let read = completion(&(stream + "data: [DONE]\n\n"));
    assert_eq!(inputs(&read), [json!(["f", {"q": "😀"}])]);
    let reasoning: String = read.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(reasoning, "hm 😀 \u{fffd}");
}

#[test]
fn reasoning_has_many_names_and_is_told_once() {
    for deltas in [
        vec![json!({"reasoning_content": "a"}), json!({"reasoning_content": "b", "reasoning": "b"})],
        vec![
            json!({"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]}),
            json!({"reasoning": "b", "reasoning_details": [{"type": "reasoning.text", "text": "b"}]}),
            json!({"reasoning_details": [{"type": "reasoning.text", "text": "ab"}, {"type": "reasoning.encrypted", "data": "x"}]}),
        ],
        vec![
            json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]}),
            json!({"reasoning_details": [{"type": "reasoning.text", "text": "b"}]}),
        ],
        vec![
            json!({"content": [{"type": "thinking", "thinking": "a"}]}),
            json!({"content": [{"type": "reasoning", "text": "b"}]}),
        ],
        vec![json!({"content": "<think>a"}), json!({"content": "b</think>"})],
    ] {
        let read = frames(&[deltas.clone(), vec![json!({"content": "c"})]].concat(), "stop");
        let of = |kind: &str| {
            let deltas = read.iter().filter(|event| event["type"] == kind);
            deltas.filter_map(|event| event["delta"].as_str()).collect::<String>()
        };
        assert_eq!((of("reasoning-delta").as_str(), of("text-delta").as_str()), ("ab", "c"), "{deltas:?}");
    }
}

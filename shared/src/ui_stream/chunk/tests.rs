use serde_json::json;

use super::*;

#[test]
fn what_a_type_does_not_have_and_nulls_are_left_out() {
    let frame = json!({
        "type": "source-url", "sourceId": "s1", "url": "https://example.com", "title": null, "score": 0.83,
        "providerMetadata": {"rag": {"score": 0.83, "page": null}},
    });
    let chunk = Chunk::parse(frame).expect("a frame");
    let expected = json!({
        "type": "source-url", "sourceId": "s1", "url": "https://example.com",
        "providerMetadata": {"rag": {"score": 0.83, "page": null}},
    });
    assert_eq!(chunk.to_json(), expected);
    let data = json!({"type": "data-conversation", "data": null, "transient": true, "id": null});
    let data = Chunk::parse(data).expect("a frame").to_json();
    assert_eq!(data, json!({"type": "data-conversation", "data": null, "transient": true}));
}

#[test]
fn what_agents_leave_out_is_put_in() {
    let output = Chunk::parse(json!({"type": "tool-output-available", "toolCallId": "c"})).expect("a frame");
    assert_eq!(output.to_json()["output"], Value::Null);
    let finish = Chunk::parse(json!({"type": "finish", "finishReason": "interrupted"})).expect("a frame");
    assert_eq!(finish.to_json(), json!({"type": "finish", "finishReason": "other"}));
}

#[test]
fn a_bad_frame_is_told_without_its_content() {
    let cases = [
        (json!(["text-delta", "t", "secret"]), "is no JSON object with a text `type`"),
        (json!({"type": 7}), "is no JSON object with a text `type`"),
        (json!({"type": "hologram"}), "is of the unknown type \"hologram\""),
        (
            json!({"type": "steering-message", "id": "m", "parts": [{"type": "text"}]}),
            "is a steering-message whose parts must be a list of text and file parts",
        ),
        (
            json!({"type": "text-end", "id": "t", "citations": [{"source": "secret"}]}),
            "is a text-end whose citations must be a list of citations",
        ),
        (json!({"type": "text-delta", "id": "t", "delta": null}), "is a text-delta whose delta must be a string"),
        (json!({"type": "text-delta", "delta": "secret"}), "is a text-delta whose id is missing"),
        (
            json!({"type": "tool-approval-response", "approvalId": "a"}),
            "is a tool-approval-response whose approved is missing",
        ),
        (json!({"type": "data-x", "data": 1, "id": 1}), "is a data-* whose id must be a string"),
        (json!({"type": "start", "messageMetadata": "x"}), "is a start whose messageMetadata must be an object"),
        (
            json!({"type": "text-end", "id": "t", "providerMetadata": {"score": 0.83}}),
            "is a text-end whose providerMetadata must be an object of objects, by provider",
        ),
        (json!({"type": "data-x", "data": [{"__proto__": {}}]}), "has a member that the AI SDK refuses to read"),
        (
            json!({"type": "data-x", "data": {"constructor": {"prototype": 1}}}),
            "has a member that the AI SDK refuses to read",
        ),
    ];
    for (frame, told) in cases {
        let bad = Chunk::parse(frame.clone()).expect_err(told);
        assert_eq!(bad.to_string(), told, "{frame}");
    }
}

#[test]
fn three_frames_end_an_answer() {
    for kind in crate::ui_stream::tests::KINDS {
        let frame = json!({
            "type": kind, "id": "a", "delta": "", "toolCallId": "c", "toolName": "t", "inputTextDelta": "", "url": "u",
            "sourceId": "s", "mediaType": "m", "title": "t", "errorText": "e", "approvalId": "a",
            "kind": "p.k", "parts": [], "approved": true,
        });
        let chunk = Chunk::parse(frame).unwrap_or_else(|bad| panic!("{kind}: {bad}"));
        assert_eq!(chunk.is_terminal(), ["finish", "abort", "error"].contains(&kind), "{kind}");
    }
}

/// What needn't be there is left out where it isn't what the SDK takes; what must be there is.
#[test]
fn citations_and_a_users_parts_are_those_that_the_sdk_takes() {
    let end = |citations: Value| json!({"type": "text-end", "id": "t", "citations": citations});
    let url = json!({"type": "source", "sourceType": "url", "id": "s", "url": "https://x.example/"});
    let mut more = url.clone();
    (more["title"], more["x"]) = (Value::Null, json!(1));
    let cited = json!([{"source": more, "startIndex": -1, "endIndex": 4, "citedText": null}]);
    let read = Chunk::parse(end(cited)).expect("a frame").to_json();
    assert_eq!(read, end(json!([{"source": url, "endIndex": 4}])));

    let message = |parts: Value| json!({"type": "steering-message", "id": "m", "parts": parts});
    let file = json!({"type": "file", "mediaType": "image/png", "url": "https://x.example/a.png"});
    let mut more = file.clone();
    (more["filename"], more["providerReference"]) = (Value::Null, json!({"p": 1}));
    let parts = json!([{"type": "text", "text": "Shorter.", "providerMetadata": {"p": 1}}, more]);
    let read = Chunk::parse(message(parts)).expect("a frame").to_json();
    assert_eq!(read, message(json!([{"type": "text", "text": "Shorter."}, file])));
}

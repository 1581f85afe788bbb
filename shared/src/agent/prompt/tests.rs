//! What holds of every prompt, whatever the history.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{messages, ui_messages};
use crate::agent::files::FileRules;
use crate::config::AgentConfig;
use crate::model::{HistoryMessage, Role};

/// A message as a history may hold it: empty, blank, of thoughts alone, with files of any kind, whole or by name.
fn message() -> impl Strategy<Value = HistoryMessage> {
    let role = prop_oneof![
        4 => Just(Role::User),
        4 => Just(Role::Assistant),
        1 => Just(Role::Tool),
        1 => Just(Role::System)
    ];
    let text = prop_oneof![
        Just(String::new()),
        Just(" \n".to_owned()),
        Just("<think>secret thought</think>".to_owned()),
        Just("<think>secret thought</think>\n\nWords.".to_owned()),
        Just("\n<thinking>secret thought".to_owned()),
        "[a-z]{1,8}",
    ];
    let state = "input-streaming|input-available|approval-requested|approval-responded|output-available|output-error|output-denied";
    let part = prop_oneof![
        3 => (state, any::<bool>(), any::<Option<bool>>()).prop_map(|(state, own, approved)| json!({
            "type": "tool-a", "toolCallId": "c", "state": state, "input": {}, "errorText": "e", "providerExecuted": own,
            "approval": {"id": "p", "approved": approved},
        })),
        2 => "[a-z]{0,8}".prop_map(|text| json!({"type": "text", "text": text})),
        1 => Just(json!({"type": "reasoning", "text": "secret thought"})),
        2 => Just(json!({"type": "step-start"})),
        2 => ("image/png|application/pdf|text/plain|audio/wav|", "data:x/y;base64,eA==|https://example.com/f")
            .prop_map(|(kind, url)| json!({"type": "file", "mediaType": kind, "url": url, "filename": "f"})),
    ];
    let sources = prop::collection::vec(Just(json!({"id": "s", "type": "document", "title": "T"})), 0..3);
    (role, text, prop::collection::vec(part, 0..3), prop::collection::vec("[a-z]{0,3}", 0..2), sources).prop_map(
        |(role, text, parts, left_out, sources)| HistoryMessage {
            parts,
            files_left_out: left_out,
            sources: sources.iter().filter_map(|source| source.as_object().cloned()).collect(),
            ..HistoryMessage::text(role, text)
        },
    )
}

/// A history, the question at its end.
fn history() -> impl Strategy<Value = Vec<HistoryMessage>> {
    (prop::collection::vec(message(), 0..12), message()).prop_map(|(mut history, mut question)| {
        question.role = Role::User;
        history.push(question);
        history
    })
}

/// Roles alternate from a question to a question, and no thought is among what is said.
fn check(history: &[HistoryMessage], prompt: &[Value]) {
    let roles: Vec<&str> = prompt.iter().filter_map(|message| message["role"].as_str()).collect();
    let expected = ["user", "assistant"].iter().copied().cycle().take(prompt.len());
    assert!(roles.iter().copied().eq(expected) && roles.len() % 2 == 1, "{roles:?}");
    // A user's words are theirs, whatever they look like.
    for answer in prompt.iter().filter(|message| message["role"] == "assistant") {
        assert!(!answer.to_string().contains("secret thought"), "{answer}");
    }
    let told: String = prompt.iter().map(Value::to_string).collect();
    for said in history.iter().filter(|it| it.parts.is_empty() && it.role == Role::User) {
        let words = Value::from(said.content.trim()).to_string();
        assert!(told.contains(words.trim_matches('"')), "{words} is missing of {told}");
    }
}

/// Behind each message with calls stand their results, in order; what is left of such messages is those that end a speech.
fn without_calls(prompt: &[Value]) -> Vec<Value> {
    let mut rest: Vec<Value> = Vec::new();
    let mut messages = prompt.iter().peekable();
    while let Some(message) = messages.next() {
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        for call in &calls {
            let result = messages.next().unwrap_or(&Value::Null);
            assert_eq!((&result["role"], &result["tool_call_id"]), (&json!("tool"), &call["id"]));
            assert!(result["content"].is_string() && call["function"]["arguments"].is_string(), "{result}");
        }
        // The speech goes on.
        if calls.is_empty() || messages.peek().is_none_or(|next| next["role"] != "assistant") {
            rest.push(message.clone());
        }
    }
    rest
}

proptest! {
    #[test]
    fn speakers_take_turns_from_a_question_to_the_question(history in history()) {
        let config = AgentConfig::at("https://example.com");
        let rules = FileRules::of(&config);
        let completion = messages(None, &history, &rules);
        let spoken = without_calls(&completion);
        check(&history, &spoken);
        for message in spoken[..spoken.len() - 1].iter().filter(|message| message["tool_calls"].is_null()) {
            let content = &message["content"];
            prop_assert!(content.as_str().is_none_or(|text| !text.trim().is_empty()), "{message}");
            prop_assert!(content.as_array().is_none_or(|parts| !parts.is_empty()), "{message}");
        }
        let ui = ui_messages(&history, &rules);
        check(&history, &ui);
        for message in &ui {
            prop_assert!(message["parts"].as_array().is_some_and(|parts| !parts.is_empty()), "{message}");
            for call in message["parts"].as_array().into_iter().flatten().filter(|part| part["toolCallId"].is_string()) {
                let ended = ["output-available", "output-error", "output-denied"].iter().any(|end| call["state"] == *end);
                let approved = &call["approval"]["approved"];
                prop_assert!(ended && *approved == json!(call["state"] != "output-denied"), "{call}");
            }
        }
    }
}

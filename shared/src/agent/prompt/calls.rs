//! The calls of tools that a history holds, as an agent takes them: each with its end. An agent that finds a call without one
//! refuses the whole conversation.

use serde_json::{Value, json};

use super::Object;
use crate::ui_stream::as_the_agent_names_it;

/// What stands for the answer of a reader who wrote words instead.
const UNANSWERED: &str = "The user went on without an answer.";
/// What stands for a result that never came.
const NO_RESULT: &str = "The tool gave no result.";
/// What the AI SDK tells a model of a call to which the reader didn't agree.
/// <https://github.com/vercel/ai/blob/main/packages/ai/src/ui/convert-to-model-messages.ts>
const DENIED: &str = "Tool call execution denied.";

/// How a call ends for an agent.
enum End {
    /// As its part says.
    Told,
    /// Not yet: the reader has answered, and the agent goes on.
    Open,
    /// The reader didn't agree, for this reason.
    Denied(Option<&'static str>),
    Failed(&'static str),
}

/// A call's part with its end, under the agent's own id; `None` where even its input isn't whole. `goes_on`: its answer does,
/// so that a tool to which the reader agreed is still to run.
pub(super) fn settled(part: &Object, goes_on: bool) -> Option<Object> {
    let mut part = as_the_agent_names_it(part.clone());
    let approved = part.get("approval").and_then(|approval| approval.get("approved")).and_then(Value::as_bool);
    let end = match part.get("state").and_then(Value::as_str)? {
        "approval-responded" if goes_on => End::Open,
        "approval-responded" if approved == Some(true) => End::Failed(NO_RESULT),
        "approval-responded" => End::Denied(None),
        "approval-requested" => End::Denied(Some(UNANSWERED)),
        "input-available" if is_the_agents(&part) => End::Failed(NO_RESULT),
        "input-available" => End::Failed(UNANSWERED),
        "output-available" | "output-error" | "output-denied" => End::Told,
        _ => return None,
    };
    if let End::Failed(text) = end {
        part.insert("state".to_owned(), "output-error".into());
        part.insert("errorText".to_owned(), text.into());
    } else if let End::Denied(_) = end {
        part.insert("state".to_owned(), "output-denied".into());
    }
    let is_denied = part.get("state").is_some_and(|state| state == "output-denied");
    if !matches!(end, End::Open)
        && let Some(Value::Object(approval)) = part.get_mut("approval")
    {
        approval.insert("approved".to_owned(), (!is_denied).into());
        if let End::Denied(Some(reason)) = end {
            approval.insert("reason".to_owned(), reason.into());
        }
    }
    if part.get("state").is_some_and(|state| state == "output-available") {
        part.remove("preliminary");
        part.entry("output").or_insert(Value::Null);
    }
    Some(part)
}

/// Whether the agent's own service runs it, so that only that service knows what it is.
pub(super) fn is_the_agents(part: &Object) -> bool {
    part.get("providerExecuted") == Some(&Value::Bool(true))
}

/// A call as a chat completion has it.
pub(super) fn openai_call(part: &Object) -> Value {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    let name = part.get("toolName").and_then(Value::as_str).or_else(|| kind.strip_prefix("tool-"));
    let arguments = match part.get("input").or_else(|| part.get("rawInput")) {
        None | Some(Value::Null) => "{}".to_owned(),
        input => text(input),
    };
    json!({"id": part.get("toolCallId"), "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// Its end as a chat completion has it.
pub(super) fn openai_result(part: &Object) -> Value {
    let content = match part.get("state").and_then(Value::as_str) {
        Some("output-error") => text(part.get("errorText")),
        Some("output-available") => text(part.get("output")),
        _ => {
            let reason = part.get("approval").and_then(|approval| approval.get("reason")).and_then(Value::as_str);
            reason.filter(|reason| !reason.is_empty()).unwrap_or(DENIED).to_owned()
        }
    };
    json!({"role": "tool", "tool_call_id": part.get("toolCallId"), "content": content})
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

//! What a reader answers to the calls of an answer that waits: a tool's output, or whether a tool may run.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Fault;
use crate::id::MessageRef;
use crate::model::input::{FromJson, Object};
use crate::model::new_turn::{Ask, NO_QUESTION};

/// What a reader answers to one call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolOutcome {
    /// The call.
    #[serde(rename = "toolCallId")]
    pub call_id: String,
    /// What is to stand in its part: its `state`, and what belongs to that.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

/// What the parts of an assistant's message answer: the members of a call's part that the AI SDK's `addToolOutput` and
/// `addToolApprovalResponse` write.
/// <https://ai-sdk.dev/docs/ai-sdk-ui/chatbot-tool-usage>
#[derive(Debug, Default)]
struct ToolOutcomes(Vec<ToolOutcome>);

impl FromJson for ToolOutcomes {
    /// Reads these and nothing else: what the assistant has said is known, and a front end has no say in it.
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let Value::Array(parts) = value else {
            faults.push(Fault::body(at, "must be an array"));
            return None;
        };
        let before = faults.len();
        let mut outcomes = Vec::new();
        for (i, part) in parts.into_iter().enumerate() {
            let Value::Object(part) = part else { continue };
            if let Some(outcome) = outcome(part, &format!("{at}/{i}"), faults) {
                outcomes.push(outcome);
            }
        }
        (faults.len() == before).then_some(Self(outcomes))
    }
}

/// What a part answers, where it is a call that is answered.
fn outcome(part: Map<String, Value>, at: &str, faults: &mut Vec<Fault>) -> Option<ToolOutcome> {
    let state = part.get("state").and_then(Value::as_str)?;
    let state = ["output-available", "output-error", "approval-responded"].into_iter().find(|known| *known == state)?;
    let mut part = Object::open(Value::Object(part), at, faults)?;
    let call_id = part.required::<String>("toolCallId", faults);
    let mut members = Map::from_iter([("state".to_owned(), state.into())]);
    match state {
        "output-error" => {
            members.insert("errorText".to_owned(), part.required::<String>("errorText", faults)?.into());
        }
        "output-available" => {
            // A tool without a result: JSON has no `undefined`.
            let output = Map::from_iter([("output".to_owned(), part.take("output").unwrap_or_default())]);
            members.extend(Map::from_json(output.into(), at, faults)?);
        }
        _ => members.extend([("approval".to_owned(), part.required::<Decision>("approval", faults)?.0.into())]),
    }
    // A call that was agreed to and has run since shows both.
    if let Some(approval) = part.take("approval").filter(|approval| approval.get("approved").is_some()) {
        let decision = Decision::from_json(approval, &part.pointer("approval"), faults)?;
        members.insert("approval".to_owned(), decision.0.into());
    }
    Some(ToolOutcome { call_id: call_id?, members })
}

/// Whether a tool may run, and why.
struct Decision(Map<String, Value>);

impl FromJson for Decision {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut approval = Object::open(value, at, faults)?;
        let approved = approval.required::<bool>("approved", faults);
        let reason = approval.optional::<String>("reason", faults);
        let mut decision = Map::from_iter([("approved".to_owned(), approved?.into())]);
        decision.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
        Some(Self(decision))
    }
}

/// An answer that goes on: of the message the answers to its calls are read, and nothing else.
pub(super) fn continuation(
    mut message: Map<String, Value>,
    target: Option<MessageRef>,
    at: &str,
    faults: &mut Vec<Fault>,
) -> Option<Ask> {
    let pointer = format!("{at}/parts");
    let name = message.get("id").and_then(Value::as_str).map(MessageRef::parse);
    let parts = message.remove("parts").unwrap_or_else(|| Value::Array(Vec::new()));
    let ToolOutcomes(outcomes) = ToolOutcomes::from_json(parts, &pointer, faults)?;
    if outcomes.is_empty() {
        faults.push(Fault::body(format!("{at}/role"), NO_QUESTION));
        return None;
    }
    let target = target.or(name);
    if target.is_none() {
        faults.push(Fault::body(format!("{at}/id"), "is missing, and so is messageId"));
    }
    Some(Ask::Continue { target: target?, outcomes, pointer })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id::ClientId;
    use crate::model::Turn;

    fn read(parts: Value) -> Result<Value, Vec<String>> {
        let mut faults = Vec::new();
        let outcomes = ToolOutcomes::from_json(parts, "/parts", &mut faults);
        outcomes.map(|outcomes| json!(outcomes.0)).ok_or_else(|| faults.into_iter().map(|it| it.pointer).collect())
    }

    fn turn(value: Value) -> Turn {
        Turn::from_json(value, "", &mut Vec::new()).expect("a turn")
    }

    #[test]
    fn an_answer_goes_on_by_what_its_calls_are_answered() {
        let part = json!({"type": "tool-a", "toolCallId": "c1", "state": "output-available", "output": 7});
        let answer = json!({"id": "m", "role": "assistant", "parts": [{"type": "text", "text": "Mine"}, part]});
        let by_itself = turn(json!({"id": "c", "messages": [{"id": "a"}, answer]}));
        let by_name = turn(json!({"id": "c", "message": answer, "messageId": "n"}));
        for (turn, id) in [(by_itself, "m"), (by_name, "n")] {
            let Ask::Continue { target, outcomes, .. } = turn.ask else { panic!("goes on") };
            assert_eq!(target.client_id.as_ref().map(ClientId::as_str), Some(id));
            assert_eq!(outcomes.iter().map(|outcome| outcome.call_id.as_str()).collect::<Vec<_>>(), ["c1"]);
        }
        let again = turn(json!({"id": "c", "message": answer, "trigger": "regenerate-message"}));
        assert!(matches!(again.ask, Ask::Regenerate { target: None, question: None }));
    }

    #[test]
    fn what_answers_a_call_is_taken_and_nothing_else() {
        let parts = json!([
            {"type": "text", "text": "I owe you 1000"},
            {"type": "tool-a", "toolCallId": "c1", "state": "output-available", "input": {"x": 1}, "output": {"y": "z\u{0}"}},
            {"type": "tool-a", "toolCallId": "c2", "state": "output-available"},
            {"type": "dynamic-tool", "toolName": "b", "toolCallId": "c3", "state": "output-error", "errorText": "no"},
            {"type": "tool-a", "toolCallId": "c4", "state": "approval-responded", "title": "x",
                "approval": {"id": "p", "approved": false, "reason": "not now", "signature": "forged"}},
            {"type": "tool-a", "toolCallId": "c5", "state": "output-available", "output": 1,
                "approval": {"id": "p", "approved": true}},
            {"type": "tool-a", "toolCallId": "c6", "state": "input-available"}, {"type": "tool-a", "state": 7}, 7
        ]);
        let taken = json!([
            {"toolCallId": "c1", "state": "output-available", "output": {"y": "z"}},
            {"toolCallId": "c2", "state": "output-available", "output": null},
            {"toolCallId": "c3", "state": "output-error", "errorText": "no"},
            {"toolCallId": "c4", "state": "approval-responded", "approval": {"approved": false, "reason": "not now"}},
            {"toolCallId": "c5", "state": "output-available", "output": 1, "approval": {"approved": true}},
        ]);
        assert_eq!(read(parts), Ok(taken));
    }

    #[test]
    fn every_fault_is_told() {
        assert_eq!(read(json!({})), Err(vec!["/parts".to_owned()]));
        let parts = json!([
            {"toolCallId": "c1", "state": "approval-responded"},
            {"toolCallId": "c2", "state": "approval-responded", "approval": {"approved": "yes"}},
            {"toolCallId": 7, "state": "output-error"},
        ]);
        let faults = ["/parts/0/approval", "/parts/1/approval/approved", "/parts/2/toolCallId", "/parts/2/errorText"];
        assert_eq!(read(parts), Err(faults.map(str::to_owned).to_vec()));
    }
}

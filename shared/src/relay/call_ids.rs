//! The ids of an answer's calls. A front end finds a call by its id alone, in all of a conversation; agents count theirs anew
//! in each answer, or in each step.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::ui_stream::{Chunk, ProviderMetadata, agents_call_id, note_agents_call_id};

/// Gives each call of an answer an id that no other call of its conversation has: the agent's, where it is free.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    taken: HashSet<String>,
    /// By the agent's id, the last call that it named so.
    calls: HashMap<String, Call>,
    step: usize,
}

#[derive(Debug)]
struct Call {
    id: String,
    /// The step in which it began; none for a call of before the answer went on.
    step: Option<usize>,
}

impl CallIds {
    /// Beside these ids, and behind the calls of these parts.
    pub(super) fn new(taken: HashSet<String>, parts: &[Map<String, Value>]) -> Self {
        let call = |part: &Map<String, Value>| {
            let id = part.get("toolCallId")?.as_str()?.to_owned();
            Some((agents_call_id(part)?.to_owned(), Call { id, step: None }))
        };
        Self { taken, calls: parts.iter().filter_map(call).collect(), step: 0 }
    }

    /// A frame of the agent's, about the call under the id that a reader knows it by.
    pub(super) fn rename(&mut self, chunk: &mut Chunk) {
        match chunk {
            Chunk::StartStep => self.step += 1,
            Chunk::ToolInputStart { tool_call_id, provider_metadata, .. }
            | Chunk::ToolInputAvailable { tool_call_id, provider_metadata, .. } => {
                self.begin(tool_call_id, Some(provider_metadata));
            }
            Chunk::ToolInputError { tool_call_id, .. } => self.begin(tool_call_id, None),
            Chunk::ToolInputDelta { tool_call_id, .. }
            | Chunk::ToolApprovalRequest { tool_call_id, .. }
            | Chunk::ToolOutputAvailable { tool_call_id, .. }
            | Chunk::ToolOutputError { tool_call_id, .. }
            | Chunk::ToolOutputDenied { tool_call_id } => {
                if let Some(call) = self.calls.get(tool_call_id) {
                    tool_call_id.clone_from(&call.id);
                }
            }
            _ => {}
        }
    }

    /// A frame that begins a call, unless the call has begun in this step. Where the reader's id isn't the agent's, the agent's
    /// goes with it: the agent is told of the call under that one.
    fn begin(&mut self, id: &mut String, metadata: Option<&mut Option<ProviderMetadata>>) {
        let agents_id = id.clone();
        if let Some(call) = self.calls.get(&agents_id).filter(|call| call.step == Some(self.step)) {
            id.clone_from(&call.id);
        } else {
            *id = self.free(&agents_id);
            self.taken.insert(id.clone());
            self.calls.insert(agents_id.clone(), Call { id: id.clone(), step: Some(self.step) });
        }
        if *id != agents_id
            && let Some(metadata) = metadata
        {
            note_agents_call_id(metadata, &agents_id);
        }
    }

    fn free(&self, id: &str) -> String {
        if !self.taken.contains(id) {
            return id.to_owned();
        }
        // There are no more taken ids than this many numbers.
        let numbered = (2..=self.taken.len() + 2).map(|number| format!("{id}~{number}"));
        numbered.into_iter().find(|id| !self.taken.contains(id)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn renamed(ids: &mut CallIds, frame: Value) -> Value {
        let mut chunk = Chunk::parse(frame).expect("a frame");
        ids.rename(&mut chunk);
        chunk.to_json()
    }

    fn id(ids: &mut CallIds, kind: &str, id: &str) -> String {
        let frame =
            json!({"type": kind, "toolCallId": id, "toolName": "a", "input": 1, "output": 2, "inputTextDelta": "x"});
        renamed(ids, frame)["toolCallId"].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_call_keeps_its_id_where_it_is_free() {
        let mut ids = CallIds::new(["c9".to_owned()].into(), &[]);
        for kind in ["tool-input-start", "tool-input-delta", "tool-input-available", "tool-output-available"] {
            assert_eq!(id(&mut ids, kind, "c1"), "c1");
        }
    }

    #[test]
    fn an_id_that_is_taken_is_renamed_in_all_frames_and_the_agents_kept() {
        let mut ids = CallIds::new(["c1".to_owned(), "c1~2".to_owned()].into(), &[]);
        for kind in ["tool-input-start", "tool-input-delta", "tool-input-available", "tool-output-available"] {
            assert_eq!(id(&mut ids, kind, "c1"), "c1~3");
        }
        let frame = json!({"type": "tool-input-available", "toolCallId": "c1", "toolName": "a", "input": 1,
            "providerMetadata": {"x": {"y": 1}}});
        let metadata = json!({"x": {"y": 1}, "colloquy": {"toolCallId": "c1"}});
        assert_eq!(renamed(&mut ids, frame)["providerMetadata"], metadata);
        renamed(&mut ids, json!({"type": "start-step"}));
        // Another step's call, and then its output.
        assert_eq!(id(&mut ids, "tool-input-available", "c1"), "c1~4");
        assert_eq!(id(&mut ids, "tool-output-available", "c1"), "c1~4");
    }

    #[test]
    fn an_answer_that_goes_on_knows_its_calls() {
        let part = json!({"type": "tool-a", "toolCallId": "c1~2", "state": "approval-responded",
            "callProviderMetadata": {"colloquy": {"toolCallId": "c1"}}});
        let part = part.as_object().cloned().expect("an object");
        let mut ids = CallIds::new(["c1".to_owned(), "c1~2".to_owned()].into(), &[part]);
        assert_eq!(id(&mut ids, "tool-output-available", "c1"), "c1~2");
        assert_eq!(id(&mut ids, "tool-input-start", "c1"), "c1~3");
        assert_eq!(id(&mut ids, "tool-output-available", "c1"), "c1~3");
    }
}

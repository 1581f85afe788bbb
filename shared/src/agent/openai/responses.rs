//! The events of OpenAI's Responses, which some agents stream from where chat completions are expected.
//! <https://platform.openai.com/docs/api-reference/responses-streaming>

use serde_json::Value;

use super::words::Kind;
use super::{Completion, Object, reported};
use crate::agent::events::Events;
use crate::agent::failure::{AgentFailure, FailureKind};
use crate::ui_stream::FinishReason;

impl Completion {
    /// Reads an event; `read` is the same, whose delta may end in half a surrogate pair.
    pub(super) fn response_event(
        &mut self,
        event: &Object,
        read: &Object,
        events: &mut Events,
    ) -> Result<(), AgentFailure> {
        self.recognised = true;
        let response = event.get("response").and_then(Value::as_object);
        if let Some(response) = response {
            self.note(response, events);
            self.sources.of_annotations(annotations(response), events);
        }
        let delta = read.get("delta").and_then(Value::as_str).unwrap_or_default();
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "response.output_text.delta" | "response.refusal.delta" => self.delta(Kind::Text, delta, events),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                self.delta(Kind::Reasoning, delta, events);
            }
            "response.output_text.annotation.added" => {
                self.sources.of_annotations(event.get("annotation").into_iter(), events);
            }
            "response.completed" => self.finished(FinishReason::Stop),
            "response.incomplete" => {
                let details = response.and_then(|response| response.get("incomplete_details"));
                let filtered = details.is_some_and(|details| details["reason"] == "content_filter");
                self.finished(if filtered { FinishReason::ContentFilter } else { FinishReason::Length });
            }
            "response.failed" => {
                let failed = || AgentFailure::new(FailureKind::Reported(None), "response.failed");
                return Err(response.and_then(reported).unwrap_or_else(failed));
            }
            // The beginnings and ends of parts, and at the end all that was said, once more.
            _ => {}
        }
        Ok(())
    }
}

/// Those of a whole response, which some services tell only there.
fn annotations(response: &Object) -> impl Iterator<Item = &Value> {
    let output = response.get("output").and_then(Value::as_array).into_iter().flatten();
    let content = output.filter_map(|item| item.get("content")?.as_array()).flatten();
    content.filter_map(|part| part.get("annotations")?.as_array()).flatten()
}

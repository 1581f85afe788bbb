//! The parts of tool calls.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{object, pick};
use crate::model::agents_json;
use crate::ui_stream::Chunk;

type Object = Map<String, Value>;

/// The calls of a message.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// The places of the calls with an id, in their order: agents name calls anew in each step.
    calls: HashMap<String, Vec<Call>>,
    /// The inputs that are streaming, by the call's id: the text so far.
    inputs: HashMap<String, Input>,
    /// The places of the calls that wait for this approval, or were given it.
    approvals: HashMap<String, BTreeSet<usize>>,
    /// Where the current step's parts begin.
    step: usize,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    place: usize,
    dynamic: bool,
}

#[derive(Debug)]
struct Input {
    place: usize,
    text: String,
}

impl Tools {
    /// The next part will be the first of a step.
    pub(super) fn begin_step(&mut self, place: usize) {
        self.step = place;
    }

    /// Where the current step's parts begin.
    pub(super) fn step(&self) -> usize {
        self.step
    }

    /// Notes a part that is a call already.
    pub(super) fn note(&mut self, id: &str, place: usize, part: &Object) {
        let dynamic = part.get("type").is_some_and(|kind| kind == "dynamic-tool");
        self.calls.entry(id.to_owned()).or_default().push(Call { place, dynamic });
        if let Some(approval) = approval_of(part) {
            self.approvals.entry(approval.to_owned()).or_default().insert(place);
        }
    }

    /// Forgets a call whose part was taken back.
    pub(super) fn forget(&mut self, id: &str, place: usize, part: &Object) {
        if let Some(calls) = self.calls.get_mut(id) {
            // Those of this step are the last.
            while calls.pop_if(|call| call.place >= self.step).is_some() {}
        }
        if self.inputs.get(id).is_some_and(|input| input.place == place) {
            self.inputs.remove(id);
        }
        self.forget_approval(place, part);
    }

    fn forget_approval(&mut self, place: usize, part: &Object) {
        if let Some(places) = approval_of(part).and_then(|approval| self.approvals.get_mut(approval)) {
            places.remove(&place);
        }
    }

    /// Takes a frame about a call.
    pub(super) fn push(&mut self, chunk: &Chunk, parts: &mut Vec<Object>) {
        match chunk {
            Chunk::ToolInputDelta { tool_call_id, input_text_delta } => {
                if let Some(input) = self.inputs.get_mut(tool_call_id) {
                    input.text.push_str(input_text_delta);
                }
            }
            Chunk::ToolInputStart { tool_call_id: id, dynamic, .. } => {
                let dynamic = dynamic.unwrap_or_default();
                let place = self.input(chunk, id, dynamic, self.of_step(id, Some(dynamic)), parts);
                self.inputs.insert(id.clone(), Input { place, text: String::new() });
            }
            Chunk::ToolInputAvailable { tool_call_id: id, dynamic, .. } => {
                let dynamic = dynamic.unwrap_or_default();
                self.input(chunk, id, dynamic, self.of_step(id, Some(dynamic)), parts);
            }
            Chunk::ToolInputError { tool_call_id: id, dynamic, .. } => {
                self.input(chunk, id, dynamic.unwrap_or_default(), self.of_step(id, None), parts);
            }
            Chunk::ToolApprovalRequest { tool_call_id: id, .. }
            | Chunk::ToolOutputAvailable { tool_call_id: id, .. }
            | Chunk::ToolOutputError { tool_call_id: id, .. }
            | Chunk::ToolOutputDenied { tool_call_id: id } => {
                // A call of this step, or else the last of that name.
                let call = self.of_step(id, None).or_else(|| self.calls.get(id)?.last().copied());
                if let Some(call) = call
                    && let Some(part) = parts.get_mut(call.place)
                {
                    if let Chunk::ToolApprovalRequest { approval_id, .. } = chunk {
                        self.forget_approval(call.place, part);
                        self.approvals.entry(approval_id.clone()).or_default().insert(call.place);
                    }
                    outcome(part, chunk, call.dynamic);
                }
            }
            Chunk::ToolApprovalResponse { approval_id, .. } => {
                // The first that waits for it.
                let place = self.approvals.get(approval_id).and_then(|places| places.first());
                if let Some(part) = place.and_then(|place| parts.get_mut(*place)) {
                    respond(part, chunk);
                }
            }
            _ => {}
        }
    }

    /// An input that was cut off stands in its part as far as it came, as `rawInput`, and as `input` only if it is whole: the
    /// SDK guesses the rest.
    pub(super) fn finish(&mut self, parts: &mut [Object]) {
        for (_, Input { place, text }) in self.inputs.drain() {
            let Some(part) = parts.get_mut(place) else { continue };
            if text.is_empty() || part.get("state").is_none_or(|state| state != "input-streaming") {
                continue;
            }
            let is_text = part.get("inputEncoding").is_some_and(|encoding| encoding == "text");
            let input = if is_text { Some(json!(text)) } else { agents_json(&text) };
            part.extend(input.map(|input| ("input".to_owned(), input)));
            part.insert("rawInput".into(), text.into());
        }
    }

    /// The first call of this step with this id.
    fn of_step(&self, id: &str, dynamic: Option<bool>) -> Option<Call> {
        let calls = self.calls.get(id)?;
        // Few calls share an id, and those of this step are the last.
        let of_step = calls.iter().rev().take_while(|call| call.place >= self.step);
        of_step.filter(|call| dynamic.is_none_or(|dynamic| call.dynamic == dynamic)).last().copied()
    }

    /// Takes a frame that says a call's input; answers where its part is.
    fn input(&mut self, chunk: &Chunk, id: &str, dynamic: bool, call: Option<Call>, parts: &mut Vec<Object>) -> usize {
        let call = call.unwrap_or_else(|| {
            let call = Call { place: parts.len(), dynamic };
            parts.push(Object::from_iter([("toolCallId".to_owned(), id.into())]));
            self.calls.entry(id.to_owned()).or_default().push(call);
            call
        });
        let part = &mut parts[call.place];
        let mut frame = object(chunk);
        // What an earlier frame said of input and output is said anew by each.
        part.retain(|name, _| {
            !["output", "errorText", "inputEncoding", "preliminary", "input", "rawInput"].contains(&name.as_str())
        });
        let name = frame.remove("toolName").unwrap_or_default();
        if call.dynamic {
            part.insert("type".into(), "dynamic-tool".into());
            part.insert("toolName".into(), name);
        } else {
            part.insert("type".into(), format!("tool-{}", name.as_str().unwrap_or_default()).into());
        }
        let (state, metadata) = match chunk {
            Chunk::ToolInputStart { .. } => ("input-streaming", "callProviderMetadata"),
            Chunk::ToolInputAvailable { .. } => ("input-available", "callProviderMetadata"),
            _ => ("output-error", "resultProviderMetadata"),
        };
        part.insert("state".into(), state.into());
        if let Some(input) = frame.remove("input") {
            let is_raw = state == "output-error" && !call.dynamic;
            part.insert(if is_raw { "rawInput" } else { "input" }.into(), input);
        }
        if let Some(added) = frame.remove("providerMetadata") {
            part.insert(metadata.into(), added);
        }
        let kept = ["errorText", "title", "toolMetadata", "providerExecuted", "inputEncoding"];
        frame.retain(|name, _| kept.contains(&name.as_str()));
        part.extend(frame);
        call.place
    }
}

/// The approval that a call waits for, or was given.
fn approval_of(part: &Object) -> Option<&str> {
    part.get("approval")?.get("id")?.as_str()
}

/// Takes a frame that answers a request for approval.
fn respond(part: &mut Object, chunk: &Chunk) {
    part.insert("state".into(), "approval-responded".into());
    if let Some(Value::Object(approval)) = part.get_mut("approval") {
        approval.extend(pick(chunk, &["approved", "reason"]));
    }
    let mut frame = pick(chunk, &["providerExecuted", "providerMetadata"]);
    if let Some(added) = frame.remove("providerMetadata") {
        part.insert("callProviderMetadata".into(), added);
    }
    part.extend(frame);
}

/// Takes a frame that says what became of a call.
fn outcome(part: &mut Object, chunk: &Chunk, dynamic: bool) {
    let failed = match chunk {
        Chunk::ToolOutputDenied { .. } => {
            part.insert("state".into(), "output-denied".into());
            return;
        }
        Chunk::ToolApprovalRequest { approval_id, reason, is_automatic, .. } => {
            let mut approval = pick(chunk, &["inputSchemaInput", "signature"]);
            approval.insert("id".into(), approval_id.as_str().into());
            approval.extend(reason.as_ref().map(|reason| ("requestReason".to_owned(), reason.as_str().into())));
            approval.extend(is_automatic.filter(|it| *it).map(|it| ("isAutomatic".to_owned(), it.into())));
            approval.extend(object(chunk).remove("approvalDescriptor").map(|it| ("descriptor".to_owned(), it)));
            part.insert("state".into(), "approval-requested".into());
            part.insert("approval".into(), approval.into());
            return;
        }
        Chunk::ToolOutputError { .. } => true,
        _ => false,
    };
    for name in ["output", "errorText", "inputEncoding", "preliminary"] {
        part.remove(name);
    }
    if dynamic || !failed {
        part.remove("rawInput");
    }
    let mut frame = object(chunk);
    if let Some(added) = frame.remove("providerMetadata") {
        part.insert("resultProviderMetadata".into(), added);
    }
    part.insert("state".into(), if failed { "output-error" } else { "output-available" }.into());
    frame.retain(|name, _| {
        ["output", "errorText", "preliminary", "title", "toolMetadata", "providerExecuted"].contains(&name.as_str())
    });
    part.extend(frame);
}

//! Which parts of an answer are open, and the merging of their deltas.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::agents_json;
use crate::ui_stream::field::{BadChunk, InputEncoding, ProviderMetadata};
use crate::ui_stream::{Chunk, agents_call_id};

/// The most texts, and the most reasonings, that may be open at once.
const OPEN: usize = 100;

/// What a reader is told of a tool whose input never became whole.
const INPUT_CUT: &str = "The answer ended before the tool's input was complete.";

/// Watches a stream's frames: which texts, reasonings and tool inputs have begun and not ended.
#[derive(Debug, Default)]
pub struct OpenParts {
    texts: Vec<String>,
    reasonings: Vec<String>,
    calls: BTreeMap<String, Call>,
    /// The calls that began in this step, and those of an earlier one whose names they took.
    begun: Vec<(String, Option<Call>)>,
    /// How many calls wait for this approval, or were given it.
    approvals: BTreeMap<String, usize>,
    /// How many steps have begun.
    step: usize,
    /// How many of these are parts already, which the stream can't take back.
    steps_before: usize,
}

/// A call of a tool.
#[derive(Debug)]
struct Call {
    tool_name: String,
    dynamic: bool,
    /// The step in which it began.
    step: usize,
    /// Its input so far; none once it is whole.
    input: Option<String>,
    /// Whether the input is plain text, not JSON.
    plain: bool,
    /// Whether it has gone beyond its input: an approval, an output or an error.
    past_input: bool,
    /// The last approval that was asked for it.
    approval: Option<String>,
}

impl OpenParts {
    /// For a stream that goes on behind these parts: its frames may be about their calls, under the agent's ids.
    #[must_use]
    pub fn behind(parts: &[Map<String, Value>]) -> Self {
        let call = |part: &Map<String, Value>| {
            let call = Call { past_input: true, ..Call::new("", None, 0, None) };
            Some((agents_call_id(part)?.to_owned(), call))
        };
        Self { calls: parts.iter().filter_map(call).collect(), step: 1, steps_before: 1, ..Self::default() }
    }

    /// Takes note of the next frame, or says why it can't stand there; then nothing is noted of it.
    ///
    /// Refused is what ends a front end's stream (the SDK looks the part up and throws), and what it survives only by
    /// showing a part twice or never ended.
    pub fn observe(&mut self, chunk: &Chunk) -> Result<(), BadChunk> {
        self.note(chunk).map_err(|fault| BadChunk::Order { chunk: chunk.kind(), fault })
    }

    fn note(&mut self, chunk: &Chunk) -> Result<(), &'static str> {
        match chunk {
            Chunk::TextStart { id, .. } => begin(&mut self.texts, id),
            Chunk::TextDelta { id, .. } => find(&self.texts, id).map(drop),
            Chunk::TextEnd { id, .. } => end(&mut self.texts, id),
            Chunk::ReasoningStart { id, .. } => begin(&mut self.reasonings, id),
            Chunk::ReasoningDelta { id, .. } => find(&self.reasonings, id).map(drop),
            Chunk::ReasoningEnd { id, .. } => end(&mut self.reasonings, id),
            Chunk::ToolInputStart { tool_call_id, tool_name, dynamic, input_encoding, .. } => {
                if self.current_call(tool_call_id).is_some() {
                    return Err("begins a call that has begun already");
                }
                let call = Call::new(tool_name, *dynamic, self.step, Some(String::new()));
                self.begin_call(tool_call_id, Call { plain: *input_encoding == Some(InputEncoding::Text), ..call });
                Ok(())
            }
            Chunk::ToolInputDelta { tool_call_id, input_text_delta } => {
                let input = self.current_call(tool_call_id).and_then(|call| call.input.as_mut());
                input.map(|input| input.push_str(input_text_delta)).ok_or("continues no tool input that is open")
            }
            Chunk::ToolInputAvailable { tool_call_id, tool_name, dynamic, .. } => {
                match self.current_call(tool_call_id) {
                    Some(call) if call.past_input => return Err("gives the input of a call that is past it"),
                    Some(call) if call.dynamic != dynamic.unwrap_or_default() => {
                        return Err("is dynamic where the call's first frame wasn't, or the reverse");
                    }
                    Some(call) => call.input = None,
                    None => self.begin_call(tool_call_id, Call::new(tool_name, *dynamic, self.step, None)),
                }
                Ok(())
            }
            Chunk::ToolInputError { tool_call_id, tool_name, dynamic, .. } => {
                match self.current_call(tool_call_id) {
                    Some(call) if call.past_input => return Err("gives the input of a call that is past it"),
                    Some(_) => {}
                    None => self.begin_call(tool_call_id, Call::new(tool_name, *dynamic, self.step, None)),
                }
                self.pass_input(tool_call_id)
            }
            Chunk::ToolApprovalRequest { tool_call_id, approval_id, .. } => {
                self.pass_input(tool_call_id)?;
                let call = self.calls.get_mut(tool_call_id);
                let before = call.and_then(|call| call.approval.replace(approval_id.clone()));
                self.forget_approval(before);
                *self.approvals.entry(approval_id.clone()).or_default() += 1;
                Ok(())
            }
            Chunk::ToolApprovalResponse { approval_id, .. } => {
                self.approvals.get(approval_id).map(drop).ok_or("answers what was never asked")
            }
            Chunk::ToolOutputAvailable { tool_call_id, .. }
            | Chunk::ToolOutputError { tool_call_id, .. }
            | Chunk::ToolOutputDenied { tool_call_id } => self.pass_input(tool_call_id),
            // Only those that began in it: looking at all calls in each step would take ever longer.
            Chunk::StartStep if self.begun.iter().any(|(id, _)| self.calls.get(id).is_some_and(Call::is_open)) => {
                Err("begins a step while a tool's input is open")
            }
            Chunk::StartStep => {
                self.step += 1;
                self.begun.clear();
                Ok(())
            }
            // The SDK forgets them with the step, without having ended them.
            Chunk::FinishStep | Chunk::ResetStep if !self.texts.is_empty() || !self.reasonings.is_empty() => {
                Err("ends a step in which a text or a reasoning is open")
            }
            Chunk::ResetStep if self.steps_before > 0 && self.step == self.steps_before => {
                Err("takes back what was there before the stream")
            }
            Chunk::ResetStep => {
                self.take_back();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The frames that end what is open, as it must be before the stream or a step ends: texts, reasonings, and as
    /// failed the tool inputs that aren't whole, which a front end would show as being written for ever.
    #[must_use]
    pub fn close(&mut self) -> Vec<Chunk> {
        let texts = self.texts.drain(..).map(|id| Chunk::TextEnd { id, citations: None, provider_metadata: None });
        let reasonings = self.reasonings.drain(..).map(|id| Chunk::ReasoningEnd { id, provider_metadata: None });
        let mut frames: Vec<Chunk> = texts.chain(reasonings).collect();
        frames.extend(self.close_inputs());
        frames
    }

    /// The frames that must come before `next`, where an agent leaves them out: a step and a stream end what is open, and
    /// what comes of a tool's call has its whole input before it. What is taken back is ended before, for a reader who isn't
    /// told of it.
    #[must_use]
    pub fn close_before(&mut self, next: &Chunk) -> Vec<Chunk> {
        match next {
            Chunk::FinishStep | Chunk::ResetStep => self.close(),
            Chunk::StartStep => self.close_inputs().collect(),
            Chunk::ToolApprovalRequest { tool_call_id, .. }
            | Chunk::ToolOutputAvailable { tool_call_id, .. }
            | Chunk::ToolOutputError { tool_call_id, .. }
            | Chunk::ToolOutputDenied { tool_call_id } => self.complete_input(tool_call_id).into_iter().collect(),
            _ if next.is_terminal() => self.close(),
            _ => Vec::new(),
        }
    }

    /// The input of a call whose agent never declared it whole: as a reader would else guess it from its pieces, each by
    /// a way of its own.
    fn complete_input(&mut self, id: &str) -> Option<Chunk> {
        let call = self.current_call(id)?;
        let text = call.input.take()?;
        let input = if call.plain { None } else { agents_json(&text) };
        Some(Chunk::ToolInputAvailable {
            tool_call_id: id.to_owned(),
            tool_name: call.tool_name.clone(),
            input: input.unwrap_or(Value::String(text)),
            provider_executed: None,
            provider_metadata: None,
            tool_metadata: None,
            dynamic: call.dynamic.then_some(true),
            title: None,
        })
    }

    fn close_inputs(&mut self) -> impl Iterator<Item = Chunk> {
        let Self { begun, calls, .. } = self;
        begun.iter().filter_map(|(id, _)| {
            let call = calls.get_mut(id).filter(|call| call.is_open())?;
            call.past_input = true;
            Some(Chunk::ToolInputError {
                tool_call_id: id.clone(),
                tool_name: call.tool_name.clone(),
                input: call.input.take().into(),
                provider_executed: None,
                provider_metadata: None,
                tool_metadata: None,
                dynamic: call.dynamic.then_some(true),
                error_text: INPUT_CUT.to_owned(),
            })
        })
    }

    /// A call of this step. The SDK looks no further for the frames of an input: agents name calls anew in each step.
    fn current_call(&mut self, id: &str) -> Option<&mut Call> {
        self.calls.get_mut(id).filter(|call| call.step == self.step)
    }

    fn begin_call(&mut self, id: &str, call: Call) {
        let before = self.calls.insert(id.to_owned(), call);
        self.begun.push((id.to_owned(), before));
    }

    /// Forgets the calls of this step.
    fn take_back(&mut self) {
        for (id, before) in std::mem::take(&mut self.begun) {
            let call = match before {
                Some(before) => self.calls.insert(id, before),
                None => self.calls.remove(&id),
            };
            self.forget_approval(call.and_then(|call| call.approval));
        }
    }

    fn forget_approval(&mut self, id: Option<String>) {
        if let Some(id) = id
            && let Some(calls) = self.approvals.get_mut(&id)
        {
            *calls -= 1;
            if *calls == 0 {
                self.approvals.remove(&id);
            }
        }
    }

    fn pass_input(&mut self, id: &str) -> Result<(), &'static str> {
        let call = self.calls.get_mut(id).ok_or("is about a call that never began")?;
        (call.past_input, call.input) = (true, None);
        Ok(())
    }
}

impl Call {
    fn new(tool_name: &str, dynamic: Option<bool>, step: usize, input: Option<String>) -> Self {
        let dynamic = dynamic.unwrap_or_default();
        let tool_name = tool_name.to_owned();
        Self { tool_name, dynamic, step, input, plain: false, past_input: false, approval: None }
    }

    fn is_open(&self) -> bool {
        self.input.is_some()
    }
}

fn begin(open: &mut Vec<String>, id: &str) -> Result<(), &'static str> {
    if open.iter().any(|known| known == id) {
        return Err("begins a part that is open already");
    }
    if open.len() == OPEN {
        return Err("begins a part while too many are open");
    }
    open.push(id.to_owned());
    Ok(())
}

fn find(open: &[String], id: &str) -> Result<usize, &'static str> {
    open.iter().rposition(|known| known == id).ok_or("belongs to no part that is open")
}

fn end(open: &mut Vec<String>, id: &str) -> Result<(), &'static str> {
    open.remove(find(open, id)?);
    Ok(())
}

/// A delta, whatever it is of.
struct Delta<'a> {
    id_name: &'static str,
    id: &'a str,
    text_name: &'static str,
    text: &'a str,
    provider_metadata: Option<&'a ProviderMetadata>,
}

impl<'a> Delta<'a> {
    fn of(chunk: &'a Chunk) -> Option<Self> {
        match chunk {
            Chunk::TextDelta { id, delta, provider_metadata }
            | Chunk::ReasoningDelta { id, delta, provider_metadata } => {
                let provider_metadata = provider_metadata.as_ref();
                Some(Self { id_name: "id", id, text_name: "delta", text: delta, provider_metadata })
            }
            Chunk::ToolInputDelta { tool_call_id: id, input_text_delta: text } => {
                Some(Self { id_name: "toolCallId", id, text_name: "inputTextDelta", text, provider_metadata: None })
            }
            _ => None,
        }
    }
}

/// Appends a frame to stored ones. A delta that continues the last of them becomes one with it; a reader ends with the
/// same message.
pub fn merge(frames: &mut Vec<Value>, next: &Chunk) {
    if let Some(delta) = Delta::of(next)
        && let Some(Value::Object(last)) = frames.last_mut()
        && last.get("type").is_some_and(|kind| kind == next.kind())
        && last.get(delta.id_name).is_some_and(|id| id == delta.id)
        && let Some(Value::String(text)) = last.get_mut(delta.text_name)
    {
        text.push_str(delta.text);
        // What a provider adds replaces what it added before: so does a reader of the two frames.
        if let Some(metadata) = delta.provider_metadata {
            last.insert("providerMetadata".to_owned(), serde_json::to_value(metadata).unwrap_or_default());
        }
        return;
    }
    frames.push(next.to_json());
}

#[cfg(test)]
mod tests;

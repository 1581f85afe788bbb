//! Which parts of an answer are open, and the merging of their deltas.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ui_stream::Chunk;
use crate::ui_stream::field::{BadChunk, ProviderMetadata};

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
    /// How many steps have begun.
    step: usize,
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
    /// Whether it has gone beyond its input: an approval, an output or an error.
    past_input: bool,
}

impl OpenParts {
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
            Chunk::ToolInputStart { tool_call_id, tool_name, dynamic, .. } => {
                if self.current_call(tool_call_id).is_some() {
                    return Err("begins a call that has begun already");
                }
                self.begin_call(tool_call_id, tool_name, *dynamic, Some(String::new()));
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
                    None => self.begin_call(tool_call_id, tool_name, *dynamic, None),
                }
                Ok(())
            }
            Chunk::ToolInputError { tool_call_id, tool_name, dynamic, .. } => {
                match self.current_call(tool_call_id) {
                    Some(call) if call.past_input => return Err("gives the input of a call that is past it"),
                    Some(_) => {}
                    None => self.begin_call(tool_call_id, tool_name, *dynamic, None),
                }
                self.pass_input(tool_call_id)
            }
            Chunk::ToolApprovalRequest { tool_call_id, .. }
            | Chunk::ToolOutputAvailable { tool_call_id, .. }
            | Chunk::ToolOutputError { tool_call_id, .. }
            | Chunk::ToolOutputDenied { tool_call_id } => self.pass_input(tool_call_id),
            Chunk::StartStep if self.calls.values().any(|call| call.is_open_in(self.step)) => {
                Err("begins a step while a tool's input is open")
            }
            Chunk::StartStep => {
                self.step += 1;
                Ok(())
            }
            // The SDK forgets them with the step, without having ended them.
            Chunk::FinishStep if !self.texts.is_empty() || !self.reasonings.is_empty() => {
                Err("ends a step in which a text or a reasoning is open")
            }
            _ => Ok(()),
        }
    }

    /// The frames that end what is open, as it must be before the stream or a step ends: texts, reasonings, and as
    /// failed the tool inputs that aren't whole, which a front end would show as being written for ever.
    #[must_use]
    pub fn close(&mut self) -> Vec<Chunk> {
        let texts = self.texts.drain(..).map(|id| Chunk::TextEnd { id, provider_metadata: None });
        let reasonings = self.reasonings.drain(..).map(|id| Chunk::ReasoningEnd { id, provider_metadata: None });
        let mut frames: Vec<Chunk> = texts.chain(reasonings).collect();
        frames.extend(self.close_inputs());
        frames
    }

    /// The frames that must come before `next`, where an agent leaves them out: a step and a stream end what is open.
    #[must_use]
    pub fn close_before(&mut self, next: &Chunk) -> Vec<Chunk> {
        match next {
            Chunk::FinishStep => self.close(),
            Chunk::StartStep => self.close_inputs().collect(),
            _ if next.is_terminal() => self.close(),
            _ => Vec::new(),
        }
    }

    fn close_inputs(&mut self) -> impl Iterator<Item = Chunk> {
        let open = self.calls.iter_mut().filter(|(_, call)| call.is_open_in(self.step));
        open.map(|(id, call)| {
            call.past_input = true;
            Chunk::ToolInputError {
                tool_call_id: id.clone(),
                tool_name: call.tool_name.clone(),
                input: call.input.take().into(),
                provider_executed: None,
                provider_metadata: None,
                tool_metadata: None,
                dynamic: call.dynamic.then_some(true),
                error_text: INPUT_CUT.to_owned(),
                title: None,
            }
        })
    }

    /// A call of this step. The SDK looks no further for the frames of an input: agents name calls anew in each step.
    fn current_call(&mut self, id: &str) -> Option<&mut Call> {
        self.calls.get_mut(id).filter(|call| call.step == self.step)
    }

    fn begin_call(&mut self, id: &str, tool_name: &str, dynamic: Option<bool>, input: Option<String>) {
        let dynamic = dynamic.unwrap_or_default();
        let call = Call { tool_name: tool_name.to_owned(), dynamic, step: self.step, input, past_input: false };
        self.calls.insert(id.to_owned(), call);
    }

    fn pass_input(&mut self, id: &str) -> Result<(), &'static str> {
        let call = self.calls.get_mut(id).ok_or("is about a call that never began")?;
        (call.past_input, call.input) = (true, None);
        Ok(())
    }
}

impl Call {
    fn is_open_in(&self, step: usize) -> bool {
        self.step == step && self.input.is_some()
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
mod tests {
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
        for ends in [None, Some(finish), Some(json!({"type": "abort"}))] {
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
    fn deltas_that_follow_each_other_become_one() {
        let frames =
            [text("start", "a"), text("delta", "a"), text("delta", "a"), text("delta", "b"), text("delta", "a")];
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
}

//! A tool's call as frames.

use serde_json::Value;

use super::{Object, frame};
use crate::ui_stream::Chunk;

/// A part of a call, whose members become its frames'.
struct Call<'a> {
    part: Object,
    /// The tool's name, where the front end's types know the tool.
    tool: Option<&'a str>,
}

/// The frames that bring a call to the state in which `part` shows it.
pub(super) fn frames(part: Object, tool: Option<&str>) -> Vec<Chunk> {
    let call = Call { part, tool };
    let state = call.part.get("state").and_then(Value::as_str);
    let has = |name| call.part.contains_key(name);
    let mut frames = match (has("input"), has("rawInput"), has("errorText")) {
        (true, false, _) => vec![call.input_available()],
        // What a front end reads out of an input that isn't whole comes of its text.
        (true, true, _) | (false, true, false) => vec![call.input_start(), call.input_delta()],
        (false, _, _) => vec![call.input_start()],
    };
    let asked = state == Some("approval-requested");
    if !asked {
        frames.push(call.approval());
    }
    // An input that couldn't be used is there as it came, and only so.
    frames.push(if has("errorText") && !has("input") && has("rawInput") { call.input_error() } else { call.outcome() });
    if asked {
        frames.push(call.approval());
    }
    frames.into_iter().flatten().collect()
}

/// The frame that tells what became of the call of a part, where it is one.
pub(super) fn outcome(part: Object) -> Option<Chunk> {
    part.contains_key("toolCallId").then(|| Call { part, tool: None }.outcome()).flatten()
}

impl Call<'_> {
    /// What became of it. That the reader agreed is told by no frame that version 6 of the SDK reads; that it didn't, is.
    fn outcome(&self) -> Option<Chunk> {
        let refused =
            || self.part.get("approval").and_then(|approval| approval.get("approved")) == Some(&Value::Bool(false));
        if self.part.contains_key("errorText") {
            self.output_error()
        } else if self.part.contains_key("output") {
            self.output_available()
        } else {
            let is = |state: &str| self.part.get("state").is_some_and(|it| it == state);
            (is("output-denied") || is("approval-responded") && refused())
                .then(|| self.frame("tool-output-denied", &[]))?
        }
    }

    fn input_start(&self) -> Option<Chunk> {
        self.frame_of_input(
            "tool-input-start",
            &[("providerMetadata", "callProviderMetadata"), ("inputEncoding", "inputEncoding")],
        )
    }

    fn input_delta(&self) -> Option<Chunk> {
        self.frame("tool-input-delta", &[("inputTextDelta", "rawInput")])
    }

    fn input_available(&self) -> Option<Chunk> {
        self.frame_of_input("tool-input-available", &[("providerMetadata", "callProviderMetadata"), ("input", "input")])
    }

    fn input_error(&self) -> Option<Chunk> {
        self.frame_of_input(
            "tool-input-error",
            &[("providerMetadata", "resultProviderMetadata"), ("input", "rawInput"), ("errorText", "errorText")],
        )
    }

    fn output_available(&self) -> Option<Chunk> {
        self.frame(
            "tool-output-available",
            &[("providerMetadata", "resultProviderMetadata"), ("output", "output"), ("preliminary", "preliminary")],
        )
    }

    fn output_error(&self) -> Option<Chunk> {
        self.frame("tool-output-error", &[("providerMetadata", "resultProviderMetadata"), ("errorText", "errorText")])
    }

    fn approval(&self) -> Option<Chunk> {
        let approval = self.part.get("approval")?.as_object()?;
        let mut members = pick(
            approval,
            &[
                ("approvalId", "id"),
                ("approvalDescriptor", "descriptor"),
                ("inputSchemaInput", "inputSchemaInput"),
                ("reason", "requestReason"),
                ("isAutomatic", "isAutomatic"),
                ("signature", "signature"),
            ],
        );
        members.extend(pick(&self.part, &[("toolCallId", "toolCallId")]));
        frame("tool-approval-request", members)
    }

    /// A frame of this type: of its members, the names of the part's members that they come from.
    fn frame(&self, kind: &str, names: &[(&str, &str)]) -> Option<Chunk> {
        let mut members = pick(&self.part, &[("toolCallId", "toolCallId")]);
        members.extend(pick(&self.part, names));
        frame(kind, members)
    }

    /// A frame that may be the call's first: it tells what the tool is, too.
    fn frame_of_input(&self, kind: &str, names: &[(&str, &str)]) -> Option<Chunk> {
        let own = ["toolCallId", "toolName", "title", "toolMetadata", "providerExecuted"].map(|name| (name, name));
        let mut members = pick(&self.part, &own);
        members.extend(pick(&self.part, names));
        match self.tool {
            Some(tool) => members.insert("toolName".to_owned(), tool.into()),
            None => members.insert("dynamic".to_owned(), true.into()),
        };
        frame(kind, members)
    }
}

fn pick(object: &Object, names: &[(&str, &str)]) -> Object {
    names.iter().filter_map(|(name, from)| Some(((*name).to_owned(), object.get(*from)?.clone()))).collect()
}

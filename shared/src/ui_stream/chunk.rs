//! The frames of a stream, typed.

#[macro_use]
mod typed;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::ui_stream::field::{
    BadChunk, Citations, Field, FinishReason, Flag, InputEncoding, ProviderMetadata, SteeringParts,
};

type Object = Map<String, Value>;

chunks! {
    /// The stream's first frame.
    Start = "start" {
        /// The answer's id.
        message_id: Option<String> = "messageId",
        /// To be merged into the answer's metadata.
        message_metadata: Option<Object> = "messageMetadata",
    };
    /// More metadata of the answer.
    MessageMetadata = "message-metadata" {
        /// To be merged into the answer's metadata.
        message_metadata: Object = "messageMetadata",
    };
    /// A step of the agent begins: a call of the model, and of the tools that it asks for.
    StartStep = "start-step";
    /// The step has ended, and with it every text and reasoning that is still open.
    FinishStep = "finish-step";
    /// What came since the last step began is taken back. Version 7.
    ResetStep = "reset-step";
    /// A text begins.
    TextStart = "text-start" {
        /// Its name until it ends.
        id: String = "id",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// More of a text.
    TextDelta = "text-delta" {
        /// Which text.
        id: String = "id",
        /// What comes next.
        delta: String = "delta",
        /// What the provider adds, in place of what it added before.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// A text has ended.
    TextEnd = "text-end" {
        /// Which text.
        id: String = "id",
        /// What supports it; version 6 passes over them.
        citations: Option<Citations> = "citations",
        /// What the provider adds, in place of what it added before.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// A reasoning begins.
    ReasoningStart = "reasoning-start" {
        /// Its name until it ends.
        id: String = "id",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// More of a reasoning.
    ReasoningDelta = "reasoning-delta" {
        /// Which reasoning.
        id: String = "id",
        /// What comes next.
        delta: String = "delta",
        /// What the provider adds, in place of what it added before.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// A reasoning has ended.
    ReasoningEnd = "reasoning-end" {
        /// Which reasoning.
        id: String = "id",
        /// What the provider adds, in place of what it added before.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// A web page that the answer rests on.
    SourceUrl = "source-url" {
        /// Its name in this answer.
        source_id: String = "sourceId",
        /// Where it is.
        url: String = "url",
        /// What a reader is shown.
        title: Option<String> = "title",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// A document that the answer rests on.
    SourceDocument = "source-document" {
        /// Its name in this answer.
        source_id: String = "sourceId",
        /// Its media type.
        media_type: String = "mediaType",
        /// What a reader is shown.
        title: String = "title",
        /// Its file's name.
        filename: Option<String> = "filename",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// A file that the agent made.
    File = "file" {
        /// Where it is; may be a `data:` URL.
        url: String = "url",
        /// Its media type.
        media_type: String = "mediaType",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// A file that the agent made while it thought. Version 7.
    ReasoningFile = "reasoning-file" {
        /// Where it is; may be a `data:` URL.
        url: String = "url",
        /// Its media type.
        media_type: String = "mediaType",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// What only its provider knows. Version 7.
    Custom = "custom" {
        /// What it is: `PROVIDER.TYPE`.
        kind: String = "kind",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// A message of the user's that the agent was given between two steps. Version 7.
    SteeringMessage = "steering-message" {
        /// The message.
        id: String = "id",
        /// What it says.
        parts: SteeringParts = "parts",
    };
    /// The input of a tool begins.
    ToolInputStart = "tool-input-start" {
        /// The call.
        tool_call_id: String = "toolCallId",
        /// The tool.
        tool_name: String = "toolName",
        /// How the deltas are to be read.
        input_encoding: Option<InputEncoding> = "inputEncoding",
        /// Whether the provider runs the tool.
        provider_executed: Option<bool> = "providerExecuted",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
        /// What the tool adds.
        tool_metadata: Option<Object> = "toolMetadata",
        /// Whether the front end's types don't know the tool.
        dynamic: Option<bool> = "dynamic",
        /// What a reader is shown.
        title: Option<String> = "title",
    };
    /// More of a tool's input.
    ToolInputDelta = "tool-input-delta" {
        /// The call.
        tool_call_id: String = "toolCallId",
        /// What comes next.
        input_text_delta: String = "inputTextDelta",
    };
    /// The whole input of a tool.
    ToolInputAvailable = "tool-input-available" {
        /// The call.
        tool_call_id: String = "toolCallId",
        /// The tool.
        tool_name: String = "toolName",
        /// The input.
        input: Value = "input",
        /// Whether the provider runs the tool.
        provider_executed: Option<bool> = "providerExecuted",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
        /// What the tool adds.
        tool_metadata: Option<Object> = "toolMetadata",
        /// Whether the front end's types don't know the tool.
        dynamic: Option<bool> = "dynamic",
        /// What a reader is shown.
        title: Option<String> = "title",
    };
    /// The input of a tool that can't be run with it.
    ToolInputError = "tool-input-error" {
        /// The call.
        tool_call_id: String = "toolCallId",
        /// The tool.
        tool_name: String = "toolName",
        /// The input as it came.
        input: Value = "input",
        /// Whether the provider runs the tool.
        provider_executed: Option<bool> = "providerExecuted",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
        /// What the tool adds.
        tool_metadata: Option<Object> = "toolMetadata",
        /// Whether the front end's types don't know the tool.
        dynamic: Option<bool> = "dynamic",
        /// What is wrong.
        error_text: String = "errorText",
    };
    /// A tool may run only if the reader agrees.
    ToolApprovalRequest = "tool-approval-request" {
        /// The request.
        approval_id: String = "approvalId",
        /// The call.
        tool_call_id: String = "toolCallId",
        /// What is to be approved.
        approval_descriptor: Option<Value> = "approvalDescriptor",
        /// The input as the tool's schema takes it.
        input_schema_input: Option<Value> = "inputSchemaInput",
        /// Why it is to be approved; version 6 passes over it.
        reason: Option<String> = "reason",
        /// Whether the agent itself answers; version 6 passes over it.
        is_automatic: Option<bool> = "isAutomatic",
        /// The agent's signature of the request.
        signature: Option<String> = "signature",
    };
    /// What was answered to a request. Version 7.
    ToolApprovalResponse = "tool-approval-response" {
        /// The request.
        approval_id: String = "approvalId",
        /// Whether the tool may run.
        approved: Flag = "approved",
        /// Why.
        reason: Option<String> = "reason",
        /// Whether the provider runs the tool.
        provider_executed: Option<bool> = "providerExecuted",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
    };
    /// What a tool answered.
    ToolOutputAvailable = "tool-output-available" {
        /// The call.
        tool_call_id: String = "toolCallId",
        /// The answer.
        output: Value = "output",
        /// Whether the provider ran the tool.
        provider_executed: Option<bool> = "providerExecuted",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
        /// What the tool adds.
        tool_metadata: Option<Object> = "toolMetadata",
        /// Whether the front end's types don't know the tool.
        dynamic: Option<bool> = "dynamic",
        /// Whether another answer of this call will replace it.
        preliminary: Option<bool> = "preliminary",
    };
    /// How a tool failed.
    ToolOutputError = "tool-output-error" {
        /// The call.
        tool_call_id: String = "toolCallId",
        /// What is wrong.
        error_text: String = "errorText",
        /// Whether the provider ran the tool.
        provider_executed: Option<bool> = "providerExecuted",
        /// What the provider adds.
        provider_metadata: Option<ProviderMetadata> = "providerMetadata",
        /// What the tool adds.
        tool_metadata: Option<Object> = "toolMetadata",
        /// Whether the front end's types don't know the tool.
        dynamic: Option<bool> = "dynamic",
    };
    /// The reader didn't agree to a tool.
    ToolOutputDenied = "tool-output-denied" {
        /// The call.
        tool_call_id: String = "toolCallId",
    };
    /// The answer ended.
    Finish = "finish" {
        /// Why.
        finish_reason: Option<FinishReason> = "finishReason",
        /// To be merged into the answer's metadata.
        message_metadata: Option<Object> = "messageMetadata",
    };
    /// The answer was stopped.
    Abort = "abort" {
        /// Why.
        reason: Option<String> = "reason",
    };
    /// The answer was cut off, or failed.
    Error = "error" {
        /// What a reader is told.
        error_text: String = "errorText",
    };
}

fn take<F: Field>(object: &mut Object, chunk: &'static str, name: &'static str) -> Result<F, BadChunk> {
    F::read(object.remove(name)).map_err(|must| BadChunk::Field { chunk, name, must })
}

impl Chunk {
    /// Reads a frame. Members that its type doesn't have, and nulls where a field may be absent, are left out.
    pub fn parse(frame: Value) -> Result<Self, BadChunk> {
        if is_forbidden(&frame) {
            return Err(BadChunk::ForbiddenMember);
        }
        let Value::Object(mut object) = frame else { return Err(BadChunk::NotAFrame) };
        let Some(Value::String(kind)) = object.remove("type") else { return Err(BadChunk::NotAFrame) };
        Self::read(&kind, &mut object)
    }

    fn read_data(kind: &str, object: &mut Object) -> Result<Self, BadChunk> {
        const KIND: &str = "data-*";
        let Some(kind) = kind.strip_prefix("data-") else {
            return Err(BadChunk::UnknownType(kind.chars().take(40).collect()));
        };
        Ok(Self::Data {
            kind: kind.to_owned(),
            id: take(object, KIND, "id")?,
            data: take(object, KIND, "data")?,
            transient: take(object, KIND, "transient")?,
        })
    }

    /// The frame as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        // Can't fail: every map here has string keys.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether version 6 of the SDK reads a frame of this type. One that it doesn't would end the stream of its front end,
    /// and which version a reader has isn't known: such a frame is stored, and passed to nobody.
    #[must_use]
    pub fn is_read_by_version_6(&self) -> bool {
        !matches!(
            self,
            Self::ReasoningFile { .. }
                | Self::Custom { .. }
                | Self::SteeringMessage { .. }
                | Self::ToolApprovalResponse { .. }
                | Self::ResetStep
        )
    }

    /// Whether the answer ends with it.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Finish { .. } | Self::Abort { .. } | Self::Error { .. })
    }
}

/// Whether the SDK's JSON reader would refuse it, for fear of what such members do to JavaScript objects.
fn is_forbidden(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| {
            name == "__proto__" || (name == "constructor" && value.get("prototype").is_some()) || is_forbidden(value)
        }),
        Value::Array(items) => items.iter().any(is_forbidden),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

//! The body of `POST /v1/chat`, for the document: what `useChat` sends, and what of it is read (`shared::model::Turn`).

use shared::id::ClientId;
use shared::model::{Metadata, Part};
use utoipa::ToSchema;

/// A question, as the AI SDK's `useChat` sends it. Further members, which an application adds, are passed over.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ChatRequest {
    /// The conversation: our id of it or the client's own. One that doesn't exist is made, and has this as its `clientId`.
    pub id: ClientId,
    /// The front end's list. The last is the question, or the answer that goes on; of the others the ids alone are read: the
    /// last of them that is stored is the message that the question follows. Send these or `message`.
    #[schema(min_items = 1, required = false)]
    pub messages: Vec<ChatRequestMessage>,
    /// The last message alone. It follows the conversation's last one, unless `parentId` says otherwise.
    #[schema(value_type = ChatRequestMessage, required = false)]
    pub message: Option<ChatRequestMessage>,
    /// What made the front end send.
    #[schema(value_type = Trigger, required = false)]
    pub trigger: Option<Trigger>,
    /// With `submit-message`, the question that this one is another wording of, or the answer that goes on; with
    /// `regenerate-message`, the answer to be replaced, or the question to be answered again, by default the last one.
    #[schema(value_type = String, required = false)]
    pub message_id: Option<String>,
    /// The message that the question follows, by our id or the client's own; null for none, so that it begins another branch.
    #[schema(value_type = Option<String>)]
    pub parent_id: Option<String>,
}

/// What made a front end send.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "kebab-case")]
pub enum Trigger {
    /// A question.
    SubmitMessage,
    /// The wish for another answer.
    RegenerateMessage,
}

/// A message as a front end holds it: the AI SDK's `UIMessage`.
#[derive(Debug, ToSchema)]
pub struct ChatRequestMessage {
    /// The client's own id of it: makes the question safe to repeat.
    #[schema(value_type = ClientId, required = false)]
    pub id: Option<ClientId>,
    /// Who speaks. A question is the `user`'s; the `assistant`'s message goes on once its calls are answered.
    pub role: ChatRequestRole,
    /// What it says: of a question at most 200 parts. Of an answer that goes on, the parts of calls are read that have one of the states `output-available`
    /// (`output`), `output-error` (`errorText`) and `approval-responded` (`approval`: `approved`, `reason`).
    #[schema(min_items = 1)]
    pub parts: Vec<Part>,
    /// The client's own data.
    #[schema(value_type = Metadata, required = false)]
    pub metadata: Option<Metadata>,
}

/// Who speaks, in the AI SDK's words.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ChatRequestRole {
    /// The reader.
    User,
    /// The agent.
    Assistant,
    /// Instructions, which come from the settings alone: nothing of such a message is read.
    System,
}

//! `POST /v1/conversations/{id}/messages/{messageId}/activate`

use axum::Json;
use axum::extract::State;
use axum::routing::MethodRouter;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, Input, Method, Path};
use shared::id::{ConversationRef, MessageRef};
use shared::model::Message;

/// The endpoint.
pub const ENDPOINT: Endpoint =
    Endpoint::new("activate-message", Method::Post, "/v1/conversations/{id}/messages/{messageId}/activate");

/// Makes a message's branch the one that a reader sees: what leads to it, and what followed it last.
///
/// What it replaces stays readable with `branch=all`. While an answer is being written, it is a 409.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/messages/{messageId}/activate", operation_id = "activate-message",
    tag = "messages",
    params(
        ("id" = String, Path, description = "The conversation's id, or its `clientId`"),
        ("messageId" = String, Path, description = "The message's id, or its `clientId`"),
    ),
    responses((status = 200, body = Message))
)]
pub(crate) async fn activate_message(
    State(db): State<Db>,
    caller: Caller,
    Path((conversation, message)): Path<(ConversationRef, MessageRef)>,
    _: Input,
) -> Result<Json<Message>, Error> {
    let activated = db.as_user(&caller).activate_message(&conversation, &message).await?;
    Ok(Json(activated.ok_or(Error::not_found("message"))?))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, activate_message)
}

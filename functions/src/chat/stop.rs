//! `POST /v1/chat/{id}/stop`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::StatusCode;
use serde::Serialize;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, Input, Method, Path};
use shared::id::{ConversationRef, MessageId};
use utoipa::ToSchema;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("stop-chat", Method::Post, "/v1/chat/{id}/stop");

/// What is being stopped.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stopping {
    /// The answer that will end.
    message_id: MessageId,
}

/// Stops the answer that is being written, wherever it runs, within a second; what was written stays.
///
/// Nothing is being written: 204.
#[utoipa::path(
    post, path = "/v1/chat/{id}/stop", operation_id = "stop-chat", tag = "chat",
    params(("id" = String, Path, description = "The conversation's id, or its `clientId`")),
    responses((status = 202, body = Stopping), (status = 204, description = "Nothing to stop"))
)]
pub(crate) async fn stop_chat(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<ConversationRef>,
    _: Input,
) -> Result<Response, Error> {
    let stopping = db.as_user(&caller).request_stop(&id).await?;
    Ok(match stopping.ok_or(Error::not_found("conversation"))? {
        Some(message_id) => (StatusCode::ACCEPTED, Json(Stopping { message_id })).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, stop_chat)
}

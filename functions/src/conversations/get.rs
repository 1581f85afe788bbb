//! `GET /v1/conversations/{id}`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::header;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, Input, Method, Path};
use shared::id::ConversationRef;
use shared::model::Conversation;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("get-conversation", Method::Get, "/v1/conversations/{id}");

/// Answers with a conversation.
#[utoipa::path(
    get, path = "/v1/conversations/{id}", operation_id = "get-conversation", tag = "conversations",
    params(("id" = String, Path, description = "Its id, or its `clientId`")),
    responses((status = 200, body = Conversation, headers(("ETag" = String, description = "For `If-Match`"))))
)]
pub(crate) async fn get_conversation(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<ConversationRef>,
    _: Input,
) -> Result<Response, Error> {
    let conversation = db.as_user(&caller).get_conversation(&id).await?.ok_or(Error::not_found("conversation"))?;
    Ok(([(header::ETAG, conversation.etag())], Json(conversation)).into_response())
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, get_conversation)
}

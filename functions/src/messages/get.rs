//! `GET /v1/conversations/{id}/messages/{messageId}`

use axum::Json;
use axum::extract::State;
use axum::routing::MethodRouter;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, FromQuery, Input, Method, Path, Query};
use shared::id::{ConversationRef, MessageRef};
use shared::model::Message;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("get-message", Method::Get, "/v1/conversations/{id}/messages/{messageId}");

/// The query string.
pub(crate) struct GetMessage {
    embeddings: bool,
}

impl FromQuery for GetMessage {
    fn from_query(query: &mut Query) -> Self {
        Self { embeddings: super::include_embeddings(query) }
    }
}

/// Answers with one message, on whatever branch it is.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/messages/{messageId}", operation_id = "get-message", tag = "messages",
    params(
        ("id" = String, Path, description = "The conversation's id, or its `clientId`"),
        ("messageId" = String, Path, description = "The message's id, or its `clientId`"),
        ("include" = Option<String>, Query, pattern = "^embeddings$", description = "`embeddings` shows those of the sources"),
    ),
    responses((status = 200, body = Message))
)]
pub(crate) async fn get_message(
    State(db): State<Db>,
    caller: Caller,
    Path((conversation, message)): Path<(ConversationRef, MessageRef)>,
    Input { query, .. }: Input<GetMessage>,
) -> Result<Json<Message>, Error> {
    let found = db.as_user(&caller).get_message(&conversation, &message, query.embeddings).await?;
    Ok(Json(found.ok_or(Error::not_found("message"))?))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, get_message)
}

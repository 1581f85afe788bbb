//! `POST /v1/conversations/{id}/messages`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::StatusCode;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, IdempotencyKey, Input, Method, Path, replayed};
use shared::id::ConversationRef;
use shared::model::{Appended, NewMessages};

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("append-messages", Method::Post, "/v1/conversations/{id}/messages");

/// Appends 1 to 100 messages to a conversation: all of them, or none.
///
/// A message with a `clientId` may be sent again: it is stored once, and answered as it was stored. The same id with
/// other content is a 422. With the header `Idempotency-Key`, messages without a `clientId` get the key and their place.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/messages", operation_id = "append-messages", tag = "messages",
    params(
        ("id" = String, Path, description = "The conversation's id, or its `clientId`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names the messages that have no `clientId`"),
    ),
    request_body = NewMessages,
    responses((status = 201, body = Appended, headers(
        ("Idempotency-Replayed" = Option<String>, description = "`true` where earlier requests had stored all of them"),
    )))
)]
pub(crate) async fn append_messages(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<ConversationRef>,
    Input { headers: IdempotencyKey(key), body: mut new, .. }: Input<(), IdempotencyKey, NewMessages>,
) -> Result<Response, Error> {
    new.with_key(key.as_ref());
    let appended = db.as_user(&caller).append_messages(&id, new).await?.ok_or(Error::not_found("conversation"))?;
    Ok((StatusCode::CREATED, replayed(appended.replayed), Json(appended)).into_response())
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, append_messages)
}

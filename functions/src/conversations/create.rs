//! `POST /v1/conversations`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::{StatusCode, header};
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, IdempotencyKey, Input, Method, replayed};
use shared::model::{CreatedConversation, NewConversation};

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("create-conversation", Method::Post, "/v1/conversations");

/// Creates a conversation, with its first messages if there are any.
///
/// With a `clientId` (or the header `Idempotency-Key`) the request may be repeated: it answers with what was made the
/// first time. The same id with other content is a 422.
#[utoipa::path(
    post, path = "/v1/conversations", operation_id = "create-conversation", tag = "conversations",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request where the body has no `clientId`")),
    request_body = NewConversation,
    responses((status = 201, body = CreatedConversation, headers(
        ("ETag" = String, description = "The conversation's version"),
        ("Location" = String, description = "The conversation's path"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` where an earlier request had made it"),
    )))
)]
pub(crate) async fn create_conversation(
    State(db): State<Db>,
    caller: Caller,
    Input { headers: IdempotencyKey(key), body: mut new, .. }: Input<(), IdempotencyKey, NewConversation>,
) -> Result<Response, Error> {
    new.with_key(key.as_ref());
    let created = db.as_user(&caller).create_conversation(new).await?;
    let headers = [
        (header::ETAG, created.conversation.etag()),
        (header::LOCATION, format!("/v1/conversations/{}", created.conversation.id)),
    ];
    Ok((StatusCode::CREATED, headers, replayed(created.replayed), Json(created)).into_response())
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, create_conversation)
}

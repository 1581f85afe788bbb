//! `PATCH /v1/conversations/{id}`

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
use shared::model::{Conversation, ConversationPatch, IfMatch};

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("update-conversation", Method::Patch, "/v1/conversations/{id}");

/// Changes a conversation by a JSON merge patch (RFC 7396).
///
/// With `If-Match` it is changed only if its version is the one named, else 412. A patch that changes nothing is a 200
/// with the version as it was.
#[utoipa::path(
    patch, path = "/v1/conversations/{id}", operation_id = "update-conversation", tag = "conversations",
    params(
        ("id" = String, Path, description = "Its id, or its `clientId`"),
        ("If-Match" = Option<String>, Header, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#, description = "An `ETag` of it"),
    ),
    request_body(content((ConversationPatch = "application/merge-patch+json"), (ConversationPatch = "application/json"))),
    responses((status = 200, body = Conversation, headers(("ETag" = String, description = "The new version"))))
)]
pub(crate) async fn update_conversation(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<ConversationRef>,
    Input { headers: if_match, body: patch, .. }: Input<(), IfMatch, ConversationPatch>,
) -> Result<Response, Error> {
    let updated = db.as_user(&caller).update_conversation(&id, patch, &if_match).await?;
    let conversation = updated.ok_or(Error::not_found("conversation"))?;
    Ok(([(header::ETAG, conversation.etag())], Json(conversation)).into_response())
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, update_conversation)
}

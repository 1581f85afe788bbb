//! `DELETE /v1/conversations/{id}`

use axum::extract::State;
use axum::routing::MethodRouter;
use http::StatusCode;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, Input, Method, Path};
use shared::id::ConversationRef;
use shared::model::IfMatch;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("delete-conversation", Method::Delete, "/v1/conversations/{id}");

/// Deletes a conversation with all its messages, for good.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}", operation_id = "delete-conversation", tag = "conversations",
    params(
        ("id" = String, Path, description = "Its id, or its `clientId`"),
        ("If-Match" = Option<String>, Header, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#, description = "An `ETag` of it"),
    ),
    responses((status = 204, description = "It is gone; a second DELETE is a 404"))
)]
pub(crate) async fn delete_conversation(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<ConversationRef>,
    Input { headers: if_match, .. }: Input<(), IfMatch>,
) -> Result<StatusCode, Error> {
    let deleted = db.as_user(&caller).delete_conversation(&id, &if_match).await?;
    deleted.then_some(StatusCode::NO_CONTENT).ok_or(Error::not_found("conversation"))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, delete_conversation)
}

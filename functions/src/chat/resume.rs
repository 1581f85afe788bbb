//! `GET /v1/chat/{id}/stream`

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::StatusCode;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, EventStream, Input, Method, Path};
use shared::id::ConversationRef;
use shared::relay::{Deadline, Relay};

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("resume-chat", Method::Get, "/v1/chat/{id}/stream").streaming();

/// Streams the answer that is being written, from its start and to its end.
///
/// Nothing is being written, and nothing was a minute ago, or there is no such chat: 204, as `useChat` expects it.
#[utoipa::path(
    get, path = "/v1/chat/{id}/stream", operation_id = "resume-chat", tag = "chat",
    params(("id" = String, Path, description = "The conversation's id, or its `clientId`")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "A UI message stream"),
        (status = 204, description = "Nothing to resume"),
    )
)]
pub(crate) async fn resume_chat(
    State(db): State<Db>,
    State(relay): State<Relay>,
    caller: Caller,
    deadline: Deadline,
    Path(id): Path<ConversationRef>,
    _: Input,
) -> Result<Response, Error> {
    Ok(match db.as_user(&caller).find_run(&id, relay.replay()).await? {
        Some(run) => EventStream(relay.follow(caller, run, deadline)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, resume_chat)
}

//! `GET /v1/openapi.json`: the API document, made from the endpoints' own annotations.

pub mod chat_request;
mod operations;
mod schemas;

use axum::Json;
use axum::routing::MethodRouter;
use serde_json::Value;
use shared::error::Error;
use shared::http::{App, Endpoint, Input, Method, Problem};
use shared::model::{Branch, Order, Role};
use utoipa::OpenApi as _;

use self::operations::{Bearer, Heads, IdempotencyKeys, Problems};

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("openapi", Method::Get, "/v1/openapi.json").public().without_backends();

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Colloquy",
        description = "Conversations, their messages and the sources of their answers. Sign in with Better Auth and send \
            its JWT as `Authorization: Bearer …`. Ids in paths are ours or the client's own. Times are RFC 3339 in UTC; \
            what isn't there is absent, never null. Errors are problem documents (RFC 9457). What answers GET answers HEAD.",
    ),
    paths(
        crate::health::health,
        openapi,
        crate::me::me,
        crate::chat::reply::reply_chat,
        crate::chat::get::get_chat,
        crate::chat::resume::resume_chat,
        crate::chat::stop::stop_chat,
        crate::conversations::list::list_conversations,
        crate::conversations::create::create_conversation,
        crate::conversations::get::get_conversation,
        crate::conversations::update::update_conversation,
        crate::conversations::delete::delete_conversation,
        crate::messages::list::list_messages,
        crate::messages::append::append_messages,
        crate::messages::get::get_message,
        crate::messages::activate::activate_message,
    ),
    components(schemas(Problem, Order, Role, Branch)),
    modifiers(&Bearer, &Problems, &IdempotencyKeys, &Heads),
    security(("bearer" = [])),
)]
struct Document;

/// The API document, as JSON.
#[must_use]
pub fn document() -> Value {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    schemas::correct(&mut document);
    document
}

/// Answers with this document: OpenAPI 3.1.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "openapi", tag = "service", security(()),
    responses((status = 200, description = "An OpenAPI document", content_type = "application/json", body = Object))
)]
pub(crate) async fn openapi(_: Input) -> Result<Json<Value>, Error> {
    Ok(Json(document()))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, openapi)
}

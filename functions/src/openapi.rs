//! `GET /v1/openapi.json`: the API document, made from the endpoints' own annotations.

use axum::Json;
use axum::routing::MethodRouter;
use serde_json::{Value, json};
use shared::error::Error;
use shared::http::{App, Endpoint, Input, Method, PROBLEM_JSON, Problem};
use shared::model::{Branch, Order, Role};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("openapi", Method::Get, "/v1/openapi.json").public().without_backends();

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Colloquy",
        description = "Conversations, their messages and the sources of their answers. Sign in with Better Auth and send \
            its JWT as `Authorization: Bearer …`. Ids in paths are ours or the client's own. Times are RFC 3339 in UTC; \
            what isn't there is absent, never null. Errors are problem documents (RFC 9457).",
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
    modifiers(&Bearer, &Problems, &Heads),
    security(("bearer" = [])),
)]
struct Document;

/// How a caller signs in.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("A JWT of Better Auth's `jwt` plugin: `GET {AUTH_URL}/token`"));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme.build()));
    }
}

/// What every endpoint may answer beside its own.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
                let response = ResponseBuilder::new()
                    .description("A problem document; `code` says which")
                    .content(PROBLEM_JSON, problem);
                operation.responses.responses.insert("default".to_owned(), response.build().into());
            }
        }
    }
}

/// What answers GET answers HEAD, without content (RFC 9110, section 9.3.2).
struct Heads;

impl Modify for Heads {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            let Some(mut head) = item.get.clone() else { continue };
            head.operation_id = head.operation_id.map(|id| format!("head-{id}"));
            head.summary = Some("As GET, without content.".to_owned());
            head.description = None;
            for response in head.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    response.content.clear();
                }
            }
            item.head = Some(head);
        }
    }
}

/// The API document, as JSON.
#[must_use]
pub fn document() -> Value {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    // utoipa's types have either members or alternatives; a message has both.
    document["components"]["schemas"]["NewMessage"]["oneOf"] =
        json!([{"required": ["parts"]}, {"required": ["content"]}]);
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

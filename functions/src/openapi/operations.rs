//! What holds for every operation: how a caller signs in, the problems that it may meet, the header that names a request, HEAD.

use shared::error::Code;
use shared::http::PROBLEM_JSON;
use utoipa::Modify;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Type};

/// How a caller signs in.
pub(super) struct Bearer;

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

/// Applies `change` to every operation, with its path.
fn each(document: &mut OpenApi, change: impl Fn(&str, &mut Operation)) {
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(|operation| change(path, operation));
    }
}

/// The problems that every operation may meet beside its own, by status.
pub(super) struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut OpenApi) {
        let is_public = |operation: &Operation| operation.security.is_some();
        each(document, |path, operation| {
            let has_header = |name: &str| {
                let mut parameters = operation.parameters.iter().flatten();
                parameters
                    .any(|it| matches!(it, RefOr::T(it) if it.parameter_in == ParameterIn::Header && it.name == name))
            };
            let mut codes = vec![Code::InvalidRequest, Code::TooManyRequests, Code::Unavailable, Code::Timeout];
            if !is_public(operation) {
                codes.extend([Code::Unauthenticated, Code::Banned]);
            }
            if path.contains('{') {
                codes.push(Code::NotFound);
            }
            if operation.request_body.is_some() {
                codes.extend([Code::ContentTooLarge, Code::UnsupportedMediaType, Code::Conflict]);
            }
            if has_header("Idempotency-Key") {
                codes.push(Code::IdempotencyKeyReused);
            }
            if has_header("If-Match") {
                codes.push(Code::PreconditionFailed);
            }
            if path == "/v1/chat" {
                codes.extend([Code::NotFound, Code::NotConfigured]);
            }
            for code in codes {
                let responses = &mut operation.responses.responses;
                responses.entry(code.status().to_string()).or_insert_with(|| problem(code.title()).into());
            }
            operation.responses.responses.insert("default".to_owned(), problem("Any other problem").into());
        });
    }
}

fn problem(title: &str) -> utoipa::openapi::Response {
    let document = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(title).content(PROBLEM_JSON, document).build()
}

/// `Idempotency-Key`: a client's id, bare or as a quoted string, short enough for a batch's places behind it.
pub(super) struct IdempotencyKeys;

/// The characters of a client's id: visible ASCII without `/ \ ? # %`.
const KEY: &str = r#"^(?!""$)([!"$&-.0->@-\[\]-~]{1,120}|"[!"$&-.0->@-\[\]-~]{1,120}")$"#;

impl Modify for IdempotencyKeys {
    fn modify(&self, document: &mut OpenApi) {
        each(document, |_, operation| {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter
                    && parameter.name == "Idempotency-Key"
                {
                    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(KEY));
                    parameter.schema = Some(schema.min_length(Some(1)).max_length(Some(122)).into());
                }
            }
        });
    }
}

/// What answers GET answers HEAD, without content (RFC 9110, section 9.3.2).
pub(super) struct Heads;

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

//! Whatever no endpoint answers: preflights, unknown paths (404), methods that a path doesn't have (405).

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Uri};
use shared::config::HttpConfig;
use shared::error::{Code, Error};
use shared::http::preflight;
use shared::runtime::Function;

/// Its function: it needs neither keys nor database.
pub const FUNCTION: Function = Function { name: "fallback", needs_keys: false, needs_database: false, streams: false };

/// Answers a request that no endpoint answers.
pub async fn answer(State(config): State<HttpConfig>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let mut allow: Vec<&str> = crate::endpoints()
        .iter()
        .filter(|endpoint| endpoint.matches(uri.path()))
        .flat_map(|endpoint| endpoint.method.answers().iter().copied())
        .collect();
    // A method that the path has, and yet nobody answered: the request was sent to another endpoint's function.
    if allow.is_empty() || allow.contains(&method.as_str()) {
        return Error::not_found("path").into_response();
    }
    allow.push("OPTIONS");
    let allow = allow.join(", ");
    if method == Method::OPTIONS {
        return preflight(&config.cors_origins, &headers, &allow);
    }
    let detail = format!("This path has the methods {allow}.");
    Error::new(Code::MethodNotAllowed, detail).with_header("allow", allow).into_response()
}

/// The `fallback` function's router: it has no routes.
pub fn router() -> axum::Router<shared::http::App> {
    axum::Router::new().fallback(answer)
}

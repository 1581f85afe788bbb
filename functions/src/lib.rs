//! Colloquy's endpoints: one file is one endpoint, with its types, its handler and its part of the API document.
//!
//! To add one: its file, its lines in [`endpoints`] and [`router`], its binary, its entry in `template.yaml`. The suite
//! fails until all of them, the API document and the local gateway agree.
#![warn(unused_crate_dependencies)]

pub mod chat;
pub mod conversations;
pub mod fallback;
pub mod health;
pub mod me;
pub mod messages;
pub mod openapi;

use std::process::ExitCode;

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter, on};
use shared::http::{App, Endpoint, Method};
use shared::runtime;

/// Every endpoint, in URL order.
#[must_use]
pub const fn endpoints() -> [Endpoint; 16] {
    [
        health::ENDPOINT,
        openapi::ENDPOINT,
        me::ENDPOINT,
        chat::reply::ENDPOINT,
        chat::get::ENDPOINT,
        chat::resume::ENDPOINT,
        chat::stop::ENDPOINT,
        conversations::list::ENDPOINT,
        conversations::create::ENDPOINT,
        conversations::get::ENDPOINT,
        conversations::update::ENDPOINT,
        conversations::delete::ENDPOINT,
        messages::list::ENDPOINT,
        messages::append::ENDPOINT,
        messages::get::ENDPOINT,
        messages::activate::ENDPOINT,
    ]
}

/// All endpoints behind one router, as API Gateway puts them behind one address.
pub fn router() -> Router<App> {
    let routes = [
        health::route(),
        openapi::route(),
        me::route(),
        chat::reply::route(),
        chat::get::route(),
        chat::resume::route(),
        chat::stop::route(),
        conversations::list::route(),
        conversations::create::route(),
        conversations::get::route(),
        conversations::update::route(),
        conversations::delete::route(),
        messages::list::route(),
        messages::append::route(),
        messages::get::route(),
        messages::activate::route(),
    ];
    let routes = endpoints().into_iter().zip(routes);
    // What no endpoint answers, whether for its path or for its method, `fallback` does.
    routes
        .fold(Router::new(), |router, (endpoint, route)| router.route(endpoint.path, route))
        .fallback(fallback::answer)
        .method_not_allowed_fallback(fallback::answer)
}

/// Serves one endpoint as a Lambda function.
#[must_use]
pub fn serve(endpoint: Endpoint, route: MethodRouter<App>) -> ExitCode {
    let router = Router::new().route(endpoint.path, route).fallback(fallback::answer);
    runtime::serve(endpoint, router.method_not_allowed_fallback(fallback::answer))
}

/// A route for `endpoint`'s method. One of GET answers HEAD as well, the body left out: "The HEAD method is identical to GET
/// except that the server MUST NOT send content in the response" (RFC 9110, section 9.3.2). API Gateway routes by the
/// method's name, so that each of its gateways has to name HEAD beside GET.
fn route<H, T>(endpoint: Endpoint, handler: H) -> MethodRouter<App>
where
    H: axum::handler::Handler<T, App>,
    T: 'static,
{
    let filter = match endpoint.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    };
    on(filter, handler)
}

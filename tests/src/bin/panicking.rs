//! A function that panics, which nobody can make those do that are deployed. It is served as they are; the suite alone
//! builds it.

use std::convert::Infallible;
use std::process::ExitCode;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::stream;
use shared::config::environment;
use shared::http::EventStream;
use shared::runtime::{Function, serve};

fn main() -> ExitCode {
    let streams = environment("AWS_LAMBDA_FUNCTION_NAME").is_some_and(|name| name == "streaming");
    let router = Router::new()
        .route("/panic", get(panics))
        .route("/panic-in-the-stream", get(panics_in_the_stream))
        .route("/fine", get(async || "fine"));
    serve(Function { name: "panicking", needs_keys: false, needs_database: false, streams }, router)
}

async fn panics() -> &'static str {
    panic!("canary")
}

async fn panics_in_the_stream() -> EventStream {
    EventStream(Body::from_stream(stream::unfold(0, async |n| {
        assert!(n < 2, "canary");
        Some((Ok::<_, Infallible>(Bytes::from(format!("data: {n}\n\n"))), n + 1))
    })))
}

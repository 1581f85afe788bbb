//! A panic costs its request, and no other: the environment lives on.

use std::path::Path;

use serde_json::json;

use crate::support::function::{http_event, rest_event};
use crate::support::runtime_api::Environment;

/// The function that panics, answering in one piece or as a `streaming` one.
async fn panicking(name: &str) -> Environment {
    let settings =
        [("DATABASE_URL", "postgresql://colloquy_app:x@127.0.0.1:1/none"), ("AUTH_URL", "http://127.0.0.1:1/api/auth")];
    Environment::of(Path::new(env!("CARGO_BIN_EXE_panicking")), name, &settings).await
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_and_the_next_request_is_answered() {
    for name in ["buffered", "streaming"] {
        let mut function = panicking(name).await;
        for make in [rest_event, http_event] {
            let panicked = function.invoke(&make("GET", "/panic", &json!({}), None)).await.response();
            assert_eq!((panicked.status, panicked.header("content-type")), (500, Some("application/problem+json")));
            let problem = panicked.json();
            assert_eq!((&problem["code"], &problem["status"]), (&json!("internal"), &json!(500)));
            assert_eq!(problem["requestId"].as_str(), panicked.header("x-request-id"));
            let next = function.invoke(&make("GET", "/fine", &json!({}), None)).await.response();
            assert_eq!((next.status, next.body.as_str()), (200, "fine"), "{name}");
        }
        // The log says where, and for which request; not the panic's words, which may quote what a user wrote.
        let place = function.lines.with("\"panicked\"").await;
        assert!(place.contains("panicking.rs"), "{place}");
        function.lines.with("the handler panicked").await;
        assert!(!function.lines.text().contains("canary"));
        assert!(function.process.try_wait().expect("a process").is_none());
    }
}

#[tokio::test]
async fn a_panic_in_a_stream_is_told_to_its_reader_and_the_next_request_is_answered() {
    for name in ["buffered", "streaming"] {
        let mut function = panicking(name).await;
        for _ in 0..2 {
            let cut = function.invoke(&rest_event("GET", "/panic-in-the-stream", &json!({}), None)).await.response();
            let frames: Vec<&str> = cut.body.split_terminator("\n\n").collect();
            assert_eq!(frames.len(), 4, "{}", cut.body);
            assert_eq!((frames[0], frames[1], frames[3]), ("data: 0", "data: 1", "data: [DONE]"));
            assert!(frames[2].contains(r#""type":"error""#) && !cut.body.contains("canary"), "{}", cut.body);
            let next = function.invoke(&rest_event("GET", "/fine", &json!({}), None)).await.response();
            assert_eq!((next.status, next.body.as_str()), (200, "fine"), "{name}");
        }
        function.lines.with("\"panicked\"").await;
        assert!(!function.lines.text().contains("canary"));
        assert!(function.process.try_wait().expect("a process").is_none());
    }
}

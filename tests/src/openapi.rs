//! `GET /v1/openapi.json`

mod contract;

use axum::body::Body;
use http::{Request, StatusCode};

use crate::support::api::Api;

#[tokio::test]
async fn is_an_openapi_3_1_document_for_everyone() {
    let api = Api::new().await;
    let document = api.send(Request::get("/v1/openapi.json").body(Body::empty()).expect("a request")).await;
    document.expect(StatusCode::OK);
    assert_eq!(document.header("content-type"), Some("application/json"));
    assert!(document.text("/openapi").starts_with("3.1"));
    assert_eq!(document.text("/info/title"), "Colloquy");
    assert_eq!(document.text("/components/securitySchemes/bearer/scheme"), "bearer");
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = functions::openapi::document();
    let text = document.to_string();
    let mut references = 0;
    for (at, found) in text.match_indices("\"$ref\":\"#") {
        let pointer = text[at + found.len()..].split('"').next().expect("a pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        references += 1;
    }
    assert!(references > 10, "{references}");
}

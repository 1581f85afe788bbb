//! Problem documents (RFC 9457): the face of an error that the client sees.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Error, Fault};
use crate::model::limits;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Names the kind of problem: `urn:problem:colloquy:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:problem:colloquy:not_found")]
    pub kind: String,
    /// The kind in words, the same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The kind for programs. Codes may be added, never change their meaning.
    pub code: Code,
    /// Leads to the request's lines in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// All faults of a malformed request, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

impl Problem {
    /// What the client may know of `error`.
    #[must_use]
    pub fn new(error: &Error, request_id: Option<&str>) -> Self {
        Self {
            kind: format!("urn:problem:colloquy:{}", error.code.as_str()),
            title: error.code.title(),
            status: error.code.status(),
            detail: error.detail.clone().into_owned(),
            code: error.code,
            request_id: request_id.map(str::to_owned),
            errors: error.faults.iter().take(limits::FAULTS).cloned().collect(),
        }
    }

    /// The document's bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A struct of texts and numbers can't fail to serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An error on its way to the boundary, which writes the document (it knows the request's id) and the log's line.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) std::sync::Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = StatusCode::from_u16(self.code.status()).unwrap_or_default().into_response();
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        response.extensions_mut().insert(Failure(self.into()));
        response
    }
}

/// Writes the problem document of a failed response into its body.
pub(crate) fn write(response: Response, error: &Error, request_id: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    Response::from_parts(parts, Problem::new(error, Some(request_id)).to_json().into())
}

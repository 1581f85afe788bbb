//! A function's answer to an event: JSON, with the body escaped into a string of it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html#apigateway-types-transforms>
//!
//! `lambda_http` has types for this, whose bodies `serde_json` escapes byte by byte: of a page of messages that was a third
//! of all that a function did. Here `json-escape-simd` does it, many bytes at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{Code, Error};
use crate::http::{PROBLEM_JSON, Problem, SECURITY_HEADERS};

/// What a function answers to an event: the shape that both versions of API Gateway's events have in common.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    headers: Headers,
    multi_value_headers: HeaderLists,
    /// Version 2 has these; version 1 takes no member that it doesn't know.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<[&'static str; 0]>,
    /// A JSON string.
    body: Box<RawValue>,
    is_base64_encoded: bool,
}

/// How an event wants the headers of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A REST API's (version 1): a list of values for each name.
    Rest,
    /// An HTTP API's or a Function URL's (version 2): one value for each name.
    Http,
    /// There was no telling: what both read.
    Unknown,
}

impl Answer {
    /// The answer of this status, with these headers and this body.
    pub fn new(version: Version, status: StatusCode, headers: HeaderMap, body: &[u8]) -> serde_json::Result<Self> {
        let (headers, lists) = match version {
            Version::Rest => (HeaderMap::new(), headers),
            Version::Http | Version::Unknown => (joined(&headers), HeaderMap::new()),
        };
        // Bodies of this API are JSON. Were one ever not UTF-8, it would get through all the same.
        let (body, is_base64_encoded) = match str::from_utf8(body) {
            Ok(text) => (json_escape_simd::escape(text), false),
            Err(_) => (format!("\"{}\"", STANDARD.encode(body)), true),
        };
        Ok(Self {
            status_code: status.as_u16(),
            headers: Headers(headers),
            multi_value_headers: HeaderLists(lists),
            cookies: (version == Version::Http).then_some([]),
            body: RawValue::from_string(body)?,
            is_base64_encoded,
        })
    }
}

/// The response to an event that is no request: a 400 with a problem document.
#[must_use]
pub fn bad_event(request_id: &str) -> http::Response<String> {
    let error = Error::new(Code::InvalidRequest, "The request can't be read as HTTP.");
    let mut response = http::Response::new(Problem::new(&error, Some(request_id)).to_json());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.extend(SECURITY_HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    response
}

/// `{"vary": ["Origin", …]}`
#[derive(Debug)]
struct HeaderLists(HeaderMap);

impl Serialize for HeaderLists {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = |name| self.0.get_all(name).iter().map(text).collect::<Vec<_>>();
        serializer.collect_map(self.0.keys().map(|name| (name.as_str(), values(name))))
    }
}

/// `{"vary": "Origin, …"}`
#[derive(Debug)]
struct Headers(HeaderMap);

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name.as_str(), text(value))))
    }
}

/// One value for each name: several are one with commas (RFC 9110, section 5.3). Cookies, of which that isn't true, are never
/// set here.
pub(super) fn joined(headers: &HeaderMap) -> HeaderMap {
    let one = |name: &HeaderName| {
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        // Values that were valid are so with a comma between them.
        Some((name.clone(), HeaderValue::from_bytes(&values.join(&b", "[..])).ok()?))
    };
    headers.keys().filter_map(one).collect()
}

fn text(value: &HeaderValue) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn answer(version: Version, body: &[u8]) -> Value {
        let headers = [("vary", "Origin"), ("vary", "Accept"), ("etag", "\"1\"")];
        let pair = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut map = HeaderMap::new();
        headers.map(pair).into_iter().for_each(|(name, value)| {
            map.append(name, value);
        });
        let answer = Answer::new(version, StatusCode::OK, map, body).expect("an answer");
        serde_json::from_slice(&serde_json::to_vec(&answer).expect("JSON")).expect("JSON")
    }

    #[test]
    fn each_version_gets_its_headers() {
        assert_eq!(
            answer(Version::Rest, b"{}"),
            json!({"statusCode": 200, "headers": {}, "multiValueHeaders": {"vary": ["Origin", "Accept"], "etag": ["\"1\""]},
                "body": "{}", "isBase64Encoded": false})
        );
        let headers = json!({"vary": "Origin, Accept", "etag": "\"1\""});
        assert_eq!(
            answer(Version::Http, b"{}"),
            json!({"statusCode": 200, "headers": headers, "multiValueHeaders": {}, "cookies": [], "body": "{}",
                "isBase64Encoded": false})
        );
        assert_eq!(answer(Version::Unknown, b"{}").get("cookies"), None);
    }

    #[test]
    fn what_is_no_text_is_base64() {
        let answer = answer(Version::Http, b"\xff\xfe");
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("//4="), &json!(true)));
    }

    #[test]
    fn a_streams_head_repeats_no_header() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("vary", "Origin"), ("x-request-id", "1"), ("vary", "Accept")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let joined = joined(&headers);
        assert_eq!(
            (joined.len(), &joined["vary"], &joined["x-request-id"]),
            (2, &HeaderValue::from_static("Origin, Accept"), &headers["x-request-id"])
        );
    }

    proptest! {
        #[test]
        fn a_body_comes_back_as_it_was(body in any::<String>()) {
            let answer = answer(Version::Rest, body.as_bytes());
            prop_assert_eq!(answer["body"].as_str(), Some(body.as_str()));
        }
    }
}

//! A function's answer to an event: JSON with the body escaped into a string, in the event's own version.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html#apigateway-types-transforms>
//!
//! Written here and not by `lambda_http`, which copies a body several times on its way, has it escaped byte by byte and
//! brings tables of every character set there is: for a page of messages that was a third of all that a function did.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::error::{Code, Error};
use crate::http::{PROBLEM_JSON, Problem, SECURITY_HEADERS};
use crate::model::RawJson;

/// How an event wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A REST API's (version 1): a list of values for each header.
    Rest,
    /// An HTTP API's or a Function URL's (version 2): one value for each header. Both kinds read this.
    Http,
}

/// What a function answers to an event.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Answer(RawJson);

impl Answer {
    /// The answer of this status, with these headers and this body.
    #[must_use]
    pub fn new(version: Version, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        // Prose grows little by being escaped, JSON by an eighth.
        let mut json = Vec::with_capacity(body.len() + body.len() / 4 + 1024);
        // Writing to a Vec can't fail, here and below.
        let _ = write!(json, r#"{{"statusCode":{}"#, status.as_u16());
        match version {
            Version::Rest => write_header_lists(&mut json, headers),
            Version::Http => write_headers(&mut json, headers),
        }
        json.extend_from_slice(br#","body":""#);
        // Bodies of this API are JSON. Were one ever not UTF-8, it would get through all the same.
        let text = std::str::from_utf8(body);
        match text {
            Ok(text) => escape(text, &mut json),
            Err(_) => json.extend_from_slice(STANDARD.encode(body).as_bytes()),
        }
        let _ = write!(json, r#"","isBase64Encoded":{}}}"#, text.is_err());
        // Made of texts, it is one.
        Self(RawJson::trusted(String::from_utf8(json).unwrap_or_default()))
    }

    /// A 400 with a problem document, for an event that is no request.
    #[must_use]
    pub fn bad_event(request_id: &str) -> Self {
        let error = Error::new(Code::InvalidRequest, "The request can't be read as HTTP.");
        let status = StatusCode::BAD_REQUEST;
        let mut headers = HeaderMap::from_iter(SECURITY_HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        let body = Problem::new(&error, Some(request_id)).to_json();
        Self::new(Version::Http, status, &headers, body.as_bytes())
    }
}

/// `"multiValueHeaders":{"vary":["Origin"],…}`; API Gateway would send what `headers` has beside it.
fn write_header_lists(json: &mut Vec<u8>, headers: &HeaderMap) {
    json.extend_from_slice(br#","headers":{},"multiValueHeaders":{"#);
    for (i, name) in headers.keys().enumerate() {
        // Names are tokens (RFC 9110, section 5.6.2): there is nothing to escape in one.
        let _ = write!(json, r#"{}"{name}":["#, if i == 0 { "" } else { "," });
        for (i, value) in headers.get_all(name).iter().enumerate() {
            json.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            escape(&String::from_utf8_lossy(value.as_bytes()), json);
            json.push(b'"');
        }
        json.push(b']');
    }
    json.push(b'}');
}

/// `"headers":{"vary":"Origin",…}`: several values are one with commas (RFC 9110, section 5.3). Cookies, of which that
/// isn't true, are never set here.
fn write_headers(json: &mut Vec<u8>, headers: &HeaderMap) {
    json.extend_from_slice(br#","cookies":[],"multiValueHeaders":{},"headers":{"#);
    for (i, name) in headers.keys().enumerate() {
        let _ = write!(json, r#"{}"{name}":""#, if i == 0 { "" } else { "," });
        for (i, value) in headers.get_all(name).iter().enumerate() {
            json.extend_from_slice(if i == 0 { b"" } else { b", " });
            escape(&String::from_utf8_lossy(value.as_bytes()), json);
        }
        json.push(b'"');
    }
    json.push(b'}');
}

/// Appends `text` as the inside of a JSON string (RFC 8259, section 7). Eight bytes at a time are asked whether one of them
/// has to be escaped, and what lies between those is copied in whole stretches.
fn escape(text: &str, json: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let (words, rest) = bytes.as_chunks::<8>();
    let mut copied = 0;
    for (i, word) in words.iter().enumerate() {
        let mut special = special_bytes(u64::from_le_bytes(*word));
        while special != 0 {
            let at = i * 8 + special.trailing_zeros() as usize / 8;
            json.extend_from_slice(&bytes[copied..at]);
            escape_byte(bytes[at], json);
            copied = at + 1;
            special &= special - 1;
        }
    }
    json.extend_from_slice(&bytes[copied..bytes.len() - rest.len()]);
    rest.iter().copied().for_each(|byte| escape_byte(byte, json));
}

/// The high bit of each byte that is a quote, a backslash or below a space.
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    const LOW: u64 = !HIGH;
    // In seven bits a sum can't reach the next byte.
    const fn below(word: u64, limit: u8) -> u64 {
        !(((word & LOW) + ONES * (0x80 - limit as u64)) | word)
    }
    let quotes = below(word ^ (ONES * b'"' as u64), 1);
    let backslashes = below(word ^ (ONES * b'\\' as u64), 1);
    (quotes | backslashes | below(word, b' ')) & HIGH
}

fn escape_byte(byte: u8, json: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
        b'\n' => json.extend_from_slice(b"\\n"),
        0..b' ' => {
            let _ = write!(json, "\\u{byte:04x}");
        }
        _ => json.push(byte),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn answered(version: Version, headers: &HeaderMap, body: &[u8]) -> Value {
        let answer = Answer::new(version, StatusCode::CREATED, headers, body);
        serde_json::from_str(&serde_json::to_string(&answer).expect("JSON")).expect("JSON")
    }

    #[test]
    fn each_version_has_its_own_shape() {
        let mut headers = HeaderMap::new();
        headers.append("vary", HeaderValue::from_static("Origin"));
        headers.append("vary", HeaderValue::from_static("a\"b"));
        headers.append("etag", HeaderValue::from_static("\"1\""));
        let rest = answered(Version::Rest, &headers, b"{\"a\":\"\\u0000\"}");
        assert_eq!(
            rest,
            json!({
                "statusCode": 201, "headers": {}, "multiValueHeaders": {"vary": ["Origin", "a\"b"], "etag": ["\"1\""]},
                "body": "{\"a\":\"\\u0000\"}", "isBase64Encoded": false,
            })
        );
        let http = answered(Version::Http, &headers, b"\xff");
        assert_eq!(
            http,
            json!({
                "statusCode": 201, "headers": {"vary": "Origin, a\"b", "etag": "\"1\""}, "multiValueHeaders": {}, "cookies": [],
                "body": "/w==", "isBase64Encoded": true,
            })
        );
        assert_eq!(answered(Version::Rest, &HeaderMap::new(), b"")["multiValueHeaders"], json!({}));
    }

    proptest! {
        #[test]
        fn whatever_the_body_is_it_comes_back(body in r#"([ -~]|["\\\x00-\x1f\x7f-\x9f]|\PC){0,40}"#) {
            prop_assert_eq!(&answered(Version::Rest, &HeaderMap::new(), body.as_bytes())["body"], &json!(body));
        }

        #[test]
        fn no_header_spoils_the_answer(value in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let headers = HeaderMap::from_iter([(header::ETAG, value)]);
                prop_assert_eq!(&answered(Version::Rest, &headers, b"x")["body"], &json!("x"));
            }
        }
    }
}

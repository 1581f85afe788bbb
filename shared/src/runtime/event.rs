//! Events of API Gateway (REST API: version 1, HTTP API and Function URL: version 2) as `lambda_http` can convert them.
//!
//! `lambda_http` expects what API Gateway promises, and panics on the rest: a raw quote or space in a query, a bad Host,
//! a body that isn't base64. It also puts version 1's decoded query values into the URI as they are. Both are mended
//! here, on the event, so that the conversion stays its.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::request::LambdaRequest;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The longest path and query. API Gateway takes 10,240 bytes of request line and headers in all.
const URI_BYTES: usize = 10 * 1024;

/// An event: a request, or JSON that is none.
#[derive(Debug)]
pub struct Event(Option<LambdaRequest>);

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(json.get()).ok()))
    }
}

impl Event {
    /// The event as `lambda_http` converts it without a panic; or why there is no request in it.
    ///
    /// Paths are taken without the stage and without `base_path`.
    pub fn into_request(self, base_path: &str) -> Result<LambdaRequest, &'static str> {
        match self.0.ok_or("the event is no API Gateway event")? {
            LambdaRequest::ApiGatewayV1(mut event) => {
                let parameters = if event.multi_value_query_string_parameters.is_empty() {
                    &event.query_string_parameters
                } else {
                    &event.multi_value_query_string_parameters
                };
                let mut query = form_urlencoded::Serializer::new(String::new());
                parameters.iter().for_each(|(name, value)| {
                    query.append_pair(name, value);
                });
                let query = query.finish();
                event.query_string_parameters = QueryMap::default();
                event.multi_value_query_string_parameters = QueryMap::default();
                // The URI is parsed from this, so that the encoded query may stand in it.
                let path = clean_path(event.path.as_deref().unwrap_or_default(), base_path);
                event.path = Some(checked(if query.is_empty() { path } else { format!("{path}?{query}") })?);
                event.request_context.stage = None;
                clean_headers(&mut event.headers);
                clean_headers(&mut event.multi_value_headers);
                // `headers` has the last value of each alone, and would replace all values of a repeated one.
                if !event.multi_value_headers.is_empty() {
                    event.headers =
                        event.headers.remove(header::HOST).map(|host| (header::HOST, host)).into_iter().collect();
                }
                event.headers.entry(header::HOST).or_insert(LOCALHOST);
                check_body(event.is_base64_encoded, event.body.as_deref())?;
                Ok(LambdaRequest::ApiGatewayV1(event))
            }
            LambdaRequest::ApiGatewayV2(mut event) => {
                let path = event.raw_path.as_deref().unwrap_or_default();
                // A stage other than `$default` stands before the path.
                let stage = event.request_context.stage.take().unwrap_or_default();
                let path = path.strip_prefix(&format!("/{stage}")).filter(|rest| rest.starts_with('/')).unwrap_or(path);
                event.raw_path = Some(checked(clean_path(path, base_path))?);
                event.raw_query_string =
                    Some(checked(clean_query(event.raw_query_string.as_deref().unwrap_or_default()))?);
                clean_headers(&mut event.headers);
                event.headers.entry(header::HOST).or_insert(LOCALHOST);
                check_body(event.is_base64_encoded, event.body.as_deref())?;
                Ok(LambdaRequest::ApiGatewayV2(event))
            }
            _ => Err("the event is of a service that isn't supported"),
        }
    }
}

/// Stands in for a host that is missing or malformed. Nothing depends on it.
const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");

fn checked(text: String) -> Result<String, &'static str> {
    if text.len() <= URI_BYTES { Ok(text) } else { Err("the path or the query is too long") }
}

/// Takes out the headers that the URI would be built from, where they can't be part of one.
fn clean_headers(headers: &mut HeaderMap) {
    const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if host.is_some_and(|host| host.contains('@') || host.parse::<Authority>().is_err() || !is_url_host(host)) {
        headers.insert(header::HOST, LOCALHOST);
    }
    if headers.get(FORWARDED_PROTO).is_some_and(|scheme| scheme != "https" && scheme != "http") {
        headers.remove(FORWARDED_PROTO);
    }
}

/// Whether the URL parser that `lambda_http` uses takes the host.
fn is_url_host(host: &str) -> bool {
    reqwest::Url::parse(&format!("https://{host}/")).is_ok_and(|url| url.path() == "/")
}

/// A path that begins with a slash and holds only what a URI may hold; the base path is taken off.
fn clean_path(path: &str, base_path: &str) -> String {
    let path = path.strip_prefix(base_path).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path);
    let path = encode(path, |byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte));
    if path.starts_with('/') { path } else { format!("/{path}") }
}

/// A query that holds only what a URI may hold.
fn clean_query(query: &str) -> String {
    encode(query, |byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte))
}

/// Percent-encodes every byte that isn't `allowed`, and leaves what is encoded already.
fn encode(text: &str, allowed: impl Fn(u8) -> bool) -> String {
    let bytes = text.as_bytes();
    let mut encoded = String::with_capacity(bytes.len());
    for (i, &byte) in bytes.iter().enumerate() {
        let is_escape =
            byte == b'%' && bytes.get(i + 1..i + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if allowed(byte) || is_escape {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn check_body(is_base64: bool, body: Option<&str>) -> Result<(), &'static str> {
    match body {
        Some(body) if is_base64 && STANDARD.decode(body).is_err() => Err("the body isn't base64"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::Request;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn convert(event: &Value, base_path: &str) -> Result<Request, &'static str> {
        let event: Event = serde_json::from_value(event.clone()).expect("any JSON is an event");
        event.into_request(base_path).map(Request::from)
    }

    fn v1(path: &str, query: &Value) -> Value {
        json!({
            "path": path, "httpMethod": "GET", "headers": {"Host": "abc.execute-api.eu-central-1.amazonaws.com"},
            "multiValueQueryStringParameters": query, "requestContext": {"stage": "prod", "httpMethod": "GET"},
        })
    }

    fn v2(path: &str, query: &str) -> Value {
        json!({
            "version": "2.0", "rawPath": path, "rawQueryString": query, "headers": {"host": "abc.lambda-url.aws"},
            "requestContext": {"stage": "prod", "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1"}},
        })
    }

    fn uri(event: &Value) -> String {
        let request = convert(event, "/chat-api").expect("a request");
        request.uri().path_and_query().expect("a path").to_string()
    }

    #[test]
    fn both_versions_become_the_same_request() {
        let (path, decoded) = ("/v1/conversations", json!({"title": ["a b&c=d%", "é"], "limit": ["1"]}));
        let v1 = uri(&v1(path, &decoded));
        let parsed = |uri: &str| -> Vec<(String, String)> {
            let query = uri.split_once('?').expect("a query").1;
            let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            pairs.sort();
            pairs
        };
        let v2 = uri(&v2(path, "title=a+b%26c%3Dd%25&title=%C3%A9&limit=1"));
        assert_eq!(parsed(&v1), parsed(&v2));
        assert!(v1.starts_with("/v1/conversations?"), "{v1}");
    }

    #[test]
    fn a_repeated_header_keeps_its_values() {
        let mut event = v1("/v1/me", &json!(null));
        event["headers"]["Authorization"] = "Bearer b".into();
        event["multiValueHeaders"] = json!({"Host": ["abc"], "Authorization": ["Bearer a", "Bearer b"]});
        let request = convert(&event, "").expect("a request");
        let values: Vec<_> = request.headers().get_all(header::AUTHORIZATION).iter().collect();
        assert_eq!(values, ["Bearer a", "Bearer b"]);
    }

    #[test]
    fn stage_and_base_path_are_taken_off() {
        assert_eq!(uri(&v1("/v1/me", &json!(null))), "/v1/me");
        assert_eq!(uri(&v1("/chat-api/v1/me", &json!(null))), "/v1/me");
        assert_eq!(uri(&v2("/prod/v1/me", "")), "/v1/me");
        assert_eq!(uri(&v2("/prod/chat-api/v1/me", "")), "/v1/me");
        assert_eq!(uri(&v2("/production/v1/me", "")), "/production/v1/me");
        assert_eq!(uri(&v2("/chat-apis/v1/me", "")), "/chat-apis/v1/me");
    }

    #[test]
    fn odd_bytes_are_encoded_and_what_is_encoded_stays() {
        assert_eq!(uri(&v2("/v1/conversations/a b%2Fé\"<", "x=\"a b<\u{7f}%zz%41")), {
            "/v1/conversations/a%20b%2F%C3%A9%22%3C?x=%22a%20b%3C%7F%25zz%41"
        });
        assert_eq!(uri(&v1("/v1/a?b#c", &json!(null))), "/v1/a%3Fb%23c");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let mut bad_body = v2("/v1/me", "");
        bad_body["isBase64Encoded"] = true.into();
        bad_body["body"] = "%%%".into();
        let long = v2(&"/a".repeat(URI_BYTES), "");
        for event in [json!({}), json!([]), json!(null), json!({"Records": []}), bad_body, long] {
            assert!(convert(&event, "").is_err(), "{event}");
        }
    }

    proptest! {
        #[test]
        fn no_event_panics(
            path in "(/|[\\PC]|[ -~]){0,20}", query in "([\\PC]|[ -~]|[\\x00-\\x1f]){0,20}",
            host in "[ -~]{0,20}", scheme in "[ -~]{0,8}", stage in "[ -~]{0,8}", body in "[ -~]{0,8}", base64: bool,
        ) {
            for mut event in [v1(&path, &json!({query.clone(): [query.clone()]})), v2(&path, &query)] {
                event["headers"] = json!({"host": host, "x-forwarded-proto": scheme});
                event["requestContext"]["stage"] = stage.clone().into();
                event["body"] = body.clone().into();
                event["isBase64Encoded"] = base64.into();
                prop_assert_eq!(convert(&event, "/x").is_ok(), !base64 || STANDARD.decode(&body).is_ok());
            }
        }
    }
}

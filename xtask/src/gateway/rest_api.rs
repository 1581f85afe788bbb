//! What a REST API of API Gateway does to requests and answers on their way, so that nothing works on this machine that fails
//! there: its methods, its query strings, its sizes, its time, the headers that it drops or renames.
//!
//! After AWS's "Amazon API Gateway important notes", for REST APIs
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html>), its quotas
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html>) and Lambda's
//! (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>). What the gateway answers itself is what
//! `template.yaml` has it say.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use shared::error::{Code, Error};
use shared::http::{PROBLEM_JSON, Problem};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::secrets;

/// "Total combined size of request line and header values: 10240 bytes".
const HEAD_BYTES: usize = 10_240;
/// "Payload size: 10 MB".
const BODY_BYTES: usize = 10 * 1024 * 1024;
/// "Invocation payload (request and response): 6 MB each for request and response (synchronous)". The body is a JSON string in it.
const EVENT_BYTES: usize = 6 * 1024 * 1024;
/// What an event has beside the headers and the body.
const CONTEXT_BYTES: usize = 2048;
/// The template's integration timeouts.
const BUFFERED: Duration = Duration::from_secs(29);
const STREAMED: Duration = Duration::from_mins(15);
/// What a REST API's method can be. `ANY` stands for these.
const METHODS: [Method; 7] =
    [Method::DELETE, Method::GET, Method::HEAD, Method::OPTIONS, Method::PATCH, Method::POST, Method::PUT];

/// Headers that don't get to a Lambda integration.
const DROPPED_FROM_REQUESTS: [&str; 11] = [
    "connection",
    "content-md5",
    "expect",
    "max-forwards",
    "proxy-authenticate",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];
/// Headers of an integration's answer that get another name: `X-Amzn-Remapped-` and their own.
const REMAPPED: [&str; 8] =
    ["authorization", "connection", "content-md5", "date", "max-forwards", "server", "user-agent", "www-authenticate"];
/// Headers of an integration's answer that don't get to the client.
const DROPPED_FROM_ANSWERS: [&str; 8] =
    ["expect", "host", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "via"];

/// Where requests go on to.
#[derive(Clone)]
struct Behind {
    url: String,
    client: reqwest::Client,
}

/// Serves it at `port`, before the functions' gateway at `url`, as long as this program runs.
pub(super) async fn serve(port: u16, url: String) -> Result<()> {
    let tls = shared::tls::client_config(shared::tls::web_roots())?;
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0).build()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("the gateway couldn't listen")?;
    let router = Router::new().fallback(pass).with_state(Behind { url, client });
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(())
}

async fn pass(State(behind): State<Behind>, request: Request) -> Response {
    // The ids that a REST API gives each request; `x-request-id` is Colloquy's own.
    let id = secrets::password().unwrap_or_default();
    let is_head = request.method() == Method::HEAD;
    let mut response = behind.answer(request).await.unwrap_or_else(|refusal| refusal.answer(&id));
    if is_head {
        *response.body_mut() = Body::empty();
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

impl Behind {
    async fn answer(&self, request: Request) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        // What isn't ASCII in a header has no one meaning (RFC 9110, section 5.5), and the gateway behind this fails on it.
        let is_ascii = |value: &HeaderValue| value.to_str().is_ok();
        if !parts.headers.values().all(is_ascii) {
            return Err(Refusal::BadRequest);
        }
        if !METHODS.contains(&parts.method) || head_size(&parts.method, &parts.uri, &parts.headers) > HEAD_BYTES {
            return Err(Refusal::BadRequest);
        }
        let query = query(parts.uri.query().unwrap_or_default())?;
        let body = axum::body::to_bytes(body, BODY_BYTES).await.map_err(|_| Refusal::TooLarge)?;
        let body = as_text(body);
        if event_size(&parts.headers, &body) > EVENT_BYTES {
            return Err(Refusal::TooLarge);
        }
        let streams = streams(&parts.method, parts.uri.path());
        let mut url = format!("{}{}", self.url, parts.uri.path());
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let sent = self.client.request(parts.method, url).headers(to_function(parts.headers)).body(body).send();
        let answer = timeout(if streams { STREAMED } else { BUFFERED }, async {
            let answer = sent.await.map_err(|_| Refusal::Unavailable)?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            // A function's own 500 is a problem document: this one says that none has answered.
            let is_text = headers.get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/plain"));
            if status == StatusCode::INTERNAL_SERVER_ERROR && is_text {
                return Err(Refusal::Unavailable);
            }
            let body = if streams { as_it_comes(answer) } else { whole(answer).await? };
            Ok((status, headers, body))
        });
        let (status, mut headers, body) = answer.await.unwrap_or(Err(Refusal::Timeout))?;
        // Of the server behind this one, not of the function.
        headers.remove(header::DATE);
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = to_client(&headers);
        Ok(response)
    }
}

/// "The plain text pipe character (|) and the curly brace character ({ or }) are not supported for any request URL query string
/// and must be URL-encoded. The semicolon character (;) is not supported for any request URL query string and results in the
/// data being split."
fn query(text: &str) -> Result<String, Refusal> {
    if text.contains(['|', '{', '}']) { Err(Refusal::BadRequest) } else { Ok(text.replace(';', "&")) }
}

/// The bytes of the request line and of the headers.
fn head_size(method: &Method, uri: &Uri, headers: &HeaderMap) -> usize {
    let line = method.as_str().len() + uri.path_and_query().map_or(0, |it| it.as_str().len()) + "  HTTP/1.1".len();
    line + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

/// "By default, API Gateway considers the message body to be a text payload": bytes that are no UTF-8 don't get through.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings.html>
fn as_text(body: Bytes) -> Bytes {
    match std::str::from_utf8(&body) {
        Ok(_) => body,
        Err(_) => String::from_utf8_lossy(&body).into_owned().into(),
    }
}

/// The bytes of the event that Lambda is invoked with, or answers. It has each header twice, and the body as a JSON string.
fn event_size(headers: &HeaderMap, body: &Bytes) -> usize {
    let body = serde_json::to_string(&String::from_utf8_lossy(body)).map_or(usize::MAX, |text| text.len());
    let headers: usize = headers.iter().map(|(name, value)| 2 * (name.as_str().len() + value.len() + 8)).sum();
    body.saturating_add(headers + CONTEXT_BYTES)
}

/// Whether the template streams this.
fn streams(method: &Method, path: &str) -> bool {
    functions::endpoints()
        .iter()
        .any(|it| it.streams && it.matches(path) && it.method.answers().contains(&method.as_str()))
}

fn to_function(mut headers: HeaderMap) -> HeaderMap {
    for name in DROPPED_FROM_REQUESTS {
        headers.remove(name);
    }
    // It is the body's, and the client sets it.
    headers.remove(header::CONTENT_LENGTH);
    // "The Authorization header is dropped if it contains a Signature Version 4 signature".
    if headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-HMAC-SHA256")) {
        headers.remove(header::AUTHORIZATION);
    }
    headers
}

fn to_client(headers: &HeaderMap) -> HeaderMap {
    let mut returned = HeaderMap::new();
    for (name, value) in headers {
        let name = match name.as_str() {
            dropped if DROPPED_FROM_ANSWERS.contains(&dropped) => continue,
            remapped if REMAPPED.contains(&remapped) => {
                // What is a name is one behind this.
                HeaderName::try_from(format!("x-amzn-remapped-{remapped}")).unwrap_or_else(|_| name.clone())
            }
            _ => name.clone(),
        };
        returned.append(name, value.clone());
    }
    returned
}

/// A body in one piece, as large as Lambda lets it be.
async fn whole(mut answer: reqwest::Response) -> Result<Body, Refusal> {
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(|_| Refusal::Unavailable)? {
        body.extend_from_slice(&bytes);
    }
    let body = Bytes::from(body);
    if event_size(answer.headers(), &body) > EVENT_BYTES { Err(Refusal::Unavailable) } else { Ok(Body::from(body)) }
}

fn as_it_comes(answer: reqwest::Response) -> Body {
    Body::from_stream(unfold(answer, async |mut answer| {
        let piece = answer.chunk().await.transpose()?;
        Some((piece, answer))
    }))
}

/// What the gateway answers itself, as the template's gateway responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// `DEFAULT_4XX`
    BadRequest,
    /// `REQUEST_TOO_LARGE`
    TooLarge,
    /// `DEFAULT_5XX`
    Unavailable,
    /// `INTEGRATION_TIMEOUT`
    Timeout,
}

impl Refusal {
    fn answer(self, id: &str) -> Response {
        let error = match self {
            Self::BadRequest => Error::new(Code::InvalidRequest, "API Gateway refused the request."),
            Self::TooLarge => Error::new(Code::ContentTooLarge, "API Gateway takes no request of this size."),
            Self::Unavailable => Error::new(Code::Unavailable, "The function could not answer."),
            Self::Timeout => Error::new(Code::Timeout, "The function did not answer in time."),
        };
        let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [
            (header::CONTENT_TYPE, PROBLEM_JSON),
            (header::CACHE_CONTROL, "no-store"),
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Retry-After"),
        ];
        let mut response = (status, headers, Problem::new(&error, Some(id)).to_json()).into_response();
        if self == Self::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn headers_are_dropped_and_renamed_as_on_aws() {
        let sent =
            headers(&[("authorization", "Bearer x"), ("expect", "100-continue"), ("te", "trailers"), ("x-y", "1")]);
        assert_eq!(to_function(sent), headers(&[("authorization", "Bearer x"), ("x-y", "1")]));
        let signed = headers(&[("authorization", "AWS4-HMAC-SHA256 Credential=x"), ("max-forwards", "1")]);
        assert_eq!(to_function(signed), HeaderMap::new());
        let answered =
            [("www-authenticate", "Bearer"), ("server", "x"), ("date", "y"), ("authorization", "z"), ("etag", "1")];
        let remapped = [
            ("x-amzn-remapped-www-authenticate", "Bearer"),
            ("x-amzn-remapped-server", "x"),
            ("x-amzn-remapped-date", "y"),
            ("x-amzn-remapped-authorization", "z"),
            ("etag", "1"),
        ];
        assert_eq!(to_client(&headers(&answered)), headers(&remapped));
        assert_eq!(to_client(&headers(&[("transfer-encoding", "chunked"), ("upgrade", "h2c")])), HeaderMap::new());
    }

    #[test]
    fn a_query_is_split_or_refused_as_on_aws() {
        assert_eq!(query("limit=1;title=a&b=%7C%3B"), Ok("limit=1&title=a&b=%7C%3B".to_owned()));
        for bad in ["a=|", "a={b", "a=b}"] {
            assert_eq!(query(bad), Err(Refusal::BadRequest), "{bad}");
        }
    }

    #[test]
    fn a_body_counts_as_the_string_that_it_becomes() {
        let size = |body: &'static [u8]| event_size(&HeaderMap::new(), &Bytes::from_static(body)) - CONTEXT_BYTES;
        assert_eq!([size(b"{}"), size(b"\"\"")], [4, 6]);
        assert_eq!(as_text(Bytes::from_static(b"a\xff")), Bytes::from_static("a\u{fffd}".as_bytes()));
    }

    #[test]
    fn what_the_template_streams_is_known() {
        for (method, path, expected) in [
            (Method::POST, "/v1/chat", true),
            (Method::GET, "/v1/chat/a/stream", true),
            (Method::HEAD, "/v1/chat/a/stream", true),
            (Method::GET, "/v1/chat", false),
            (Method::POST, "/v1/chat/a/stop", false),
        ] {
            assert_eq!(streams(&method, path), expected, "{method} {path}");
        }
    }
}

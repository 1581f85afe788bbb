//! One error type with two faces: what the client may know, and the cause, which only the log sees.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// Every kind of failure that a client can meet. The set is closed, and each code owns its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// The request is malformed; `errors` says where and why, all faults at once.
    InvalidRequest,
    /// No token was sent, or one that is refused.
    Unauthenticated,
    /// The token is good, and its user is banned.
    Banned,
    /// There is no such thing, or it belongs to someone else.
    NotFound,
    /// The path exists, the method doesn't; `Allow` lists those that do.
    MethodNotAllowed,
    /// Another request got there first; read again, then decide.
    Conflict,
    /// The conversation's answer is still being written: stop it, or wait for its end.
    TurnRunning,
    /// `If-Match` names another version than the stored one.
    PreconditionFailed,
    /// The body, one of its parts, or the answer that it would cause is too large.
    ContentTooLarge,
    /// The body is of a media type that this endpoint doesn't read.
    UnsupportedMediaType,
    /// The client id or `Idempotency-Key` was used before, with other content.
    IdempotencyKeyReused,
    /// The user has used up what a window of time allows; `Retry-After` says when the next begins.
    QuotaExceeded,
    /// API Gateway or its firewall lets no more requests in for now. The template says so, no function does.
    TooManyRequests,
    /// A fault of the server that nobody foresaw.
    Internal,
    /// The deployment lacks a setting that this endpoint needs.
    NotConfigured,
    /// The database or the key set can't be reached; the same request may succeed after `Retry-After`.
    Unavailable,
    /// The deadline passed. Whether the request took effect is unknown: repeat it with the same client id or key.
    Timeout,
}

impl Code {
    /// Every code, for documents and tests.
    pub const ALL: [Self; 17] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::Banned,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::TurnRunning,
        Self::PreconditionFailed,
        Self::ContentTooLarge,
        Self::UnsupportedMediaType,
        Self::IdempotencyKeyReused,
        Self::QuotaExceeded,
        Self::TooManyRequests,
        Self::Internal,
        Self::NotConfigured,
        Self::Unavailable,
        Self::Timeout,
    ];

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthenticated => 401,
            Self::Banned => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict | Self::TurnRunning => 409,
            Self::PreconditionFailed => 412,
            Self::ContentTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::IdempotencyKeyReused => 422,
            Self::QuotaExceeded | Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::NotConfigured => 501,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The code as it stands in a problem document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Banned => "banned",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::TurnRunning => "turn_running",
            Self::PreconditionFailed => "precondition_failed",
            Self::ContentTooLarge => "content_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::QuotaExceeded => "quota_exceeded",
            Self::TooManyRequests => "too_many_requests",
            Self::Internal => "internal",
            Self::NotConfigured => "not_configured",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
        }
    }

    /// The title of its problem document: the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is invalid",
            Self::Unauthenticated => "The request isn't authenticated",
            Self::Banned => "The user is banned",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "The method isn't allowed here",
            Self::Conflict => "Another request got there first",
            Self::TurnRunning => "An answer is still being written",
            Self::PreconditionFailed => "The stored version is another",
            Self::ContentTooLarge => "The content is too large",
            Self::UnsupportedMediaType => "The media type isn't supported",
            Self::IdempotencyKeyReused => "The idempotency key was used with other content",
            Self::QuotaExceeded => "The quota is used up",
            Self::TooManyRequests => "Too many requests",
            Self::Internal => "Internal error",
            Self::NotConfigured => "Not configured",
            Self::Unavailable => "Temporarily unavailable",
            Self::Timeout => "The deadline passed",
        }
    }
}

/// Where in the request a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The JSON body.
    Body,
    /// The query string.
    Query,
    /// A header.
    Header,
    /// The path.
    Path,
}

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Fault {
    /// Which part of the request `pointer` points into.
    #[serde(rename = "in")]
    pub place: Place,
    /// A JSON pointer (RFC 6901): `/messages/0/role` in the body, `/limit` for a query parameter, `/if-match` for a
    /// header; empty for the whole.
    #[schema(example = "/messages/0/role")]
    pub pointer: String,
    /// What is wrong, completing "the value …". Never repeats the value.
    #[schema(example = "must be one of: user, assistant, tool")]
    pub detail: Cow<'static, str>,
}

impl Fault {
    /// A fault in the body.
    pub fn body(pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { place: Place::Body, pointer: pointer.into(), detail: detail.into() }
    }

    /// A fault of the query parameter `name`.
    pub fn query(name: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { place: Place::Query, pointer: format!("/{}", escape_pointer(name)), detail: detail.into() }
    }

    /// A fault of the header `name`.
    pub fn header(name: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { place: Place::Header, pointer: format!("/{name}"), detail: detail.into() }
    }
}

/// Escapes one reference token of a JSON pointer (RFC 6901, section 3).
#[must_use]
pub fn escape_pointer(token: &str) -> Cow<'_, str> {
    if token.contains(['~', '/']) { token.replace('~', "~0").replace('/', "~1").into() } else { token.into() }
}

/// A failed request: its public face, and the cause for the log.
#[derive(Debug)]
pub struct Error {
    /// What kind of failure this is.
    pub code: Code,
    /// What happened, for the client. Never holds data of the request or the cause's text.
    pub detail: Cow<'static, str>,
    /// The request's faults, where `code` is [`Code::InvalidRequest`] or [`Code::ContentTooLarge`].
    pub faults: Vec<Fault>,
    /// Headers that belong to the failure, such as `Retry-After` and `WWW-Authenticate`.
    pub headers: Vec<(&'static str, String)>,
    /// What the log is told. It never holds a token, a secret or message text.
    pub cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure that needs no more than its words.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), faults: Vec::new(), headers: Vec::new(), cause: None }
    }

    /// There is no such `thing`, or it is someone else's: the client can't tell.
    #[must_use]
    pub fn not_found(thing: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {thing}."))
    }

    /// The request is malformed in these ways.
    #[must_use]
    pub fn invalid(faults: Vec<Fault>) -> Self {
        Self { faults, ..Self::new(Code::InvalidRequest, "The request has faults; `errors` lists them.") }
    }

    /// Nobody foresaw this.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "The server failed. The request id leads to the cause in its log.").because(cause)
    }

    /// Something that the request needs is away; the same request may succeed in `retry_after` seconds.
    #[must_use]
    pub fn unavailable(detail: &'static str, retry_after: u32) -> Self {
        Self::new(Code::Unavailable, detail).with_header("retry-after", retry_after.to_string())
    }

    /// Adds the cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

//! The `Authorization` header (RFC 6750, section 2.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::Refusal;

/// The token of the one `Authorization` header. Whether it looks like a token is the next step's question.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoToken)?.as_bytes();
    // Which of two would count is a question that a proxy may answer differently.
    if values.next().is_some() {
        return Err(Refusal::RepeatedHeader);
    }
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(Refusal::OtherScheme);
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let token = &rest[spaces..];
    if token.is_empty() { Err(Refusal::EmptyToken) } else { Ok(token) }
}

/// The token of a request as it came, for passing it on. Whether it is good, only a [`super::Verifier`] can tell.
#[must_use]
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    str::from_utf8(bearer(headers).ok()?).ok()
}

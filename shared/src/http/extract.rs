//! From a request to types that can't be wrong.
//!
//! [`Input`] reads everything that a client may get wrong (query, headers, body) in one go, so that all faults are told
//! at once. [`Caller`] comes first in a handler: who isn't signed in learns nothing about the rest.

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use http::request::Parts;
use http::{HeaderMap, header};

use crate::auth::Caller;
use crate::error::{Code, Error, Fault};
use crate::http::App;
use crate::http::json;
use crate::http::query::{FromQuery, Query};
use crate::id::{ClientId, ConversationRef, MessageRef, Ref};
use crate::model::input::FromJson;
use crate::model::{ConversationPatch, Cursor, IfMatch, NewConversation, NewMessages, PageSize, Turn, limits};

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        app.verifier.caller(&parts.headers).await
    }
}

/// What a path names.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl FromRequestParts<App> for Path<ConversationRef> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let [id] = segments(parts, app, "conversation").await?;
        Ok(Self(Ref::parse(&id)))
    }
}

impl FromRequestParts<App> for Path<(ConversationRef, MessageRef)> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let [conversation, message] = segments(parts, app, "message").await?;
        Ok(Self((Ref::parse(&conversation), Ref::parse(&message))))
    }
}

/// The path's parameters, percent-decoded. Bytes that are no text name nothing, like any other unknown name.
async fn segments<const N: usize>(parts: &mut Parts, app: &App, thing: &str) -> Result<[String; N], Error> {
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| Error::not_found(thing))?;
    let values: Vec<String> = params.iter().map(|(_, value)| value.to_owned()).collect();
    values.try_into().map_err(|_| Error::internal("the route has another number of parameters than its handler reads"))
}

/// Everything of a request that a client may get wrong: its query, the headers that matter, its body.
#[derive(Debug)]
pub struct Input<Q = (), H = (), B = ()> {
    /// The query string.
    pub query: Q,
    /// The headers.
    pub headers: H,
    /// The body.
    pub body: B,
}

impl<Q, H, B> FromRequest<App> for Input<Q, H, B>
where
    Q: FromQuery + Send,
    H: FromHeaders + Send,
    B: FromBody + Send,
{
    type Rejection = Error;

    async fn from_request(request: Request, _: &App) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let mut query = Query::parse(parts.uri.query().unwrap_or_default());
        let parsed = Q::from_query(&mut query);
        let mut faults = query.close();
        let headers = H::from_headers(&parts.headers, &mut faults);
        let bytes = if B::MEDIA_TYPES.is_empty() { None } else { Some(bytes_of::<B>(&parts.headers, body).await?) };
        let body = B::from_bytes(bytes.as_deref().unwrap_or_default(), &mut faults);
        match body {
            Some(body) if faults.is_empty() => Ok(Self { query: parsed, headers, body }),
            _ => Err(Error::invalid(faults)),
        }
    }
}

/// The body's bytes, after its type and size were found right.
async fn bytes_of<B: FromBody>(headers: &HeaderMap, body: axum::body::Body) -> Result<axum::body::Bytes, Error> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_plain =
        headers.get(header::CONTENT_ENCODING).is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !(is_plain && is_utf8_of(content_type, B::MEDIA_TYPES)) {
        let known = B::MEDIA_TYPES.join(" or ");
        let detail = format!("Send {known}, in UTF-8 and without Content-Encoding.");
        // RFC 9110, section 15.5.16: a 415 may say in `Accept` what would have been read.
        return Err(Error::new(Code::UnsupportedMediaType, detail).with_header("accept", B::MEDIA_TYPES.join(", ")));
    }
    axum::body::to_bytes(body, limits::BODY_BYTES).await.map_err(|error| {
        let detail = format!("A body may have at most {} bytes.", limits::BODY_BYTES);
        Error::new(Code::ContentTooLarge, detail).because(error)
    })
}

/// Whether a `Content-Type` says one of these media types, in UTF-8.
///
/// "The type and subtype tokens are case-insensitive", and so are parameter names; a value may be quoted or not: "text/html;
/// charset=utf-8", "Text/HTML;Charset=\"utf-8\"" are the same (RFC 9110, section 8.3.1). `utf8` is what many clients write, and
/// a label of UTF-8 wherever the web is read (<https://encoding.spec.whatwg.org/#names-and-labels>).
fn is_utf8_of(content_type: &str, media_types: &[&str]) -> bool {
    let mut parameters = content_type.split(';').map(str::trim);
    let essence = parameters.next().unwrap_or_default();
    let is_utf8 = parameters.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            ["utf-8", "utf8"].iter().any(|label| value.eq_ignore_ascii_case(label))
        }
        _ => true,
    });
    is_utf8 && media_types.iter().any(|known| essence.eq_ignore_ascii_case(known))
}

/// The type of an endpoint's body. `()` is that of an endpoint which reads none.
pub trait FromBody: Sized {
    /// The media types that it is read from.
    const MEDIA_TYPES: &[&str];
    /// Reads the bytes. `None` means that a fault was recorded.
    fn from_bytes(bytes: &[u8], faults: &mut Vec<Fault>) -> Option<Self>;
}

impl FromBody for () {
    const MEDIA_TYPES: &[&str] = &[];

    fn from_bytes(_: &[u8], _: &mut Vec<Fault>) -> Option<Self> {
        Some(())
    }
}

macro_rules! json_body {
    ($($body:ty: $media_types:expr;)+) => {
        $(impl FromBody for $body {
            const MEDIA_TYPES: &[&str] = &$media_types;

            fn from_bytes(bytes: &[u8], faults: &mut Vec<Fault>) -> Option<Self> {
                read_json(bytes, faults)
            }
        })+
    };
}

json_body! {
    NewConversation: ["application/json"];
    NewMessages: ["application/json"];
    Turn: ["application/json"];
    ConversationPatch: ["application/merge-patch+json", "application/json"];
}

fn read_json<T: FromJson>(bytes: &[u8], faults: &mut Vec<Fault>) -> Option<T> {
    let mut of_text = Vec::new();
    let value = json::read(bytes, T::LAST_OF, &mut of_text);
    let mut of_types = Vec::new();
    let read = value.and_then(|value| T::from_json(value, "", &mut of_types));
    // Where the text has a fault, null stands in for the value, and what the types say of that null is no news.
    of_types.retain(|fault| of_text.iter().all(|known| known.pointer != fault.pointer));
    faults.append(&mut of_text);
    faults.append(&mut of_types);
    read
}

/// The type of the headers that an endpoint reads. `()` is that of one which reads none.
pub trait FromHeaders: Sized {
    /// Reads the headers and records their faults.
    fn from_headers(headers: &HeaderMap, faults: &mut Vec<Fault>) -> Self;
}

impl FromHeaders for () {
    fn from_headers(_: &HeaderMap, _: &mut Vec<Fault>) -> Self {}
}

/// The header `Idempotency-Key`: the name of a request that may be repeated.
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
#[derive(Clone, Debug, Default)]
pub struct IdempotencyKey(pub Option<ClientId>);

impl FromHeaders for IdempotencyKey {
    fn from_headers(headers: &HeaderMap, faults: &mut Vec<Fault>) -> Self {
        const NAME: &str = "idempotency-key";
        // The draft has a quoted string (RFC 8941); most clients send the bare text. Both name the same request.
        let mut read = |value: &http::HeaderValue| {
            let text = value.to_str().unwrap_or_default();
            let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
            // Rows of a batch are named after the key and their place, which must fit, too.
            let key = ClientId::try_from(text.to_owned()).ok().filter(|key| key.as_str().len() <= 120);
            let detail = "must be 1 to 120 visible ASCII characters without / \\ ? # %";
            key.ok_or_else(|| faults.push(Fault::header(NAME, detail))).ok()
        };
        let mut values = headers.get_all(NAME).iter();
        let key = values.next().and_then(&mut read);
        if values.next().is_some() {
            faults.push(Fault::header(NAME, "is given more than once"));
        }
        Self(key)
    }
}

impl FromHeaders for IfMatch {
    fn from_headers(headers: &HeaderMap, faults: &mut Vec<Fault>) -> Self {
        let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Self::Any;
        }
        let mut versions = Vec::new();
        for value in values {
            let text = value.to_str().unwrap_or("?").trim();
            if text == "*" {
                return Self::Any;
            }
            let Some(tags) = entity_tags(text) else {
                faults.push(Fault::header("if-match", "must be *, or entity tags such as \"3\""));
                return Self::Any;
            };
            // A weak tag never matches here (RFC 9110, section 13.1.1), a foreign one doesn't either.
            versions.extend(tags.into_iter().filter(|(weak, _)| !weak).filter_map(|(_, tag)| tag.parse::<i64>().ok()));
        }
        Self::Versions(versions)
    }
}

/// A list of entity tags: whether each is weak, and what stands between its quotes.
///
/// `entity-tag = [ weak ] opaque-tag`, `opaque-tag = DQUOTE *etagc DQUOTE`, `etagc = %x21 / %x23-7E / obs-text` (RFC 9110, section
/// 8.8.3), so that a tag may have a comma in it.
fn entity_tags(text: &str) -> Option<Vec<(bool, &str)>> {
    let blank = |c: char| matches!(c, ' ' | '\t');
    let (mut tags, mut rest) = (Vec::new(), text.trim_start_matches(|c| blank(c) || c == ','));
    while !rest.is_empty() {
        let strong = rest.strip_prefix("W/");
        let (tag, after) = strong.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        let after = after.trim_start_matches(blank);
        if !tag.bytes().all(|byte| byte.is_ascii_graphic()) || !(after.is_empty() || after.starts_with(',')) {
            return None;
        }
        tags.push((strong.is_some(), tag));
        rest = after.trim_start_matches(|c| blank(c) || c == ',');
    }
    Some(tags)
}

/// The page that a list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct PageQuery<C> {
    /// How many items.
    pub limit: PageSize,
    /// Where it begins.
    pub cursor: Option<C>,
}

impl<C: Cursor> FromQuery for PageQuery<C> {
    fn from_query(query: &mut Query) -> Self {
        Self {
            limit: query.optional("limit", |text| PageSize::try_from(text)).unwrap_or_default(),
            cursor: query.optional("cursor", C::decode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_read_as_they_are_written() {
        for (text, expected) in [
            ("", Some(&[][..])),
            (r#""3""#, Some(&[(false, "3")])),
            (r#"W/"3", "a,b" ,"","4""#, Some(&[(true, "3"), (false, "a,b"), (false, ""), (false, "4")])),
            (r#", "3",,"#, Some(&[(false, "3")])),
            ("3", None),
            (r#""3"#, None),
            (r#""3" "4""#, None),
            (r#""a b""#, None),
            (r#"w/"3""#, None),
            (r#""3", *"#, None),
        ] {
            assert_eq!(entity_tags(text).as_deref(), expected, "{text}");
        }
    }
}

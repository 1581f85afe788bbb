//! A token's form: what is checked before anything in it is believed, or a key is looked for.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::Refusal;
use super::json;
use super::key::Algorithm;
use crate::model::limits::TOKEN_BYTES;

/// Header members that change what a token is or how it is read. None is understood here, so none may be there
/// (RFC 7515, section 4.1.11, asks that of `crit`; jsonwebtoken reads over all of them).
const EXTENSIONS: [&str; 5] = ["crit", "b64", "enc", "zip", "cty"];

/// A compact token (RFC 7515, section 7.1) of an allowed algorithm, not yet verified.
///
/// Members of the header that point to keys (`jku`, `jwk`, `x5u`, `x5c`) are not read: keys come from the issuer alone.
pub(super) struct Token<'a> {
    /// What is signed: header, dot, payload, as they were sent.
    pub(super) message: &'a [u8],
    /// The payload, encoded.
    pub(super) payload: &'a [u8],
    /// The signature, encoded.
    pub(super) signature: &'a str,
    /// The header's `alg`. Only ever compared with the key's own.
    pub(super) algorithm: Algorithm,
    /// The header's `kid`.
    pub(super) kid: String,
}

impl<'a> Token<'a> {
    /// Reads a token's form and header.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Refusal> {
        if text.len() > TOKEN_BYTES {
            return Err(Refusal::TooLarge);
        }
        if !text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
            return Err(Refusal::BadAlphabet);
        }
        let text = std::str::from_utf8(text).map_err(|_| Refusal::BadAlphabet)?;
        let (message, signature) = text.rsplit_once('.').ok_or(Refusal::NotThreeParts)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::NotThreeParts)?;
        if payload.contains('.') || header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Refusal::NotThreeParts);
        }
        let mut header = decode(header).and_then(|bytes| json::object(&bytes)).ok_or(Refusal::MalformedHeader)?;
        if EXTENSIONS.iter().any(|name| header.contains_key(*name)) {
            return Err(Refusal::UnsupportedHeader);
        }
        // "While media type names are not case sensitive, it is RECOMMENDED that "JWT" always be spelled using uppercase
        // characters" (RFC 7519, section 5.1, after RFC 7515, section 4.1.9). The long form `application/jwt` is no issuer's.
        if take_text(&mut header, "typ")?.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(Refusal::WrongType);
        }
        let algorithm = take_text(&mut header, "alg")?.ok_or(Refusal::MalformedHeader)?;
        let algorithm = Algorithm::from_name(&algorithm).ok_or(Refusal::ForbiddenAlgorithm)?;
        // A set of one key would do without, until the issuer rotates it.
        let kid = take_text(&mut header, "kid")?.ok_or(Refusal::NoKeyId)?;
        if !is_key_id(&kid) {
            return Err(Refusal::BadKeyId);
        }
        Ok(Self { message: message.as_bytes(), payload: payload.as_bytes(), signature, algorithm, kid })
    }
}

/// The most bytes of a `kid`. Better Auth's have 32 characters or are UUIDs; a thumbprint as a URI (RFC 9278) has 90.
const KEY_ID_BYTES: usize = 256;

/// Whether a text can be a key's name. "The structure of the `kid` value is unspecified" (RFC 7515, section 4.1.4), but what no
/// issuer would publish isn't worth asking it for.
pub(super) fn is_key_id(text: &str) -> bool {
    (1..=KEY_ID_BYTES).contains(&text.len())
}

/// Prints nothing of the token.
impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Decodes base64url without padding; other spellings of the same bytes are refused.
pub(super) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Takes a member of the header that is text where it is there.
fn take_text(header: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match header.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::MalformedHeader),
    }
}

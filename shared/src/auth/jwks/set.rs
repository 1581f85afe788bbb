//! The parser: what an issuer publishes, as keys by their `kid`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::auth::json;
use crate::auth::key::VerifyingKey;
use crate::auth::token::is_key_id;

/// The most members of a set. An issuer that rotates daily and keeps keys for 30 days has 31.
pub(super) const MEMBERS: usize = 1000;

/// The usable keys of a set.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: HashMap<String, Arc<VerifyingKey>>,
    /// How many members were passed over.
    pub(super) skipped: usize,
}

/// Why a document is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotASet {
    /// It isn't JSON with an array `keys`.
    Malformed,
    /// It has more than [`MEMBERS`] members. Which to leave out would be a guess: the newest, in use, may come last.
    TooMany,
    /// No member can be used. More likely a mistake than a wish that nobody be let in.
    NoUsableKey,
}

/// The document, its members unread.
#[derive(Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    pub(super) keys: Vec<&'a RawValue>,
}

impl<'a> Document<'a> {
    /// Reads a document. A byte order mark before it, which editors leave in files, is passed over: "implementations that
    /// parse JSON texts MAY ignore the presence of a byte order mark rather than treating it as an error" (RFC 8259, section
    /// 8.1).
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, NotASet> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
        // serde would read a struct from an array as well.
        if bytes.first() != Some(&b'{') {
            return Err(NotASet::Malformed);
        }
        serde_json::from_slice(bytes).map_err(|_| NotASet::Malformed)
    }
}

impl KeySet {
    /// Reads a set member by member: one that can't be used costs only itself.
    pub(super) fn parse(document: &[u8]) -> Result<Self, NotASet> {
        let members = Document::read(document)?.keys;
        if members.len() > MEMBERS {
            return Err(NotASet::TooMany);
        }
        // Two keys of one `kid` are none: taking either would be a guess that a forger may have prepared. A member that
        // can't be used makes its `kid` ambiguous all the same. One key that is told twice, as sets that were put together
        // tell it, is one: "different keys within the JWK Set SHOULD use distinct kid values" (RFC 7517, section 4.5).
        let mut named: HashMap<String, Option<VerifyingKey>> = HashMap::with_capacity(members.len());
        for member in &members {
            let Some(member) = json::object(member.get().as_bytes()) else { continue };
            let Some(kid) = member.get("kid").and_then(Value::as_str).map(str::to_owned) else { continue };
            if !is_key_id(&kid) {
                continue;
            }
            let key = serde_json::from_value(Value::Object(member)).ok().and_then(|jwk| VerifyingKey::from_jwk(&jwk));
            match named.entry(kid) {
                Entry::Vacant(entry) => {
                    entry.insert(key);
                }
                Entry::Occupied(mut entry) => {
                    let same = matches!((entry.get(), &key), (Some(one), Some(other)) if one.is_same_key(other));
                    if !same {
                        entry.insert(None);
                    }
                }
            }
        }
        let keys: HashMap<_, _> = named.into_iter().filter_map(|(kid, key)| Some((kid, Arc::new(key?)))).collect();
        if keys.is_empty() {
            return Err(NotASet::NoUsableKey);
        }
        Ok(Self { skipped: members.len() - keys.len(), keys })
    }

    /// The key of this `kid`.
    pub(super) fn get(&self, kid: &str) -> Option<&Arc<VerifyingKey>> {
        self.keys.get(kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point of Ed25519, from RFC 8037, appendix A.2.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn set_of(members: usize) -> String {
        let member = |n| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"{n}"}}"#);
        format!(r#"{{"keys":[{}]}}"#, (0..members).map(member).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn what_is_no_set() {
        for (document, expected) in [
            ("", NotASet::Malformed),
            ("<html>", NotASet::Malformed),
            ("null", NotASet::Malformed),
            ("[]", NotASet::Malformed),
            ("[[]]", NotASet::Malformed),
            ("{}", NotASet::Malformed),
            (r#"{"keys":null}"#, NotASet::Malformed),
            (r#"{"keys":{}}"#, NotASet::Malformed),
            (r#"{"keys":[],"keys":[]}"#, NotASet::Malformed),
            ("\u{feff}\u{feff}{\"keys\":[]}", NotASet::Malformed),
            (" \u{feff}{\"keys\":[]}", NotASet::Malformed),
            ("\u{feff}{\"keys\":[]}", NotASet::NoUsableKey),
            (r#"{"keys":[]} x"#, NotASet::Malformed),
            (r#"{"keys":[}"#, NotASet::Malformed),
            (r#"{"keys":[]}"#, NotASet::NoUsableKey),
            (r#"{"keys":[{"kty":"oct","kid":"1","k":"AAAA"}]}"#, NotASet::NoUsableKey),
        ] {
            assert_eq!(KeySet::parse(document.as_bytes()).err(), Some(expected), "{document}");
        }
        // A deep one: skipping it must not cost the stack.
        let deep = format!(r#"{{"x":{}{},"keys":[]}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(KeySet::parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn the_number_of_members_is_capped() {
        assert_eq!(KeySet::parse(set_of(MEMBERS).as_bytes()).unwrap().keys.len(), MEMBERS);
        assert_eq!(KeySet::parse(set_of(MEMBERS + 1).as_bytes()).err(), Some(NotASet::TooMany));
    }

    #[test]
    fn what_is_skipped_is_counted() {
        let document = set_of(3).replacen(r#"{"kty""#, r#"null,{"kid":"0"},{"kty""#, 1);
        let set = KeySet::parse(document.as_bytes()).unwrap();
        assert!(set.get("0").is_none() && set.get("1").is_some());
        assert_eq!((set.keys.len(), set.skipped), (2, 3));
    }
}

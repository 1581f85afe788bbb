//! What an issuer publishes, member by member, and why a member is passed over: for an operator who looks into it.
//!
//! A verifier needs only the keys that it can use (`set`); this says the same of the others in words.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::set::{Document, KeySet, MEMBERS, NotASet};
use crate::auth::json;
use crate::auth::key::{Algorithm, VerifyingKey};
use crate::auth::token::is_key_id;

/// A member of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// Its `kid`.
    pub kid: Option<String>,
    /// Its `alg`, as it is written there.
    pub algorithm: Option<String>,
    /// Why no token is verified with it, completing "the key …"; none where it is good.
    pub passed_over: Option<&'static str>,
}

/// Every member of a key set. The error completes "the document …".
pub fn published_keys(document: &[u8]) -> Result<Vec<PublishedKey>, &'static str> {
    let usable = match KeySet::parse(document) {
        Err(NotASet::Malformed) => return Err("is no key set: not a JSON object with an array `keys`"),
        Err(NotASet::TooMany) => return Err("has more keys than are read"),
        Ok(set) => Some(set),
        Err(NotASet::NoUsableKey) => None,
    };
    let document = Document::read(document).map_err(|_| "is no key set")?;
    let members: Vec<_> = document.keys.iter().take(MEMBERS).map(|it| json::object(it.get().as_bytes())).collect();
    let kid = |member: &Option<Map<String, Value>>| text(member.as_ref()?, "kid");
    let mut times: HashMap<String, usize> = HashMap::new();
    for kid in members.iter().filter_map(kid) {
        *times.entry(kid).or_default() += 1;
    }
    let described = members.iter().map(|member| {
        // One key told twice is good.
        let twice = kid(member).is_some_and(|kid| {
            times.get(&kid).is_some_and(|times| *times > 1) && usable.as_ref().is_none_or(|set| set.get(&kid).is_none())
        });
        PublishedKey {
            kid: kid(member),
            algorithm: member.as_ref().and_then(|member| text(member, "alg")),
            passed_over: match member {
                None => Some("is no JSON object with unique members"),
                Some(member) if !member.contains_key("kid") => Some("has no kid"),
                Some(_) if twice => Some("has a kid that names another key as well, and then it names none"),
                Some(_) if kid(member).is_some_and(|kid| !is_key_id(&kid)) => {
                    Some("has a kid that is empty or too long")
                }
                Some(member) => passed_over(member),
            },
        }
    });
    Ok(described.collect())
}

fn text(member: &Map<String, Value>, name: &str) -> Option<String> {
    member.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Why a member is no key for us: the key's own judgement, put into words here.
fn passed_over(member: &Map<String, Value>) -> Option<&'static str> {
    if serde_json::from_value(Value::Object(member.clone())).is_ok_and(|jwk| VerifyingKey::from_jwk(&jwk).is_some()) {
        return None;
    }
    Some(if member.contains_key("d") || member.contains_key("k") {
        "has its secret part in it: whoever reads it can sign"
    } else if text(member, "use").is_some_and(|purpose| purpose != "sig") {
        "isn't for signatures (use)"
    } else if text(member, "alg").is_some_and(|name| Algorithm::from_name(&name).is_none()) {
        "has an alg that no token may have"
    } else if member.contains_key("key_ops") {
        "isn't for verifying (key_ops), or isn't a good key of its alg"
    } else {
        "isn't a good key of its alg and type"
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_member_says_why_it_is_passed_over() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let other = "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08";
        let key = |more: Value| {
            let mut key = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
            for (name, value) in more.as_object().unwrap() {
                key[name] = value.clone();
            }
            key
        };
        let members = [
            (key(json!({"kid": "good", "alg": "EdDSA"})), None),
            (key(json!({"alg": "EdDSA"})), Some("no kid")),
            (key(json!({"kid": "twice"})), Some("another key")),
            (key(json!({"kid": "twice", "x": other})), Some("another key")),
            (key(json!({"kid": "same"})), None),
            (key(json!({"kid": "same", "use": "sig"})), None),
            (key(json!({"kid": ""})), Some("too long")),
            (key(json!({"kid": "a", "d": x})), Some("secret part")),
            (key(json!({"kid": "b", "use": "enc"})), Some("signatures")),
            (key(json!({"kid": "c", "alg": "ECDH-ES"})), Some("no token may have")),
            (key(json!({"kid": "d", "key_ops": ["sign"]})), Some("key_ops")),
            (key(json!({"kid": "e", "x": "AAAA"})), Some("good key")),
            (json!("a text"), Some("JSON object")),
        ];
        let document = json!({"keys": members.iter().map(|(member, _)| member).collect::<Vec<_>>()}).to_string();
        let described = published_keys(document.as_bytes()).unwrap();
        for (found, (member, expected)) in described.iter().zip(&members) {
            match (found.passed_over, expected) {
                (None, None) => {}
                (Some(why), Some(expected)) => assert!(why.contains(expected), "{member}: {why}"),
                other => panic!("{member}: {other:?}"),
            }
        }
        assert_eq!(described[0].algorithm.as_deref(), Some("EdDSA"));
        assert_eq!(published_keys(br#"{"keys":[]}"#), Ok(Vec::new()));
        assert!(published_keys(b"<html>").is_err());
    }
}

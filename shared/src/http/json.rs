//! Reads a body's bytes as JSON, more strictly than RFC 8259 asks, and tells every fault with its JSON pointer.
//!
//! Refused beside bad syntax: bytes that aren't UTF-8, duplicate keys (RFC 8259 leaves their meaning open), NUL and lone
//! surrogates (PostgreSQL can store neither), numbers beyond what a double or a 64-bit integer holds, deep nesting.
//!
//! `serde_json` does the parsing, one level at a time: a value is first taken raw, which checks its syntax alone, so
//! that a fault inside it ends nothing but itself.

use std::fmt;

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::error::{Fault, escape_pointer};
use crate::model::limits;

/// The body's value; a value with a fault in it stands in as null.
pub(crate) fn read(bytes: &[u8], faults: &mut Vec<Fault>) -> Option<Value> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => {
            faults.push(Fault::body("", format!("isn't UTF-8 at byte {}", error.valid_up_to())));
            String::from_utf8_lossy(bytes)
        }
    };
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) => Some(value(raw, "", 0, faults)),
        Err(error) => {
            // serde_json's words ("expected `,` or `}` at line 3 column 5") name syntax, never data.
            faults.push(Fault::body("", format!("isn't JSON: {error}")));
            None
        }
    }
}

/// One value; `raw` is known to be JSON.
fn value(raw: &RawValue, at: &str, depth: usize, faults: &mut Vec<Fault>) -> Value {
    let text = raw.get();
    let mut fault = |detail: String| {
        faults.push(Fault::body(at, detail));
        Value::Null
    };
    match text.as_bytes().first() {
        Some(b'{' | b'[') if depth == limits::DEPTH => fault(format!("is nested more than {} deep", limits::DEPTH)),
        Some(b'{') => object(text, at, depth, faults),
        Some(b'[') => array(text, at, depth, faults),
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(text) if text.contains('\0') => fault("has a NUL character".to_owned()),
            Ok(text) => Value::String(text),
            // The syntax is good, so it can only be this.
            Err(_) => fault("has a lone surrogate".to_owned()),
        },
        Some(b'-' | b'0'..=b'9') => number(text).unwrap_or_else(|| {
            fault("must be within the range of a 64-bit integer, or of a double-precision number".to_owned())
        }),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        _ => Value::Null,
    }
}

/// A number, unless it is an integer or a double too large to be held: neither would come back as it was sent.
fn number(text: &str) -> Option<Value> {
    let number: Number = serde_json::from_str(text).ok()?;
    let is_integer = !text.contains(['.', 'e', 'E']);
    (!(is_integer && number.is_f64())).then_some(Value::Number(number))
}

fn array(text: &str, at: &str, depth: usize, faults: &mut Vec<Fault>) -> Value {
    // The syntax is good, so this can't fail.
    let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    let items = items.iter().enumerate().map(|(i, item)| value(item, &format!("{at}/{i}"), depth + 1, faults));
    Value::Array(items.collect())
}

fn object(text: &str, at: &str, depth: usize, faults: &mut Vec<Fault>) -> Value {
    let mut members = Map::new();
    let visitor = Members(|key: Option<String>, raw: &RawValue| {
        let Some(key) = key else {
            faults.push(Fault::body(at, "has a key with a NUL character or a lone surrogate"));
            return;
        };
        let pointer = format!("{at}/{}", escape_pointer(&key));
        let value = value(raw, &pointer, depth + 1, faults);
        if members.insert(key, value).is_some() {
            faults.push(Fault::body(pointer, "stands there more than once"));
        }
    });
    // The syntax is good, so this can't fail.
    let _ = serde_json::Deserializer::from_str(text).deserialize_map(visitor);
    Value::Object(members)
}

/// Hands every member of an object to a function: its key, `None` where no text can hold it, and its raw value.
struct Members<F>(F);

impl<'de, F: FnMut(Option<String>, &'de RawValue)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            (self.0)(key, map.next_value()?);
        }
        Ok(())
    }
}

/// A key read as bytes: as text, a lone surrogate in it would end the whole object.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(str::from_utf8(bytes).ok().filter(|key| !key.contains('\0')).map(str::to_owned))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        self.visit_bytes(key.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults_of(body: &[u8]) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        read(body, &mut faults);
        faults.into_iter().map(|fault| (fault.pointer, fault.detail.into_owned())).collect()
    }

    #[test]
    fn every_fault_is_told_at_once_and_where_it_is() {
        let body = br#"{"a": {"b": 1, "b": 2}, "c": ["\ud800", "x\u0000"], "d/e": 1e400, "f": 18446744073709551616,
                       "\udfff": 1, "g": "\ud83d\ude00"}"#;
        let faults = faults_of(body);
        let pointers: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/a/b", "/c/0", "/c/1", "/d~1e", "/f", ""], "{faults:?}");
    }

    #[test]
    fn bad_utf8_hides_no_other_fault() {
        let faults = faults_of(b"{\"a\": \"\xff\", \"b\": 1, \"b\": 2}");
        assert_eq!(faults[0], (String::new(), "isn't UTF-8 at byte 7".to_owned()));
        assert_eq!(faults[1].0, "/b");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(faults_of(nested(limits::DEPTH).as_bytes()), []);
        assert_eq!(faults_of(nested(limits::DEPTH + 1).as_bytes()).len(), 1);
        assert_eq!(faults_of(nested(100_000).as_bytes()).len(), 1);
    }

    #[test]
    fn numbers_come_back_as_they_were_sent() {
        for good in ["0", "-1", "18446744073709551615", "-9223372036854775808", "0.1", "1e300", "-0.0"] {
            assert_eq!(faults_of(good.as_bytes()), [], "{good}");
        }
        for bad in ["18446744073709551616", "-9223372036854775809", "1e400"] {
            assert_eq!(faults_of(bad.as_bytes()).len(), 1, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            faults_of(&bytes);
        }

        #[test]
        fn what_is_read_without_fault_is_what_serde_reads(text in r#"[\[\]{}",:0-9a-c\\u. eE+-]{0,40}"#) {
            let mut faults = Vec::new();
            let read = read(text.as_bytes(), &mut faults);
            if faults.is_empty() {
                prop_assert_eq!(read, serde_json::from_str::<Value>(&text).ok());
            }
        }
    }
}

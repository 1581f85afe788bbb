//! Reads a body's bytes as JSON, more strictly than RFC 8259 asks, and tells every fault with its JSON pointer.
//!
//! Refused beside bad syntax: bytes that aren't UTF-8, duplicate keys (RFC 8259 leaves their meaning open), numbers beyond
//! what a double or a 64-bit integer holds, deep nesting, and more values than a body of this API needs. Half a surrogate pair
//! is no character, and becomes U+FFFD; a byte order mark before the body is passed over (RFC 8259, section 8.1).
//!
//! `serde_json` does the parsing, one level at a time: a value is first taken raw, which checks its syntax alone, so
//! that a fault inside it ends nothing but itself. A body costs in proportion to its bytes: each is read at most once for each
//! of the levels that it lies in, values are counted before any is built, and a pointer is written only for a fault.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::error::{Fault, escape_pointer};
use crate::model::{Extent, limits};

/// The body's value; a value with a fault in it stands in as null.
///
/// Of an array that the top level's member `last_of` is, only the last item is read, and of those before it their `id`: a front
/// end sends its whole history, of which the last message is all that counts.
pub(crate) fn read(bytes: &[u8], last_of: Option<&str>, faults: &mut Vec<Fault>) -> Option<Value> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => {
            faults.push(Fault::body("", format!("isn't UTF-8 at byte {}", error.valid_up_to())));
            String::from_utf8_lossy(bytes)
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => {
            let mut reading = Reading { last_of, left: Some((limits::VALUES, limits::CONTAINERS)), faults };
            let value = if raw.get().starts_with('{') || reading.has_room_for(raw) {
                reading.value(raw, Path::Body, 0)
            } else {
                Value::Null
            };
            if reading.left.is_none() {
                let (values, containers) = (limits::VALUES, limits::CONTAINERS);
                let detail = format!(
                    "has more than {values} values (members and items, at any depth), or more than {containers} objects and \
                     arrays"
                );
                faults.push(Fault::body("", detail));
            }
            Some(value)
        }
        Err(error) => {
            // serde_json's words ("expected `,` or `}` at line 3 column 5") name syntax, never data.
            faults.push(Fault::body("", format!("isn't JSON: {error}")));
            None
        }
    }
}

/// Where a value stands. The pointer is written only for a fault: for each value it would cost what all keys above it hold.
#[derive(Clone, Copy)]
enum Path<'a> {
    Body,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// The most bytes of a pointer in a fault: the rest of a longer one says nothing to a reader.
    const MOST: usize = 500;

    fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.write(&mut pointer);
        if pointer.len() > Self::MOST {
            let end = (0..=Self::MOST).rev().find(|at| pointer.is_char_boundary(*at)).unwrap_or_default();
            pointer.truncate(end);
            pointer.push('…');
        }
        pointer
    }

    fn write(&self, pointer: &mut String) {
        match self {
            Self::Body => {}
            Self::Member(parent, name) => {
                parent.write(pointer);
                if pointer.len() <= Self::MOST {
                    pointer.push('/');
                    // Of a long name only what can be told.
                    let end = name.char_indices().nth(Self::MOST).map_or(name.len(), |(at, _)| at);
                    pointer.push_str(&escape_pointer(&name[..end]));
                }
            }
            Self::Item(parent, n) => {
                parent.write(pointer);
                if pointer.len() <= Self::MOST {
                    pointer.push('/');
                    pointer.push_str(&n.to_string());
                }
            }
        }
    }
}

struct Reading<'a> {
    last_of: Option<&'a str>,
    /// How many values may still come, and how many objects and arrays; none once there were more.
    left: Option<(usize, usize)>,
    faults: &'a mut Vec<Fault>,
}

/// A message that isn't read, but for its name.
#[derive(Deserialize)]
struct Named {
    id: Option<String>,
}

impl Reading<'_> {
    fn fault(&mut self, at: Path<'_>, detail: impl Into<String>) {
        // No problem document lists more.
        if self.faults.len() <= limits::FAULTS {
            self.faults.push(Fault::body(at.pointer(), detail.into()));
        }
    }

    /// One value; `raw` is known to be JSON.
    fn value(&mut self, raw: &RawValue, at: Path<'_>, depth: usize) -> Value {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{' | b'[') if depth == limits::DEPTH => {
                self.fault(at, format!("is nested more than {} deep", limits::DEPTH));
                Value::Null
            }
            Some(b'{') => self.object(text, at, depth),
            Some(b'[') => self.array(text, at, depth),
            Some(b'"') => Value::String(string(text)),
            Some(b'-' | b'0'..=b'9') => number(text).unwrap_or_else(|| {
                self.fault(at, "must be within the range of a 64-bit integer, or of a double-precision number");
                Value::Null
            }),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            _ => Value::Null,
        }
    }

    fn array(&mut self, text: &str, at: Path<'_>, depth: usize) -> Value {
        // The syntax is good, so this can't fail.
        let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        let items = items.iter().enumerate().map(|(n, item)| self.value(item, Path::Item(&at, n), depth + 1));
        Value::Array(items.collect())
    }

    /// Whether there is room for all values in a text. They are counted before any is built.
    fn has_room_for(&mut self, raw: &RawValue) -> bool {
        let Extent { values, containers, .. } = Extent::of(raw.get());
        let left = self.left.and_then(|left| Some((left.0.checked_sub(values)?, left.1.checked_sub(containers)?)));
        self.left = left;
        self.left.is_some()
    }

    /// The items of the array of which only the last is read.
    fn last_item(&mut self, text: &str, at: Path<'_>, depth: usize) -> Value {
        let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        let last = items.len().saturating_sub(1);
        let named = |raw: &RawValue| match serde_json::from_str::<Named>(raw.get()) {
            Ok(Named { id: Some(id) }) => Value::Object(Map::from_iter([("id".to_owned(), id.into())])),
            _ => Value::Null,
        };
        let items = items.iter().enumerate().map(|(n, raw)| match n == last {
            true if self.has_room_for(raw) => self.value(raw, Path::Item(&at, n), depth + 1),
            true => Value::Null,
            false => named(raw),
        });
        Value::Array(items.collect())
    }

    fn object(&mut self, text: &str, at: Path<'_>, depth: usize) -> Value {
        let mut members = Map::new();
        let visitor = Members(|key: String, raw: &RawValue| {
            let path = Path::Member(&at, &key);
            let value = if depth == 0 && self.last_of == Some(key.as_str()) && raw.get().starts_with('[') {
                self.last_item(raw.get(), path, depth + 1)
            } else if depth > 0 || self.has_room_for(raw) {
                self.value(raw, path, depth + 1)
            } else {
                Value::Null
            };
            if members.contains_key(&key) {
                self.fault(path, "stands there more than once");
            }
            members.insert(key, value);
        });
        // The syntax is good, so this can't fail.
        let _ = serde_json::Deserializer::from_str(text).deserialize_map(visitor);
        Value::Object(members)
    }
}

/// A text. Half a surrogate pair in it becomes U+FFFD.
fn string(text: &str) -> String {
    Text.deserialize(&mut serde_json::Deserializer::from_str(text)).unwrap_or_default()
}

/// A number, unless it is an integer or a double too large to be held: neither would come back as it was sent.
fn number(text: &str) -> Option<Value> {
    let number: Number = serde_json::from_str(text).ok()?;
    let is_integer = !text.contains(['.', 'e', 'E']);
    (!(is_integer && number.is_f64())).then_some(Value::Number(number))
}

/// Hands every member of an object to a function: its key and its raw value.
struct Members<F>(F);

impl<'de, F: FnMut(String, &'de RawValue)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Text)? {
            (self.0)(key, map.next_value()?);
        }
        Ok(())
    }
}

/// A text read as bytes: as text, half a surrogate pair in it would end everything around it.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            // A half is three bytes, the first of which is this.
            if chunk.invalid().first() == Some(&0xed) {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(text)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults_of(body: &[u8]) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        read(body, None, &mut faults);
        faults.into_iter().map(|fault| (fault.pointer, fault.detail.into_owned())).collect()
    }

    #[test]
    fn every_fault_is_told_at_once_and_where_it_is() {
        let body = br#"{"a": {"b": 1, "b": 2}, "c": ["\ud800", "x\u0000"], "d/e": 1e400, "f": 18446744073709551616,
                       "\udfff": 1, "g": "\ud83d\ude00"}"#;
        let faults = faults_of(body);
        let pointers: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/a/b", "/d~1e", "/f"], "{faults:?}");
    }

    #[test]
    fn half_a_character_is_replaced_and_a_byte_order_mark_passed_over() {
        let mut faults = Vec::new();
        let body = "\u{feff}{\"a\": [\"\\ud800\", \"x\\udfffy\", \"\\ud83d\\ude00\"], \"\\udfff\": 1}";
        let read = read(body.as_bytes(), None, &mut faults);
        assert_eq!(read, Some(serde_json::json!({"a": ["\u{fffd}", "x\u{fffd}y", "😀"], "\u{fffd}": 1})));
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn values_are_counted_before_they_are_built_and_pointers_are_short() {
        let many = |item: &str, count: usize| format!("{{\"metadata\": [{}]}}", vec![item; count].join(","));
        for (item, most) in [
            ("0", limits::VALUES),
            ("[]", limits::CONTAINERS),
            ("{\"\":0}", limits::CONTAINERS),
            ("\",\"", limits::VALUES),
        ] {
            // The body and its member are values as well, and the two around them are an object and an array.
            assert_eq!(faults_of(many(item, most - 2).as_bytes()), [], "{item}");
            let faults = faults_of(many(item, 500_000).as_bytes());
            assert_eq!(faults.len(), 1, "{item}");
            assert!(faults[0].1.contains("values"), "{faults:?}");
        }
        // One text may be all of a body.
        assert_eq!(faults_of(format!("{{\"a\": \"{}\"}}", ",".repeat(4_000_000)).as_bytes()), []);
        let key = "k".repeat(1_000_000);
        let faults =
            faults_of(format!("{{\"metadata\": {{\"{key}\": [{}]}}}}", vec!["1e400"; 500].join(",")).as_bytes());
        assert_eq!(faults.len(), limits::FAULTS + 1);
        assert!(faults.iter().all(|(pointer, _)| pointer.len() < 600));
    }

    #[test]
    fn of_messages_only_the_last_is_read() {
        let earlier = format!("{{\"id\": \"a\", \"parts\": [\"\\u0000\\ud800\", {}]}}", vec!["[]"; 50_000].join(","));
        let body = format!("{{\"messages\": [{earlier}, 7, {{\"id\": \"b\", \"parts\": [1]}}], \"other\": [1, 2]}}");
        let mut faults = Vec::new();
        let read = read(body.as_bytes(), Some("messages"), &mut faults);
        let expected = serde_json::json!({"messages": [{"id": "a"}, null, {"id": "b", "parts": [1]}], "other": [1, 2]});
        assert_eq!((read, faults.len()), (Some(expected), 0));
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
            let read = read(text.as_bytes(), None, &mut faults);
            if faults.is_empty() {
                prop_assert_eq!(read, serde_json::from_str::<Value>(&text).ok());
            }
        }
    }
}

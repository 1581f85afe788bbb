//! Reads an agent's JSON into what PostgreSQL can store.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::model::Extent;

/// Why a text can't be read.
#[derive(Debug)]
pub(super) enum JsonError {
    /// It holds more than is read, or is nested deeper than could be read back: what it was is told.
    TooMuch(&'static str),
    /// It is no JSON.
    Syntax(serde_json::Error),
}

/// Reads a document. U+0000, which no `jsonb` holds, and half a surrogate pair, which no text holds, become U+FFFD: one
/// bad character shouldn't cost an answer. Numbers that JSON hasn't, as Python writes them, become null.
pub(super) fn parse(text: &str) -> Result<Value, JsonError> {
    parse_mended(&mended(text, Lone::Replaced))
}

/// Reads a frame, whose texts may each be a piece of one. Half a surrogate pair stays, as [`Half`] reads it: the other
/// half may come with the next frame.
pub(super) fn parse_frame(text: &str) -> Result<Value, JsonError> {
    parse_mended(&mended(text, Lone::Kept))
}

fn parse_mended(text: &str) -> Result<Value, JsonError> {
    // Mending changes no bracket and no comma.
    if let Some(too_much) = Extent::of(text).too_much_of_an_agent() {
        return Err(JsonError::TooMuch(too_much));
    }
    let read = serde_json::from_str(text).or_else(|error| match without_odd_numbers(text) {
        Some(text) => serde_json::from_str(&text),
        None => Err(error),
    });
    read.map_err(JsonError::Syntax)
}

/// What becomes of half a surrogate pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lone {
    Replaced,
    Kept,
}

/// Where the halves that stay are kept: [`MARK`], which no text that was read has otherwise, and a character of a private
/// area, for each of the 2048 halves one.
const KEPT: u32 = 0xe000;
const MARK: char = '\0';

fn mended(json: &str, lone: Lone) -> Cow<'_, str> {
    if !["\\u0000", "\\ud", "\\uD"].iter().any(|escape| json.contains(escape)) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = unit(rest);
        let length = match unit {
            // Any other escape: two characters, the second perhaps a backslash.
            None => rest.chars().take(2).map(char::len_utf8).sum(),
            Some(0xd800..0xdc00) if matches!(self::unit(&rest[6..]), Some(0xdc00..0xe000)) => 12,
            Some(_) => 6,
        };
        match unit {
            Some(half @ 0xd800..0xe000) if length == 6 && lone == Lone::Kept => {
                let _ = write!(text, "\\u0000\\u{:04x}", u32::from(half) - 0xd800 + KEPT);
            }
            Some(0 | 0xd800..0xe000) if length == 6 => text.push_str("\\ufffd"),
            _ => text.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The document with null for each number that JSON hasn't, or that no float holds; `None` where there is none.
fn without_odd_numbers(json: &str) -> Option<String> {
    let mut text = String::with_capacity(json.len());
    let (mut rest, mut changed) = (json, false);
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_alphanumeric()) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with('"') { end_of_text(rest) } else { end_of_word(rest) };
        let odd = !rest.starts_with('"') && is_odd_number(&rest[..end]);
        text.push_str(if odd { "null" } else { &rest[..end] });
        changed |= odd;
        rest = &rest[end..];
    }
    text.push_str(rest);
    changed.then_some(text)
}

fn end_of_word(json: &str) -> usize {
    json.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(json.len())
}

fn end_of_text(json: &str) -> usize {
    let mut escaped = false;
    let end = json.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |(at, _)| at + 1)
}

fn is_odd_number(word: &str) -> bool {
    let number = word.strip_prefix('-').unwrap_or(word);
    matches!(number, "NaN" | "nan" | "Infinity" | "inf" | "Inf")
        || (number.starts_with(|c: char| c.is_ascii_digit()) && word.parse().is_ok_and(f64::is_infinite))
}

/// Joins the pieces of one text where they cut a surrogate pair in two.
#[derive(Debug, Default)]
pub(super) struct Half(Option<u32>);

impl Half {
    /// The next piece, with its first half where that came before, and without the one that it ends in. A half that
    /// stays alone is U+FFFD.
    pub(super) fn join(&mut self, piece: &str) -> String {
        if self.0.is_none() && !piece.contains(MARK) {
            return piece.to_owned();
        }
        let mut text = String::with_capacity(piece.len());
        let mut rest = piece.chars();
        while let Some(c) = rest.next() {
            let kept = if c == MARK { rest.next().map(u32::from) } else { None };
            let unit = kept.and_then(|kept| kept.checked_sub(KEPT)).map(|at| at + 0xd800);
            match (self.0.take(), unit) {
                (Some(high), Some(low @ 0xdc00..0xe000)) => {
                    let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    text.push(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                (earlier, unit) => {
                    text.extend(earlier.map(|_| char::REPLACEMENT_CHARACTER));
                    match unit {
                        Some(high @ 0xd800..0xdc00) => self.0 = Some(high),
                        Some(_) => text.push(char::REPLACEMENT_CHARACTER),
                        None => text.push(c),
                    }
                }
            }
        }
        text
    }

    /// What is left when no piece comes any more.
    pub(super) fn rest(&mut self) -> Option<char> {
        self.0.take().map(|_| char::REPLACEMENT_CHARACTER)
    }
}

/// The text with U+FFFD for each half that was kept.
pub(super) fn settled(text: &str) -> String {
    let mut half = Half::default();
    let mut text = half.join(text);
    text.extend(half.rest());
    text
}

/// The same for all that a value holds.
pub(super) fn settle(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(MARK) => *text = settled(text),
        Value::Array(values) => values.iter_mut().for_each(settle),
        Value::Object(members) => settle_members(members),
        _ => {}
    }
}

/// The same for an object's members and their names.
pub(super) fn settle_members(members: &mut Map<String, Value>) {
    members.values_mut().for_each(settle);
    if members.keys().any(|name| name.contains(MARK)) {
        *members = std::mem::take(members).into_iter().map(|(name, value)| (settled(&name), value)).collect();
    }
}

/// Whether any text of it has a half that was kept.
pub(super) fn has_halves(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(MARK),
        Value::Array(values) => values.iter().any(has_halves),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains(MARK) || has_halves(value)),
        _ => false,
    }
}

/// The UTF-16 unit of the escape `\uXXXX` that the text begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_stored_is_replaced() {
        for (text, expected) in [
            (r#""a\u0000b""#, json!("a\u{fffd}b")),
            (r#""\\u0000""#, json!("\\u0000")),
            (r#""\\\u0000""#, json!("\\\u{fffd}")),
            (r#""\ud83d\ude00""#, json!("😀")),
            (r#""\uD83D\uDE00""#, json!("😀")),
            (r#""\ud83d""#, json!("\u{fffd}")),
            (r#""\ude00x""#, json!("\u{fffd}x")),
            (r#""\ud83d\ud83d\ude00""#, json!("\u{fffd}😀")),
            (r#"{"\u0000k":["\udead\n"]}"#, json!({"\u{fffd}k": ["\u{fffd}\n"]})),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for bad in [r#""\ud83"#, r#""\u0000"#, "\\", r#""\u00zz\u0000""#, "\\ud\\"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_that_json_has_not_are_null() {
        for (text, expected) in [
            (
                r#"{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN -Infinity"}"#,
                json!({"a": null, "b": [null, null], "c": "NaN -Infinity"}),
            ),
            (
                r#"{"a\"NaN":NaN,"b":1e999,"c":-1.5e3,"d":true}"#,
                json!({"a\"NaN": null, "b": null, "c": -1500.0, "d": true}),
            ),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for bad in ["NaNa", "{NaN:1}", "ping", "{\"a\":nil}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pair_that_was_cut_in_two_is_joined() {
        let mut half = Half::default();
        let mut join = |json: &str| half.join(parse_frame(json).unwrap().as_str().unwrap());
        assert_eq!(join(r#""Hi \ud83d""#), "Hi ");
        assert_eq!(join(r#""""#), "");
        assert_eq!(join(r#""\ude00 ok \ud83d""#), "😀 ok ");
        assert_eq!(join(r#""\ud83d\ude00\ud83d""#), "\u{fffd}😀");
        assert_eq!(join(r#""x \ude00\u0000\ue03d""#), "\u{fffd}x \u{fffd}\u{fffd}\u{e03d}");
        assert_eq!(join(r#""\ud83d""#), "");
        assert_eq!(half.rest(), Some('\u{fffd}'));
        assert_eq!(half.rest(), None);
        let mut frame = parse_frame(r#"{"\ud83d":["a\ud83d",{"b":"\ude00"}]}"#).unwrap();
        assert!(has_halves(&frame));
        settle(&mut frame);
        assert_eq!(frame, json!({"\u{fffd}": ["a\u{fffd}", {"b": "\u{fffd}"}]}));
    }

    proptest! {
        #[test]
        fn good_json_stays_as_it_is(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let expected = text.replace('\0', "\u{fffd}");
            prop_assert_eq!(parse(&json).unwrap(), json!(expected));
        }

        #[test]
        fn pieces_of_a_text_are_the_text(text in "[a😀é🌴]{0,12}", ends in prop::collection::vec(1_usize..4, 24)) {
            let units: Vec<u16> = text.encode_utf16().collect();
            let (mut half, mut joined, mut rest) = (Half::default(), String::new(), units.as_slice());
            for end in ends {
                let (piece, others) = rest.split_at(end.min(rest.len()));
                rest = others;
                let escaped: Vec<String> = piece.iter().map(|unit| format!("\\u{unit:04x}")).collect();
                let escaped = escaped.concat();
                let piece = parse_frame(&format!("\"{escaped}\"")).unwrap();
                joined += &half.join(piece.as_str().unwrap());
            }
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn nothing_panics(text in r#"["\\ud08Déx]{0,40}"#) {
            let _ = parse(&text);
        }
    }
}

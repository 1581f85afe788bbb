//! Reads an agent's JSON into what PostgreSQL can store.

use std::borrow::Cow;

use serde_json::Value;

/// Reads a document. U+0000, which no `jsonb` holds, and half a surrogate pair, which no text holds, become U+FFFD: one
/// bad character shouldn't cost an answer.
pub(super) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&mended(text))
}

fn mended(json: &str) -> Cow<'_, str> {
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
        let whole = length == 12 || !matches!(unit, Some(0 | 0xd800..0xe000));
        text.push_str(if whole { &rest[..length] } else { "\\ufffd" });
        rest = &rest[length..];
    }
    text.push_str(rest);
    Cow::Owned(text)
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

    proptest! {
        #[test]
        fn good_json_stays_as_it_is(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let expected = text.replace('\0', "\u{fffd}");
            prop_assert_eq!(parse(&json).unwrap(), json!(expected));
        }

        #[test]
        fn nothing_panics(text in r#"["\\ud08Déx]{0,40}"#) {
            let _ = parse(&text);
        }
    }
}

//! Query strings: `application/x-www-form-urlencoded`, read strictly, with every fault told.

use std::borrow::Cow;
use std::fmt::Display;

use percent_encoding::percent_decode_str;

use crate::error::Fault;

/// The type of an endpoint's query string. `()` is that of an endpoint which knows no parameters.
pub trait FromQuery: Sized {
    /// Takes the parameters that the endpoint knows.
    fn from_query(query: &mut Query) -> Self;
}

impl FromQuery for () {
    fn from_query(_: &mut Query) -> Self {}
}

/// The parameters of a query string, taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub struct Query {
    parameters: Vec<(String, String)>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Query {
    /// Splits and decodes a query string.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut query = Self { parameters: Vec::new(), known: Vec::new(), faults: Vec::new() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name), decode(value)) {
                (Some(name), Some(value)) => query.parameters.push((name, value)),
                (Some(name), None) => query.faults.push(Fault::query(&name, "must be UTF-8 without NUL characters")),
                (None, _) => query.faults.push(Fault::query("", "has a parameter whose name isn't UTF-8 without NUL")),
            }
        }
        query
    }

    /// The parameter `name`, read by `read`.
    pub fn optional<T, E: Display>(&mut self, name: &'static str, read: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        self.known.push(name);
        let mut values = self.parameters.extract_if(.., |(key, _)| key == name).map(|(_, value)| value);
        let value = values.next()?;
        if values.count() > 0 {
            self.faults.push(Fault::query(name, "is given more than once"));
        }
        read(&value).map_err(|error| self.faults.push(Fault::query(name, error.to_string()))).ok()
    }

    /// A parameter that is `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.optional(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false"),
        })
    }

    /// A parameter that is one of a few words.
    pub fn word<T>(&mut self, name: &'static str, words: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.optional(name, |text| read(text).ok_or_else(|| format!("must be one of: {words}")))
    }

    /// A parameter that is any text but an empty one.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.optional(name, |text| if text.is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) })
    }

    /// A point in time (RFC 3339).
    pub fn time(&mut self, name: &'static str) -> Option<jiff::Timestamp> {
        self.optional(name, |text| {
            // A plus sign in a query string is a space; nobody means a time with a space in it.
            let time = text.replace(' ', "+").parse::<jiff::Timestamp>().ok();
            // PostgreSQL's range and the parser's differ at both ends; no conversation is from before 1970.
            let time = time.filter(|time| *time >= jiff::Timestamp::UNIX_EPOCH);
            time.ok_or("must be a time such as 2026-01-31T12:00:00Z, from 1970 on")
        })
    }

    /// The parameters `PREFIX` and a key: each key at most once.
    pub fn prefixed(&mut self, prefix: &'static str, shown_as: &'static str) -> Vec<(String, String)> {
        self.known.push(shown_as);
        let taken: Vec<_> = self.parameters.extract_if(.., |(key, _)| key.starts_with(prefix)).collect();
        let mut found: Vec<(String, String)> = Vec::with_capacity(taken.len());
        for (name, value) in taken {
            let key = name[prefix.len()..].to_owned();
            if key.is_empty() {
                self.faults.push(Fault::query(&name, "lacks a key"));
            } else if found.iter().any(|(known, _)| *known == key) {
                self.faults.push(Fault::query(&name, "is given more than once"));
            } else {
                found.push((key, value));
            }
        }
        found
    }

    /// Every fault, the unknown parameters among them.
    #[must_use]
    pub fn close(mut self) -> Vec<Fault> {
        let known: Cow<'_, str> = if self.known.is_empty() {
            "is unknown; this endpoint knows no parameters".into()
        } else {
            format!("is unknown; known here: {}", self.known.join(", ")).into()
        };
        for (name, _) in &self.parameters {
            self.faults.push(Fault::query(name, known.clone().into_owned()));
        }
        self.faults
    }
}

/// Decodes one name or value; `None` where it isn't UTF-8, or holds what PostgreSQL can't store.
fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8().ok()?;
    (!text.contains('\0')).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Cursor, MessageCursor, PageSize};

    fn pointers(query: Query) -> Vec<String> {
        query.close().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let mut query =
            Query::parse("limit=0&limit=5&cursor=x&a%2Fb=1&archived=yes&updatedAfter=soon&title=%ff&metadata.=1");
        assert_eq!(query.optional("limit", |text| PageSize::try_from(text)), None);
        assert_eq!(query.optional("cursor", MessageCursor::decode), None);
        assert_eq!(query.flag("archived"), None);
        assert_eq!(query.time("updatedAfter"), None);
        assert!(query.prefixed("metadata.", "metadata.KEY").is_empty());
        let expected = ["/title", "/limit", "/limit", "/cursor", "/archived", "/updatedAfter", "/metadata.", "/a~1b"];
        assert_eq!(pointers(query), expected);
    }

    #[test]
    fn values_are_decoded_once() {
        let mut query = Query::parse("title=a+b%2Bc%2520&metadata.te%20am=hr&updatedAfter=2026-01-01T00:00:00+01:00");
        assert_eq!(query.optional("title", |text| Ok::<_, String>(text.to_owned())).as_deref(), Some("a b+c%20"));
        assert_eq!(query.prefixed("metadata.", "metadata.KEY"), [("te am".to_owned(), "hr".to_owned())]);
        assert_eq!(query.time("updatedAfter").map(|time| time.to_string()).as_deref(), Some("2025-12-31T23:00:00Z"));
        assert_eq!(pointers(query), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_query_panics(text in r"[ -~]{0,60}") {
            let mut query = Query::parse(&text);
            query.flag("a");
            query.prefixed("m", "m");
            let _ = query.close();
        }

        #[test]
        fn no_cursor_panics_and_each_comes_back(seq in 1..i64::MAX, text in r"[ -~]{0,60}") {
            let _ = MessageCursor::decode(&text);
            let _ = crate::model::ConversationCursor::decode(&text);
            prop_assert_eq!(MessageCursor::decode(&MessageCursor(seq).encode()), Ok(MessageCursor(seq)));
        }
    }
}

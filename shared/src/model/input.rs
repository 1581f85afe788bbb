//! Reads a JSON value into types and collects every fault on the way, each with its JSON pointer.
//!
//! serde stops at the first fault, and derives that go on (deserr) judge what concerns two members only once every
//! member is well-formed. A client should be told everything at once, so reading is written out.

use std::borrow::Cow;
use std::fmt::Display;

use serde_json::{Map, Value};

use crate::error::{Fault, escape_pointer};

/// A type that is read from JSON. `None` means that a fault was recorded.
pub trait FromJson: Sized {
    /// The member of which only the last item is read, where there is one; of the others their `id` is.
    const LAST_OF: Option<&'static str> = None;

    /// Reads `value`, which stands at the pointer `at`.
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self>;
}

/// What a value is called in a fault.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Records that `value` is of the wrong type.
fn wrong<T>(wanted: &str, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<T> {
    faults.push(Fault::body(at, format!("must be {wanted}, not {}", kind(value))));
    None
}

/// Records what `check` says against a value, or passes the value on.
pub(crate) fn checked<T, E: Display>(result: Result<T, E>, at: &str, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|error| faults.push(Fault::body(at, error.to_string()))).ok()
}

/// A text that a person or a document wrote: U+0000, which PostgreSQL can't store, is left out.
impl FromJson for String {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        name(value, at, faults).map(without_nul)
    }
}

/// A name or a word, in which nothing may be wrong.
pub(crate) fn name(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        other => wrong("a string", &other, at, faults),
    }
}

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

/// The same of all texts in a value, keys as well.
fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul(text)),
        Value::Array(items) => items.into_iter().map(clean).collect(),
        Value::Object(members) => Value::Object(clean_members(members)),
        value => value,
    }
}

fn clean_members(members: Map<String, Value>) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (without_nul(name), clean(value))).collect()
}

/// An object's members as they are.
pub(crate) fn members(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        other => wrong("an object", &other, at, faults),
    }
}

impl FromJson for bool {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(flag),
            other => wrong("a boolean", &other, at, faults),
        }
    }
}

/// What a person or a document wrote, whole.
impl FromJson for Map<String, Value> {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        members(value, at, faults).map(clean_members)
    }
}

/// An array of 1 to `MAX` items (0 where `MIN` says so).
#[derive(Debug)]
pub struct List<T, const MIN: usize, const MAX: usize>(pub Vec<T>);

impl<T: FromJson, const MIN: usize, const MAX: usize> FromJson for List<T, MIN, MAX> {
    fn from_json(value: Value, at: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let items = match value {
            Value::Array(items) => items,
            other => return wrong("an array", &other, at, faults),
        };
        if !(MIN..=MAX).contains(&items.len()) {
            faults.push(Fault::body(at, format!("must have {MIN} to {MAX} items, not {}", items.len())));
            return None;
        }
        // Every item is read, so that every item's faults are told; then one bad item spoils the list.
        let read: Vec<Option<T>> =
            items.into_iter().enumerate().map(|(i, item)| T::from_json(item, &format!("{at}/{i}"), faults)).collect();
        read.into_iter().collect::<Option<Vec<T>>>().map(Self)
    }
}

/// The members of an object, taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub struct Object<'a> {
    at: Cow<'a, str>,
    members: Map<String, Value>,
    known: Vec<&'static str>,
    present: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// Opens the object at `at`.
    pub fn open(value: Value, at: &'a str, faults: &mut Vec<Fault>) -> Option<Self> {
        let members = members(value, at, faults)?;
        Some(Self { at: at.into(), members, known: Vec::new(), present: Vec::new() })
    }

    /// The pointer of the member `name`.
    #[must_use]
    pub fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, escape_pointer(name))
    }

    /// Whether the member `name`, already taken, was there and not null.
    #[must_use]
    pub fn has(&self, name: &'static str) -> bool {
        self.present.contains(&name)
    }

    /// The member `name` as it is: `None` where it is absent, `Some(Null)` where it is null.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        let value = self.members.remove(name)?;
        if !value.is_null() {
            self.present.push(name);
        }
        Some(value)
    }

    /// A member that may be absent or null.
    pub fn optional<T: FromJson>(&mut self, name: &'static str, faults: &mut Vec<Fault>) -> Option<T> {
        self.nullable(name, faults).flatten()
    }

    /// A member for which null means something other than absence: `Some(None)` is null.
    #[allow(clippy::option_option, reason = "RFC 7396 tells an absent member from one that is null")]
    pub fn nullable<T: FromJson>(&mut self, name: &'static str, faults: &mut Vec<Fault>) -> Option<Option<T>> {
        match self.take(name)? {
            Value::Null => Some(None),
            value => T::from_json(value, &self.pointer(name), faults).map(Some),
        }
    }

    /// A member that must be there.
    pub fn required<T: FromJson>(&mut self, name: &'static str, faults: &mut Vec<Fault>) -> Option<T> {
        match self.take(name) {
            None => {
                faults.push(Fault::body(self.pointer(name), "is missing"));
                None
            }
            Some(value) => T::from_json(value, &self.pointer(name), faults),
        }
    }

    /// Records every member that nobody took.
    pub fn close(self, faults: &mut Vec<Fault>) {
        for name in self.members.keys() {
            let detail = format!("is unknown; known here: {}", self.known.join(", "));
            faults.push(Fault::body(self.pointer(name), detail));
        }
    }
}

//! How much a JSON text holds, counted from its bytes before anything of it is built. A tree of values takes many times the
//! bytes that it is written with.

use serde_json::Value;

use super::limits;

/// What a text holds, as far as it is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The text's value, what is behind a comma, and what is first in an object or array. An empty one counts as if it had one.
    pub(crate) values: usize,
    /// Objects and arrays.
    pub(crate) containers: usize,
    /// How deep objects and arrays are nested.
    pub(crate) depth: usize,
}

impl Extent {
    /// Reads each byte once.
    pub(crate) fn of(text: &str) -> Self {
        let mut extent = Self { values: 1, containers: 0, depth: 0 };
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b',' => extent.values += 1,
                b'[' | b'{' => {
                    depth += 1;
                    extent.values += 1;
                    extent.containers += 1;
                    extent.depth = extent.depth.max(depth);
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        extent
    }

    /// What of it is more than is read of an agent at once.
    pub(crate) fn too_much_of_an_agent(self) -> Option<&'static str> {
        match self {
            Self { depth: limits::AGENT_TOO_DEEP.., .. } => Some("an event that is nested too deep"),
            Self { values, containers, .. }
                if values > limits::AGENT_EVENT_VALUES || containers > limits::AGENT_EVENT_CONTAINERS =>
            {
                Some("an event of too many values")
            }
            Self { .. } => None,
        }
    }
}

/// What an agent wrote as text, where it is JSON that can be kept.
pub(crate) fn agents_json(text: &str) -> Option<Value> {
    if Extent::of(text).too_much_of_an_agent().is_some() { None } else { serde_json::from_str(text).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is made of a text: values, objects and arrays among them, and how deep they go.
    fn made(value: &Value) -> Extent {
        let inner: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(members) => members.values().collect(),
            _ => return Extent { values: 1, containers: 0, depth: 0 },
        };
        let own = Extent { values: 1, containers: 1, depth: 1 };
        inner.into_iter().map(made).fold(own, |all, one| Extent {
            values: all.values + one.values,
            containers: all.containers + one.containers,
            depth: all.depth.max(one.depth + 1),
        })
    }

    #[test]
    fn a_text_is_counted_before_it_is_read() {
        for (text, values, containers, depth) in [
            ("0", 1, 0, 0),
            ("[]", 2, 1, 1),
            ("[0,0]", 3, 1, 1),
            (r#"{"a":{},"b":[[1]]}"#, 6, 4, 3),
            (r#"["[{,\"[,","\\",0]"#, 4, 1, 1),
            ("]]][[", 3, 2, 2),
        ] {
            assert_eq!(Extent::of(text), Extent { values, containers, depth }, "{text}");
        }
    }

    #[test]
    fn what_can_be_kept_can_be_read_back() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let deepest = agents_json(&nested(limits::AGENT_DEPTH)).expect("a value");
        let body = serde_json::json!({"messages": [{"parts": [{"type": "data-x", "data": deepest}]}]}).to_string();
        assert_eq!(Extent::of(&body).depth, limits::DEPTH);
        assert_eq!(agents_json(&nested(limits::AGENT_DEPTH + 1)), None);
        let many = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        assert!(agents_json(&many("0.5", limits::AGENT_EVENT_VALUES - 2)).is_some());
        assert!(agents_json(&many("0.5", limits::AGENT_EVENT_VALUES)).is_none());
        assert!(agents_json(&many("{}", limits::AGENT_EVENT_CONTAINERS - 1)).is_some());
        assert!(agents_json(&many("{}", limits::AGENT_EVENT_CONTAINERS)).is_none());
    }
    proptest! {
        #[test]
        fn no_more_is_made_than_was_counted(
            value in any::<String>().prop_map(Value::from).prop_recursive(6, 60, 6, |inner| prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]),
        ) {
            let (counted, made) = (Extent::of(&value.to_string()), made(&value));
            prop_assert_eq!((counted.containers, counted.depth), (made.containers, made.depth));
            prop_assert!((made.values..=made.values + made.containers).contains(&counted.values));
        }
    }
}

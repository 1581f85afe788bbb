//! JSON that is passed on as it is.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// What `serde_json`'s own `RawValue` is serialised as.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// JSON text that is known to be JSON, since the database or this program printed it; serialised as it stands.
///
/// `serde_json::value::RawValue` is the same, but parses the text before it believes it, which took a fifth of the time
/// that a page of messages takes; its way around that is `unsafe`, which is forbidden here. So this does what it does when
/// it is serialised. It holds for `serde_json` alone: a test fails should it ever do otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson(String);

impl RawJson {
    /// Takes a text that is JSON. One that isn't makes whatever it is put into no JSON either.
    #[must_use]
    pub(crate) fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut raw = serializer.serialize_struct(RAW_VALUE, 1)?;
        raw.serialize_field(RAW_VALUE, &self.0)?;
        raw.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_serialised_as_it_stands() {
        let text = "{\"b\": [1, \"\\u00e9\", null],  \"a\": 1.10}";
        let raw = RawJson::trusted(text.to_owned());
        assert_eq!(serde_json::to_string(&raw).expect("JSON"), text);
        assert_eq!(serde_json::to_vec(&[&raw, &raw]).expect("JSON"), format!("[{text},{text}]").as_bytes());
        assert_eq!(serde_json::to_value(&raw).expect("JSON"), json!({"a": 1.10, "b": [1, "é", null]}));
    }
}

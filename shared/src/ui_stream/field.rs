//! What the fields of a frame hold, and how each is read from JSON and written to it.

mod lists;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Map, Value};

pub use lists::{Citations, SteeringParts};

/// Why something is no frame of a UI message stream. Tells names of the protocol, never what a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadChunk {
    /// It is no JSON object with a text `type`.
    NotAFrame,
    /// The SDK doesn't know this type (its first characters).
    UnknownType(String),
    /// A field is missing, or isn't what its type says.
    Field {
        /// The frame's type.
        chunk: &'static str,
        /// The field.
        name: &'static str,
        /// What is wrong, completing "the field …".
        must: &'static str,
    },
    /// It has a member `__proto__`, or a `constructor` with a `prototype`, somewhere: the SDK refuses to read those.
    ForbiddenMember,
    /// It can't stand where it stands.
    Order {
        /// The frame's type.
        chunk: &'static str,
        /// What is wrong, completing "the frame …".
        fault: &'static str,
    },
}

impl fmt::Display for BadChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFrame => f.write_str("is no JSON object with a text `type`"),
            Self::UnknownType(kind) => write!(f, "is of the unknown type {kind:?}"),
            Self::Field { chunk, name, must } => write!(f, "is a {chunk} whose {name} {must}"),
            Self::ForbiddenMember => f.write_str("has a member that the AI SDK refuses to read"),
            Self::Order { chunk, fault } => write!(f, "is a {chunk} that {fault}"),
        }
    }
}

impl std::error::Error for BadChunk {}

/// What providers add to a part: an object of JSON values for each provider, by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ProviderMetadata(pub BTreeMap<String, Map<String, Value>>);

impl ProviderMetadata {
    /// What one provider adds.
    #[must_use]
    pub fn of(provider: &str, values: Map<String, Value>) -> Self {
        Self(BTreeMap::from([(provider.to_owned(), values)]))
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that the stream has for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the stream's word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// Why an answer ended.
    FinishReason {
        /// The agent had no more to say.
        Stop = "stop",
        /// The agent's limit of tokens.
        Length = "length",
        /// A content filter.
        ContentFilter = "content-filter",
        /// The agent waits for the results of tools.
        ToolCalls = "tool-calls",
        /// The agent failed.
        Error = "error",
        /// The agent's model broke off. Version 7.
        Interrupted = "interrupted",
        /// Anything else.
        Other = "other",
    }
}
words! {
    /// How the deltas of a tool's input are to be read.
    InputEncoding {
        /// As pieces of JSON.
        Json = "json",
        /// As plain text.
        Text = "text",
    }
}

/// A field of a frame.
pub(super) trait Field: Sized {
    /// Reads it; none is a member that isn't there. The error completes "the field …".
    fn read(value: Option<Value>) -> Result<Self, &'static str>;

    /// Writes it, unless it is absent: the SDK's schemas take no null for that.
    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error>;
}

impl Field for String {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        match value {
            Some(Value::String(text)) => Ok(text),
            None => Err("is missing"),
            Some(_) => Err("must be a string"),
        }
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self)
    }
}

impl Field for Option<String> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err("must be a string"),
        }
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |text| map.serialize_entry(name, text))
    }
}

impl Field for Option<bool> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err("must be true or false"),
        }
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.map_or(Ok(()), |flag| map.serialize_entry(name, &flag))
    }
}

/// A word that only a later version of the SDK knows is no reason to refuse an answer in its last frame.
impl Field for Option<FinishReason> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        let word = Option::<String>::read(value)?;
        Ok(word.map(|word| FinishReason::from_word(&word).unwrap_or(FinishReason::Other)))
    }

    /// A word that version 6 doesn't know would end its reader's stream in the last frame.
    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        let known = self.map(|word| if word == FinishReason::Interrupted { FinishReason::Other } else { word });
        known.map_or(Ok(()), |word| map.serialize_entry(name, word.as_str()))
    }
}

impl Field for Option<InputEncoding> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        let Some(word) = Option::<String>::read(value)? else { return Ok(None) };
        InputEncoding::from_word(&word).map(Some).ok_or("must be json or text")
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.map_or(Ok(()), |word| map.serialize_entry(name, word.as_str()))
    }
}

/// A flag whose absence means the same as false.
impl Field for bool {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        Option::read(value).map(Option::unwrap_or_default)
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        if *self { map.serialize_entry(name, self) } else { Ok(()) }
    }
}

/// A flag that must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(pub bool);

impl Field for Flag {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        Option::<bool>::read(value)?.map(Self).ok_or("is missing")
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, &self.0)
    }
}

/// Any JSON. An agent whose tool answers nothing leaves the member out, which the SDK's schema takes or not by the version
/// of its validator; null it always takes.
impl Field for Value {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        Ok(value.unwrap_or_default())
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self)
    }
}

impl Field for Option<Value> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        Ok(value.filter(|value| !value.is_null()))
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |value| map.serialize_entry(name, value))
    }
}

impl Field for Map<String, Value> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        Option::read(value).map(Option::unwrap_or_default)
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self)
    }
}

impl Field for Option<Map<String, Value>> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err("must be an object"),
        }
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |members| map.serialize_entry(name, members))
    }
}

impl Field for Option<ProviderMetadata> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        const MUST: &str = "must be an object of objects, by provider";
        let Some(providers) = Option::<Map<String, Value>>::read(value).map_err(|_| MUST)? else { return Ok(None) };
        let providers = providers.into_iter().map(|(provider, values)| match values {
            Value::Object(values) => Ok((provider, values)),
            _ => Err(MUST),
        });
        providers.collect::<Result<_, _>>().map(|providers| Some(ProviderMetadata(providers)))
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |metadata| map.serialize_entry(name, metadata))
    }
}

//! Fields that are lists of objects, as version 7 of the SDK has them. Its reader refuses a frame for one member that isn't
//! what it must be: what needn't be there is left out.

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Map, Value};

use super::{Field, ProviderMetadata};

type Object = Map<String, Value>;

/// What supports a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Citations(pub Vec<Object>);

impl Field for Option<Citations> {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(list) => {
                read_all(&list, citation).map(|list| Some(Citations(list))).ok_or("must be a list of citations")
            }
        }
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |citations| map.serialize_entry(name, citations))
    }
}

/// The parts of a user's message: texts and files.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SteeringParts(pub Vec<Object>);

impl Field for SteeringParts {
    fn read(value: Option<Value>) -> Result<Self, &'static str> {
        read_all(&value.unwrap_or_default(), steering_part).map(Self).ok_or("must be a list of text and file parts")
    }

    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self)
    }
}

fn read_all(list: &Value, read: impl Fn(&Object) -> Option<Object>) -> Option<Vec<Object>> {
    list.as_array()?.iter().map(|item| read(item.as_object()?)).collect()
}

/// A member that may be missing, and what it must be.
type Optional = (&'static str, fn(&Value) -> bool);

const METADATA: Optional = ("providerMetadata", is_provider_metadata);

fn citation(citation: &Object) -> Option<Object> {
    let source = citation.get("source")?.as_object()?;
    let source = match source.get("sourceType")?.as_str()? {
        "url" => pick(source, &["type", "sourceType", "id", "url"], &[("title", Value::is_string), METADATA])?,
        "document" => {
            let required = ["type", "sourceType", "id", "mediaType", "title"];
            pick(source, &required, &[("filename", Value::is_string), METADATA])?
        }
        _ => return None,
    };
    let optional: [Optional; 3] =
        [("startIndex", Value::is_u64), ("endIndex", Value::is_u64), ("citedText", Value::is_string)];
    let mut citation = pick(citation, &[], &optional)?;
    citation.insert("source".to_owned(), source.into());
    Some(citation)
}

fn steering_part(part: &Object) -> Option<Object> {
    match part.get("type")?.as_str()? {
        "text" => pick(part, &["type", "text"], &[METADATA]),
        "file" => {
            let optional = [("filename", Value::is_string as _), ("providerReference", is_reference as _), METADATA];
            pick(part, &["type", "mediaType", "url"], &optional)
        }
        _ => None,
    }
}

/// These members of an object: texts that it must have, and what else it may.
fn pick(object: &Object, texts: &[&str], optional: &[Optional]) -> Option<Object> {
    let mut picked = Object::new();
    for name in texts {
        picked.insert((*name).to_owned(), object.get(*name).filter(|value| value.is_string())?.clone());
    }
    for (name, is_good) in optional {
        if let Some(value) = object.get(*name).filter(|value| is_good(value)) {
            picked.insert((*name).to_owned(), value.clone());
        }
    }
    Some(picked)
}

fn is_provider_metadata(value: &Value) -> bool {
    matches!(Option::<ProviderMetadata>::read(Some(value.clone())), Ok(Some(_)))
}

fn is_reference(value: &Value) -> bool {
    value.as_object().is_some_and(|providers| providers.values().all(Value::is_string))
}

//! What utoipa can't say of a type, or says too generously.

use serde_json::{Value, json};

/// A change in which null means something. Everywhere else but in the bodies what isn't there is absent.
const PATCH: &str = "ConversationPatch";

/// The bodies whose optional members may be null as well, which is read as their absence.
const BODIES: [&str; 5] = ["ChatRequest", "ChatRequestMessage", "NewConversation", "NewMessage", "NewMessages"];

/// Makes the document say what is true.
pub(super) fn correct(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    // A type has either members or alternatives; these have both.
    schemas["NewMessage"]["oneOf"] = json!([
        {"required": ["parts"], "properties": {"parts": {"type": "array"}, "content": {"type": "null"}}},
        {"required": ["content"], "properties": {"content": {"type": "string"}, "parts": {"type": "null"}}},
    ]);
    schemas["ChatRequest"]["anyOf"] = json!([
        {"required": ["message"], "properties": {"message": {"type": "object"}}},
        {"required": ["messages"], "properties": {"messages": {"type": "array"}}},
        {"required": ["trigger"], "properties": {"trigger": {"const": "regenerate-message"}}},
    ]);
    // It isn't read by serde, from whom utoipa would have it.
    schemas["ConversationPatch"]["additionalProperties"] = false.into();
    for name in BODIES {
        let schema = &mut schemas[name];
        let required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
        members(&mut schema["properties"])
            .filter(|(property, _)| !required.iter().any(|name| name == property.as_str()))
            .for_each(|(_, property)| with_null(property));
    }
    for (_, schema) in members(schemas).filter(|(name, _)| *name != PATCH && !BODIES.contains(&name.as_str())) {
        without_null(schema);
    }
    for (_, operation) in members(&mut document["paths"]).flat_map(|(_, item)| members(item)) {
        operation.get_mut("parameters").into_iter().for_each(without_null);
        without_null(&mut operation["responses"]);
        for (status, response) in members(&mut operation["responses"]) {
            // Each response needs a description.
            let reason = status.parse().ok().and_then(|status| http::StatusCode::from_u16(status).ok());
            let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("An answer");
            if let Some(response) = response.as_object_mut() {
                response.entry("description").or_insert_with(|| reason.into());
            }
        }
    }
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flat_map(|members| members.iter_mut())
}

/// Lets a schema be null as well.
fn with_null(schema: &mut Value) {
    match schema.get("type") {
        Some(Value::String(kind)) => schema["type"] = json!([kind, "null"]),
        Some(_) => {}
        None => {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            *schema = json!({"oneOf": [schema, {"type": "null"}]});
            if let Some(description) = description {
                schema["description"] = description;
            }
        }
    }
}

/// Takes null from the types of a schema and of all in it.
fn without_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(alternatives)) = object.get_mut("oneOf") {
                alternatives.retain(|schema| schema["type"] != "null");
                if let [Value::Object(only)] = &alternatives[..] {
                    let only = only.clone();
                    object.remove("oneOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

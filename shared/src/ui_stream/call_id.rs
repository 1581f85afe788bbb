//! The agent's own id of a call, where a reader knows the call by another: no two calls of a conversation share one.

use serde_json::{Map, Value};

use crate::ui_stream::ProviderMetadata;

type Object = Map<String, Value>;

/// Where a call's part keeps it: `callProviderMetadata.colloquy.toolCallId`.
const PROVIDER: &str = "colloquy";
const MEMBER: &str = "toolCallId";

/// Notes the agent's id in what goes with a call's input.
pub fn note_agents_call_id(metadata: &mut Option<ProviderMetadata>, id: &str) {
    let providers = &mut metadata.get_or_insert_default().0;
    providers.entry(PROVIDER.to_owned()).or_default().insert(MEMBER.to_owned(), id.into());
}

/// The agent's id of a part's call.
#[must_use]
pub fn agents_call_id(part: &Object) -> Option<&str> {
    let noted = || part.get("callProviderMetadata")?.get(PROVIDER)?.get(MEMBER)?.as_str();
    noted().or_else(|| part.get(MEMBER)?.as_str())
}

/// A call's part as its agent knows it.
#[must_use]
pub fn as_the_agent_names_it(mut part: Object) -> Object {
    if let Some(id) = agents_call_id(&part).map(str::to_owned) {
        part.insert(MEMBER.to_owned(), id.into());
    }
    if let Some(Value::Object(providers)) = part.get_mut("callProviderMetadata") {
        providers.remove(PROVIDER);
        if providers.is_empty() {
            part.remove("callProviderMetadata");
        }
    }
    part
}

//! What an answer cost.

use serde_json::{Map, Value};

/// Our names, those of the AI SDK, and the names that services have for them.
const NAMES: [(&str, &[&str]); 5] = [
    ("inputTokens", &["/prompt_tokens", "/input_tokens", "/inputTokens", "/promptTokens"]),
    ("outputTokens", &["/completion_tokens", "/output_tokens", "/outputTokens", "/completionTokens"]),
    ("totalTokens", &["/total_tokens", "/totalTokens"]),
    (
        "reasoningTokens",
        &[
            "/completion_tokens_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
            "/outputTokenDetails/reasoningTokens",
            "/reasoningTokens",
            "/reasoning_tokens",
        ],
    ),
    (
        "cachedInputTokens",
        &[
            "/prompt_tokens_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
            "/inputTokenDetails/cacheReadTokens",
            "/cachedInputTokens",
        ],
    ),
];

/// Reads a usage object of any of these dialects; `None` where it counts no tokens.
pub(super) fn read(usage: &Value) -> Option<Map<String, Value>> {
    let count = |pointers: &[&str]| pointers.iter().find_map(|pointer| usage.pointer(pointer)?.as_u64());
    let counts = NAMES.iter().filter_map(|(name, pointers)| Some(((*name).to_owned(), count(pointers)?.into())));
    let mut read: Map<String, Value> = counts.collect();
    if let (None, Some(input), Some(output)) =
        (read.get("totalTokens"), read.get("inputTokens"), read.get("outputTokens"))
    {
        let total = input.as_u64().unwrap_or_default().saturating_add(output.as_u64().unwrap_or_default());
        read.insert("totalTokens".into(), total.into());
    }
    (!read.is_empty()).then_some(read)
}

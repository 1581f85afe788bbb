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
    Counts::read(usage).map(Counts::with_total).map(Counts::to_object)
}

/// The most tokens that an answer can have cost; what is more is no count.
const MOST: u64 = 1_000_000_000_000;

/// A count of any kind: some services write `500.0`, or `"500"`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked before: within the range of a count"
)]
pub(super) fn count(value: &Value) -> Option<u64> {
    let whole = |float: f64| (float.is_finite() && float >= 0.0).then(|| float.round() as u64);
    let count = match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?)),
        _ => None,
    };
    count.filter(|count| *count <= MOST)
}

/// What each of [`NAMES`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts([Option<u64>; NAMES.len()]);

const TOTAL: usize = 2;

impl Counts {
    fn read(usage: &Value) -> Option<Self> {
        let named = NAMES.map(|(_, pointers)| pointers.iter().find_map(|pointer| count(usage.pointer(pointer)?)));
        named.iter().any(Option::is_some).then_some(Self(named))
    }

    /// With the total that the other counts make, where a service says none or an older one.
    fn with_total(mut self) -> Self {
        let sum = match (self.0[0], self.0[1]) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or_default().saturating_add(output.unwrap_or_default())),
        };
        self.0[TOTAL] = self.0[TOTAL].max(sum);
        self
    }

    /// Each count of one of the two, or made of both.
    fn merge(self, other: Self, both: impl Fn(u64, u64) -> u64) -> Self {
        let mut merged = self;
        for (count, other) in merged.0.iter_mut().zip(other.0) {
            *count = match (*count, other) {
                (Some(one), Some(other)) => Some(both(one, other)),
                (one, other) => one.or(other),
            };
        }
        merged
    }

    fn is_zero(self) -> bool {
        self.0.iter().flatten().all(|count| *count == 0)
    }

    fn to_object(self) -> Map<String, Value> {
        let named = NAMES.iter().zip(self.0);
        named.filter_map(|((name, _), count)| Some(((*name).to_owned(), count?.into()))).collect()
    }
}

/// What an answer cost in all. It may be made of several completions, each of which counts for itself, and tells its
/// counts again as they grow.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// The completion under way.
    id: Option<String>,
    current: Counts,
    earlier: Counts,
}

impl Sum {
    /// The completion that the next counts are of.
    pub(super) fn completion(&mut self, id: &str) {
        if self.id.as_deref() != Some(id) {
            let current = std::mem::take(&mut self.current).with_total();
            self.earlier = self.earlier.merge(current, u64::saturating_add);
            self.id = Some(id.to_owned());
        }
    }

    /// All counts, where this says anything new.
    pub(super) fn note(&mut self, usage: &Value) -> Option<Map<String, Value>> {
        let read = Counts::read(usage)?;
        let current = self.current.merge(read, |_, new| new);
        // Zeros are what services say that don't know.
        if current == self.current || (read.is_zero() && !self.current.is_zero()) {
            return None;
        }
        self.current = current;
        Some(self.earlier.merge(current.with_total(), u64::saturating_add).to_object())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_read_however_they_are_written() {
        for (usage, expected) in [
            (
                json!({"prompt_tokens": 500.0, "completion_tokens": "20"}),
                json!({"inputTokens": 500, "outputTokens": 20, "totalTokens": 520}),
            ),
            (json!({"prompt_tokens": "500.0"}), json!({"inputTokens": 500, "totalTokens": 500})),
            (json!({"completion_tokens": 7, "prompt_tokens": null}), json!({"outputTokens": 7, "totalTokens": 7})),
            (json!({"total_tokens": 7}), json!({"totalTokens": 7})),
            (
                json!({"total_tokens": 7, "prompt_tokens": 5, "completion_tokens": 5}),
                json!({"inputTokens": 5, "outputTokens": 5, "totalTokens": 10}),
            ),
        ] {
            assert_eq!(read(&usage).map(Value::from), Some(expected), "{usage}");
        }
        for none in [json!({}), json!(null), json!(7), json!({"prompt_tokens": -1, "completion_tokens": "many"})] {
            assert_eq!(read(&none), None);
        }
    }

    #[test]
    fn completions_are_summed_and_what_grows_is_not() {
        let mut sum = Sum::default();
        let mut total = |id: &str, input: u64, output: u64| {
            sum.completion(id);
            sum.note(&json!({"prompt_tokens": input, "completion_tokens": output}))
                .map(|told| told["totalTokens"].clone())
        };
        assert_eq!(total("a", 10, 1), Some(json!(11)));
        assert_eq!(total("a", 10, 2), Some(json!(12)));
        assert_eq!(total("a", 10, 2), None);
        assert_eq!(total("a", 0, 0), None);
        assert_eq!(total("b", 20, 1), Some(json!(33)));
        assert_eq!(total("b", 20, 5), Some(json!(37)));
        assert_eq!(total("c", u64::MAX, 5), Some(json!(42)), "no answer has cost that");
    }
}

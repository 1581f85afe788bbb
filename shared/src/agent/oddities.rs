//! What an agent sent that was left out, or passed over: one warning an answer.

use std::collections::BTreeSet;

/// The kinds of it. Logged when the answer is done with, however it ended.
#[derive(Debug, Default)]
pub(super) struct Oddities(BTreeSet<&'static str>);

impl Oddities {
    pub(super) fn note(&mut self, kind: &'static str) {
        self.0.insert(kind);
    }
}

impl Drop for Oddities {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            let kinds = self.0.iter().copied().collect::<Vec<_>>().join(", ");
            tracing::warn!(kinds, "the agent sent what was left out of its answer");
        }
    }
}

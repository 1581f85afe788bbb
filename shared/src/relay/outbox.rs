//! What of a running answer's stream isn't stored yet.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::model::RunChunk;
use crate::ui_stream::{self, Chunk};

/// Frames on their way to the database. They are sealed into chunks, each with a number and contents that never change,
/// so that a chunk whose fate is unknown can be sent again.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    next: i32,
    /// Sealed, and not known to be stored.
    sealed: Vec<RunChunk>,
    frames: Vec<Value>,
    sources: Vec<Map<String, Value>>,
    bytes: usize,
    since: Option<Instant>,
}

impl Outbox {
    /// Takes a frame; `bytes` is about what it adds.
    pub(super) fn push(&mut self, frame: &Chunk, bytes: usize, now: Instant) {
        ui_stream::merge(&mut self.frames, frame);
        self.bytes += bytes;
        self.since.get_or_insert(now);
    }

    /// Takes a source that came with the last frame.
    pub(super) fn push_source(&mut self, source: Map<String, Value>) {
        self.sources.push(source);
    }

    /// When what waits must be stored at the latest.
    pub(super) fn due(&self, longest: Duration, most_bytes: usize) -> Option<Instant> {
        let since = self.since?;
        Some(if self.bytes >= most_bytes { since } else { since + longest })
    }

    /// Seals what waits.
    pub(super) fn seal(&mut self) {
        if self.frames.is_empty() {
            return;
        }
        let (frames, sources) = (std::mem::take(&mut self.frames), std::mem::take(&mut self.sources));
        self.sealed.push(RunChunk { n: self.next, frames, sources });
        self.next += 1;
        self.bytes = 0;
        self.since = None;
    }

    /// What is sealed and not known to be stored.
    pub(super) fn sealed(&self) -> &[RunChunk] {
        &self.sealed
    }

    /// The chunks before `n` are stored.
    pub(super) fn stored_before(&mut self, n: i32) {
        self.sealed.retain(|chunk| chunk.n >= n);
    }

    /// The number of the next chunk: all before it are sealed.
    pub(super) fn next(&self) -> i32 {
        self.next
    }
}

/// About what a frame of so many bytes adds to what is stored: deltas that follow each other become one, to which each adds
/// its text.
pub(super) fn added_bytes(frame: &Chunk, bytes: usize) -> usize {
    match frame {
        Chunk::TextDelta { delta, .. } | Chunk::ReasoningDelta { delta, .. } => delta.len(),
        Chunk::ToolInputDelta { input_text_delta, .. } => input_text_delta.len(),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta() -> Chunk {
        Chunk::TextDelta { id: "t".to_owned(), delta: "a".to_owned(), provider_metadata: None }
    }

    #[test]
    fn what_waits_is_due_by_its_age_and_at_once_by_its_size() {
        let (mut outbox, now, longest) = (Outbox::default(), Instant::now(), Duration::from_millis(200));
        assert_eq!(outbox.due(longest, 10), None);
        outbox.push(&delta(), 6, now);
        assert_eq!(outbox.due(longest, 10), Some(now + longest));
        outbox.push(&delta(), 4, now + longest / 2);
        assert_eq!(outbox.due(longest, 10), Some(now));
        outbox.seal();
        assert_eq!(outbox.due(longest, 10), None);
        outbox.push(&delta(), 4, now + longest);
        assert_eq!(outbox.due(longest, 10), Some(now + longest * 2));
    }

    #[test]
    fn what_is_stored_is_not_sent_again_and_nothing_else_is_dropped() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.push(&delta(), 1, Instant::now());
            outbox.seal();
        }
        outbox.stored_before(2);
        let left: Vec<_> = outbox.sealed().iter().map(|chunk| chunk.n).collect();
        assert_eq!((left, outbox.next()), (vec![2], 3));
        // Nothing waits: no chunk is made.
        outbox.seal();
        assert_eq!((outbox.sealed().len(), outbox.next()), (1, 3));
    }
}

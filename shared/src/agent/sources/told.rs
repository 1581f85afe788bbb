//! What of a list of sources is new, where services send their lists again and again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::candidate::Candidate;

/// What tells two entries apart. Titles and scores don't: services fill them in later.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Key {
    /// The page or document.
    pub(super) place: Option<u64>,
    chunk: Option<u64>,
    passage: Option<u64>,
    /// Where in the answer it is cited.
    span: Option<u64>,
}

impl Key {
    pub(super) fn of(candidate: &Candidate) -> Self {
        let span: Vec<String> = ["start_index", "end_index", "index"]
            .into_iter()
            .filter_map(|name| candidate.extra.get(name).map(ToString::to_string))
            .collect();
        Self {
            place: candidate.place().map(|place| hash(&place)),
            chunk: candidate.chunk_id.as_ref().map(hash),
            passage: candidate.snippet.as_ref().map(hash),
            span: (!span.is_empty()).then(|| hash(&span)),
        }
    }

    /// Whether both may be the same entry: what one of them doesn't say tells nothing.
    fn matches(&self, other: &Self) -> bool {
        let same = |a: Option<u64>, b: Option<u64>| a.is_none() || b.is_none() || a == b;
        self.place == other.place
            && same(self.chunk, other.chunk)
            && same(self.passage, other.passage)
            && same(self.span, other.span)
    }
}

fn hash<T: Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The entries that one kind of list has told so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    keys: Vec<Key>,
    /// Where the last list begins in `keys`.
    last: usize,
    /// Every list, by its hash.
    lists: HashSet<u64>,
}

impl Told {
    /// From where on the entries of a list are new. A list is old where it was told as it is, and as far as it repeats
    /// the last one, or all that was told.
    pub(super) fn new_from(&mut self, list: &[Key]) -> usize {
        if !self.lists.insert(hash(&list)) {
            return list.len();
        }
        let told = self.keys.len();
        let (new, beginning) = if told > 0 && repeats(&self.keys, list) {
            (told, 0)
        } else if told > self.last && repeats(&self.keys[self.last..], list) {
            (told - self.last, self.last)
        } else {
            (0, told)
        };
        self.last = beginning;
        self.keys.extend_from_slice(&list[new..]);
        new
    }
}

/// Whether a list begins with these entries.
fn repeats(old: &[Key], list: &[Key]) -> bool {
    old.len() <= list.len() && old.iter().zip(list).all(|(old, new)| old.matches(new))
}

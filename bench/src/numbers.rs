//! Numbers that are given out once: what must be new in each request has one of them in its name.

/// Counts up.
#[derive(Debug, Default)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    /// So many in a row; the first of them.
    pub(crate) fn many(&mut self, count: u64) -> u64 {
        let first = self.0 + 1;
        self.0 += count;
        first
    }
}

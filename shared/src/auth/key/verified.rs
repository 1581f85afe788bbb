//! The signatures that a key has verified: the same token comes with every request of its user for a quarter of an hour, and
//! verifying it takes longer than all else that is done to learn who is asking.
//!
//! What is remembered is a fact of mathematics, that this signature over these bytes is this key's. It hangs on the key
//! object, which goes with its key set; the claims, the clock and whether the key is still published are asked anew for
//! each request.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

/// How many a key remembers: an environment serves few users at a time.
const MOST: usize = 128;

/// The SHA-256 of a message and its signature, each preceded by its length so that no two pairs share an input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(message: &[u8], signature: &str) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [message, signature.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

/// The last ones, the oldest first.
#[derive(Default)]
pub(super) struct Verified(Mutex<VecDeque<Fingerprint>>);

impl Verified {
    pub(super) fn holds(&self, fingerprint: Fingerprint) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint)
    }

    /// Only for what was verified.
    pub(super) fn remember(&self, fingerprint: Fingerprint) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == MOST {
            last.pop_front();
        }
        last.push_back(fingerprint);
    }
}

/// Prints no fingerprint.
impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verified")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_verified_is_known_and_the_oldest_is_forgotten() {
        let verified = Verified::default();
        let nth = |n: usize| Fingerprint::of(format!("message {n}").as_bytes(), "signature");
        for n in 0..=MOST {
            assert!(!verified.holds(nth(n)));
            verified.remember(nth(n));
            assert!(verified.holds(nth(n)));
        }
        assert!(!verified.holds(nth(0)) && verified.holds(nth(1)));
    }

    #[test]
    fn another_cut_between_message_and_signature_is_another_pair() {
        assert!(Fingerprint::of(b"ab", "c") != Fingerprint::of(b"a", "bc"));
    }
}

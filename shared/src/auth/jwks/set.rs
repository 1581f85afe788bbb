//! The parser: what an issuer publishes, as keys by their `kid`.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::key::{Jwk, VerifyingKey};

/// The most members of a set. An issuer that rotates daily and keeps keys for 30 days has 31.
pub(super) const MEMBERS: usize = 1000;

/// The usable keys of a set.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: HashMap<String, Arc<VerifyingKey>>,
    /// How many members were passed over.
    pub(super) skipped: usize,
}

/// Why a document is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotASet {
    /// It isn't JSON with an array `keys`.
    Malformed,
    /// It has more than [`MEMBERS`] members. Which to leave out would be a guess: the newest, in use, may come last.
    TooMany,
    /// No member can be used. More likely a mistake than a wish that nobody be let in.
    NoUsableKey,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// A member's name, read apart from the rest so that an unusable member still makes its `kid` ambiguous.
#[derive(Deserialize)]
struct Name {
    kid: String,
}

impl KeySet {
    /// Reads a set member by member: one that can't be used costs only itself.
    pub(super) fn parse(document: &[u8]) -> Result<Self, NotASet> {
        let members = serde_json::from_slice::<Document<'_>>(document).map_err(|_| NotASet::Malformed)?.keys;
        if members.len() > MEMBERS {
            return Err(NotASet::TooMany);
        }
        // A `kid` that occurs twice is no key: taking either would be a guess that a forger may have prepared.
        let mut named: HashMap<String, Option<Arc<VerifyingKey>>> = HashMap::with_capacity(members.len());
        for member in &members {
            let key = || VerifyingKey::from_jwk(&serde_json::from_str::<Jwk>(member.get()).ok()?).map(Arc::new);
            if let Ok(Name { kid }) = serde_json::from_str(member.get()) {
                named.entry(kid).and_modify(|twice| *twice = None).or_insert_with(key);
            }
        }
        let keys: HashMap<_, _> = named.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        if keys.is_empty() {
            return Err(NotASet::NoUsableKey);
        }
        Ok(Self { skipped: members.len() - keys.len(), keys })
    }

    /// The key of this `kid`.
    pub(super) fn get(&self, kid: &str) -> Option<&Arc<VerifyingKey>> {
        self.keys.get(kid)
    }
}

//! Pages: how many items, where one ends, and where the next begins.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::id::ConversationId;
use crate::model::limits;

/// How many items a page may have: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// The number of items.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(limits::PAGE_DEFAULT)
    }
}

impl TryFrom<&str> for PageSize {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        // `parse` alone would also take a plus sign.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u16>() {
            Ok(size) if digits && (1..=limits::PAGE_MAX).contains(&size) => Ok(Self(size)),
            _ => Err(format!("must be a whole number from 1 to {}", limits::PAGE_MAX)),
        }
    }
}

/// One page of a list. `next_cursor` is absent on the last one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items, in the list's order.
    pub data: Vec<T>,
    /// Pass it as `cursor` for what follows. Opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The text isn't a cursor of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCursor;

impl fmt::Display for BadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("isn't a cursor of this list; take nextCursor as it came")
    }
}

/// A list's place: the key of the last item seen. On the wire a version byte and the key, base64url without padding.
pub trait Cursor: Sized {
    /// The wire's text.
    fn encode(&self) -> String;
    /// Reads the wire's text; every text that `encode` didn't make is refused.
    fn decode(text: &str) -> Result<Self, BadCursor>;
}

/// Splits a cursor into its version byte and `N` bytes of key.
fn decode_key<const N: usize>(text: &str, version: u8) -> Result<[u8; N], BadCursor> {
    // The longest cursor has 34 characters: what is longer is refused before it is decoded.
    let bytes = if text.len() <= 64 { URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)? } else { Vec::new() };
    match bytes.split_first() {
        Some((&first, key)) if first == version => key.try_into().map_err(|_| BadCursor),
        _ => Err(BadCursor),
    }
}

/// A place in a user's conversations, newest activity first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationCursor {
    /// The last item's activity, in whole microseconds.
    pub activity_at: Timestamp,
    /// The last item's id, where several share a time.
    pub id: ConversationId,
}

impl ConversationCursor {
    const VERSION: u8 = 0x01;
}

impl Cursor for ConversationCursor {
    fn encode(&self) -> String {
        let mut bytes = vec![Self::VERSION];
        bytes.extend_from_slice(&self.activity_at.as_microsecond().to_be_bytes());
        bytes.extend_from_slice(self.id.uuid().as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Result<Self, BadCursor> {
        let key: [u8; 24] = decode_key(text, Self::VERSION)?;
        let (micros, id) = key.split_at(8);
        let micros = i64::from_be_bytes(micros.try_into().map_err(|_| BadCursor)?);
        // PostgreSQL's timestamps begin in 4713 BC and would refuse what lies before; no conversation does.
        let activity_at = Timestamp::from_microsecond(micros).ok().filter(|at| *at >= Timestamp::UNIX_EPOCH);
        let id = Uuid::from_slice(id).map_err(|_| BadCursor)?;
        Ok(Self { activity_at: activity_at.ok_or(BadCursor)?, id: id.into() })
    }
}

/// A place in a conversation's messages: the last item's `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCursor(pub i64);

impl MessageCursor {
    const VERSION: u8 = 0x02;
}

impl Cursor for MessageCursor {
    fn encode(&self) -> String {
        let mut bytes = vec![Self::VERSION];
        bytes.extend_from_slice(&self.0.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Result<Self, BadCursor> {
        let seq = i64::from_be_bytes(decode_key(text, Self::VERSION)?);
        (seq > 0).then_some(Self(seq)).ok_or(BadCursor)
    }
}

/// In which direction a list runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Order {
    /// Oldest first.
    #[default]
    Asc,
    /// Newest first.
    Desc,
}

impl Order {
    /// Reads the wire's word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "asc" => Some(Self::Asc),
            "desc" => Some(Self::Desc),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(version: u8, key: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([&[version], key].concat())
    }

    #[test]
    fn a_cursor_is_of_its_list_and_version() {
        let seq = 7_i64.to_be_bytes();
        assert_eq!(MessageCursor::decode(&text(2, &seq)), Ok(MessageCursor(7)));
        let other_version = text(3, &seq);
        let (longer, padded) = (text(2, &[&seq[..], &[0]].concat()), format!("{}=", text(2, &seq)));
        let (zero, negative) = (text(2, &0_i64.to_be_bytes()), text(2, &(-1_i64).to_be_bytes()));
        for bad in [other_version.as_str(), &longer, &padded, &zero, &negative, "", "?", "Ag", &"A".repeat(1000)] {
            assert_eq!(MessageCursor::decode(bad), Err(BadCursor), "{bad}");
        }
    }

    #[test]
    fn a_cursor_of_conversations_holds_a_time_that_postgresql_takes() {
        let id = Uuid::from_u128(1);
        let at = |micros: i64| text(1, &[&micros.to_be_bytes()[..], id.as_bytes()].concat());
        let cursor = ConversationCursor::decode(&at(1_900_000_000_000_001)).unwrap();
        assert_eq!(ConversationCursor::decode(&cursor.encode()), Ok(cursor));
        for micros in [-1, i64::MIN, i64::MAX] {
            assert_eq!(ConversationCursor::decode(&at(micros)), Err(BadCursor), "{micros}");
        }
    }
}

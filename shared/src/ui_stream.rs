//! The AI SDK's UI message stream: the protocol in which an answer reaches a front end, word by word.
//!
//! A stream is a series of server-sent events whose data are JSON objects, the frames. [`Chunk`] is one frame, typed. The
//! SDK's own reader is unforgiving: a frame of an unknown type, a null where a field may be absent, a delta of a part that
//! never began, each ends the front end's stream. So nothing is passed on that wasn't read as a `Chunk`, and of that what
//! version 6 of the SDK knows, since version 7 understands all of it, too. What version 7 alone knows is part of the message.
//! <https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol>

mod assembler;
mod call_id;
mod chunk;
mod field;
mod message;
mod parts;
mod replay;
pub mod sse;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;

use crate::model::ChatMessage;

pub use assembler::{Assembled, Assembler, StepCalls};
pub use call_id::{agents_call_id, as_the_agent_names_it, note_agents_call_id};
pub use chunk::Chunk;
pub use field::{BadChunk, Citations, FinishReason, Flag, InputEncoding, ProviderMetadata, SteeringParts};
pub use message::{
    COMPUTED, UiBranchMessage, UiBranches, UiMessage, UiRole, finish_metadata, note_completed, note_finish_reason,
    note_sources_left_out, start_metadata, turn_metadata,
};
pub use parts::{OpenParts, merge};
pub use replay::{of_message, of_parts};

/// The event after the last frame.
pub const DONE: &str = "data: [DONE]\n\n";

/// A comment, which readers pass over: bytes for the proxies on the way, that close a connection on which none come.
pub const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// The headers of an answer that streams. `no-transform` and `x-accel-buffering` keep proxies from gathering it up.
pub const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    (HeaderName::from_static("x-vercel-ai-ui-message-stream"), HeaderValue::from_static("v1")),
];

/// The event that carries a frame: a [`Chunk`], which is written without a JSON tree in between, or a stored frame.
#[must_use]
pub fn frame(frame: &impl Serialize) -> Bytes {
    let mut event = Vec::with_capacity(128);
    event.extend_from_slice(b"data: ");
    // Serialising these types into memory can't fail. Were it to, the frame is left out: half a frame would end the stream.
    if serde_json::to_writer(&mut event, frame).is_err() {
        return Bytes::new();
    }
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// A stored answer's stream: whole, or behind the first parts that a front end had when the answer went on.
#[must_use]
pub fn stored(answer: &ChatMessage, had: usize) -> Bytes {
    let mut stream = Vec::new();
    for stored in of_message(answer, had) {
        stream.extend_from_slice(&frame(&stored));
    }
    stream.extend_from_slice(DONE.as_bytes());
    stream.into()
}

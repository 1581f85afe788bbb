//! An answer on its way, and the wait for each of its bytes.

use std::fmt;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use super::Waits;
use super::events::AgentEvent;
use super::failure::{AgentFailure, FailureKind};
use super::reading::{Dialect, Next, Reading};

/// How long an answer that has said why it ended is waited for what may follow: its usage, and `[DONE]`.
const EPILOGUE: Duration = Duration::from_secs(5);

/// An agent's answer, event by event.
pub struct AnswerStream {
    response: Response,
    reading: Reading,
    waits: Waits,
    /// When the next byte must be there.
    next_byte: Instant,
    /// When an answer that has said why it ended is taken for ended.
    last_byte: Option<Instant>,
    /// How much it had said by then.
    said: usize,
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream").field("bytes", &self.reading.bytes()).finish_non_exhaustive()
    }
}

impl AnswerStream {
    pub(super) fn new(response: Response, waits: Waits, dialect: Dialect) -> Self {
        let (next_byte, reading) = (waits.first_byte, Reading::new(dialect));
        Self { response, reading, waits, next_byte, last_byte: None, said: 0 }
    }

    /// The next event; `None` after [`AgentEvent::Finish`], and after a failure.
    ///
    /// Safe to drop and call again: nothing is lost between two calls, and no wait begins anew.
    pub async fn next(&mut self) -> Result<Option<AgentEvent>, AgentFailure> {
        loop {
            match self.reading.take() {
                Next::Event(event) => return Ok(Some(event)),
                Next::Failure(failure) => return Err(failure),
                Next::End => return Ok(None),
                Next::Bytes => {}
            }
            let ends = [Some(self.next_byte), self.last_byte, self.waits.total];
            let until = ends.into_iter().flatten().min().unwrap_or(self.next_byte);
            // The only place that waits. What is there counts, however late it is asked for.
            match timeout_at(until, self.response.chunk()).await {
                Ok(Ok(Some(bytes))) => self.read(&bytes),
                Ok(Ok(None)) => {
                    let kind = self.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                    self.reading.end_of_bytes(kind.unwrap_or_default());
                }
                Ok(Err(error)) => self.reading.fail(AgentFailure::transport(FailureKind::Cut, error)),
                Err(_) => self.reading.fail(self.too_late()),
            }
        }
    }

    /// The events of what has come so far, where nothing more is wanted: also of what waited for something that belongs to it.
    pub fn break_off(&mut self) -> impl Iterator<Item = AgentEvent> + '_ {
        self.reading.break_off();
        std::iter::from_fn(|| match self.reading.take() {
            Next::Event(event) => Some(event),
            Next::Failure(_) | Next::Bytes | Next::End => None,
        })
    }

    fn read(&mut self, bytes: &[u8]) {
        self.reading.read(bytes);
        let now = Instant::now();
        self.next_byte = now + self.waits.limits.idle;
        // Words move that end, for some services give a reason with each of them. Comments, which only keep the
        // connection open, don't.
        let said = self.reading.said();
        let earlier = self.last_byte.filter(|_| said == self.said);
        self.last_byte = self.reading.is_finished().then(|| earlier.unwrap_or(now + EPILOGUE));
        self.said = said;
    }

    fn too_late(&self) -> AgentFailure {
        match self.waits.total {
            Some(total) if total <= self.next_byte => {
                AgentFailure::too_late(FailureKind::TotalTimeout, self.waits.limits.total)
            }
            _ if self.reading.bytes() == 0 => {
                AgentFailure::too_late(FailureKind::FirstByteTimeout, self.waits.limits.first_byte)
            }
            _ => AgentFailure::too_late(FailureKind::IdleTimeout, self.waits.limits.idle),
        }
    }
}

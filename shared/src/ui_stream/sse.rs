//! Server-sent events: from an agent's bytes to the data of its events.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>

use std::fmt;

/// Takes a stream's bytes in pieces of any size and gives the data of its events. How the bytes were cut makes no
/// difference, be it within a line's end or a character.
#[derive(Debug)]
pub struct Decoder {
    /// The most bytes that an event's data and the line under way may have.
    cap: usize,
    /// The line under way.
    line: Vec<u8>,
    /// The data of the event under way, if it has any.
    data: Option<String>,
    /// Whether the last byte was a carriage return, which a line feed would belong to.
    after_cr: bool,
    /// Whether a line has ended: only before the first may there be a byte order mark.
    begun: bool,
    too_long: bool,
}

/// An event is longer than the decoder's cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event of the stream is too long")
    }
}

impl std::error::Error for TooLong {}

impl Decoder {
    /// A decoder for a new stream, none of whose events may have more than `cap` bytes.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { cap, line: Vec::new(), data: None, after_cr: false, begun: false, too_long: false }
    }

    /// Takes the next bytes, and gives the data of the events that end in them. Comments, other fields and events
    /// without data are passed over.
    ///
    /// Events before one that is too long are given all the same; the error then comes with the next call.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while !self.too_long && !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.line.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > self.cap {
                self.too_long = true;
            } else if let Some(end) = end {
                self.after_cr = rest[end] == b'\r';
                rest = &rest[end + 1..];
                events.extend(self.end_line());
            } else {
                break;
            }
        }
        if self.too_long && events.is_empty() { Err(TooLong) } else { Ok(events) }
    }

    /// The stream has ended: gives the data of a last event that no empty line ended.
    pub fn finish(&mut self) -> Result<Option<String>, TooLong> {
        if self.too_long {
            return Err(TooLong);
        }
        let ended = self.end_line();
        Ok(ended.or_else(|| self.take_event()))
    }

    /// Takes the line under way; if it is the empty one that ends an event, gives the event's data.
    fn end_line(&mut self) -> Option<String> {
        let mut line = self.line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.take_event();
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        if name == b"data" {
            let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(&value);
                }
                None => self.data = Some(value.into_owned()),
            }
        }
        self.line.clear();
        None
    }

    fn take_event(&mut self) -> Option<String> {
        self.data.take().filter(|data| !data.is_empty())
    }
}

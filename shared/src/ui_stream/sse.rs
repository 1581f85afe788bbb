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

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &[u8]) -> Vec<String> {
        let mut decoder = Decoder::new(usize::MAX);
        let mut events = decoder.feed(stream).expect("short events");
        events.extend(decoder.finish().expect("short events"));
        events
    }

    #[test]
    fn lines_end_in_three_ways_and_data_may_have_several() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = ["data: one", "data:two", "", ": a comment", "", "data", "data:  three", "", ""].join(end);
            assert_eq!(events(stream.as_bytes()), ["one\ntwo", "\n three"], "{end:?}");
        }
    }

    #[test]
    fn what_is_no_data_is_passed_over() {
        let stream = "id: 7\nevent: message\nretry: 10\ndatum: x\ndata: x\n\nevent: ping\n\ndata\n\ndata:\n\n:\n\n";
        assert_eq!(events(stream.as_bytes()), ["x"]);
    }

    #[test]
    fn a_byte_order_mark_may_stand_first_and_only_there() {
        assert_eq!(events("\u{feff}data: a\n\ndata: \u{feff}b\n\n\u{feff}data: c\n\n".as_bytes()), ["a", "\u{feff}b"]);
        assert_eq!(events("\u{feff}".as_bytes()), [""; 0]);
    }

    #[test]
    fn a_last_event_needs_no_empty_line() {
        assert_eq!(events(b"data: a\n\ndata: b"), ["a", "b"]);
        assert_eq!(events(b"data: a\n\ndata: b\r"), ["a", "b"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(events(b"data: a\xffb\n\n"), ["a\u{fffd}b"]);
    }

    #[test]
    fn no_event_is_longer_than_the_cap() {
        let mut decoder = Decoder::new(16);
        assert_eq!(
            decoder.feed(b"data: 0123456789\n\ndata: 01234567890\n\ndata: a\n\n"),
            Ok(vec!["0123456789".to_owned()])
        );
        assert_eq!(decoder.feed(b""), Err(TooLong));
        assert_eq!(decoder.finish(), Err(TooLong));
        // Whatever the line is, and however many lines the data have.
        assert_eq!(Decoder::new(16).feed(&[b':'; 17]), Err(TooLong));
        assert_eq!(Decoder::new(16).feed(b"data: 01234\ndata: 01234\ndata: 01234\n"), Err(TooLong));
    }
}

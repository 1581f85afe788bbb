//! From an answer's bytes to its events: no I/O, no clock.

use serde_json::Value;

use super::events::{AgentEvent, Events};
use super::failure::{AgentFailure, FailureKind, word};
use super::json::{self, JsonError};
use super::openai::Completion;
use super::ui_message_stream::Passage;
use crate::model::limits;
use crate::ui_stream::sse::Decoder;

/// What some services send to keep a connection open.
const NO_OBJECT: &str = "a frame that is no JSON object";

/// What is read of an answer.
#[derive(Debug)]
pub(super) struct Reading {
    bytes: usize,
    form: Form,
    dialect: Dialect,
    events: Events,
    state: State,
    /// Why the first frame that was left out couldn't be read.
    unread: Option<AgentFailure>,
}

/// How an answer is written. Its first byte tells, not its content type, which proxies change.
#[derive(Debug)]
enum Form {
    Unknown,
    Events {
        decoder: Decoder,
        any: bool,
    },
    /// One JSON document.
    Document(Vec<u8>),
}

/// What the frames mean.
#[derive(Debug)]
pub(super) enum Dialect {
    Completion(Box<Completion>),
    Passage(Box<Passage>),
}

#[derive(Debug)]
enum State {
    Open,
    /// What is to be told once all events are taken.
    Failed(AgentFailure),
    Ended,
}

/// What there is to take.
#[derive(Debug)]
pub(super) enum Next {
    Event(AgentEvent),
    Failure(AgentFailure),
    /// Nothing before more bytes come.
    Bytes,
    /// Nothing ever.
    End,
}

impl Reading {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { bytes: 0, form: Form::Unknown, dialect, events: Events::default(), state: State::Open, unread: None }
    }

    /// The next event. The end, or the failure, comes after all of them.
    pub(super) fn take(&mut self) -> Next {
        if let Some(event) = self.events.take() {
            return Next::Event(event);
        }
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Open => {
                self.state = State::Open;
                Next::Bytes
            }
            State::Failed(failure) => Next::Failure(failure),
            State::Ended => Next::End,
        }
    }

    /// How many bytes have come.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the answer has said why it ended and nothing since, so that only its usage may be missing.
    pub(super) fn is_finished(&self) -> bool {
        matches!(&self.dialect, Dialect::Completion(completion) if completion.is_finished())
    }

    /// How much the answer has said: grows with each piece of it.
    pub(super) fn said(&self) -> usize {
        match &self.dialect {
            Dialect::Completion(completion) => completion.said(),
            Dialect::Passage(_) => 0,
        }
    }

    /// Whether it has given a reason to end, after which nothing that goes wrong breaks it.
    fn may_end(&self) -> bool {
        matches!(&self.dialect, Dialect::Completion(completion) if completion.may_end())
    }

    /// Reads the next bytes, however they were cut.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > limits::AGENT_STREAM_BYTES {
            return self.fail(AgentFailure::new(FailureKind::TooLarge, "all of the stream"));
        }
        let frames = match self.decode(bytes) {
            Ok(frames) => frames,
            Err(failure) => return self.fail(failure),
        };
        for frame in frames {
            self.frame(&frame);
            if !matches!(self.state, State::Open) {
                return;
            }
        }
    }

    /// The frames that these bytes complete.
    fn decode(&mut self, bytes: &[u8]) -> Result<Vec<String>, AgentFailure> {
        let mut bytes = bytes;
        if matches!(self.form, Form::Unknown) {
            // A byte order mark says nothing, nor does white space.
            let says_nothing = |byte: &u8| matches!(byte, 0xef | 0xbb | 0xbf) || byte.is_ascii_whitespace();
            match bytes.iter().position(|byte| !says_nothing(byte)) {
                None => return Ok(Vec::new()),
                Some(at) => bytes = &bytes[at..],
            }
            self.form = match bytes.first() {
                Some(b'{') => Form::Document(Vec::new()),
                _ => Form::Events { decoder: Decoder::new(limits::AGENT_EVENT_BYTES), any: false },
            };
        }
        match &mut self.form {
            Form::Unknown => Ok(Vec::new()),
            Form::Events { decoder, any } => {
                let frames = decoder.feed(bytes).map_err(|_| one_event_too_large())?;
                *any |= !frames.is_empty();
                Ok(frames)
            }
            Form::Document(document) => {
                document.extend_from_slice(bytes);
                if document.len() > limits::AGENT_EVENT_BYTES { Err(one_event_too_large()) } else { Ok(Vec::new()) }
            }
        }
    }

    fn frame(&mut self, frame: &str) {
        if frame.trim() == "[DONE]" {
            return self.end();
        }
        let frame = json::parse_frame(frame);
        let frame = match frame {
            Ok(Value::Object(frame)) => frame,
            Ok(_) => return self.leave_out(NO_OBJECT, AgentFailure::malformed("a frame is no JSON object")),
            // It says where, and nothing of what is there.
            Err(JsonError::Syntax(error)) => {
                return self.leave_out(NO_OBJECT, AgentFailure::malformed(format!("a frame is no JSON: {error}")));
            }
            Err(JsonError::TooMuch(kind)) => {
                return self.leave_out(kind, AgentFailure::new(FailureKind::TooLarge, kind));
            }
        };
        let read = match &mut self.dialect {
            Dialect::Completion(completion) => completion.frame(&frame, &mut self.events).map(|()| false),
            Dialect::Passage(passage) => passage.frame(&frame, &mut self.events),
        };
        match read {
            _ if self.events.is_too_large() => self.fail(AgentFailure::new(FailureKind::TooLarge, "its frames")),
            Ok(false) => {}
            Ok(true) => self.state = State::Ended,
            Err(_) if self.may_end() => self.events.odd("a failure after the end"),
            Err(failure) => self.fail(failure),
        }
    }

    /// Passes over a frame that can't be read.
    fn leave_out(&mut self, kind: &'static str, failure: AgentFailure) {
        self.events.odd(kind);
        self.unread.get_or_insert(failure);
    }

    /// The bytes have ended, which by itself doesn't say that the answer has. The content type tells a stream of
    /// nothing from what is no stream.
    pub(super) fn end_of_bytes(&mut self, content_type: &str) {
        let rest = match std::mem::replace(&mut self.form, Form::Unknown) {
            Form::Unknown => None,
            Form::Events { mut decoder, any } => {
                let Ok(last) = decoder.finish() else { return self.fail(one_event_too_large()) };
                // A stream that ends before its first event is cut; a page of HTML is no stream.
                if last.is_none() && !any && !content_type.starts_with("text/event-stream") {
                    let kind = word(content_type.split(';').next().unwrap_or_default());
                    return self.fail(AgentFailure::malformed(format!("no event in an answer of the type {kind}")));
                }
                last
            }
            Form::Document(document) => return self.document(&document),
        };
        if let Some(frame) = rest {
            self.frame(&frame);
        }
        if matches!(self.state, State::Open) {
            self.fail(AgentFailure::new(FailureKind::Cut, "it ended before it was finished"));
        }
    }

    /// An answer that isn't streamed.
    fn document(&mut self, document: &[u8]) {
        match (std::str::from_utf8(document), &self.dialect) {
            (Err(_), _) => self.fail(AgentFailure::malformed("a document is no UTF-8")),
            (Ok(document), Dialect::Completion(_)) => {
                self.frame(document);
                // It is whole, whether it says why it ended or not.
                if matches!(self.state, State::Open) {
                    self.end();
                }
            }
            (Ok(_), Dialect::Passage(_)) => self.fail(AgentFailure::malformed("a document where events should be")),
        }
    }

    fn end(&mut self) {
        let ended = match &mut self.dialect {
            Dialect::Completion(completion) => completion.end(&mut self.events),
            // Without a word, a call or a `finish` it is no answer.
            Dialect::Passage(_) if !self.events.gave_something() => {
                Err(AgentFailure::new(FailureKind::Cut, "it ended without a word"))
            }
            Dialect::Passage(passage) => {
                passage.end(None, &mut self.events);
                Ok(())
            }
        };
        match ended {
            Ok(()) => self.state = State::Ended,
            Err(failure) => {
                let failure = self.unread.take().unwrap_or(failure);
                self.fail(failure);
            }
        }
    }

    /// Nothing more is wanted of it. What came before is told, also what was held back.
    pub(super) fn break_off(&mut self) {
        if matches!(self.state, State::Open) {
            self.tell_the_rest();
            self.state = State::Ended;
        }
    }

    fn tell_the_rest(&mut self) {
        // What speaks the SDK's protocol is told as it comes.
        if let Dialect::Completion(completion) = &mut self.dialect {
            completion.break_off(&mut self.events);
        }
    }

    /// Nothing more comes, or nothing more can be read. That breaks no answer which has said why it ended.
    pub(super) fn fail(&mut self, failure: AgentFailure) {
        if self.may_end() && !self.events.is_too_large() {
            self.events.odd("a failure after the end");
            return self.end();
        }
        self.tell_the_rest();
        // Where all of it was rubbish, that is why there is nothing.
        let nothing = !self.events.gave_something() && *failure.kind() == FailureKind::Cut;
        let failure = self.unread.take().filter(|_| nothing).unwrap_or(failure);
        self.state = State::Failed(failure.after(self.events.gave_something()));
    }
}

fn one_event_too_large() -> AgentFailure {
    AgentFailure::new(FailureKind::TooLarge, "one event")
}

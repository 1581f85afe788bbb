//! A stand-in for Lambda's Runtime API: it hands a function its events and takes its answers, and tells when.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use shared::clock::Clock;

use crate::wire::{self, Connection};

/// The longest that an answer may take; also what a function is told of its deadline.
const PATIENCE: Duration = Duration::from_secs(20);

/// The Runtime API of one function's environment.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the next polls get.
    events: VecDeque<Vec<u8>>,
    /// When the first poll came.
    polled: Option<Instant>,
    /// When the event was handed over.
    handed: Option<Instant>,
    answer: Option<Result<Answer, String>>,
    /// No event will come any more.
    closed: bool,
    number: u64,
}

/// What a function answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// As the function posted it.
    pub(crate) body: Vec<u8>,
    /// From the moment that the event was handed over to the last byte of the answer.
    pub(crate) took: Duration,
    /// When that last byte was there.
    pub(crate) at: Instant,
    /// When the event was handed over.
    handed: Instant,
    pieces: Vec<(Instant, usize)>,
}

impl Answer {
    /// From the moment that the event was handed over until this stood in a streamed answer.
    pub(crate) fn until(&self, text: &str) -> Option<Duration> {
        let at = self.body.windows(text.len()).position(|window| window == text.as_bytes())?;
        let (there, _) = self.pieces.iter().find(|(_, bytes)| *bytes >= at + text.len())?;
        Some(there.duration_since(self.handed))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuntimeApi {
    pub(crate) fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let port = wire::listen_http(move |connection| serve(connection, &serving))?;
        Ok(Self { port, shared })
    }

    /// Has an event waiting for the next poll, after those that wait already.
    pub(crate) fn offer(&self, event: Vec<u8>) {
        let mut state = self.shared.state();
        state.events.push_back(event);
        state.answer = None;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits for the answer to the event that was offered.
    pub(crate) fn answer(&self) -> Result<Answer> {
        let (mut state, waited) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.state(), PATIENCE, |state| state.answer.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match state.answer.take() {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => bail!("the function reported an error: {error}"),
            None => bail!("no answer within {} s (timed out: {})", PATIENCE.as_secs(), waited.timed_out()),
        }
    }

    /// An event and its answer.
    pub(crate) fn invoke(&self, event: Vec<u8>) -> Result<Answer> {
        self.offer(event);
        self.answer()
    }

    /// When the function polled for the first time.
    pub(crate) fn first_poll(&self) -> Option<Instant> {
        self.shared.state().polled
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_all();
    }
}

fn serve(mut connection: Connection, shared: &Shared) -> Result<()> {
    while let Some(request) = connection.read()? {
        if request.method == "GET" && request.path.ends_with("/invocation/next") {
            shared.state().polled.get_or_insert(request.at);
            let mut state = shared
                .changed
                .wait_while(shared.state(), |state| state.events.is_empty() && !state.closed)
                .unwrap_or_else(PoisonError::into_inner);
            let Some(event) = state.events.pop_front() else { return Ok(()) };
            state.number += 1;
            let headers = headers(state.number);
            state.handed = Some(Instant::now());
            drop(state);
            connection.write("200 OK", &headers, &event)?;
        } else {
            let mut state = shared.state();
            state.answer = Some(if request.path.ends_with("/response") {
                let handed = state.handed.unwrap_or(request.at);
                let took = request.at.duration_since(handed);
                Ok(Answer { body: request.body, took, at: request.at, handed, pieces: request.pieces })
            } else {
                Err(format!("{} {}", request.path, String::from_utf8_lossy(&request.body)))
            });
            drop(state);
            shared.changed.notify_all();
            connection.write("202 Accepted", "", b"")?;
        }
    }
    Ok(())
}

/// The headers of an event, as Lambda sends them.
fn headers(number: u64) -> String {
    let deadline = Clock::system().now().as_millisecond() + i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX);
    format!(
        "content-type: application/json\r\n\
         lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-{number:012}\r\n\
         lambda-runtime-deadline-ms: {deadline}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:123456789012:function:bench\r\n\
         lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1\r\n"
    )
}

//! Lambda's Runtime API, as far as a function sees it, in this process: with the deadline that a test wants, and fast enough
//! for a hundred thousand events. Most tests use `cargo lambda`'s, which was written by others.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use shared::clock::Clock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::process::{self, Lines};
use super::setup;

/// A function's environment: its process, and a Runtime API of its own. Both end when this is dropped.
pub(crate) struct Environment {
    pub(crate) process: Child,
    pub(crate) lines: Lines,
    pub(crate) port: u16,
    /// How long an invocation may take, as Lambda tells the function.
    pub(crate) timeout: Duration,
    events: mpsc::UnboundedSender<Invocation>,
    listener: JoinHandle<()>,
}

/// What a busy machine may add to an invocation's time.
const SLACK: Duration = Duration::from_secs(10);

/// An event on its way.
struct Invocation {
    event: Vec<u8>,
    timeout: Duration,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct Taken {
    number: u64,
    waiting: HashMap<String, oneshot::Sender<Answer>>,
}

/// What the function reported of an invocation.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The invocation's id.
    pub(crate) id: String,
    /// `response` or `error`.
    kind: String,
    streamed: bool,
    body: Vec<u8>,
}

/// An answer that is one of HTTP, whether it came in one piece or streamed.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Value,
    pub(crate) body: String,
}

impl Environment {
    /// Starts the function `name` with these settings and no others.
    pub(crate) async fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        Self::of(&setup().bin_dir.join(name), name, settings).await
    }

    /// Starts any program as a function.
    pub(crate) async fn of(program: &Path, name: &str, settings: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (events, waiting) = mpsc::unbounded_channel();
        let listener = tokio::spawn(listen(listener, Arc::new(AsyncMutex::new(waiting))));
        let (process, lines) = process::start(program, name, &format!("127.0.0.1:{port}"), settings);
        Self { process, lines, port, timeout: Duration::from_secs(30), events, listener }
    }

    /// Invokes it. An invocation that takes much longer than Lambda would let it fails the test.
    pub(crate) async fn invoke(&self, event: &Value) -> Answer {
        self.invoke_bytes(event.to_string().into_bytes()).await
    }

    /// The same with an event's text.
    pub(crate) async fn invoke_bytes(&self, event: Vec<u8>) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.events.send(Invocation { event, timeout: self.timeout, answer }).expect("a Runtime API");
        let answered = tokio::time::timeout(self.timeout + SLACK, answered).await;
        let answered = answered.unwrap_or_else(|_| panic!("not answered in time: {}", self.lines.text()));
        answered.unwrap_or_else(|_| panic!("broke off: {}", self.lines.text()))
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Answer {
    /// As JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// As API Gateway reads it.
    #[track_caller]
    pub(crate) fn response(&self) -> Response {
        assert_eq!(self.kind, "response", "{self:?}");
        if self.streamed {
            let end = self.body.windows(8).position(|window| window == [0; 8]).expect("a prelude and its end");
            let prelude: Value = serde_json::from_slice(&self.body[..end]).expect("a prelude of JSON");
            let body = String::from_utf8(self.body[end + 8..].to_vec()).expect("a text");
            return Response { status: status(&prelude), headers: prelude["headers"].clone(), body };
        }
        let answer = self.json();
        let lists = answer["multiValueHeaders"].as_object().filter(|lists| !lists.is_empty());
        let headers = if lists.is_some() { &answer["multiValueHeaders"] } else { &answer["headers"] };
        let body = answer["body"].as_str().expect("a body").to_owned();
        Response { status: status(&answer), headers: headers.clone(), body }
    }
}

fn status(answer: &Value) -> u16 {
    answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status")
}

impl Response {
    /// A header's only value, or the first.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = &self.headers[name];
        value.as_str().or_else(|| value[0].as_str())
    }

    /// The body as JSON; null where it isn't.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

type Events = Arc<AsyncMutex<mpsc::UnboundedReceiver<Invocation>>>;

async fn listen(listener: TcpListener, events: Events) {
    let taken = Arc::<Mutex<Taken>>::default();
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("an option");
        // Whatever goes wrong on a connection is the function's leaving.
        connections.spawn(converse(BufReader::new(stream), Arc::clone(&events), Arc::clone(&taken)));
    }
}

async fn converse(mut stream: BufReader<TcpStream>, events: Events, taken: Arc<Mutex<Taken>>) -> std::io::Result<()> {
    loop {
        let request = Request::read(&mut stream).await?;
        let mut path = request.path.rsplit('/');
        let (kind, id) = (path.next().unwrap_or_default().to_owned(), path.next().unwrap_or_default());
        if kind == "next" {
            let Some(Invocation { event, timeout, answer }) = events.lock().await.recv().await else { return Ok(()) };
            let head = head(&taken, timeout, event.len(), answer);
            stream.write_all(&[head.as_bytes(), &event].concat()).await?;
        } else {
            if let Some(answer) = taken.lock().expect("no panic").waiting.remove(id) {
                let _ = answer.send(Answer { id: id.to_owned(), kind, streamed: request.streamed, body: request.body });
            }
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await?;
        }
    }
}

/// What stands in front of an event.
fn head(taken: &Mutex<Taken>, timeout: Duration, length: usize, answer: oneshot::Sender<Answer>) -> String {
    let deadline = Clock::system().now().as_millisecond() + i64::try_from(timeout.as_millis()).expect("a timeout");
    let mut taken = taken.lock().expect("no panic");
    taken.number += 1;
    let id = format!("8476a536-e9f4-11e8-9739-{:012}", taken.number);
    let mut head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:f";
    let trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1";
    for (name, value) in [
        ("aws-request-id", id.as_str()),
        ("deadline-ms", &deadline.to_string()),
        ("invoked-function-arn", arn),
        ("trace-id", trace),
    ] {
        write!(head, "lambda-runtime-{name}: {value}\r\n").expect("a String takes all");
    }
    taken.waiting.insert(id, answer);
    head + "\r\n"
}

struct Request {
    path: String,
    streamed: bool,
    body: Vec<u8>,
}

impl Request {
    async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Self> {
        let first = line(stream).await?;
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut chunked, mut streamed) = (0, false, false);
        loop {
            let header = line(stream).await?.to_ascii_lowercase();
            let Some((name, value)) = header.split_once(':') else { break };
            match name {
                "content-length" => length = value.trim().parse().map_err(std::io::Error::other)?,
                "transfer-encoding" => chunked = true,
                "lambda-runtime-function-response-mode" => streamed = value.trim() == "streaming",
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        if chunked {
            body = pieces(stream).await?;
        }
        Ok(Self { path, streamed, body })
    }
}

/// A body that comes in pieces, and the trailers behind it.
async fn pieces(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&line(stream).await?, 16).map_err(std::io::Error::other)?;
        let from = body.len();
        body.resize(from + size, 0);
        stream.read_exact(&mut body[from..]).await?;
        if size == 0 {
            while !line(stream).await?.is_empty() {}
            return Ok(body);
        }
        line(stream).await?;
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

//! An agent that can misbehave in every way that matters. It speaks HTTP by hand: a proper server library would refuse
//! to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// What the server does once it has read a request, one after the other. After the last it closes the connection.
#[derive(Clone)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Arc<[u8]>),
    /// Sends these bytes again and again, with this time in between.
    Drip(Arc<[u8]>, Duration),
    /// Waits until [`Gate::open`].
    Held(Gate),
    /// Says nothing more, and keeps the connection.
    Silence,
    /// Ends the connection without a word of farewell.
    Reset,
}

/// Holds a server back until it is opened.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.close();
    }
}

impl Step {
    pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Self {
        Self::Send(bytes.as_ref().into())
    }

    /// The head of a stream, whose end is that of the connection.
    pub(crate) fn head() -> Self {
        Self::send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    }

    /// A whole answer of this status.
    pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Self {
        Self::send(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Request {
    /// Every value of this header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// A server on a port of its own, until it is dropped.
pub(crate) struct AgentServer {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    steps: Vec<Step>,
    requests: Mutex<Vec<Request>>,
    /// Connections that were ever opened.
    opened: AtomicUsize,
    /// Those that are open now.
    open: AtomicUsize,
}

impl AgentServer {
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        let counter = AtomicUsize::default;
        let shared = Arc::new(Shared { steps, requests: Mutex::default(), opened: counter(), open: counter() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { port, task: tokio::spawn(serve(listener, Arc::clone(&shared))), shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// The last request.
    pub(crate) fn request(&self) -> Request {
        self.shared.requests.lock().unwrap().last().cloned().expect("a request")
    }

    /// How many connections were ever opened.
    pub(crate) fn opened(&self) -> usize {
        self.shared.opened.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Goes away: nobody listens on its port any more.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for AgentServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            shared.opened.fetch_add(1, Ordering::SeqCst);
            shared.open.fetch_add(1, Ordering::SeqCst);
            // Whatever goes wrong on a connection is the client's leaving.
            let _ = converse(stream, &shared).await;
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
        // A TLS handshake, which this server doesn't know.
        if head[0] == 0x16 {
            return Ok(());
        }
    }
    let mut request = Request { head: String::from_utf8_lossy(&head).into_owned(), body: Value::Null };
    let length = request.headers("content-length").first().map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    request.body = serde_json::from_slice(&body).unwrap_or_default();
    shared.requests.lock().unwrap().push(request);
    for step in &shared.steps {
        match step {
            Step::Send(bytes) => stream.write_all(bytes).await?,
            Step::Drip(bytes, pause) => loop {
                stream.write_all(bytes).await?;
                tokio::time::sleep(*pause).await;
            },
            Step::Held(gate) => {
                let mut byte = [0];
                tokio::select! {
                    _ = gate.0.acquire() => {}
                    // Nothing more is sent by a client that waits: this is its end.
                    _ = stream.read(&mut byte) => return Ok(()),
                }
            }
            Step::Silence => {
                stream.read_u8().await?;
            }
            Step::Reset => return stream.set_zero_linger(),
        }
    }
    stream.shutdown().await
}

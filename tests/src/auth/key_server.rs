//! A key server that can misbehave in every way that matters. It speaks HTTP by hand: a proper server library would
//! refuse to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Key;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Sends these bytes and closes.
    Bytes(Arc<[u8]>),
    /// Sends these bytes and keeps the connection for another request.
    KeptAlive(Arc<[u8]>),
    /// Waits for [`Gate::open`], then does the rest.
    Held(Gate, Box<Answer>),
    /// Lets so much time pass, then does the rest.
    Late(Duration, Box<Answer>),
    /// Says nothing, and keeps the connection.
    Silence,
    /// Begins an answer, then sends a byte now and then for ever.
    Drip,
}

/// Holds answers back until it is opened.
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

impl Answer {
    /// 200 with a set of these keys.
    pub(crate) fn keys(keys: &[&Key]) -> Self {
        let members: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        Self::ok(json!({ "keys": members }).to_string())
    }

    /// 200 with this body.
    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status("200 OK", "content-type: application/json\r\n", body)
    }

    /// An answer with its length.
    pub(crate) fn status(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        Self::raw(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()), body)
    }

    /// These bytes.
    pub(crate) fn raw(head: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        Self::Bytes([head.as_ref(), body.as_ref()].concat().into())
    }

    /// The same, with the connection kept.
    pub(crate) fn kept_alive(self) -> Self {
        match self {
            Self::Bytes(bytes) => Self::KeptAlive(bytes),
            other => other,
        }
    }

    /// The same, as late as a slow server.
    pub(crate) fn after(self, time: Duration) -> Self {
        Self::Late(time, Box::new(self))
    }

    /// The same, held back until the gate opens.
    pub(crate) fn behind(self, gate: &Gate) -> Self {
        Self::Held(gate.clone(), Box::new(self))
    }
}

/// A server on a port of its own, until it is dropped.
pub(crate) struct KeyServer {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    answer: Mutex<Answer>,
    requests: Mutex<Vec<String>>,
    /// Connections that the client hasn't closed.
    open: AtomicUsize,
}

impl KeyServer {
    pub(crate) async fn start(answer: Answer) -> Self {
        let shared =
            Arc::new(Shared { answer: answer.into(), requests: Mutex::default(), open: AtomicUsize::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { port, task: tokio::spawn(serve(listener, Arc::clone(&shared))), shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/auth/jwks", self.port)
    }

    /// Answers in this way from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// The head of the last request.
    pub(crate) fn last_request(&self) -> String {
        self.shared.requests.lock().unwrap().last().cloned().unwrap()
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Goes away: nobody listens on its port any more.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Comes back on the same port.
    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.task = tokio::spawn(serve(listener, Arc::clone(&self.shared)));
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            shared.open.fetch_add(1, Ordering::SeqCst);
            // Whatever goes wrong on a connection is the client's leaving.
            let _ = converse(stream, &shared).await;
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    shared.requests.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    let mut answer = shared.answer.lock().unwrap().clone();
    loop {
        match answer {
            Answer::Bytes(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Answer::KeptAlive(bytes) => {
                stream.write_all(&bytes).await?;
                answer = Answer::Silence;
            }
            Answer::Held(gate, rest) => {
                let mut byte = [0];
                tokio::select! {
                    _ = gate.0.acquire() => answer = *rest,
                    // Nothing more is sent by a client that waits: this is its end.
                    _ = stream.read(&mut byte) => return Ok(()),
                }
            }
            Answer::Late(time, rest) => {
                let mut byte = [0];
                tokio::select! {
                    () = tokio::time::sleep(time) => answer = *rest,
                    _ = stream.read(&mut byte) => return Ok(()),
                }
            }
            Answer::Silence => {
                stream.read_u8().await?;
            }
            Answer::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"keys\":[").await?;
                loop {
                    stream.write_all(b" ").await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

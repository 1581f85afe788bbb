//! A network between the functions and PostgreSQL that misbehaves when it is told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Lets everything pass.
    Fair,
    /// Swallows what either side sends, and accepts connections without a word.
    BlackHole,
    /// Refuses connections; open ones go on.
    Refusing,
    /// Keeps the server's answers until the client has sent a COMMIT: a client that needs an answer before it can send
    /// the rest waits for ever. For connections that are open already.
    AnswersAfterCommit,
    /// Cuts a connection when the server has answered a COMMIT, and keeps that answer and all before it. Then
    /// the weather is fair. For connections that are open already, too.
    CutAfterCommit,
}

/// A proxy in front of a server, without TLS, since it reads along.
pub(crate) struct Proxy {
    port: u16,
    /// That of the connections which were opened since they were last forgotten.
    weather: Arc<Mutex<Arc<watch::Sender<Weather>>>>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
    counts: Arc<Counts>,
    refusals: Arc<Mutex<VecDeque<Refusal>>>,
    listener: JoinHandle<()>,
}

/// The SQLSTATE and the message with which a server or a pooler turns away who connects.
pub(crate) type Refusal = (&'static str, &'static str);

#[derive(Default)]
struct Counts {
    refused: AtomicUsize,
    commits: AtomicUsize,
    answered_bytes: AtomicUsize,
}

impl Proxy {
    /// Starts one in front of the server that a URL names.
    pub(crate) async fn before(url: &str) -> Self {
        let host = url.split_once('@').expect("a role").1;
        let server = host.split_once('/').expect("a database").0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let weather = Arc::new(Mutex::new(Arc::new(watch::Sender::new(Weather::Fair))));
        let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let counts: Arc<Counts> = Arc::default();
        let refusals: Arc<Mutex<VecDeque<Refusal>>> = Arc::default();
        let (accepted, changing, counting) = (connections.clone(), weather.clone(), counts.clone());
        let refusing = refusals.clone();
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let weather = changing.lock().unwrap().clone();
                let refusal = refusing.lock().unwrap().pop_front();
                if let Some(refusal) = refusal {
                    counting.refused.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(refuse(client, refusal));
                } else if *weather.borrow() == Weather::Refusing {
                    counting.refused.fetch_add(1, Ordering::Relaxed);
                } else {
                    let carrying = carry(client, server.clone(), weather, counting.clone());
                    accepted.lock().unwrap().push(tokio::spawn(carrying));
                }
            }
        });
        Self { port, weather, connections, counts, refusals, listener }
    }

    /// The URL that leads through this proxy.
    pub(crate) fn through(&self, url: &str) -> String {
        let (role, host) = url.split_once('@').expect("a role");
        let database = host.split_once('/').expect("a database").1;
        format!("{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Changes the weather, for open connections, too.
    pub(crate) fn turn(&self, weather: Weather) {
        self.weather.lock().unwrap().send_replace(weather);
    }

    /// Forgets the open connections, as a network does with those that were silent for long: nobody is told, and what is
    /// sent on them arrives nowhere. New ones are fine.
    pub(crate) fn forget(&self) {
        self.turn(Weather::BlackHole);
        *self.weather.lock().unwrap() = Arc::new(watch::Sender::new(Weather::Fair));
    }

    /// Turns away so many of those who connect next, with these words.
    pub(crate) fn refuse(&self, times: usize, refusal: Refusal) {
        *self.refusals.lock().unwrap() = std::iter::repeat_n(refusal, times).collect();
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// How many connections were refused.
    pub(crate) fn refused(&self) -> usize {
        self.counts.refused.load(Ordering::Relaxed)
    }

    /// How many transactions the client has sent, to their COMMIT.
    pub(crate) fn commits(&self) -> usize {
        self.counts.commits.load(Ordering::Relaxed)
    }

    /// How many bytes the server has sent.
    pub(crate) fn answered_bytes(&self) -> usize {
        self.counts.answered_bytes.load(Ordering::Relaxed)
    }

    /// How many connections were opened.
    pub(crate) fn opened(&self) -> usize {
        self.connections.lock().unwrap().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut();
    }
}

/// Reads what a client begins with, and answers that it can't come in.
async fn refuse(mut client: TcpStream, (sqlstate, message): Refusal) {
    let mut startup = [0; 1_024];
    let _ = client.read(&mut startup).await;
    let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).expect("a short message");
    let answer = [b"E", length.to_be_bytes().as_slice(), fields.as_bytes()].concat();
    let _ = client.write_all(&answer).await;
}

async fn carry(client: TcpStream, server: String, weather: Arc<watch::Sender<Weather>>, counts: Arc<Counts>) {
    // A black hole reaches no server either.
    if weather.subscribe().wait_for(|weather| *weather != Weather::BlackHole).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    client.set_nodelay(true).expect("an option");
    server.set_nodelay(true).expect("an option");
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (committed, commits) = watch::channel(0_u32);
    // Whichever side ends first ends both.
    tokio::select! {
        () = requests(from_client, to_server, weather.subscribe(), committed, &counts) => {}
        () = answers(from_server, to_client, &weather, commits, &counts) => {}
    }
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    committed: watch::Sender<u32>,
    counts: &Counts,
) {
    let mut bytes = vec![0; 65_536];
    let mut tail = Vec::new();
    while let Ok(length @ 1..) = client.read(&mut bytes).await {
        if weather.wait_for(|weather| *weather != Weather::BlackHole).await.is_err() {
            return;
        }
        if server.write_all(&bytes[..length]).await.is_err() {
            return;
        }
        // The word may be cut in two.
        tail.extend_from_slice(&bytes[..length]);
        if tail.windows(7).any(|window| window == b"COMMIT\0") {
            tail.clear();
            committed.send_modify(|commits| *commits += 1);
            counts.commits.fetch_add(1, Ordering::Relaxed);
        }
        tail.drain(..tail.len().saturating_sub(6));
    }
}

async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    weather: &watch::Sender<Weather>,
    mut commits: watch::Receiver<u32>,
    counts: &Counts,
) {
    let mut bytes = vec![0; 65_536];
    let mut answered = 0;
    while let Ok(length @ 1..) = server.read(&mut bytes).await {
        counts.answered_bytes.fetch_add(length, Ordering::Relaxed);
        let now = *weather.borrow();
        if matches!(now, Weather::AnswersAfterCommit | Weather::CutAfterCommit) {
            let before = answered;
            if commits.wait_for(|commits| *commits > before).await.is_err() {
                return;
            }
        }
        if weather.subscribe().wait_for(|weather| *weather != Weather::BlackHole).await.is_err() {
            return;
        }
        // The last answer of a transaction says that the session is idle.
        let idle = bytes[..length].ends_with(b"Z\0\0\0\x05I");
        match now {
            Weather::CutAfterCommit if idle => {
                weather.send_replace(Weather::Fair);
                return;
            }
            Weather::CutAfterCommit => continue,
            _ if idle => answered = *commits.borrow(),
            _ => {}
        }
        if client.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

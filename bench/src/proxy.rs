//! A proxy between a function and PostgreSQL: it counts how often the function waits for the network, can make that wait
//! longer, and keeps what was sent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::wire;

/// A proxy that listens.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What went through since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How often the client sent something after the server had, or for the first time.
    pub(crate) round_trips: u64,
    /// What the client sent.
    pub(crate) sent: Vec<u8>,
    /// When the first connection came.
    pub(crate) accepted: Option<Instant>,
    /// When the server was ready for the next statement, each time.
    pub(crate) ready: Vec<Instant>,
    speaks: Side,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Side {
    Client,
    #[default]
    Server,
}

impl Proxy {
    /// Starts a proxy to this port of loopback. What the client sends arrives `delay` later.
    pub(crate) fn start(upstream: u16, delay: Duration) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let recorder = Arc::clone(&seen);
        let port = wire::listen(move |client, accepted| {
            lock(&recorder).accepted.get_or_insert(accepted);
            let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
            let _ = server.set_nodelay(true);
            let (Ok(mut from_client), Ok(mut from_server)) = (client.try_clone(), server.try_clone()) else { return };
            let (mut to_client, mut to_server) = (client, server);
            let there = Arc::clone(&recorder);
            thread::spawn(move || {
                copy(&mut from_client, &mut to_server, |bytes| {
                    lock(&there).client_sent(bytes);
                    thread::sleep(delay);
                });
                let _ = to_server.shutdown(Shutdown::Both);
            });
            copy(&mut from_server, &mut to_client, |bytes| lock(&recorder).server_sent(bytes));
            let _ = to_client.shutdown(Shutdown::Both);
        })?;
        Ok(Self { port, seen })
    }

    /// What went through since the last time.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut *lock(&self.seen))
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn copy(from: &mut TcpStream, to: &mut TcpStream, mut record: impl FnMut(&[u8])) {
    let mut chunk = vec![0; 256 * 1024];
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        record(&chunk[..n]);
        if to.write_all(&chunk[..n]).is_err() {
            break;
        }
    }
}

impl Seen {
    fn client_sent(&mut self, bytes: &[u8]) {
        if self.speaks == Side::Server {
            self.round_trips += 1;
            self.speaks = Side::Client;
        }
        self.sent.extend_from_slice(bytes);
    }

    fn server_sent(&mut self, bytes: &[u8]) {
        self.speaks = Side::Server;
        // `ReadyForQuery`, with one byte for the transaction's state, is what a server sends last before it waits.
        if let [.., b'Z', 0, 0, 0, 5, _] = bytes {
            self.ready.push(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_a_wait_of_the_client() {
        let mut seen = Seen::default();
        seen.client_sent(b"a");
        seen.client_sent(b"b");
        assert_eq!(seen.round_trips, 1, "two writes without a wait");
        seen.server_sent(b"1");
        seen.server_sent(b"Z\0\0\0\x05I");
        seen.client_sent(b"c");
        assert_eq!((seen.round_trips, seen.ready.len(), seen.sent.as_slice()), (2, 1, &b"abc"[..]));
    }
}

//! Ports on loopback.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Mutex;

use anyhow::{Result, bail};

/// Below the ports that systems give to outgoing connections, so that no client takes one before its server listens.
const FREE: std::ops::Range<u16> = 20_000..30_000;

/// What this process gave away already.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that nobody listens on.
pub(crate) fn free() -> Result<u16> {
    let span = FREE.end - FREE.start;
    // Another run starts elsewhere, so two at once hardly ever ask for the same port.
    let start = u16::from_le_bytes(crate::secrets::random()?) % span;
    for offset in 0..span {
        let port = FREE.start + (start + offset) % span;
        let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if is_free(port) && given.insert(port) {
            return Ok(port);
        }
    }
    bail!("no port between {} and {} is free", FREE.start, FREE.end)
}

/// Whether a server could listen there.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

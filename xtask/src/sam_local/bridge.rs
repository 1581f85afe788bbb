//! Lets containers reach servers that listen on loopback.
//!
//! A container's loopback is its own. On Linux it reaches this machine at the gateway of Docker's bridge, so there each
//! port is listened on, too, and passed on to loopback; nobody but containers comes by there. Docker Desktop has no such
//! address on this machine, and passes on to loopback by itself.

use std::io::ErrorKind;
use std::net::IpAddr;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// What a container calls this machine.
pub(super) const HOST: &str = "host.docker.internal";

/// A URL as a container says it, and the port if it leads to this machine's loopback.
pub(super) fn from_a_container(url: &str) -> (String, Option<u16>) {
    for here in ["127.0.0.1", "localhost", "[::1]"] {
        // Behind the scheme, or behind a role and its password.
        for before in ["//", "@"] {
            let Some((head, tail)) = url.split_once(&format!("{before}{here}:")) else { continue };
            let port = tail.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            if let Ok(port) = port.parse() {
                return (format!("{head}{before}{HOST}:{tail}"), Some(port));
            }
        }
    }
    (url.to_owned(), None)
}

/// Passes on what arrives at these ports of the gateway, as long as this program runs.
pub(super) async fn open(gateway: IpAddr, ports: &[u16]) -> Result<()> {
    for &port in ports {
        let listener = match TcpListener::bind((gateway, port)).await {
            Ok(listener) => listener,
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("couldn't listen at {gateway}:{port}")),
        };
        tokio::spawn(async move {
            while let Ok((mut container, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = copy_bidirectional(&mut container, &mut server).await;
                    }
                });
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_this_machine_is_called_otherwise() {
        for (url, said, port) in [
            ("http://127.0.0.1:9001/api/auth", "http://host.docker.internal:9001/api/auth", Some(9001)),
            ("http://localhost:9003/v1", "http://host.docker.internal:9003/v1", Some(9003)),
            ("postgresql://u:p@127.0.0.1:9002/db?x=y", "postgresql://u:p@host.docker.internal:9002/db?x=y", Some(9002)),
            ("postgresql://u:p@db.example.com:5432/db", "postgresql://u:p@db.example.com:5432/db", None),
            ("https://app.example.com/api/auth", "https://app.example.com/api/auth", None),
        ] {
            assert_eq!(from_a_container(url), (said.to_owned(), port));
        }
    }
}

//! Words that go out when they come.
//!
//! `lambda_runtime`'s client leaves Nagle's algorithm on: a small write waits until the one before is acknowledged, which
//! the other side delays by up to 40 ms. Measured, the first word of an answer came 44 ms late. The client has no option
//! for it and its connections can't be reached, so that the option is set from outside: Linux gives a process a second
//! descriptor of a socket of its own (`pidfd_getfd`), and a socket's options are the same through each.

use std::fs;
use std::net::SocketAddr;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Has this process's connections to the Runtime API send at once. Where that can't be done, words come a little later.
pub(super) fn send_at_once(runtime_api: &str) {
    let Some(port) = runtime_api.rsplit(':').next().and_then(|end| end.split('/').next()?.parse::<u16>().ok()) else {
        return;
    };
    let Ok(process) = pidfd_open(getpid(), PidfdFlags::empty()) else { return };
    for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let is_socket = fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|_| is_socket) else { continue };
        let Ok(socket) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else { continue };
        let peer = rustix::net::getpeername(&socket).ok().flatten();
        if peer.and_then(|peer| SocketAddr::try_from(peer).ok()).is_some_and(|peer| peer.port() == port) {
            let _ = rustix::net::sockopt::set_tcp_nodelay(&socket, true);
        }
    }
}

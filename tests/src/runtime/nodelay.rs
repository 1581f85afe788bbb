//! Words go out when they come: none waits for the acknowledgement of the one before (Nagle's algorithm).
//!
//! Late words are seen by a clock alone, and a clock is no judge in a suite. What makes them late is an option of the
//! function's sockets, which its parent can read: Linux gives it a second descriptor of a child's socket.

use std::net::SocketAddr;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::support::api::Api;
use crate::support::chat::{question, release, reply_settings, unique};
use crate::support::eventually;
use crate::support::function::rest_event;
use crate::support::issuer::headers;
use crate::support::process;
use crate::support::runtime_api::Environment;

/// Of each connection to its Runtime API, whether it sends at once. The error is why nobody may look.
fn connections(function: &Environment) -> Result<Vec<bool>, rustix::io::Errno> {
    let id = process::id(&function.process);
    let pidfd = pidfd_open(id, PidfdFlags::empty())?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{id}/fd")).expect("a process that runs") {
        let entry = entry.expect("a descriptor");
        let number = entry.file_name().to_string_lossy().parse().expect("a number");
        // One that is closed meanwhile is none of those that are looked for.
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        if target.to_string_lossy().starts_with("socket:") {
            let socket = pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty())?;
            let peer = rustix::net::getpeername(&socket).ok().flatten();
            if peer.and_then(|peer| SocketAddr::try_from(peer).ok()).is_some_and(|it| it.port() == function.port) {
                found.push(rustix::net::sockopt::tcp_nodelay(&socket)?);
            }
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streaming_functions_connections_send_at_once() {
    let api = Api::new().await;
    let user = api.user().await;
    let function = Environment::start("reply-chat", &reply_settings(&api.database.app_url)).await;
    for chat in ["first", "second"] {
        let hold = unique(chat).replace(' ', "-");
        let body = question(chat, "q", "How?", &format!("hold@3={hold}")).to_string();
        let event = rest_event("POST", "/v1/chat", &headers(&user.token), Some(&body));
        let looking = async {
            let chunks = format!(
                "select count(*) from run_chunks k join runs r on r.id = k.run_id join messages m on m.id = r.message_id
                 join conversations c on c.id = m.conversation_id where c.client_id = '{chat}'"
            );
            eventually("a stored chunk", async || (api.count(&chunks).await > 0).then_some(())).await;
            // In the middle of its answer.
            match connections(&function) {
                Ok(found) => assert!(!found.is_empty() && found.iter().all(|at_once| *at_once), "{found:?}"),
                // A hardened kernel, or a container's filter, in which the function can't set it either.
                Err(refused) => eprintln!("SKIPPED: this machine shows nobody another's sockets: {refused}"),
            }
            release(&hold).await;
        };
        let (answer, ()) = tokio::join!(function.invoke(&event), looking);
        assert!(answer.response().body.ends_with("data: [DONE]\n\n"));
    }
}

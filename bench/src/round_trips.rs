//! How often a request waits for the network to the database, counted on the wire, for every endpoint.

use std::time::Duration;

use anyhow::{Context, Result};
use functions::endpoints;
use serde::Serialize;
use serde_json::json;

use crate::event::Call;
use crate::fill::Conversation;
use crate::function::Program;
use crate::numbers::Numbers;
use crate::proxy::Proxy;
use crate::stats::percentile;

/// The delay that is added to what a function sends.
pub(crate) const DELAY: Duration = Duration::from_millis(5);
/// Requests of an endpoint that are counted, an environment's first one aside.
const REQUESTS: usize = 10;

/// What an endpoint's requests waited for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoundTrips {
    pub(crate) endpoint: &'static str,
    /// Of each request.
    pub(crate) counted: Vec<u64>,
    /// Of each request with the delay.
    pub(crate) counted_delayed: Vec<u64>,
    /// By how much the delay lengthened the median request, in milliseconds.
    pub(crate) added_ms: f64,
}

/// The most that any endpoint's request took.
pub(crate) fn most(all: &[RoundTrips]) -> u64 {
    all.iter().flat_map(|trips| trips.counted.iter().chain(&trips.counted_delayed)).copied().max().unwrap_or_default()
}

/// Counts them. `program` is an endpoint's function behind the proxy on that port.
pub(crate) fn count(
    conversation: &Conversation,
    token: &str,
    upstream: u16,
    program: impl Fn(&'static str, u16) -> Program,
    numbers: &mut Numbers,
) -> Result<Vec<RoundTrips>> {
    let proxies = [Proxy::start(upstream, Duration::ZERO)?, Proxy::start(upstream, DELAY)?];
    let mut made: Vec<String> = Vec::new();
    let mut all = Vec::new();
    // A turn asks the database more than once, by its nature: `chat` counts that.
    for endpoint in endpoints().into_iter().filter(|endpoint| endpoint.name != "reply-chat") {
        let mut counted: [Vec<u64>; 2] = Default::default();
        let mut took: [Vec<f64>; 2] = Default::default();
        for ((proxy, counted), took) in proxies.iter().zip(&mut counted).zip(&mut took) {
            let mut environment = program(endpoint.name, proxy.port).start(None)?;
            for request in 0..=REQUESTS {
                let call = call(endpoint.name, conversation, token, numbers.next(), &mut made)?;
                proxy.take();
                let answer = environment.invoke(call.event())?;
                if request > 0 {
                    counted.push(proxy.take().round_trips);
                    took.push(answer.took.as_secs_f64() * 1e3);
                }
            }
        }
        let [plain, delayed] = took.map(|mut took| percentile(&mut took, 50.0).unwrap_or_default());
        let [counted, counted_delayed] = counted;
        all.push(RoundTrips { endpoint: endpoint.name, counted, counted_delayed, added_ms: delayed - plain });
    }
    Ok(all)
}

/// A request of an endpoint. What is made is remembered, to be deleted later.
fn call(endpoint: &str, conversation: &Conversation, token: &str, number: u64, made: &mut Vec<String>) -> Result<Call> {
    let one = format!("/v1/conversations/{}", conversation.id);
    let get = |path: &str| Call::get(path, token);
    Ok(match endpoint {
        "health" => get("/health"),
        "openapi" => get("/v1/openapi.json"),
        "me" => get("/v1/me"),
        "list-conversations" => get("/v1/conversations"),
        "get-conversation" => get(&one),
        "list-messages" => get(&format!("{one}/messages")),
        "get-message" => {
            let message = format!("msg-1-{}", &conversation.id[conversation.id.len() - 12..]);
            get(&format!("{one}/messages/{message}"))
        }
        "activate-message" => {
            let message = format!("msg-1-{}", &conversation.id[conversation.id.len() - 12..]);
            Call { method: "POST", ..get(&format!("{one}/messages/{message}/activate")) }
        }
        "get-chat" => get(&format!("/v1/chat/{}", conversation.id)),
        "resume-chat" => get(&format!("/v1/chat/{}/stream", conversation.id)),
        "stop-chat" => Call { method: "POST", ..get(&format!("/v1/chat/{}/stop", conversation.id)) },
        "create-conversation" => {
            let client_id = format!("made-{number}");
            made.push(client_id.clone());
            let body = json!({"clientId": client_id, "messages": [{"role": "user", "content": "How many days?"}]});
            Call { method: "POST", body: Some(body), ..get("/v1/conversations") }
        }
        "update-conversation" => {
            Call { method: "PATCH", body: Some(json!({"title": format!("Leave {number}")})), ..get(&one) }
        }
        "delete-conversation" => {
            let client_id = made.pop().context("nothing was made to be deleted")?;
            Call { method: "DELETE", ..get(&format!("/v1/conversations/{client_id}")) }
        }
        "append-messages" => {
            let body =
                json!({"messages": [{"clientId": format!("trip-{number}"), "role": "user", "content": "And in May?"}]});
            Call { method: "POST", body: Some(body), ..get(&format!("{one}/messages")) }
        }
        other => anyhow::bail!("no request is known for the endpoint {other}: add one"),
    })
}

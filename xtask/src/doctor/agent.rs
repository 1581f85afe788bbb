//! The agent: whether it can be reached, and takes the key. No model is asked.

use std::error::Error;
use std::sync::Arc;

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use shared::config::{AgentConfig, AgentProtocol};
use shared::tls;

use super::PATIENCE;
use super::report::{Report, quoted};
use super::settings::Settings;

pub(super) async fn check(settings: &Settings, client: &reqwest::Client, report: &mut Report) {
    let Some(config) = settings.config.as_ref().filter(|_| settings.are_good(&["AGENT_URL"])) else { return };
    let Some(agent) = &config.agent else {
        report.good("AGENT_URL is not set: histories only, and the chat routes answer 501");
        return;
    };
    let place = super::key_set::without_secrets(&agent.url);
    if agent.private_http {
        report.doubtful(
            format!("{place} is plain http: questions, answers and the key can be read on their way"),
            "it is allowed by AGENT_ALLOW_HTTP, within a private network alone; https with AGENT_CA_FILE is better",
        );
    }
    let own = match client_for(agent) {
        Ok(own) => own,
        Err(error) => {
            return report.wrong(format!("no client for the agent can be had: {error}"), "mend AGENT_CA_FILE");
        }
    };
    let client = own.as_ref().unwrap_or(client);
    match agent.protocol {
        AgentProtocol::OpenAi => models(agent, &place, client, report).await,
        AgentProtocol::UiMessageStream => {
            // A GET to the route of a chat could start one: the connection, TLS included, must do.
            let origin = reqwest::Url::parse(&agent.url).map(|url| url.origin().ascii_serialization());
            match client.head(origin.unwrap_or_default()).send().await {
                Ok(_) => report.good(format!("the agent's server answers at {place}")),
                Err(error) => unreachable(&place, &error, report),
            }
        }
    }
}

/// A client that believes in the agent's own authorities, and keeps plain http within private networks, as the functions'
/// does; none where any client will do.
fn client_for(agent: &AgentConfig) -> anyhow::Result<Option<reqwest::Client>> {
    if agent.authorities.is_none() && !agent.private_http {
        return Ok(None);
    }
    let roots = agent.authorities.clone().unwrap_or_else(tls::web_roots);
    let mut client = tls::http_client_trusting(roots)?.timeout(PATIENCE);
    if agent.private_http {
        client = client.dns_resolver(Arc::new(tls::PrivateNetwork));
    }
    Ok(Some(client.build()?))
}

/// The list of models: free of charge, and it takes the key that a question would.
async fn models(agent: &AgentConfig, place: &str, client: &reqwest::Client, report: &mut Report) {
    let Ok(mut url) = reqwest::Url::parse(&agent.url) else { return };
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("models");
    }
    let mut request = client.get(url);
    if let Some(key) = &agent.api_key {
        match shared::secrets::text(key).await {
            Ok(key) => request = request.bearer_auth(key.trim()),
            Err(unread) => {
                return report.wrong(unread.to_string(), "give this shell credentials that may read the secret");
            }
        }
    }
    for (name, value) in &agent.headers {
        request = request.header(name, value);
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return unreachable(place, &error, report),
    };
    match answer.status().as_u16() {
        200 => {
            let json =
                answer.headers().get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
            let known = if json { answer.json::<Value>().await.ok() } else { None };
            let known: Vec<String> = known
                .and_then(|list| list["data"].as_array().cloned())
                .map(|list| list.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect())
                .unwrap_or_default();
            match &agent.model {
                Some(model) if !known.is_empty() && !known.contains(model) => report.doubtful(
                    format!("the agent at {place} has no model {} in its list", quoted(model)),
                    format!("set AGENT_MODEL to one of: {}", known[..known.len().min(5)].join(", ")),
                ),
                _ => report.good(format!("the agent answers at {place}")),
            }
        }
        401 | 403 if agent.api_key.is_some() || !agent.headers.is_empty() => report.wrong(
            format!("the agent at {place} refuses the key (status {})", answer.status().as_u16()),
            "set AGENT_API_KEY, or AGENT_HEADERS, to what it expects",
        ),
        401 | 403 => report.wrong(
            format!("the agent at {place} wants a key (status {})", answer.status().as_u16()),
            "set AGENT_API_KEY",
        ),
        404 | 405 => report.doubtful(
            format!("the agent's server answers, and knows no {place}/models"),
            "AGENT_URL is the base before /chat/completions; some agents have no such list, and then all is well",
        ),
        status => report.doubtful(
            format!("the agent at {place} answers the list of models with status {status}"),
            "look at its own log; no question was asked",
        ),
    }
}

fn unreachable(place: &str, error: &reqwest::Error, report: &mut Report) {
    report.wrong(
        format!("the agent at {place} can't be reached: {}", causes(error)),
        "check AGENT_URL; the functions must reach it from their network, too",
    );
}

/// An error's causes without its URL, which may have a key in its query.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { "no answer".to_owned() };
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

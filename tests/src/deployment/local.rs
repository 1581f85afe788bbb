//! Every endpoint through `sam local`: the template's routes, events as API Gateway's, each binary in a container.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::{api, http_client, setup};

/// `sam local` with a user, and the endpoints that have answered so far.
struct Local {
    url: &'static str,
    client: Client,
    token: String,
    asked: Vec<(Method, String)>,
}

struct Answer {
    status: u16,
    media_type: String,
    text: String,
}

impl Answer {
    #[track_caller]
    fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Local {
    /// None where the run isn't told to start it.
    async fn open() -> Option<Self> {
        let Some(url) = setup().all["samLocalUrl"].as_str() else {
            eprintln!("SKIPPED: `sam local` runs only with `cargo xtask test --require docker`");
            return None;
        };
        let (client, token) = (http_client(), api::token().await);
        Some(Self { url, client, token, asked: Vec::new() })
    }

    /// Asks an endpoint by its path in the API document, with `{id}` and `{messageId}` filled in.
    async fn ask(&mut self, method: Method, path: &str, ids: &[&str], body: Option<Value>) -> Answer {
        self.asked.push((method.clone(), path.to_owned()));
        let mut filled = path.to_owned();
        for (name, id) in ["{id}", "{messageId}"].iter().zip(ids) {
            filled = filled.replace(name, id);
        }
        let mut request = self.client.request(method, format!("{}{filled}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }
}

/// A container is started for a function's first answer.
async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.timeout(Duration::from_mins(2)).send().await.expect("an answer");
    let media_type =
        answer.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    Answer { status: answer.status().as_u16(), media_type, text: answer.text().await.expect("a body") }
}

#[tokio::test]
async fn every_endpoint_answers_in_its_container() {
    let Some(mut local) = Local::open().await else { return };
    let (get, post) = (Method::GET, Method::POST);
    local.ask(get.clone(), "/health", &[], None).await.expect(200);
    let document = local.ask(get.clone(), "/v1/openapi.json", &[], None).await.expect(200);
    assert!(document["paths"].as_object().is_some_and(|paths| paths.len() > 10));
    let me = local.ask(get.clone(), "/v1/me", &[], None).await.expect(200);
    assert_eq!(me["issuer"], setup().auth_url.trim_end_matches("/api/auth"), "the issuer is the one outside");

    let all = "/v1/conversations";
    let made =
        local.ask(post.clone(), all, &[], Some(json!({"clientId": "first", "title": "Leave"}))).await.expect(201);
    let id = made["id"].as_str().expect("an id").to_owned();
    let one = "/v1/conversations/{id}";
    local.ask(get.clone(), one, &["first"], None).await.expect(200);
    let renamed = local.ask(Method::PATCH, one, &[&id], Some(json!({"title": "Größe & «мир»"}))).await.expect(200);
    assert_eq!(renamed["title"], "Größe & «мир»");
    let listed = local.ask(get.clone(), all, &[], None).await.expect(200);
    assert_eq!(listed["data"][0]["id"], id.as_str());

    let messages = "/v1/conversations/{id}/messages";
    let said = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    let stored = local.ask(post.clone(), messages, &[&id], Some(said)).await.expect(201);
    let message = stored["data"][1]["id"].as_str().expect("an id").to_owned();
    let page = local.ask(get.clone(), messages, &[&id], None).await.expect(200);
    assert_eq!(page["data"].as_array().map(Vec::len), Some(2));
    local.ask(get.clone(), "/v1/conversations/{id}/messages/{messageId}", &[&id, &message], None).await.expect(200);
    let activate = "/v1/conversations/{id}/messages/{messageId}/activate";
    local.ask(post.clone(), activate, &[&id, &message], None).await.expect(200);

    // The whole stream at once, and what it left behind.
    let question = json!({"id": "chat", "message": {"id": "q", "role": "user",
        "parts": [{"type": "text", "text": "How long does a token live?"}]}});
    let answer = local.ask(post.clone(), "/v1/chat", &[], Some(question)).await;
    answer.expect(200);
    assert!(answer.media_type.starts_with("text/event-stream"), "{}", answer.media_type);
    assert!(answer.text.contains("\"type\":\"text-delta\""), "{}", answer.text);
    assert!(answer.text.trim_end().ends_with("data: [DONE]"), "{}", answer.text);
    let history = local.ask(get.clone(), "/v1/chat/{id}", &["chat"], None).await.expect(200);
    assert!(history.to_string().contains("\"status\":\"complete\""), "{history}");
    let replayed = local.ask(get.clone(), "/v1/chat/{id}/stream", &["chat"], None).await;
    assert!(matches!(replayed.status, 200 | 204), "{}: {}", replayed.status, replayed.text);
    let stopped = local.ask(post.clone(), "/v1/chat/{id}/stop", &["chat"], None).await;
    assert!(matches!(stopped.status, 200..300 | 404), "{}: {}", stopped.status, stopped.text);
    local.ask(Method::DELETE, one, &[&id], None).await.expect(204);

    for endpoint in functions::endpoints() {
        let asked = local
            .asked
            .iter()
            .any(|(method, path)| method.as_str() == endpoint.method.as_str() && path == endpoint.path);
        assert!(asked, "{} {} wasn't asked", endpoint.method, endpoint.path);
    }
}

#[tokio::test]
async fn what_no_endpoint_claims_reaches_the_fallback() {
    let Some(local) = Local::open().await else { return };
    let url = |path: &str| format!("{}{path}", local.url);
    answer(local.client.get(url("/nowhere/at/all"))).await.expect(404);
    let refused = answer(local.client.put(url("/v1/me"))).await;
    assert_eq!(refused.expect(405)["code"], "method_not_allowed");
    answer(local.client.request(Method::OPTIONS, url("/v1/conversations"))).await.expect(204);
    let closed = answer(local.client.get(url("/v1/me"))).await;
    assert_eq!(closed.expect(401)["code"], "unauthenticated");
}

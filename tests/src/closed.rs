//! Every endpoint of the API document is closed: to nobody, to bad tokens, and to everyone but the owner.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, User};

/// Every operation of the API document: method, path, whether it needs a token.
fn operations() -> Vec<(Method, String, bool)> {
    let document = functions::openapi::document();
    let paths = document["paths"].as_object().expect("paths");
    let mut operations = Vec::new();
    for (path, item) in paths {
        // HEAD is GET, without the words that are looked at here.
        for (method, operation) in item.as_object().expect("an item").iter().filter(|(method, _)| *method != "head") {
            // An operation without `security` has the document's, `[{}]` means none.
            let public = operation["security"] == json!([{}]);
            let method = method.to_uppercase().parse().expect("a method");
            operations.push((method, path.clone(), !public));
        }
    }
    operations
}

/// A body that the operation takes.
fn body(method: &Method, path: &str) -> Option<Value> {
    match (method.as_str(), path) {
        ("POST", "/v1/conversations") => Some(json!({})),
        ("POST", "/v1/chat") => {
            Some(json!({"id": "mine", "message": {"role": "user", "parts": [{"type": "text", "text": "theirs"}]}}))
        }
        ("POST", _) if path.ends_with("/stop") || path.ends_with("/activate") => None,
        ("POST", _) => Some(json!({"messages": [{"role": "user", "content": "theirs"}]})),
        ("PATCH", _) => Some(json!({"title": "theirs"})),
        _ => None,
    }
}

async fn send(api: &Api, method: &Method, path: &str, authorization: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method.clone()).uri(path.replace(['{', '}'], "x"));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let body = body(method, path).map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = request.header("content-type", "application/json").body(body);
    api.send(request.expect("a request")).await
}

#[tokio::test]
async fn the_public_endpoints_are_these_alone() {
    let public: Vec<String> =
        operations().into_iter().filter(|(_, _, closed)| !closed).map(|(_, path, _)| path).collect();
    assert_eq!(public, ["/health", "/v1/openapi.json"]);
}

#[tokio::test]
async fn without_a_good_token_every_endpoint_is_a_401() {
    let api = Api::new().await;
    let token = api.user().await.token;
    let (head, signature) = token.rsplit_once('.').expect("a JWT");
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for (method, path, closed) in operations() {
        if !closed {
            continue;
        }
        let nobody = send(&api, &method, &path, None).await;
        nobody.expect_problem(StatusCode::UNAUTHORIZED, "unauthenticated");
        assert_eq!(
            nobody.header("www-authenticate").map(|value| value.contains("error")),
            Some(false),
            "{method} {path}"
        );
        for bad in ["Bearer x", "Basic dTpw", &format!("Bearer {forged}"), &format!("Bearer {head}.")] {
            let refused = send(&api, &method, &path, Some(bad)).await;
            refused.expect_problem(StatusCode::UNAUTHORIZED, "unauthenticated");
            assert!(
                refused.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")),
                "{method} {path}"
            );
        }
    }
    assert_eq!(api.count("select count(*) from users").await, 0);
}

#[tokio::test]
async fn with_anothers_ids_every_endpoint_is_a_404_and_nothing_changes() {
    let api = Api::new().await;
    let (owner, other) = (api.user().await, api.user().await);
    owner.post("/v1/conversations", &json!({"clientId": "mine", "title": "Mine"})).await.expect(StatusCode::CREATED);
    let conversation = owner.get("/v1/conversations/mine").await.text("/id");
    let message = owner.say(&conversation, &["secret"]).await.remove(0);
    let before = everything(&owner).await;
    let mut tried = 0;
    for (method, path, _) in operations() {
        if !path.contains('{') {
            continue;
        }
        for id in [conversation.as_str(), "mine"] {
            let path = path.replace("{id}", id).replace("{messageId}", &message);
            let body = body(&method, &path);
            let answer = other.send(method.clone(), &path, &[], body.as_ref()).await;
            if path.ends_with("/stream") {
                // The front end's library takes this for "nothing there", and a 404 for a failure.
                answer.expect(StatusCode::NO_CONTENT);
            } else {
                answer.expect_problem(StatusCode::NOT_FOUND, "not_found");
            }
            assert!(!String::from_utf8_lossy(&answer.bytes).contains("secret"));
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried}");
    assert_eq!(everything(&owner).await, before);
    assert_eq!(other.get("/v1/conversations").await.body, json!({"data": []}));
}

async fn everything(owner: &User) -> (Value, Value) {
    let conversations = owner.get("/v1/conversations").await;
    let messages = owner.get("/v1/conversations/mine/messages?branch=all").await;
    (conversations.body, messages.body)
}

//! Settings, the key set and the agent.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{doctor, doctor_with_file, doctor_with_token, healthy};
use crate::support::api;
use crate::support::database::{Database, Kind};
use crate::support::setup;

/// A path, and the status, the header and the body that it is answered with.
type Answer = (&'static str, u16, (&'static str, String), String);

/// A server that answers so, and 404 to the rest.
async fn server(answers: Vec<Answer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && client.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split([' ', '?']).nth(1).unwrap_or_default();
            let absent = (404, "x: y".to_owned(), "");
            let (status, header, body) = answers
                .iter()
                .find(|answer| answer.0 == path)
                .map_or(absent, |answer| (answer.1, format!("{}: {}", answer.2.0, answer.2.1), answer.3.as_str()));
            let length = body.len();
            let said = format!(
                "HTTP/1.1 {status} x\r\n{header}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = client.write_all(said.as_bytes()).await;
        }
    });
    format!("http://{address}")
}

fn html() -> (&'static str, String) {
    ("content-type", "text/html".to_owned())
}

#[tokio::test]
async fn a_healthy_deployment_has_nothing_wrong() {
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let settings = [
        &healthy()[..],
        &[("DATABASE_URL", database.app_url.as_str()), ("MIGRATE_DATABASE_URL", database.owner_url.as_str())],
    ]
    .concat();
    let said = doctor_with_token(&settings, &api::token().await).await;
    said.expect_wrong(0)
        .expect("✓", &["settings are complete"])
        .expect("✓", &["verifies tokens"])
        .expect("✓", &["the token is good", "user's id is"])
        .expect("✓", &["as colloquy_app"])
        .expect("✓", &["bound by row-level security"])
        .expect("✓", &["statement runs"])
        .expect("✓", &["can migrate"])
        .expect("✓", &["schema is this release's"])
        .expect("✓", &["agent answers"])
        .expect("✓", &["https://app.example.com may call"]);
    // Whoever deploys must hear that nobody else reaches this machine.
    said.expect("!", &["/api/auth/jwks is on this machine"]);
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_the_rest_is_checked_all_the_same() {
    let settings = [
        ("AUTH_URL", setup().auth_url.as_str()),
        ("JWKS_TTL_SECONDS", "soon"),
        ("BASE_PATH", "chat"),
        ("AGENT_URL", "http://127.0.0.1:1/v1?key=canary"),
    ];
    let said = doctor(&settings).await;
    said.expect_wrong(4)
        .expect("✗", &["DATABASE_URL is not set"])
        .expect("✗", &["JWKS_TTL_SECONDS"])
        .expect("✗", &["BASE_PATH"])
        .expect("✗", &["agent at http://127.0.0.1:1/v1 can't be reached"])
        .expect("✓", &["verifies tokens"])
        .expect("!", &["CORS_ORIGINS is not set"]);
    assert!(!said.lines.iter().any(|line| line.contains("canary")), "{:?}", said.lines);
}

#[tokio::test]
async fn a_file_gives_what_the_environment_lacks() {
    let file = std::env::temp_dir().join(format!("doctor-{}.env", std::process::id()));
    let text = format!("# a deployment\nexport AUTH_URL=\"{}\"\nBASE_PATH='/a'\nCORS_ORIGINS=*\n", setup().auth_url);
    std::fs::write(&file, text).expect("a file");
    let said = doctor_with_file(&[("BASE_PATH", "b")], &file).await;
    std::fs::remove_file(&file).expect("removed");
    said.expect_wrong(2)
        .expect("✗", &["DATABASE_URL is not set"])
        .expect("✗", &["BASE_PATH must begin"])
        .expect("!", &["BASE_PATH is in the environment, too"])
        .expect("!", &["CORS_ORIGINS is *"])
        .expect("✓", &["verifies tokens"]);
}

#[tokio::test]
async fn without_a_utf_8_locale_it_speaks_ascii() {
    let settings = [("LANG", "C"), ("AUTH_URL", setup().auth_url.as_str())];
    let said = doctor(&settings).await;
    said.expect("x", &["DATABASE_URL is not set, nor is DATABASE_SECRET_ARN ->"]).expect("+", &["verifies tokens"]);
}

#[tokio::test]
async fn an_auth_url_that_is_not_quite_right_is_put_right() {
    let good = &setup().auth_url;
    let origin = good.strip_suffix("/api/auth").expect("the base path");
    for (given, status) in
        [(origin.to_owned(), "404"), (format!("{good}/jwks"), "404"), (format!("{origin}/auth"), "404")]
    {
        let said = doctor(&[("AUTH_URL", &given)]).await;
        said.expect("✗", &["/jwks answers with status", status, &format!("set AUTH_URL={good}")]);
    }
    let said = doctor(&[("AUTH_URL", good), ("JWKS_URL", &format!("{good}/jwks/"))]).await;
    said.expect("✗", &["answers with status 404", &format!("a key set is at {good}/jwks")]);
    let said = doctor(&[("AUTH_URL", good), ("JWKS_URL", &format!("{origin}/api//auth/jwks"))]).await;
    said.expect("✗", &["404", "double slash"]);
    // A slash at the end is no fault of AUTH_URL.
    let said = doctor(&[("AUTH_URL", &format!("{good}/"))]).await;
    said.expect_wrong(1).expect("✓", &["verifies tokens"]).expect("✗", &["DATABASE_URL is not set"]);
}

#[tokio::test]
async fn what_answers_instead_of_the_key_set_is_named() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let keys = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "a", "alg": "EdDSA"},
        {"kty": "OKP", "crv": "X25519", "x": x, "kid": "b", "alg": "ECDH-ES"},
    ]});
    let json = || ("content-type", "text/plain".to_owned());
    let url = server(vec![
        ("/limited/jwks", 429, ("x-retry-after", "10".to_owned()), String::new()),
        ("/moved/jwks", 308, ("location", "/elsewhere/jwks?canary".to_owned()), String::new()),
        ("/page/jwks", 200, html(), "<html>".to_owned()),
        ("/page/.well-known/jwks.json", 200, json(), keys.to_string()),
        ("/broken/jwks", 500, html(), String::new()),
        ("/empty/jwks", 200, json(), json!({"keys": []}).to_string()),
        ("/mixed/jwks", 200, json(), keys.to_string()),
    ])
    .await;
    for (path, words) in [
        ("limited", &["429", "customRules"][..]),
        ("moved", &["redirects to", "/elsewhere/jwks", "isn't followed"]),
        ("page", &["is no key set", "text/html", "set JWKS_URL=", "/page/.well-known/jwks.json"]),
        ("broken", &["status 500"]),
        ("empty", &["no key that verifies tokens", "first key"]),
    ] {
        let said = doctor(&[("AUTH_URL", &format!("{url}/{path}"))]).await;
        said.expect("✗", words);
        assert!(!said.lines.iter().any(|line| line.contains("canary")), "{:?}", said.lines);
    }
    let said = doctor(&[("AUTH_URL", &format!("{url}/mixed"))]).await;
    said.expect_wrong(1)
        .expect("✓", &["key \"a\" (EdDSA) verifies tokens"])
        .expect("!", &["key \"b\" (ECDH-ES)", "no token may have"])
        .expect("!", &["content type \"text/plain\""]);
}

#[tokio::test]
async fn an_agent_that_refuses_the_key_is_told_from_one_without_a_list() {
    let url =
        server(vec![("/closed/models", 401, html(), String::new()), ("/forbidden/models", 403, html(), String::new())])
            .await;
    let agent = async |path: &str, key: &str| {
        let url = format!("{url}/{path}");
        doctor(&[("AUTH_URL", &setup().auth_url), ("AGENT_URL", &url), ("AGENT_API_KEY", key)]).await
    };
    agent("closed", "").await.expect("✗", &["wants a key (status 401)", "set AGENT_API_KEY"]);
    let refused = agent("forbidden", "canary").await;
    refused.expect("✗", &["refuses the key (status 403)"]);
    assert!(!refused.lines.iter().any(|line| line.contains("canary")), "{:?}", refused.lines);
    agent("none", "").await.expect("!", &["knows no", "/none/models"]);
    let other =
        [("AUTH_URL", setup().auth_url.as_str()), ("AGENT_URL", setup().text("agentUrl")), ("AGENT_MODEL", "other")];
    doctor(&other).await.expect("!", &["has no model \"other\"", "development-agent"]);
    let spoken = [
        ("AUTH_URL", setup().auth_url.as_str()),
        ("AGENT_URL", &format!("{url}/chat?key=canary")),
        ("AGENT_PROTOCOL", "ui-message-stream"),
    ];
    let said = doctor(&spoken).await;
    said.expect("✓", &["agent's server answers at", "/chat"]);
    assert!(!said.lines.iter().any(|line| line.contains("canary")), "{:?}", said.lines);
}

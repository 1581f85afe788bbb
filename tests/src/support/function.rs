//! A function as Lambda runs it: its own process behind the real Runtime API, invoked with events.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::process::{self, Lines};
use super::{http_client, setup};

/// A running function, and a Runtime API of its own, so that no other instance takes its events. Both are killed when
/// this is dropped.
pub(crate) struct Function {
    name: String,
    runtime_url: String,
    pub(crate) lines: Lines,
    pub(crate) process: Child,
    _runtime: Child,
}

impl Function {
    /// Starts the binary `name` with these settings and no others.
    pub(crate) async fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let (runtime, runtime_url) = start_runtime().await;
        let (process, lines) =
            process::start(&setup().bin_dir.join(name), name, &format!("{runtime_url}/.rt/{name}"), settings);
        Self { name: name.to_owned(), runtime_url, lines, process, _runtime: runtime }
    }

    /// Starts it with the settings that it needs for `database_url` and the suite's Better Auth.
    pub(crate) async fn for_database(name: &str, database_url: &str) -> Self {
        let settings = [("DATABASE_URL", database_url), ("AUTH_URL", &setup().auth_url), ("LOG_LEVEL", "trace")];
        Self::start(name, &settings).await
    }

    /// Invokes it, as API Gateway would.
    pub(crate) async fn invoke(&self, event: &Value) -> Invoked {
        let response =
            http_client().post(self.invocation_url()).body(event.to_string()).send().await.expect("an answer");
        let answer: Value = response.json().await.expect("a function answers with JSON");
        Invoked { answer }
    }

    /// Where it is invoked.
    pub(crate) fn invocation_url(&self) -> String {
        format!("{}/2015-03-31/functions/{}/invocations", self.runtime_url, self.name)
    }

    /// Invokes it where it streams: `cargo lambda` makes an HTTP response of the head, and passes the body on.
    pub(crate) async fn stream(&self, event: &Value) -> Streamed {
        let response =
            http_client().post(self.invocation_url()).body(event.to_string()).send().await.expect("an answer");
        let media_type =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        Streamed { status: response.status().as_u16(), media_type, body: response.text().await.expect("a text") }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.lines.text()
    }

    /// Waits until it has logged a line that holds `text`.
    pub(crate) async fn logged(&self, text: &str) -> String {
        self.lines.with(text).await
    }
}

/// `cargo lambda`'s Runtime API on a free port.
async fn start_runtime() -> (Child, String) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let runtime = Command::new(setup().python("cargo-lambda"))
        .args(["lambda", "watch", "--only-lambda-apis", "--disable-cors", "--invoke-address", "127.0.0.1"])
        .arg(format!("--invoke-port={port}"))
        .current_dir(workspace)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("cargo-lambda");
    super::eventually("the Runtime API", async || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
    (runtime, format!("http://127.0.0.1:{port}"))
}

/// What a function streamed.
#[derive(Debug)]
pub(crate) struct Streamed {
    pub(crate) status: u16,
    pub(crate) media_type: Option<String>,
    pub(crate) body: String,
}

/// What a function answered to an event.
#[derive(Debug)]
pub(crate) struct Invoked {
    pub(crate) answer: Value,
}

impl Invoked {
    pub(crate) fn status(&self) -> u64 {
        self.answer["statusCode"].as_u64().unwrap_or_else(|| panic!("no status: {}", self.answer))
    }

    /// A header, wherever the event's version puts it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let multi = &self.answer["multiValueHeaders"][name][0];
        multi.as_str().or_else(|| self.answer["headers"][name].as_str())
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(self.answer["body"].as_str().unwrap_or_default()).unwrap_or_default()
    }
}

/// A request of a REST API (event version 1), as API Gateway sends it.
pub(crate) fn rest_event(method: &str, path: &str, headers: &Value, body: Option<&str>) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parameters = json!({});
    for (name, value) in reqwest::Url::parse(&format!("http://x/?{query}")).expect("a query").query_pairs() {
        let values = parameters[name.as_ref()].as_array().cloned().unwrap_or_default();
        parameters[name.as_ref()] = values.into_iter().chain([value.into_owned().into()]).collect();
    }
    let multi: serde_json::Map<String, Value> =
        headers.as_object().expect("headers").iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": method, "headers": headers, "multiValueHeaders": multi,
        "multiValueQueryStringParameters": if query.is_empty() { Value::Null } else { parameters },
        "pathParameters": {}, "stageVariables": null, "body": body, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "stage": "prod", "httpMethod": method, "path": format!("/prod{path}"),
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "identity": {"sourceIp": "192.0.2.1"},
            "domainName": "abc.execute-api.eu-central-1.amazonaws.com", "protocol": "HTTP/1.1",
        },
    })
}

/// A request of an HTTP API or a Function URL (event version 2).
pub(crate) fn http_event(method: &str, path: &str, headers: &Value, body: Option<&str>) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
        "body": body, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "stage": "$default", "requestId": "JKJaXmPLvHcESHA=",
            "domainName": "abc.lambda-url.eu-central-1.on.aws", "domainPrefix": "abc", "time": "12/Mar/2026:19:03:58 +0000",
            "timeEpoch": 1_773_342_238_000_u64,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "curl"},
        },
    })
}

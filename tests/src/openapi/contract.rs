//! The API keeps what its document says: schemathesis sends what the document allows, and what it doesn't, to every operation
//! behind the gateway. Whatever it finds is a failure, unless it is listed here with its reason.
//! <https://schemathesis.readthedocs.io>

use std::fmt;
use std::process::Stdio;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tokio::process::Command;

use crate::support::api::token;
use crate::support::{http_client, setup};

/// What a schema can't say, by the code of schemathesis and a word of the answer: each for a reason.
const LISTED: &[(&str, &str, &str)] = &[
    ("ST202", "isn't a cursor of this list", "a cursor is given by a list; none that is made up is one"),
    ("ST202", "is no message of this conversation", "which messages there are the document can't know"),
    ("ST202", "is no question: only what the user wrote", "nor which of them the user wrote"),
    ("ST202", "idempotency_key_reused", "the document's examples are one name for many contents"),
    ("ST202", "precondition_failed", "If-Match is there to refuse another version"),
    ("ST202", "must be user: the last message is the question", "no schema says what the last item of an array is"),
    ("ST202", "NUL character or a lone surrogate", "a text of Unicode; JSON has escapes that are none"),
    ("ST202", "/parts/", "what a part of each type must hold, `Part` says in words"),
    (
        "ST202",
        "must have 1 to 200 items",
        "an answer comes back with all its parts; a question has fewer, as `parts` says in words",
    ),
    ("ST202", "/sources/", "what a source of each type must hold, `Source` says in words"),
    ("ST202", "must be within the range of a 64-bit integer", "JSON has numbers that no computer has"),
    ("ST202", "must be a time such as", "there are times before 1970, and nothing was stored then"),
    ("ST204", "API Gateway refused the request.", "TRACE is no method of a REST API, which refuses it in its own way"),
    ("ST108", "\"type\":", "OpenAPI 3.1 has no schema for the events of a stream; the body is told as a string"),
];

/// What schemathesis found.
struct Found {
    operation: String,
    code: String,
    message: String,
    /// The request as it was sent.
    request: Value,
    status: u64,
    /// The answer's body.
    answer: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = String::from_utf8_lossy(&bytes(&self.request["body"])).chars().take(500).collect();
        let answer: String = self.answer.chars().take(1000).collect();
        writeln!(f, "{} {}: {}", self.operation, self.code, self.message)?;
        writeln!(f, "  {} with {body}\n  {} {answer}", self.request["uri"], self.status)
    }
}

impl Found {
    fn is_listed(&self) -> bool {
        // A refused HEAD tells no reason; the same GET does, and is judged by it.
        (self.operation.starts_with("HEAD ") && self.code == "ST202")
            || LISTED.iter().any(|(code, word, _)| self.code == *code && self.answer.contains(word))
    }

    /// Whether the same request fails again. `cargo lambda` answers a 500 of its own now and then, without asking a function.
    async fn repeats(&self) -> bool {
        if self.status < 500 {
            return true;
        }
        let method = self.request["method"].as_str().and_then(|method| method.parse().ok()).expect("a method");
        let mut request = http_client().request(method, self.request["uri"].as_str().expect("a URI"));
        for (name, values) in self.request["headers"].as_object().into_iter().flatten() {
            for value in values.as_array().into_iter().flatten().filter_map(Value::as_str) {
                request = request.header(name, value);
            }
        }
        let answer = request.body(bytes(&self.request["body"])).send().await.expect("an answer");
        answer.status().is_server_error()
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value["$base64"].as_str().unwrap_or_default()).expect("base64")
}

fn found(report: &str) -> Vec<Found> {
    let mut all = Vec::new();
    for line in report.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        if let Some(error) = event.get("NonFatalError") {
            let (operation, message) = (error["label"].to_string(), error["value"].to_string());
            let (code, request, answer) = ("an error".to_owned(), Value::Null, String::new());
            all.push(Found { operation, code, message, request, status: 0, answer });
        }
        let recorder = &event["ScenarioFinished"]["recorder"];
        for (case, checks) in recorder["checks"].as_object().into_iter().flatten() {
            let exchange = &recorder["interactions"][case];
            for failure in checks.as_array().into_iter().flatten().map(|check| &check["failure_info"]["failure"]) {
                let Some(code) = failure["code"].as_str() else { continue };
                let member = |name: &str| failure[name].as_str().unwrap_or_default().to_owned();
                all.push(Found {
                    operation: member("operation"),
                    code: code.to_owned(),
                    message: member("message"),
                    request: exchange["request"].clone(),
                    status: exchange["response"]["status_code"].as_u64().unwrap_or_default(),
                    answer: String::from_utf8_lossy(&bytes(&exchange["response"]["content"])).into_owned(),
                });
            }
        }
    }
    all
}

#[tokio::test]
async fn every_operation_does_what_the_document_says() {
    let folder = std::env::temp_dir().join(format!("schemathesis-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let report = folder.join("report.ndjson");
    let run = Command::new(setup().python("schemathesis"))
        .args(["run", &format!("{}/v1/openapi.json", setup().api_url())])
        .args(["--header", &format!("Authorization: Bearer {}", token().await)])
        // Each boundary of each schema, and some chance beside it: the same each time, and bounded.
        .args(["--phases=coverage,fuzzing", "--max-examples=15", "--seed=1", "--no-shrink", "--continue-on-failure"])
        .args(["--workers=2", "--request-timeout=20", "--warnings=off", "--output-sanitize=false"])
        .arg(format!("--report-ndjson-path={}", report.display()))
        // Where it keeps what it found before.
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("schemathesis");
    let said = String::from_utf8_lossy(&run.stdout);
    let report = std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {said}"));
    std::fs::remove_dir_all(&folder).expect("removed");
    let mut unlisted = Vec::new();
    for found in found(&report).into_iter().filter(|it| !it.is_listed()) {
        if found.repeats().await {
            unlisted.push(found.to_string());
        }
    }
    assert!(unlisted.is_empty(), "{}", unlisted.join("\n"));
    assert!(said.contains("generated"), "{said}");
}

//! Secrets Manager as a function reaches it: moto's, behind a door that counts what is asked, and that can be shut.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{http_client, setup};

/// How the door stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Everything gets to moto.
    Open,
    /// What AWS answers a role that may not read the secret; moto lets everybody read.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html>
    Denied,
    /// An answer that is none, with a secret in it.
    Garbled,
    /// No answer at all.
    Silent,
}

/// Until it is dropped.
pub(super) struct Store {
    pub(super) url: String,
    state: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    door: watch::Sender<Door>,
    /// How often each secret was read.
    reads: Mutex<HashMap<String, usize>>,
    /// The `Authorization` of the last request.
    signature: Mutex<String>,
}

impl Store {
    pub(super) async fn open() -> Self {
        let state = Arc::new(Shared {
            door: watch::Sender::new(Door::Open),
            reads: Mutex::default(),
            signature: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("served") });
        Self { url, state, task }
    }

    /// The settings that lead a function's AWS SDK here.
    pub(super) fn settings(&self) -> [(&str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "canary-aws-key"),
            ("AWS_REGION", "eu-west-1"),
        ]
    }

    pub(super) fn turn(&self, door: Door) {
        self.state.door.send_replace(door);
    }

    /// How often the secret was asked for.
    pub(super) fn reads(&self, arn: &str) -> usize {
        self.state.reads.lock().expect("reads").get(arn).copied().unwrap_or_default()
    }

    /// How the last request was signed.
    pub(super) fn signature(&self) -> String {
        self.state.signature.lock().expect("a signature").clone()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    assert_eq!(header("x-amz-target"), "secretsmanager.GetSecretValue");
    let arn = asked["SecretId"].as_str().expect("an id").to_owned();
    *state.reads.lock().expect("reads").entry(arn).or_default() += 1;
    *state.signature.lock().expect("a signature") = header("authorization");
    let door = *state.door.borrow();
    match door {
        Door::Open => call("GetSecretValue", &asked).await,
        Door::Denied => {
            let message = "User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform: \
                secretsmanager:GetSecretValue on resource: s because no identity-based policy allows the action";
            let refusal = json!({"__type": "AccessDeniedException", "Message": message});
            (StatusCode::BAD_REQUEST, refusal.to_string())
        }
        Door::Garbled => (StatusCode::OK, "{\"SecretString\": \"canary-garbled".to_owned()),
        Door::Silent => {
            let _ = state.door.subscribe().wait_for(|door| *door != Door::Silent).await;
            (StatusCode::SERVICE_UNAVAILABLE, String::new())
        }
    }
}

/// Asks moto, which believes every signature and takes the region from it.
async fn call(action: &str, body: &Value) -> (StatusCode, String) {
    let request = http_client()
        .post(setup().text("awsUrl"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("secretsmanager.{action}"))
        .header("authorization", "AWS4-HMAC-SHA256 Credential=x/20260101/eu-central-1/secretsmanager/aws4_request")
        .body(body.to_string());
    let response = request.send().await.expect("moto");
    (response.status(), response.text().await.expect("a text"))
}

async fn change(action: &str, body: &Value) -> Value {
    let (status, answer) = call(action, body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_str(&answer).expect("JSON")
}

/// A new secret in Frankfurt; its ARN.
pub(super) async fn create(text: &str) -> String {
    let name = format!("colloquy/{}", uuid::Uuid::new_v4());
    let made = change("CreateSecret", &json!({"Name": name, "SecretString": text})).await;
    made["ARN"].as_str().expect("an ARN").to_owned()
}

/// Gives a secret another text, as a rotation does.
pub(super) async fn put(arn: &str, text: &str) {
    change("PutSecretValue", &json!({"SecretId": arn, "SecretString": text})).await;
}

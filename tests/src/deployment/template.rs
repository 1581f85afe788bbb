//! The template as `CloudFormation` gets it: transformed by AWS's own translator, then evaluated for a set of parameters.

mod breaking;
mod evaluate;
mod lint;
mod policy;
mod rules;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

pub(crate) use evaluate::Stack;

use crate::support::setup;

/// The template of the workspace.
pub(crate) const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");

/// What everyone has to say.
pub(crate) fn needed() -> Value {
    json!({
        "AuthUrl": "https://app.example.com/api/auth",
        "DatabaseHost": "ep-calm-1-pooler.eu-central-1.aws.neon.tech",
        "OwnerDatabaseUrl": "postgresql://owner:secret@ep-calm-1.eu-central-1.aws.neon.tech/neondb",
    })
}

/// Everything that can be switched on.
pub(crate) fn everything() -> Value {
    let mut parameters = needed();
    let more = json!({
        "CorsOrigins": "https://app.example.com",
        "AgentUrl": "https://api.openai.com/v1",
        "AgentApiKey": "sk-secret",
        "ChatConcurrency": "50",
        "DomainName": "chat.example.com",
        "CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1",
        "HostedZoneId": "Z123",
        "BasePath": "chat-api",
        "WafRateLimit": "2000",
        "DeploymentPreference": "Canary10Percent5Minutes",
        "Release": "1795600000",
        "Tracing": "on",
        "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms",
    });
    parameters.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    parameters
}

/// The template after SAM's transformation, which reads some of the parameters. Once for the same ones: it takes seconds.
pub(crate) fn transformed(parameters: &Value) -> Value {
    static TRANSFORMED: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());
    let mut transformed = TRANSFORMED.lock().unwrap_or_else(PoisonError::into_inner);
    transformed.entry(parameters.to_string()).or_insert_with(|| transform(parameters)).clone()
}

fn transform(parameters: &Value) -> Value {
    let output = Command::new(setup().python("python"))
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/src/deployment/transform.py"), TEMPLATE, &parameters.to_string()])
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .output()
        .expect("Python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A method of the API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    /// In capital letters; `ANY` for all that the path doesn't name.
    pub(crate) method: String,
    pub(crate) path: String,
    /// The end of the function's name, after the stack's.
    pub(crate) function: String,
    /// The alias that is called, if one is.
    pub(crate) alias: Option<String>,
    /// Whether the answer is streamed; nothing where the gateway and the function are told different things.
    pub(crate) streams: Option<bool>,
    /// How long API Gateway waits.
    pub(crate) timeout_millis: u64,
}

/// The API's methods.
pub(crate) fn routes(stack: &Stack) -> Vec<Route> {
    let mut routes = Vec::new();
    let object = |value: &Value| -> Map<String, Value> { value.as_object().cloned().unwrap_or_default() };
    for (path, item) in object(&stack.properties("Api")["Body"]["paths"]) {
        for (method, operation) in object(&item) {
            let integration = &operation["x-amazon-apigateway-integration"];
            let method =
                if method == "x-amazon-apigateway-any-method" { "ANY".to_owned() } else { method.to_uppercase() };
            let uri = integration["uri"].as_str().unwrap_or_default();
            let (arn, end) =
                uri.split_once("/functions/").and_then(|(_, rest)| rest.split_once('/')).unwrap_or_default();
            let (function, alias) = match arn.split(':').collect::<Vec<_>>()[..] {
                [_, _, "lambda", _, _, "function", name] => (name, None),
                [_, _, "lambda", _, _, "function", name, alias] => (name, Some(alias.to_owned())),
                _ => ("", None),
            };
            let function = function.strip_prefix(&format!("{}-", Stack::NAME)).unwrap_or_default().to_owned();
            let streams = match (end, integration["responseTransferMode"].as_str()) {
                ("response-streaming-invocations", Some("STREAM")) => Some(true),
                ("invocations", None) => Some(false),
                _ => None,
            };
            let timeout_millis = integration["timeoutInMillis"].as_u64().unwrap_or_default();
            routes.push(Route { method, path: path.clone(), function, alias, streams, timeout_millis });
        }
    }
    routes
}

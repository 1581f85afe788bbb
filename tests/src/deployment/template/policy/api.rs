//! What is reached through the API, how long it takes, and what the gateway itself answers.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::error::Code;
use shared::http::Method;

use super::super::{Route, Stack, routes};
use super::{functions_of, named_by};

/// The functions that answer without asking who asks, by name: health and the API document, and what no endpoint answers.
const PUBLIC: [&str; 3] = ["fallback", "health", "openapi"];

/// Nobody reaches a function but through the API, by the path of its endpoint, and the sweep by its schedule; and what
/// answers without a token is known by name.
pub(super) fn doors(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let endpoints = functions::endpoints();
    let routes = routes(stack);
    let mut reached = BTreeSet::new();
    for route @ Route { method, path, function, .. } in &routes {
        let endpoint = endpoints.iter().find(|endpoint| endpoint.name == function);
        let right = match endpoint {
            Some(endpoint) => endpoint.method.answers().contains(&method.as_str()) && endpoint.path == path,
            None => function == "fallback" && method == "ANY",
        };
        if !right {
            faults.push(format!("{method} {path} leads to {function:?}"));
        }
        if endpoint.is_none_or(|endpoint| endpoint.public) {
            reached.insert(function.as_str());
        }
        let gradual = stack.resources.contains_key("ServerlessDeploymentApplication");
        if (route.alias.as_deref() == Some("live")) != gradual || (route.alias.is_some() && !gradual) {
            faults.push(format!("{method} {path} calls the alias {:?}", route.alias));
        }
        if stack.properties("Api")["Body"]["paths"][path].to_string().contains("\"security\"") {
            faults.push(format!("{path} leaves the verifying to the gateway"));
        }
    }
    if reached != BTreeSet::from(PUBLIC) {
        faults.push(format!("without a token are reached {reached:?}"));
    }
    for (id, _) in stack.of_type("AWS::Lambda::Url") {
        faults.push(format!("{id} goes around the API"));
    }
    for (id, permission) in stack.of_type("AWS::Lambda::Permission") {
        let function = named_by(&permission["FunctionName"]);
        let function = function.strip_suffix("Aliaslive").unwrap_or(function);
        let binary = stack.resources.get(function).map(|it| it["Metadata"]["BuildProperties"]["Binary"].as_str());
        let binary = binary.flatten().unwrap_or_default();
        let api = "arn:aws:execute-api:eu-central-1:123456789012:<Api>/*".to_owned();
        let (principal, source) = match endpoints.iter().find(|endpoint| endpoint.name == binary) {
            Some(endpoint) => {
                let path = endpoint.path.replace("{id}", "*").replace("{messageId}", "*");
                // GET and HEAD; that no other method leads there is told above.
                let method = if endpoint.method == Method::Get { "*" } else { endpoint.method.as_str() };
                ("apigateway.amazonaws.com", format!("{api}/{method}{path}"))
            }
            None if binary == "fallback" => ("apigateway.amazonaws.com", api),
            None if binary == "sweep" => ("events.amazonaws.com", "<SweepRule.Arn>".to_owned()),
            None => ("nobody", String::new()),
        };
        if permission["Principal"] != principal || permission["SourceArn"] != source.as_str() {
            faults.push(format!(
                "{id} lets {} call {binary:?} from {}",
                permission["Principal"], permission["SourceArn"]
            ));
        }
    }
    faults
}

fn default_seconds(setting: &str) -> u64 {
    let setting = shared::config::settings().find(|known| known.name == setting).expect("a setting");
    setting.default.parse().expect("seconds")
}

/// A function has time for its own deadlines, and ends before its gateway gives up; the gateway's is the longest there is.
pub(super) fn timeouts(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    // Until a key set is given up.
    let keys = 5;
    let request = keys + default_seconds("DATABASE_REQUEST_SECONDS");
    let answer = request + default_seconds("AGENT_CONNECT_SECONDS") + default_seconds("AGENT_FIRST_BYTE_SECONDS");
    let routes = routes(stack);
    for (id, name, function) in functions_of(stack) {
        let seconds = function["Timeout"].as_u64().unwrap_or_default();
        let (least, most) = match name.as_str() {
            // Fourteen minutes, and what connecting takes.
            "migrate" => (14 * 60 + 15, 900),
            "sweep" => (request, 60),
            "reply-chat" => (answer, 899),
            "resume-chat" => (request, 899),
            _ => (request, 28),
        };
        if !(least..=most).contains(&seconds) {
            faults.push(format!("{id} has {seconds} s, and needs {least} to {most}"));
        }
        for route in routes.iter().filter(|route| route.function == name) {
            let longest = if route.streams == Some(true) { 900_000 } else { 29_000 };
            if seconds * 1000 >= route.timeout_millis || route.timeout_millis != longest {
                faults.push(format!("{id} has {seconds} s, its gateway {} ms", route.timeout_millis));
            }
        }
    }
    faults
}

/// What streams is streamed by the gateway, and nothing else.
pub(super) fn streams(stack: &Stack) -> Vec<String> {
    let endpoints = functions::endpoints();
    let streams = |route: &Route| endpoints.iter().any(|endpoint| endpoint.name == route.function && endpoint.streams);
    let wrong = routes(stack).into_iter().filter(|route| route.streams != Some(streams(route)));
    let told = |route: Route| match route.streams {
        Some(streams) => format!("{} {} is streamed: {streams}", route.method, route.path),
        None => format!("{} {} is neither streamed nor buffered", route.method, route.path),
    };
    wrong.map(told).collect()
}

/// A page of messages goes out compressed where the client asks for it; a stream can't be, by the gateway's own rule.
pub(super) fn compression(stack: &Stack) -> Vec<String> {
    match stack.properties("Api")["MinimumCompressionSize"].as_u64() {
        Some(256..=10_000) => Vec::new(),
        other => vec![format!("answers are compressed from {other:?} bytes on")],
    }
}

/// What the gateway itself answers is a problem document, and a page may read it.
pub(super) fn problems(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let answers = &stack.properties("Api")["Body"]["x-amazon-apigateway-gateway-responses"];
    for needed in ["DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "WAF_FILTERED"] {
        if answers[needed].is_null() {
            faults.push(format!("the gateway's own words for {needed}"));
        }
    }
    for (kind, answer) in answers.as_object().into_iter().flatten() {
        let header = |name: &str| answer["responseParameters"][format!("gatewayresponse.header.{name}")].as_str();
        if header("Content-Type") != Some("'application/problem+json'") {
            faults.push(format!("{kind} is no problem document"));
        }
        let templates = answer["responseTemplates"].as_object();
        for body in templates.into_iter().flat_map(|templates| templates.values()) {
            let problem: Value = body.as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
            let same = Code::ALL.into_iter().any(|code| {
                problem["code"] == code.as_str()
                    && problem["type"] == format!("urn:problem:colloquy:{}", code.as_str())
                    && problem["title"] == code.title()
                    && problem["status"] == code.status()
                    && answer["statusCode"].as_str().and_then(|status| status.parse().ok()) == Some(code.status())
            });
            if !same || problem["requestId"] != "$context.requestId" || problem["detail"].as_str().is_none() {
                faults.push(format!("{kind} has a problem document of its own kind"));
            }
        }
        if templates.is_none_or(serde_json::Map::is_empty) {
            faults.push(format!("{kind} says nothing"));
        }
        let origins = stack.parameter("CorsOrigins");
        // It compares no origin with a list or a pattern.
        let expected = match origins.contains([',', '*']) {
            _ if origins.is_empty() => None,
            false => Some(format!("'{origins}'")),
            true => Some("'*'".to_owned()),
        };
        if header("Access-Control-Allow-Origin") != expected.as_deref() {
            faults.push(format!("{kind} can be read by {:?}", header("Access-Control-Allow-Origin")));
        }
    }
    faults
}

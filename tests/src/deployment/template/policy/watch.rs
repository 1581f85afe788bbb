//! What is logged, and what is watched.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::Stack;
use super::secrets::reach;
use super::{functions_of, items, list, named_by};

/// What the access log may say of a request.
const LOGGED: [&str; 12] = [
    "error.responseType",
    "extendedRequestId",
    "httpMethod",
    "identity.sourceIp",
    "integrationLatency",
    "integrationStatus",
    "requestId",
    "requestTimeEpoch",
    "resourcePath",
    "responseLatency",
    "responseLength",
    "status",
];

/// Every function and the API write their own log, as JSON, which isn't kept forever; and no log has tokens or texts.
pub(super) fn logs(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let group = |id: &str| stack.resources.get(id).filter(|group| group["Type"] == "AWS::Logs::LogGroup");
    for (id, name, function) in functions_of(stack) {
        let config = &function["LoggingConfig"];
        let log = named_by(&config["LogGroup"]);
        let expected = format!("/aws/lambda/{}-{name}", Stack::NAME);
        if group(log).is_none_or(|group| group["Properties"]["LogGroupName"] != expected.as_str()) {
            faults.push(format!("{id} has no log of its own"));
        }
        if config["LogFormat"] != "JSON" {
            faults.push(format!("{id} logs no JSON"));
        }
        if !["INFO", "DEBUG", "TRACE"].contains(&config["ApplicationLogLevel"].as_str().unwrap_or_default()) {
            faults.push(format!("{id} would lose its metrics, which are logged as INFO"));
        }
        if reach(stack, function).1 != BTreeSet::from([format!("<{log}.Arn>")]) {
            faults.push(format!("{id} may write other logs than {log}"));
        }
    }
    for (id, group) in stack.of_type("AWS::Logs::LogGroup") {
        if list(&group["RetentionInDays"]).iter().all(|days| days.parse::<u32>().is_err()) {
            faults.push(format!("{id} is kept forever"));
        }
    }
    for (id, stage) in stack.of_type("AWS::ApiGateway::Stage") {
        let setting = &stage["AccessLogSetting"];
        if group(named_by(&setting["DestinationArn"])).is_none() {
            faults.push(format!("{id} has no access log"));
        }
        let format = setting["Format"].as_str().unwrap_or_default();
        if serde_json::from_str::<Value>(format).ok().is_none_or(|format| !format.is_object()) {
            faults.push(format!("{id} logs no JSON"));
        }
        let told = format.split("$context.").skip(1).filter_map(|rest| rest.split('"').next());
        for variable in told.filter(|variable| !LOGGED.contains(variable)) {
            faults.push(format!("{id} logs {variable}"));
        }
        for method in items(&stage["MethodSettings"]) {
            if method["LoggingLevel"] != "OFF" || method["DataTraceEnabled"] != false {
                faults.push(format!("{id} logs requests in full"));
            }
        }
    }
    faults
}

/// Whether somebody counts a metric: the functions' own, the filter of the access log, Lambda or API Gateway.
fn is_counted(stack: &Stack, namespace: &str, name: &str, dimensions: &BTreeMap<&str, &str>) -> bool {
    const FUNCTIONS: &str = include_str!("../../../../../shared/src/metrics.rs");
    match (namespace, name) {
        ("Colloquy", name) => {
            let filtered = stack.of_type("AWS::Logs::MetricFilter").any(|(_, filter)| {
                items(&filter["MetricTransformations"])
                    .any(|it| it["MetricName"] == name && it["MetricNamespace"] == namespace)
            });
            (filtered || FUNCTIONS.contains(&format!("(\"{name}\")")))
                && *dimensions == BTreeMap::from([("Stack", Stack::NAME)])
        }
        ("AWS/Lambda", "Errors" | "Throttles" | "Duration") => {
            let of = dimensions.get("FunctionName").filter(|_| dimensions.len() == 1);
            of.is_some_and(|of| functions_of(stack).iter().any(|(_, name, _)| format!("{}-{name}", Stack::NAME) == *of))
        }
        ("AWS/ApiGateway", "Count" | "5XXError") => {
            let stage =
                stack.of_type("AWS::ApiGateway::Stage").next().and_then(|(_, stage)| stage["StageName"].as_str());
            *dimensions == BTreeMap::from([("ApiName", Stack::NAME), ("Stage", stage.unwrap_or_default())])
                && stack.properties("Api")["Name"] == Stack::NAME
        }
        _ => false,
    }
}

/// Every alarm watches something that there is, is silent where nothing happens, and tells the topic.
pub(super) fn alarms(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let topic = Some(stack.parameter("AlarmTopicArn").to_owned()).filter(|topic| !topic.is_empty());
    let topic = Vec::from_iter(topic);
    let (mut watched, mut timed) = (BTreeSet::new(), BTreeSet::new());
    for (id, alarm) in stack.of_type("AWS::CloudWatch::Alarm") {
        if alarm["TreatMissingData"] != "notBreaching" {
            faults.push(format!("{id} goes off where nothing happens"));
        }
        if list(&alarm["AlarmActions"]) != topic || list(&alarm["OKActions"]) != topic {
            faults.push(format!("{id} doesn't tell the topic"));
        }
        let metrics = items(&alarm["Metrics"]).filter(|metric| metric["MetricStat"].is_object());
        let mut metrics: Vec<&Value> = metrics.map(|metric| &metric["MetricStat"]["Metric"]).collect();
        if alarm["MetricName"].is_string() {
            metrics.push(alarm);
        }
        // CloudWatch takes no more.
        if metrics.is_empty() || metrics.len() > 10 {
            faults.push(format!("{id} watches {} metrics", metrics.len()));
        }
        for metric in metrics {
            let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
            let (namespace, name) = (text(&metric["Namespace"]), text(&metric["MetricName"]));
            let dimensions: BTreeMap<_, _> = items(&metric["Dimensions"])
                .map(|it| (it["Name"].as_str().unwrap_or_default(), it["Value"].as_str().unwrap_or_default()))
                .collect();
            if !is_counted(stack, &namespace, &name, &dimensions) {
                faults.push(format!("{id} watches {name} of {dimensions:?}, which nobody counts"));
            }
            if name == "Duration" {
                timed.extend(dimensions.get("FunctionName").map(|name| (*name).to_owned()));
            }
            watched.insert(name);
        }
    }
    for needed in
        ["5XXError", "Throttles", "GatewayThrottles", "FailedRuns", "JwksFetchFailures", "DatabaseRefusals", "Errors"]
    {
        if !watched.contains(needed) {
            faults.push(format!("nobody watches {needed}"));
        }
    }
    // A stream takes as long as its answer.
    let endpoints = functions::endpoints();
    let buffered = endpoints.iter().filter(|endpoint| !endpoint.streams && !endpoint.public);
    let buffered: BTreeSet<String> = buffered.map(|endpoint| format!("{}-{}", Stack::NAME, endpoint.name)).collect();
    if timed != buffered {
        let differing: Vec<_> = timed.symmetric_difference(&buffered).collect();
        faults.push(format!("of these the time is watched and shouldn't be, or the other way round: {differing:?}"));
    }
    faults
}

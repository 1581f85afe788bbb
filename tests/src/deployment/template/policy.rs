//! The rules that the template is held to. Each has a name, and says what breaks it.

mod api;
mod secrets;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use self::api::{compression, doors, problems, streams, timeouts};
use self::secrets::{plain_secrets, secrets};
use self::watch::{alarms, logs};
use super::Stack;

/// The rules, in the order in which they are told.
pub(crate) const RULES: &[(&str, Rule)] = &[
    ("names", names),
    ("rights", rights),
    ("secrets", secrets),
    ("plain secrets", plain_secrets),
    ("doors", doors),
    ("logs", logs),
    ("timeouts", timeouts),
    ("streams", streams),
    ("compression", compression),
    ("problems", problems),
    ("alarms", alarms),
    ("leavings", leavings),
    ("settings", settings),
];

/// What breaks a rule in a stack, one text a fault.
pub(crate) type Rule = fn(&Stack) -> Vec<String>;

/// All that is wrong with a stack: the rule's name, and what breaks it.
pub(crate) fn faults(stack: &Stack) -> Vec<(&'static str, String)> {
    let told =
        |(name, rule): &(&'static str, Rule)| rule(stack).into_iter().map(|fault| (*name, fault)).collect::<Vec<_>>();
    RULES.iter().flat_map(told).collect()
}

/// Statements and policies that name no resource, by the resource that holds them: each for a reason.
pub(crate) const WIDE: &[(&str, &str, &str)] = &[
    ("TracePolicy", "*", "X-Ray's segments belong to no resource that a policy could name"),
    (
        "ApiLogAccountRole",
        "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
        "API Gateway checks the account's role for this policy's rights, which are for all logs",
    ),
    (
        "CodeDeployServiceRole",
        "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda",
        "SAM makes this role, for CodeDeploy alone, where a deployment is gradual",
    ),
];

fn list(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Null => Vec::new(),
        one => vec![text(one)],
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The functions: logical id, name after the stack's, properties.
fn functions_of(stack: &Stack) -> Vec<(&str, String, &Value)> {
    let name = |function: &Value| {
        let name = function["FunctionName"].as_str().unwrap_or_default();
        name.strip_prefix(&format!("{}-", Stack::NAME)).unwrap_or_default().to_owned()
    };
    stack.of_type("AWS::Lambda::Function").map(|(id, function)| (id, name(function), function)).collect()
}

/// A resource that a reference such as `<X>` or `<X.Arn>` names.
fn named_by(reference: &Value) -> &str {
    let text = reference.as_str().unwrap_or_default();
    text.strip_prefix('<').and_then(|rest| rest.split(['>', '.']).next()).unwrap_or_default()
}

/// A function's name is its stack's and its binary's.
fn names(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, name, _) in functions_of(stack) {
        if stack.resources[id]["Metadata"]["BuildProperties"]["Binary"] != name.as_str() {
            faults.push(format!("{id} is named {name}"));
        }
    }
    faults
}

/// The statements of a role or policy.
fn statements(properties: &Value) -> Vec<&Value> {
    let own = items(&properties["Policies"]).map(|policy| &policy["PolicyDocument"]);
    own.chain([&properties["PolicyDocument"]]).flat_map(|document| items(&document["Statement"])).collect()
}

/// Every right names its actions and its resources; every role is one function's; and only API Gateway and the schedule may
/// call a function.
fn rights(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let excused = |id: &str, what: &str| WIDE.iter().any(|(holder, wide, _)| *holder == id && *wide == what);
    for kind in ["AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy"] {
        for (id, properties) in stack.of_type(kind) {
            for statement in statements(properties) {
                for member in statement.as_object().into_iter().flat_map(|members| members.keys()) {
                    if !["Effect", "Action", "Resource"].contains(&member.as_str()) {
                        faults.push(format!("{id} has a statement with {member}"));
                    }
                }
                let named = list(&statement["Action"]).into_iter().chain(list(&statement["Resource"]));
                for wide in named.filter(|name| name.contains('*') && !excused(id, name)) {
                    faults.push(format!("{id} has rights on {wide}"));
                }
            }
            for policy in list(&properties["ManagedPolicyArns"]) {
                if !policy.starts_with('<') && !excused(id, &policy) {
                    faults.push(format!("{id} has AWS's policy {policy}"));
                }
            }
        }
    }
    let mut owners = BTreeMap::<_, Vec<_>>::new();
    for (id, _, function) in functions_of(stack) {
        owners.entry(named_by(&function["Role"])).or_default().push(id);
    }
    for (role, functions) in owners {
        if functions.len() > 1 || role.is_empty() || stack.properties(role).is_null() {
            faults.push(format!("{functions:?} have the role {role:?}"));
        }
        let trusted = &stack.properties(role)["AssumeRolePolicyDocument"]["Statement"];
        if items(trusted).any(|statement| statement["Principal"] != json!({"Service": "lambda.amazonaws.com"})) {
            faults.push(format!("{role} is not Lambda's alone"));
        }
    }
    faults
}

/// What becomes of logs and secrets when the stack goes is said, not left to a default.
fn leavings(stack: &Stack) -> Vec<String> {
    let kinds = ["AWS::Logs::LogGroup", "AWS::SecretsManager::Secret", "AWS::ApiGateway::Account"];
    let policies = ["DeletionPolicy", "UpdateReplacePolicy"];
    let left = stack.resources.iter().filter(|(_, it)| kinds.contains(&it["Type"].as_str().unwrap_or_default()));
    let unsaid = left.filter(|(_, it)| policies.iter().any(|policy| it[*policy].is_null()));
    unsaid.map(|(id, _)| format!("{id} is left to a default")).collect()
}

/// Every variable is a setting, or tells whose metrics these are; and nothing in it is more than Lambda takes.
fn settings(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let known: BTreeSet<&str> = shared::config::settings().map(|setting| setting.name).collect();
    for (id, _, function) in functions_of(stack) {
        let variables = function["Environment"]["Variables"].as_object().expect("variables");
        for unknown in variables.keys().filter(|name| !known.contains(name.as_str())) {
            faults.push(format!("{id} has the setting {unknown}"));
        }
        if variables["METRICS_STACK"] != Stack::NAME {
            faults.push(format!("{id} counts for {}", variables["METRICS_STACK"]));
        }
    }
    faults
}

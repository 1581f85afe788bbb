//! Who may read which secret, and that no secret stands elsewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::Stack;
use super::{functions_of, items, list, named_by, statements};

/// The secrets that a function's role may read, and the log that it may write.
pub(super) fn reach(stack: &Stack, function: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let role = stack.properties(named_by(&function["Role"]));
    let policies = items(&role["ManagedPolicyArns"]).map(|policy| stack.properties(named_by(policy)));
    let (mut secrets, mut logs) = (BTreeSet::new(), BTreeSet::new());
    for statement in policies.chain([role]).flat_map(statements) {
        for action in list(&statement["Action"]) {
            match action.split_once(':') {
                Some(("secretsmanager", _)) => secrets.extend(list(&statement["Resource"])),
                Some(("logs", _)) => logs.extend(list(&statement["Resource"])),
                _ => {}
            }
        }
    }
    (secrets, logs)
}

/// Whether a function needs the database.
fn needs_database(name: &str) -> bool {
    let endpoints = functions::endpoints();
    let needed = endpoints.iter().find(|endpoint| endpoint.name == name).map(|endpoint| endpoint.needs_database);
    needed.unwrap_or(["migrate", "sweep"].contains(&name))
}

/// Only migrate reads the owner's secret, only reply-chat the agent's key, only who needs the database the application's.
pub(super) fn secrets(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    // Made by the stack, or brought along.
    let kept = |secret: &str| {
        let made = stack.resources.contains_key(secret).then(|| format!("<{secret}>"));
        made.unwrap_or_else(|| stack.parameter(&format!("{secret}Arn")).to_owned())
    };
    for (id, name, function) in functions_of(stack) {
        let mut expected = BTreeSet::new();
        if needs_database(&name) {
            expected.insert(kept("AppDatabaseSecret"));
        }
        if name == "migrate" {
            expected.insert(kept("OwnerDatabaseSecret"));
        }
        if name == "reply-chat" {
            expected.insert(kept("AgentApiKeySecret"));
        }
        expected.remove("");
        let (secrets, _) = reach(stack, function);
        if secrets != expected {
            faults.push(format!("{id} may read {secrets:?}, and needs {expected:?}"));
        }
        // Whoever is told where a secret is may read it, but for the application's, which every function's settings name.
        for (setting, value) in function["Environment"]["Variables"].as_object().into_iter().flatten() {
            let is_secret = setting.ends_with("_SECRET_ARN") && value != "" && setting != "DATABASE_SECRET_ARN";
            if is_secret && !secrets.contains(value.as_str().unwrap_or_default()) {
                faults.push(format!("{id} is told of {setting} and may not read it"));
            }
        }
    }
    faults
}

/// No secret stands in a function's settings, an output or anywhere else but in a secret.
pub(super) fn plain_secrets(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let parameters = stack.template["Parameters"].as_object().expect("parameters");
    let hidden: Vec<&String> = parameters.iter().filter(|(_, it)| it["NoEcho"] == true).map(|(name, _)| name).collect();
    for section in ["Resources", "Outputs"] {
        for (id, member) in stack.template[section].as_object().into_iter().flatten() {
            let mut told = member.clone();
            if member["Type"] == "AWS::SecretsManager::Secret" {
                told["Properties"]["SecretString"] = Value::Null;
            }
            let told = told.to_string();
            for name in &hidden {
                if told.contains(&format!("\"{name}\"")) || told.contains(&format!("${{{name}}}")) {
                    faults.push(format!("{id} tells {name}"));
                }
            }
            if told.contains("{{resolve:") {
                faults.push(format!("{id} resolves a secret while it is deployed"));
            }
        }
    }
    for (id, _, function) in functions_of(stack) {
        for setting in function["Environment"]["Variables"].as_object().into_iter().flat_map(|it| it.keys()) {
            let plain = ["DATABASE_URL", "MIGRATE_DATABASE_URL", "APP_DATABASE_PASSWORD", "AGENT_API_KEY"];
            if plain.contains(&setting.as_str()) {
                faults.push(format!("{id} has {setting} in plain"));
            }
        }
    }
    for name in ["OwnerDatabaseUrl", "AgentApiKey"] {
        if parameters[name]["NoEcho"] != true {
            faults.push(format!("{name} is echoed"));
        }
    }
    let generated = &stack.properties("AppDatabaseSecret")["GenerateSecretString"];
    let made = stack.resources.contains_key("AppDatabaseSecret");
    let short = generated["PasswordLength"].as_u64().is_none_or(|length| length < 40);
    if made && (short || generated["ExcludePunctuation"] != true) {
        faults.push("AppDatabaseSecret's password is too short, or needs escaping in a URL".to_owned());
    }
    faults
}

//! What AWS's own tools say of the template.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{Stack, TEMPLATE, everything, needed, transformed};
use crate::support::setup;

fn passed(output: &Output) {
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{said}");
}

#[test]
fn sam_finds_the_template_valid() {
    let sam = Command::new(setup().python("sam"))
        .args(["validate", "--lint", "--template-file", TEMPLATE])
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("SAM_CLI_TELEMETRY", "0")
        .output();
    passed(&sam.expect("sam"));
}

#[test]
fn cloudformations_linter_finds_nothing_in_what_sam_makes_of_it() {
    let folder = std::env::temp_dir();
    for (name, parameters) in [("needed", needed()), ("everything", everything())] {
        let file = folder.join(format!("colloquy-template-{name}-{}.json", std::process::id()));
        std::fs::write(&file, transformed(&parameters).to_string()).expect("a file");
        let linter = Command::new(setup().python("cfn-lint"))
            .args(["--include-checks", "I", "--regions", "eu-central-1", "us-east-1", "--template"])
            .arg(&file)
            .output();
        let removed = std::fs::remove_file(&file);
        passed(&linter.expect("cfn-lint"));
        removed.expect("the file");
    }
}

/// The needed parameters, and these, of which null takes one away.
fn needed_and(more: &Value) -> Value {
    let mut parameters = needed();
    for (name, value) in more.as_object().expect("an object") {
        parameters[name] = if value.is_null() { "".into() } else { value.clone() };
    }
    parameters
}

#[test]
fn parameters_that_contradict_each_other_are_refused_before_anything_is_made() {
    let template = transformed(&needed());
    let refusals = |more: Value| Stack::new(template.clone(), &needed_and(&more)).refusals();
    let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mine-AbCdEf";
    assert_eq!(refusals(json!({})), [""; 0]);
    assert_eq!(refusals(json!({"OwnerDatabaseUrl": null})).len(), 1);
    assert_eq!(refusals(json!({"OwnerDatabaseUrl": null, "OwnerDatabaseSecretArn": arn})), [""; 0]);
    assert_eq!(refusals(json!({"DatabaseHost": null})).len(), 1);
    assert_eq!(refusals(json!({"DatabaseHost": null, "AppDatabaseSecretArn": arn})), [""; 0]);
    assert_eq!(refusals(json!({"DeploymentPreference": "AllAtOnce"})).len(), 1);
    assert_eq!(refusals(json!({"DomainName": "chat.example.com"})).len(), 1);
    assert_eq!(refusals(json!({"BasePath": "chat-api"})).len(), 1);
    assert_eq!(Stack::new(template.clone(), &everything()).refusals(), [""; 0]);
}

//! The template keeps the rules, and each rule is one: what breaks it is told.

use serde_json::{Value, json};

use super::policy::{WIDE, faults};
use super::{Stack, everything, needed, transformed};

/// The stack of the parameters, and those that it is made of.
fn stack(parameters: &Value) -> Stack {
    Stack::new(transformed(parameters), parameters)
}

#[track_caller]
fn keeps_all(stack: &Stack) {
    let faults = faults(stack);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_stack_of_what_is_needed_keeps_the_rules() {
    keeps_all(&stack(&needed()));
}

#[test]
fn a_stack_of_everything_keeps_the_rules_and_has_no_right_that_it_does_not_use() {
    let stack = stack(&everything());
    keeps_all(&stack);
    for (holder, wide, _) in WIDE {
        assert!(stack.properties(holder).to_string().contains(wide), "{holder} doesn't need {wide}");
    }
}

#[test]
fn a_stack_with_secrets_of_its_own_keeps_the_rules() {
    let mut parameters = everything();
    for secret in ["AppDatabase", "OwnerDatabase", "AgentApiKey"] {
        let name =
            if secret == "AgentApiKey" { "AgentApiKeySecretArn".to_owned() } else { format!("{secret}SecretArn") };
        parameters[name] = format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{secret}").into();
    }
    parameters["CorsOrigins"] = "https://app.example.com, https://www.example.com".into();
    let stack = stack(&parameters);
    keeps_all(&stack);
    assert_eq!(stack.of_type("AWS::SecretsManager::Secret").count(), 0);
}

/// What the parameters switch on, by type.
const OPTIONAL: [&str; 7] = [
    "AWS::ApiGateway::BasePathMapping",
    "AWS::ApiGateway::DomainName",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Route53::RecordSet",
    "AWS::WAFv2::WebACL",
    "AWS::WAFv2::WebACLAssociation",
];

#[test]
fn what_costs_or_binds_is_off_until_a_parameter_asks_for_it() {
    let (bare, full) = (stack(&needed()), stack(&everything()));
    for kind in OPTIONAL {
        assert_eq!(bare.of_type(kind).count(), 0, "{kind}");
        assert!(full.of_type(kind).count() > 0, "{kind}");
    }
    for (stack, on) in [(&bare, false), (&full, true)] {
        for (id, function) in stack.of_type("AWS::Lambda::Function") {
            assert_eq!(function["TracingConfig"]["Mode"] == "Active", on, "{id}");
            assert_eq!(function["Architectures"], json!(["arm64"]), "{id}");
            let set_aside = &function["ReservedConcurrentExecutions"];
            assert_eq!(set_aside == "50", on && id == "ReplyChat", "{id}: {set_aside}");
            assert_eq!(function["Environment"]["Variables"]["BASE_PATH"], if on { "/chat-api" } else { "" }, "{id}");
        }
        let (_, stage) = stack.of_type("AWS::ApiGateway::Stage").next().expect("a stage");
        assert_eq!(stage["TracingEnabled"], on);
        let rollback = stack.of_type("AWS::CodeDeploy::DeploymentGroup").all(|(_, group)| {
            group["AutoRollbackConfiguration"]["Enabled"] == true
                && group["AlarmConfiguration"]["Alarms"].as_array().is_some_and(|alarms| alarms.len() == 3)
        });
        assert!(rollback);
    }
    // Those that nobody calls through the API have no traffic to be moved.
    assert_eq!(full.of_type("AWS::CodeDeploy::DeploymentGroup").count(), functions::endpoints().len() + 1);
    assert_eq!(bare.outputs["Url"]["Value"], "https://<Api>.execute-api.eu-central-1.amazonaws.com/<ApiprodStage>");
    assert_eq!(full.outputs["Url"]["Value"], "https://chat.example.com/chat-api");
    assert_eq!(full.properties("Domain")["RegionalCertificateArn"], full.parameter("CertificateArn"));
    let names = full.outputs["FunctionNames"]["Value"].as_str().expect("names").split(',').count();
    assert_eq!(names, full.of_type("AWS::Lambda::Function").count());
}

#[test]
fn x86_64_is_a_parameter() {
    let mut parameters = needed();
    parameters["Architecture"] = "x86_64".into();
    let stack = stack(&parameters);
    assert!(stack.of_type("AWS::Lambda::Function").all(|(_, function)| function["Architectures"] == json!(["x86_64"])));
}

#[test]
fn a_new_release_is_a_new_version() {
    let version = |release: &str| {
        let mut parameters = everything();
        parameters["Release"] = release.into();
        let stack = stack(&parameters);
        let alias = stack.properties("HealthAliaslive")["FunctionVersion"].as_str().expect("a version").to_owned();
        let description = stack.properties("Health")["Description"].clone();
        (alias, description)
    };
    let (old, new) = (version("1795600000"), version("1795600001"));
    // The alias moves to another version, and Lambda publishes it: it wouldn't if the function were the same.
    assert_ne!(old.0, new.0);
    assert_ne!(old.1, new.1);
}

#[test]
fn every_parameter_is_described_grouped_and_within_the_limits() {
    let stack = stack(&everything());
    let template = &stack.template;
    let parameters = template["Parameters"].as_object().expect("parameters");
    let groups = &template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let grouped =
        groups.as_array().into_iter().flatten().flat_map(|group| group["Parameters"].as_array().expect("a list"));
    let mut grouped: Vec<&str> = grouped.map(|name| name.as_str().expect("a name")).collect();
    grouped.sort_unstable();
    let mut named: Vec<&str> = parameters.keys().map(String::as_str).collect();
    named.sort_unstable();
    assert_eq!(grouped, named);
    let used = ["Conditions", "Resources", "Outputs"].map(|section| template[section].to_string()).concat();
    for (name, parameter) in parameters {
        assert!(parameter["Description"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        // SAM takes the alias's and the versions' out; they are in the tests above.
        let read = used.contains(&format!("\"Ref\":\"{name}\"")) || used.contains(&format!("${{{name}}}"));
        assert!(read || name == "Release", "{name} isn't used");
        assert_eq!(parameter["AllowedPattern"].is_string(), parameter["ConstraintDescription"].is_string(), "{name}");
    }
    assert!(named.len() <= 200);
    assert!(stack.resources.len() <= 500);
    assert!(template.to_string().len() <= 1_000_000);
}

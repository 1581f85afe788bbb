//! `cargo xtask deploy` and the `cargo lambda deploy` below it, against moto.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{http_client, setup};

const ARM64: u8 = 0xb7;
const X86_64: u8 = 0x3e;

/// Every function that there is.
fn names() -> Vec<&'static str> {
    let endpoints = functions::endpoints();
    endpoints.iter().map(|endpoint| endpoint.name).chain(["fallback", "migrate", "sweep"]).collect()
}

/// The head of a program for a machine, and a mark that tells one build from another: all that is looked at here. A real
/// program has megabytes, of which the suite of sizes says more.
fn program(machine: u8, mark: &str) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (head[16], head[18], head[20], head[52]) = (2, machine, 1, 64);
    [head.as_slice(), mark.as_bytes()].concat()
}

/// A stack of a test's own: a name, and a folder of binaries.
struct Stack {
    name: String,
    folder: PathBuf,
}

impl Stack {
    /// A stack as SAM leaves it, with no functions yet.
    async fn new() -> Self {
        Self::deployed("none").await
    }

    /// The same with this `DeploymentPreference`.
    async fn deployed(preference: &str) -> Self {
        let stack = Self::named();
        let template = json!({
            "Parameters": {"DeploymentPreference": {"Type": "String", "Default": preference}},
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        });
        ask(
            "cloudformation",
            &format!("Action=CreateStack&Version=2010-05-15&StackName={}", stack.name),
            "TemplateBody",
            &template,
        )
        .await;
        stack
    }

    fn named() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("stack-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self { folder: std::env::temp_dir().join(format!("colloquy-{name}")), name }
    }

    fn put(&self, name: &str, program: &[u8]) {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("bootstrap"), program).expect("a file");
    }

    fn function(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// What a function is, without what a deployment changes.
    async fn configuration(&self, name: &str) -> (Value, String) {
        let mut configuration =
            aws("GET", &format!("2015-03-31/functions/{}/configuration", self.function(name))).await;
        let code = configuration["CodeSha256"].as_str().unwrap_or_default().to_owned();
        for changing in ["CodeSha256", "CodeSize", "LastModified", "RevisionId", "Version"] {
            configuration.as_object_mut().expect("an object").remove(changing);
        }
        (configuration, code)
    }

    /// Makes a function as SAM would: with a role, limits and variables of its own.
    async fn make(&self, name: &str) {
        let mut command = local(&setup().python("cargo-lambda"));
        command.args(["lambda", "deploy", "--memory=384", "--timeout=31", "--env-var=DATABASE_URL=kept,AUTH_URL=kept"]);
        command.arg(format!("--role={}", role().await)).arg(format!("--lambda-dir={}", self.folder.display()));
        command.arg(format!("--binary-name={name}")).arg(self.function(name));
        let output = command.output().await.expect("cargo-lambda");
        assert!(output.status.success(), "{}", said(&output));
    }

    /// The command, for these functions or for all.
    async fn deploy(&self, functions: &[&str]) -> Output {
        let mut command = local(&setup().bin_dir.join("xtask"));
        command.args(["deploy", &self.name]).args(functions).arg(format!("--lambda-dir={}", self.folder.display()));
        command.output().await.expect("the command")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A program that takes moto for AWS.
fn local(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("AWS_ENDPOINT_URL", setup().text("awsUrl")).env("AWS_REGION", "eu-central-1");
    command.env("AWS_ACCESS_KEY_ID", "anybody").env("AWS_SECRET_ACCESS_KEY", "anything").env_remove("AWS_PROFILE");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).kill_on_drop(true);
    command
}

fn said(output: &Output) -> String {
    [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat()
}

/// A request of Lambda's API. moto believes every signature, and reads from it which service is meant.
async fn aws(method: &str, path: &str) -> Value {
    let method = method.parse().expect("a method");
    let request = http_client().request(method, format!("{}/{path}", setup().text("awsUrl")));
    let answer = request.header("authorization", signature("lambda")).send().await.expect("moto");
    answer.json().await.expect("JSON")
}

fn signature(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=anybody/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// A role that Lambda may take.
async fn role() -> &'static str {
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    // Where it is there already, moto says so.
    ask("iam", "Action=CreateRole&Version=2010-05-08&RoleName=functions", "AssumeRolePolicyDocument", &policy).await;
    "arn:aws:iam::123456789012:role/functions"
}

/// A form of one of AWS's older APIs, whose last member is a document.
async fn ask(service: &str, form: &str, name: &str, document: &Value) {
    let document = document.to_string().replace('{', "%7B").replace('}', "%7D");
    let request = http_client().post(setup().text("awsUrl")).header("authorization", signature(service));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(format!("{form}&{name}={document}")).send().await.expect("moto");
}

#[tokio::test]
async fn every_function_is_made_updated_and_keeps_its_configuration() {
    let stack = Stack::new().await;
    let mut before = Vec::new();
    for name in names() {
        stack.put(name, &program(ARM64, "one"));
        stack.make(name).await;
        let (configuration, code) = stack.configuration(name).await;
        assert_eq!(configuration["Environment"]["Variables"], json!({"DATABASE_URL": "kept", "AUTH_URL": "kept"}));
        assert_eq!((&configuration["MemorySize"], &configuration["Timeout"]), (&json!(384), &json!(31)));
        assert_eq!(
            (&configuration["Runtime"], &configuration["Handler"]),
            (&json!("provided.al2023"), &json!("bootstrap"))
        );
        assert_eq!(configuration["Architectures"], json!(["arm64"]));
        before.push((configuration, code));
        stack.put(name, &program(ARM64, "two"));
    }
    let output = stack.deploy(&[]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(&format!("{} functions updated", names().len())), "{}", said(&output));
    let mut after = Vec::new();
    for (name, (configuration, code)) in names().into_iter().zip(&before) {
        let (now, new_code) = stack.configuration(name).await;
        assert_eq!(now, *configuration, "{name}");
        assert_ne!(new_code, *code, "{name}");
        after.push(new_code);
    }

    // One alone leaves the others as they are.
    stack.put("me", &program(ARM64, "three"));
    stack.put("health", &program(ARM64, "three"));
    assert!(stack.deploy(&["me"]).await.status.success());
    for (name, code) in names().into_iter().zip(&after) {
        assert_eq!(stack.configuration(name).await.1 != *code, name == "me", "{name}");
    }
}

#[tokio::test]
async fn a_function_that_is_not_there_is_not_made() {
    let stack = Stack::new().await;
    for name in ["me", "health"] {
        stack.put(name, &program(ARM64, "one"));
    }
    stack.make("me").await;
    let (_, code) = stack.configuration("me").await;
    stack.put("me", &program(ARM64, "two"));
    let output = stack.deploy(&["me", "health"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("has no function health") && said(&output).contains("sam deploy"),
        "{}",
        said(&output)
    );
    assert_eq!(stack.configuration("me").await.1, code, "all or nothing");
    let functions = aws("GET", "2015-03-31/functions/").await;
    assert!(!functions.to_string().contains(&stack.function("health")), "{functions}");
}

#[tokio::test]
async fn what_would_not_run_is_refused() {
    let stack = Stack::new().await;
    stack.put("me", &program(ARM64, "one"));
    stack.make("me").await;
    let refused = async |words: &[&str]| {
        let output = stack.deploy(&["me"]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(words.iter().all(|word| said(&output).contains(word)), "{words:?}: {}", said(&output));
        stack.configuration("me").await
    };
    let before = stack.configuration("me").await;
    stack.put("me", &program(X86_64, "two"));
    assert_eq!(refused(&["is x86_64, and its function runs on arm64"]).await, before);
    stack.put("me", b"#!/bin/sh\nexec me");
    assert_eq!(refused(&["is no program for Lambda"]).await, before);
    std::fs::remove_dir_all(stack.folder.join("me")).expect("removed");
    assert_eq!(refused(&["there is no", "bootstrap"]).await, before);
}

#[tokio::test]
async fn a_stack_whose_api_calls_an_alias_is_left_to_sam() {
    let stack = Stack::deployed("Canary10Percent5Minutes").await;
    stack.put("me", &program(ARM64, "one"));
    stack.make("me").await;
    let before = stack.configuration("me").await;
    stack.put("me", &program(ARM64, "two"));
    let output = stack.deploy(&["me"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("DeploymentPreference is Canary10Percent5Minutes"), "{}", said(&output));
    assert_eq!(stack.configuration("me").await, before);
    let output = Stack::named().deploy(&["me"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("there is no stack"), "{}", said(&output));
}

#[tokio::test]
async fn what_failed_is_named_and_the_rest_is_done() {
    let stack = Stack::new().await;
    for name in ["health", "me"] {
        stack.put(name, &program(ARM64, "one"));
        stack.make(name).await;
        stack.put(name, &program(ARM64, "two"));
    }
    let (health, me) = (stack.configuration("health").await, stack.configuration("me").await);
    // Enough for a look at its head, too little for a program.
    stack.put("health", &program(ARM64, "")[..30]);
    let output = stack.deploy(&["me", "health"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(said.contains(&format!("{} keeps its old code", stack.function("health"))), "{said}");
    assert!(said.contains(&format!("again: cargo xtask deploy {} health", stack.name)), "{said}");
    assert_eq!(stack.configuration("health").await, health);
    assert_ne!(stack.configuration("me").await.1, me.1);
}

#[tokio::test]
async fn an_aws_that_cannot_be_asked_is_told_with_what_to_set() {
    let mut command = local(&setup().bin_dir.join("xtask"));
    command.args(["deploy", "stack", "me"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let output = command.output().await.expect("the command");
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(said.contains("AWS_PROFILE") && said.contains("EndpointConnectionError"), "{said}");
    let mut command = local(&setup().bin_dir.join("xtask"));
    let output = command.args(["deploy", "stack", "you"]).output().await.expect("the command");
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no function you"));
}

/// `cargo lambda deploy` makes what Cargo's metadata says of variables the function's whole environment: its settings
/// would be gone with the first deployment.
#[test]
fn cargos_metadata_says_nothing_of_deployments() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(&root)
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    for of in packages.chain([&metadata]) {
        let lambda = of["metadata"]["lambda"].as_object().cloned().unwrap_or_default();
        // Routes alone: no `env`, no `deploy`, nothing for a single binary.
        assert!(lambda.keys().all(|key| key == "watch"), "{}: {lambda:?}", of["name"]);
        assert!(
            lambda.get("watch").is_none_or(|watch| watch.as_object().expect("a table").keys().all(|it| it == "router"))
        );
    }
    assert!(!root.join("CargoLambda.toml").exists());
}

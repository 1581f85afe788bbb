//! `cargo xtask sam-build`: `sam build`, and then a look at what came out.
//!
//! SAM builds one function after the other, each by a `cargo lambda build` of its own. They share Cargo's target folder, so
//! what a function depends on is built once, but each is linked with fat LTO: about a minute of one core, some twenty
//! minutes for all. So one build before a deployment, and `cargo xtask deploy` for what changes afterwards. Never with
//! `--cached`: SAM looks for changes in `CodeUri` alone, and doesn't know what Cargo knows.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use shared::config::environment;

use crate::functions::{Architecture, all};
use crate::program::Program;
use crate::progress::{say, warn};
use crate::{tools, workspace};

/// The most bytes of a function's zip: each is fetched and unpacked at a cold start.
const ZIP_BYTES: u64 = 4_500_000;
/// The glibc of provided.al2023 is 2.34.
const GLIBC_MINOR: u64 = 34;
/// For all zips to be made.
const MEASURE: Duration = Duration::from_mins(10);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these functions, such as list-messages, into .colloquy/sam/build; all without a name, into .aws-sam/build,
    /// where `sam deploy` looks for them
    functions: Vec<String>,
    /// What they run on
    #[arg(long, value_enum, default_value_t = Architecture::Arm64)]
    pub(crate) architecture: Architecture,
}

pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let built = build(&options.functions, options.architecture).await?;
    Ok(if built.check(options.architecture) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What came out of a build.
#[derive(Debug)]
pub(crate) struct Built {
    /// What `measure.py` says of each.
    pub(crate) measured: Value,
}

/// Builds these functions, or all.
pub(crate) async fn build(functions: &[String], architecture: Architecture) -> Result<Built> {
    let known = all();
    if let Some(unknown) = functions.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no function {unknown}; there are {}", known.join(", "));
    }
    let wanted = |name: &str| functions.is_empty() || functions.iter().any(|it| it == name);
    let folder = if functions.is_empty() {
        workspace::root().join(".aws-sam/build")
    } else {
        // A part of the functions is nothing to deploy, so not where `sam deploy` looks.
        workspace::state().join("sam/build")
    };
    let programs = tools::install_from_pypi().await?;
    let others = known.iter().filter(|name| !wanted(name)).flat_map(|name| ["--exclude".to_owned(), logical_id(name)]);
    let mut sam = programs
        .on_path(Program::new("sam build", vec![programs.path("sam")]))
        .args(["build".to_owned(), format!("--build-dir={}", folder.display())])
        .arg(format!("--parameter-overrides=Architecture={}", architecture.name()))
        .args(others)
        .env("SAM_CLI_TELEMETRY", "0")
        .folder(workspace::root());
    if environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION")).is_none() {
        // None is asked for anything.
        sam = sam.env("AWS_DEFAULT_REGION", "eu-central-1");
    }
    say(&format!("building for {}", architecture.name()));
    if !sam.run().await?.success() {
        bail!("`sam build` failed: its words are above");
    }
    let program = |name: &&&str| format!("{name}={}", folder.join(logical_id(name)).join("bootstrap").display());
    let said = Program::new("measuring", vec![programs.path("python"), "-c".to_owned()])
        .arg(include_str!("sam_build/measure.py"))
        .args(known.iter().filter(|name| wanted(name)).map(|name| program(&name)))
        .run_quietly(MEASURE)
        .await?;
    Ok(Built { measured: serde_json::from_str(&said).context("what was built can't be measured")? })
}

impl Built {
    /// Whether all can be deployed; says what each is.
    pub(crate) fn check(&self, architecture: Architecture) -> bool {
        let mut good = true;
        for (name, it) in self.measured.as_object().into_iter().flatten() {
            let megabytes = |member: &str| it[member].as_f64().unwrap_or_default() / 1e6;
            say(&format!("{name}: {:.2} MB, its zip {:.2} MB", megabytes("bytes"), megabytes("zip")));
            let faults = [
                (it["machine"] != architecture.name(), format!("is for {}", it["machine"])),
                (it["stripped"] != true, "has its symbols in it".to_owned()),
                (
                    it["glibc"].as_u64().is_none_or(|glibc| glibc > GLIBC_MINOR),
                    format!("needs glibc 2.{}", it["glibc"]),
                ),
                (
                    it["zip"].as_u64().is_none_or(|zip| zip > ZIP_BYTES),
                    format!("has a zip of more than {ZIP_BYTES} bytes"),
                ),
            ];
            for (_, fault) in faults.iter().filter(|(wrong, _)| *wrong) {
                warn(&format!("{name} {fault}"));
                good = false;
            }
        }
        good
    }
}

/// A function's name in the template.
fn logical_id(name: &str) -> String {
    name.split('-')
        .map(|word| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_function_has_its_name_in_the_template() {
        assert_eq!(logical_id("list-messages"), "ListMessages");
        assert_eq!(logical_id("me"), "Me");
    }

    #[test]
    fn what_cannot_be_deployed_is_told() {
        let built = |change: (&str, Value)| {
            let mut it =
                json!({"machine": "arm64", "stripped": true, "glibc": 34, "bytes": 9_000_000, "zip": ZIP_BYTES});
            it[change.0] = change.1;
            Built { measured: json!({"me": it}) }.check(Architecture::Arm64)
        };
        assert!(built(("glibc", json!(28))));
        for change in [
            ("machine", json!("x86_64")),
            ("stripped", json!(false)),
            ("glibc", json!(35)),
            ("zip", json!(ZIP_BYTES + 1)),
        ] {
            assert!(!built(change.clone()), "{change:?}");
        }
    }
}

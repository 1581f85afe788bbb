//! `cargo xtask deploy`: new code for functions that SAM made, without `CloudFormation`: seconds instead of minutes.
//!
//! `cargo lambda deploy` makes a function that isn't there, with a role and a configuration of its own choosing, and gives
//! an existing one the architecture of the binary. So what is on AWS is looked at first. It is given no variables and no
//! limits, and then an existing function keeps its configuration.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use shared::config::environment;

use crate::functions::{Architecture, all};
use crate::program::Program;
use crate::progress::{say, step, warn};
use crate::tools::PythonPrograms;
use crate::{tools, workspace};

/// What asks AWS.
const EXISTING: &str = include_str!("deploy/existing.py");
/// For AWS to tell what is there.
const LOOK_UP: Duration = Duration::from_mins(5);
/// For one function's code to be there, on a slow line.
const UPLOAD: Duration = Duration::from_mins(10);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The stack that `sam deploy` made, such as colloquy: its functions are colloquy-list-messages and the like
    stack: String,
    /// Only these functions, such as list-messages; all without a name
    functions: Vec<String>,
    /// Take `<function>/bootstrap` from this folder and build nothing
    #[arg(long, value_name = "PATH")]
    lambda_dir: Option<PathBuf>,
}

pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let names = chosen(&options.functions)?;
    let programs = tools::install_from_pypi().await?;
    let architectures = existing(&options.stack, &names, &programs).await?;
    let folder = match &options.lambda_dir {
        Some(folder) => folder.clone(),
        None => build(&architectures, &programs).await?,
    };
    for (name, architecture) in &architectures {
        check_binary(&folder.join(name).join("bootstrap"), *architecture)?;
    }

    let (mut updated, mut failed) = (0, Vec::new());
    for name in architectures.keys() {
        match update(&options.stack, name, &folder, &programs).await {
            Ok(version) => {
                updated += 1;
                say(&format!("{}-{name} has its new code, as version {version}", options.stack));
            }
            Err(error) => {
                warn(&format!("{}-{name} keeps its old code: {error:#}", options.stack));
                failed.push(name.as_str());
            }
        }
    }
    if failed.is_empty() {
        say(&format!("{updated} functions updated"));
        Ok(ExitCode::SUCCESS)
    } else {
        let again = failed.join(" ");
        warn(&format!(
            "{updated} functions updated, {} not; again: cargo xtask deploy {} {again}",
            failed.len(),
            options.stack
        ));
        Ok(ExitCode::FAILURE)
    }
}

/// The functions of these names, or all.
fn chosen(wanted: &[String]) -> Result<Vec<String>> {
    let known = all();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no function {unknown}; there are {}", known.join(", "));
    }
    Ok(if wanted.is_empty() { known.into_iter().map(str::to_owned).collect() } else { wanted.to_vec() })
}

/// What each function runs on. Fails unless this command may update all of them.
async fn existing(stack: &str, names: &[String], programs: &PythonPrograms) -> Result<BTreeMap<String, Architecture>> {
    let program = aws(Program::new("AWS", vec![programs.path("python"), "-c".to_owned(), EXISTING.to_owned()]))
        .arg(stack)
        .args(names.iter().cloned());
    let said = step("asking AWS which functions there are", program.run_quietly(LOOK_UP))
        .await
        .context("set AWS_PROFILE, or AWS_ACCESS_KEY_ID and the like, and AWS_REGION, as for `sam deploy`")?;
    let found: Value = serde_json::from_str(&said).context("AWS's answer can't be read")?;
    match found["stack"]["preference"].as_str() {
        None => bail!("there is no stack {stack} in this account and region: `sam deploy` makes one"),
        Some("none") => {}
        Some(preference) => bail!(
            "the API of {stack} calls the alias `live` (DeploymentPreference is {preference}), and new code reaches nobody until that is moved: `sam deploy` moves it, gradually and with a way back"
        ),
    }
    let function = |name: &String| &found["functions"][name];
    let absent: Vec<_> = names.iter().filter(|name| function(name).is_null()).map(String::as_str).collect();
    if !absent.is_empty() {
        bail!(
            "the stack {stack} has no function {}: `sam deploy` makes functions, this command only updates them",
            absent.join(", ")
        );
    }
    let architecture = |name: &String| {
        let architecture = function(name).as_str().and_then(Architecture::from_name);
        Ok((name.clone(), architecture.with_context(|| format!("{stack}-{name} runs on what isn't known here"))?))
    };
    names.iter().map(architecture).collect()
}

/// Builds the functions, each for what it runs on, and answers their folder.
async fn build(architectures: &BTreeMap<String, Architecture>, programs: &PythonPrograms) -> Result<PathBuf> {
    for architecture in [Architecture::Arm64, Architecture::X86_64] {
        let names: Vec<_> = architectures.iter().filter(|(_, it)| **it == architecture).map(|(name, _)| name).collect();
        if names.is_empty() {
            continue;
        }
        say(&format!("building {} functions for {}", names.len(), architecture.name()));
        let build = Program::new("cargo lambda build", vec![programs.path("cargo-lambda")])
            .args(["lambda", "build", "--release", "--package=functions", architecture.flag()])
            .args(names.iter().map(|name| format!("--bin={name}")));
        if !programs.on_path(build).folder(workspace::root()).run().await?.success() {
            bail!("the functions don't build: the compiler's words are above");
        }
    }
    Ok(workspace::target()?.join("lambda"))
}

/// Fails unless the file is a program for what the function runs on.
fn check_binary(file: &Path, wanted: Architecture) -> Result<()> {
    let mut head = [0; 20];
    let mut open = File::open(file).with_context(|| format!("there is no {}", file.display()))?;
    let read = open.read_exact(&mut head);
    // The magic number, and the machine in little endian.
    let found = match (&head[..4], &head[18..]) {
        (b"\x7fELF", [0xb7, 0]) => Some(Architecture::Arm64),
        (b"\x7fELF", [0x3e, 0]) => Some(Architecture::X86_64),
        _ => None,
    };
    if read.is_err() || found != Some(wanted) {
        let found = found.map_or("no program for Lambda", Architecture::name);
        bail!("{} is {found}, and its function runs on {}", file.display(), wanted.name());
    }
    Ok(())
}

/// Gives a function its code; answers the version that was published.
async fn update(stack: &str, name: &str, folder: &Path, programs: &PythonPrograms) -> Result<String> {
    let deploy = Program::new("cargo lambda deploy", vec![programs.path("cargo-lambda")])
        .args(["lambda", "deploy", "--output-format=json"])
        .args([format!("--lambda-dir={}", folder.display()), format!("--binary-name={name}")])
        .arg(format!("{stack}-{name}"))
        .folder(workspace::root());
    let said = aws(deploy).run_quietly(UPLOAD).await?;
    let version = said.find('{').and_then(|at| serde_json::from_str::<Value>(&said[at..]).ok());
    Ok(version.and_then(|it| it["version"].as_str().map(str::to_owned)).unwrap_or_else(|| "unknown".to_owned()))
}

/// The region under both of its names: boto3 reads one, the AWS SDK for Rust either.
fn aws(program: Program) -> Program {
    match environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION")).filter(|region| !region.is_empty()) {
        Some(region) => program.env("AWS_REGION", region.clone()).env("AWS_DEFAULT_REGION", region),
        None => program,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_chosen_by_name() {
        let names = |wanted: &[&str]| chosen(&wanted.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["me", "fallback"]).unwrap(), ["me", "fallback"]);
        assert!(names(&[]).unwrap().len() > 15);
        assert!(names(&["you"]).unwrap_err().to_string().contains("there is no function you; there are health"));
    }
}

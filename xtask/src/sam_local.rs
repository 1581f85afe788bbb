//! `cargo xtask sam-local`: the template's own functions and routes in `sam local`, one container for each function.
//!
//! It is nearer to AWS than `cargo xtask dev`: API Gateway's routes and events come from `template.yaml`, and each binary
//! runs in Lambda's base image. What differs from AWS: answers are buffered, the chat's too; there is no secret and no
//! alias; nothing runs on a schedule.

mod bridge;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::dev::Servers;
use crate::functions::Architecture;
use crate::process::LOOK;
use crate::program::Program;
use crate::progress::say;
use crate::running::Running;
use crate::tools::PythonPrograms;
use crate::user::User;
use crate::{http, ports, tools, tour, workspace};

/// For the engine to say that it is there.
const ENGINE: Duration = Duration::from_mins(1);
/// For SAM to read the template.
const LISTEN: Duration = Duration::from_mins(2);
/// For the first container to answer: its image is pulled before.
const FIRST_ANSWER: Duration = Duration::from_mins(15);
/// For one answer: a container is started for it, on a busy machine.
const ANSWER: Duration = Duration::from_mins(2);

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    servers: Servers,
    /// Use the base image that is there, without asking its registry for a newer one
    #[arg(long)]
    skip_pull_image: bool,
}

/// Runs it, with the servers of `cargo xtask dev`, until Ctrl-C.
pub(crate) async fn run(options: &Options, running: &mut Running) -> Result<ExitCode> {
    let Some(_alone) = workspace::lock("dev")? else {
        bail!("another `cargo xtask dev` or `sam-local` runs in this clone: stop it first");
    };
    let given = options.servers.check()?;
    let sam_local = SamLocal::prepare(if options.skip_pull_image { Pull::Never } else { Pull::Newer }).await?;
    let logs = workspace::fresh_logs("sam-local")?;
    let (addresses, settings) = options.servers.start(given, &logs, running).await?;
    sam_local.start(options.servers.port, &settings, &logs, running).await?;
    println!("{}", tour::text(&addresses, &logs));
    match running.keep().await? {}
}

/// When the base image is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    /// Where there is a newer one.
    Newer,
    /// Where there is none.
    WhereMissing,
    /// Never.
    Never,
}

/// All that is there before anything runs.
pub(crate) struct SamLocal {
    programs: PythonPrograms,
    gateway: Option<IpAddr>,
    functions: PathBuf,
    skip_pull_image: bool,
}

impl SamLocal {
    /// Asks for an engine, and builds the functions.
    pub(crate) async fn prepare(pull: Pull) -> Result<Self> {
        let programs = tools::install_from_pypi().await?;
        let asked = Program::new("Docker", vec![programs.path("python"), "-c".to_owned()])
            .arg(include_str!("sam_local/engine.py"))
            .arg(format!("public.ecr.aws/lambda/provided:al2023-{}", Architecture::here().name()))
            .arg(functions_folder().display().to_string())
            .run_quietly(ENGINE)
            .await
            .context("`sam local` needs a Docker engine, and none answers: start one, or use `cargo xtask dev`, which needs none")?;
        let engine: Value = serde_json::from_str(&asked)?;
        let gateway = engine["gateway"].as_str().and_then(|gateway| gateway.parse().ok());
        let skip_pull_image = match pull {
            Pull::Newer => false,
            Pull::WhereMissing => engine["hasImage"] == true,
            Pull::Never => true,
        };
        Ok(Self { functions: build(&programs).await?, programs, gateway, skip_pull_image })
    }

    /// Serves the functions under these settings, and waits until one answers.
    pub(crate) async fn start(
        &self,
        port: u16,
        settings: &[(String, String)],
        logs: &Path,
        running: &mut Running,
    ) -> Result<()> {
        let (settings, ports) = for_containers(settings);
        if let Some(gateway) = self.gateway {
            bridge::open(gateway, &ports).await?;
        }
        let folder = workspace::state().join("sam");
        let template = self.template(&folder, &settings).await?;
        say("starting `sam local`");
        let mut program = Program::new("sam local", vec![self.programs.path("sam")])
            .args(["local", "start-api", "--host=127.0.0.1", "--warm-containers=LAZY"])
            .arg(format!("--port={port}"))
            .arg(format!("--template={}", template.display()))
            .arg(format!("--add-host={}:host-gateway", bridge::HOST))
            .env("SAM_CLI_TELEMETRY", "0")
            .env("SAM_CLI_CONTAINER_CONNECTION_TIMEOUT", ANSWER.as_secs().to_string())
            // Not the clone's: SAM reads a `.env` that it finds where it is started.
            .folder(&folder);
        if shared::config::environment("AWS_REGION").is_none() {
            program = program.env("AWS_DEFAULT_REGION", "eu-central-1");
        }
        if self.skip_pull_image {
            program = program.arg("--skip-pull-image");
        }
        let log = logs.join("sam-local.log");
        let mut process = program.start(&log)?;
        process.wait_until(LISTEN, async || !ports::is_free(port)).await?;
        // From here on it is asked to end, not killed: it has containers to take along.
        running.add(process);
        let (client, health) = (http::client(ANSWER)?, format!("http://127.0.0.1:{port}/health"));
        let deadline = Instant::now() + FIRST_ANSWER;
        while running.while_running(http::status(&client, "GET", &health)).await? != Some(200) {
            if Instant::now() >= deadline {
                bail!("no function answers in `sam local`: see {}", log.display());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Writes the template that is served. Holds the database's password: for this user's eyes alone.
    async fn template(&self, folder: &Path, settings: &Value) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("couldn't create {}", folder.display()))?;
        let given = folder.join("given.json");
        let text = json!({
            "template": workspace::root().join("template.yaml"),
            "functions": self.functions,
            "architecture": Architecture::here().name(),
            "settings": settings,
        });
        User::Same.write_secret(&given, &text.to_string())?;
        let template = Program::new("SAM's template", vec![self.programs.path("python"), "-c".to_owned()])
            .arg(include_str!("sam_local/template.py"))
            .arg(given.display().to_string())
            .run_quietly(ENGINE)
            .await;
        fs::remove_file(&given)?;
        let file = folder.join("template.yaml");
        User::Same.write_secret(&file, &template?)?;
        Ok(file)
    }
}

/// Where the functions are that containers run.
fn functions_folder() -> PathBuf {
    workspace::state().join("sam/functions")
}

/// Builds all functions for the base image, quickly: its glibc is older than many a developer's, so that zig links.
async fn build(programs: &PythonPrograms) -> Result<PathBuf> {
    say("building the functions for `sam local`");
    let folder = functions_folder();
    let build = Program::new("cargo lambda build", vec![programs.path("cargo-lambda")])
        .args(["lambda", "build", "--package=functions", "--bins", Architecture::here().flag()])
        .arg(format!("--lambda-dir={}", folder.display()))
        // A megabyte a function instead of fifty, twenty times.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols")
        .folder(workspace::root());
    if programs.on_path(build).run().await?.success() {
        Ok(folder)
    } else {
        bail!("the functions don't build: the compiler's words are above")
    }
}

/// The settings as a container must have them, and the ports of this machine that they lead to.
fn for_containers(settings: &[(String, String)]) -> (Value, Vec<u16>) {
    let value = |name: &str| settings.iter().find(|(setting, _)| setting == name).map(|(_, value)| value.clone());
    let mut said: serde_json::Map<String, Value> =
        settings.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let mut ports = Vec::new();
    // Where the keys are fetched. AUTH_URL itself stays: from it comes the issuer that tokens name.
    let keys = value("JWKS_URL").or_else(|| Some(format!("{}/jwks", value("AUTH_URL")?.trim_end_matches('/'))));
    for (name, url) in [("JWKS_URL", keys), ("DATABASE_URL", value("DATABASE_URL")), ("AGENT_URL", value("AGENT_URL"))]
    {
        let Some(url) = url else { continue };
        let (url, port) = bridge::from_a_container(&url);
        ports.extend(port);
        said.insert(name.to_owned(), url.into());
    }
    (said.into(), ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_reach_the_servers_and_the_issuer_stays() {
        let settings = [
            ("AUTH_URL", "http://127.0.0.1:9001/api/auth"),
            ("DATABASE_URL", "postgresql://u:p@127.0.0.1:9002/db"),
            ("AGENT_URL", "https://api.example.com/v1"),
            ("AGENT_MODEL", "m"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (said, ports) = for_containers(&settings);
        assert_eq!(
            said,
            json!({
                "AUTH_URL": "http://127.0.0.1:9001/api/auth",
                "JWKS_URL": "http://host.docker.internal:9001/api/auth/jwks",
                "DATABASE_URL": "postgresql://u:p@host.docker.internal:9002/db",
                "AGENT_URL": "https://api.example.com/v1",
                "AGENT_MODEL": "m",
            })
        );
        assert_eq!(ports, [9001, 9002]);
    }
}

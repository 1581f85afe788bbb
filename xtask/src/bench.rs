//! `cargo xtask bench`: what the benchmark needs, and then the benchmark.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::functions::Profile;
use crate::postgres::{OWNER, Passwords, Purpose, Server};
use crate::program::Program;
use crate::progress::say;
use crate::running::Running;
use crate::services::START;
use crate::user::User;
use crate::{migration, ports, tools, workspace};

/// The variable that tells the benchmark what is prepared.
const VARIABLE: &str = "COLLOQUY_BENCH";
/// The functions that are measured as they are deployed.
const MEASURED: [&str; 6] =
    ["list-messages", "append-messages", "list-conversations", "me", "reply-chat", "resume-chat"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many messages the large database has; with 10000000 it takes some 14 GB and 10 minutes
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(10_000..=10_000_000))]
    rows: u64,
    /// How many times everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// Print every figure of every run as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options, running: &mut Running) -> Result<ExitCode> {
    let user = User::without_rights()?;
    let tools = tools::install(&user).await?;
    // Apart from each other: a crate that both need would be built with the features of both, and not as deployed.
    build("functions", &MEASURED).await?;
    build("bench", &["bench", "floor-function"]).await?;
    let peer = build_peer().await?;
    let (release, dev) = (Profile::Release.folder()?, Profile::Dev.build().await?);

    let folder = running.scratch(&user, "bench")?;
    let logs = workspace::fresh_logs("bench")?;
    say("starting PostgreSQL");
    let passwords = Passwords::random()?;
    let log = logs.join("postgres-18.log");
    let (mut process, server) = tools
        .postgres
        .start(&user, &folder.join("postgres"), ports::free()?, &passwords, Purpose::Measurement, &log)
        .await?;
    process.wait_until(START, async || server.is_ready().await).await?;
    running.add(process);
    server.create_owner().await?;
    let plan = json!({
        "small": database(&server, "small", &passwords).await?,
        "large": database(&server, "large", &passwords).await?,
        "rows": options.rows,
        "runs": options.runs,
        "json": options.json,
        "release": release,
        "dev": dev,
        "floor": release.join("floor-function"),
        "peer": peer,
        "scratch": logs,
        "serverSettings": Purpose::Measurement.settings(),
    });
    let status = Program::new("the benchmark", vec![release.join("bench").display().to_string()])
        .env(VARIABLE, plan.to_string())
        .folder(workspace::root())
        .run()
        .await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A migrated, empty database, as the benchmark reads it.
async fn database(server: &Server, name: &str, passwords: &Passwords) -> Result<Value> {
    server.create_database(name, OWNER).await?;
    migration::migrate(&server.owner_url(name), Some(&passwords.app)).await?;
    Ok(json!({"superuserUrl": server.superuser_url(name), "appUrl": server.app_url(name)}))
}

/// Builds binaries of a package as they are deployed.
async fn build(package: &str, binaries: &[&str]) -> Result<()> {
    say(&format!("building {} for release", binaries.join(", ")));
    let cargo = Program::new("cargo build", vec![workspace::cargo()])
        .args(["build", "--release", "--package", package])
        .args(binaries.iter().map(|binary| format!("--bin={binary}")))
        .folder(workspace::root());
    if cargo.run().await?.success() { Ok(()) } else { bail!("{package} doesn't build: the compiler's words are above") }
}

/// Builds the peer, which is a workspace of its own; answers where its binary is.
async fn build_peer() -> Result<PathBuf> {
    say("building the peer for release");
    let folder = workspace::root().join("bench/peer");
    let cargo = Program::new("cargo build", vec![workspace::cargo()])
        .args(["build", "--release", "--locked", "--target-dir"])
        .args([workspace::state().join("peer").display().to_string()])
        .folder(&folder);
    if cargo.run().await?.success() {
        Ok(workspace::state().join("peer/release/peer"))
    } else {
        bail!("the peer doesn't build: the compiler's words are above")
    }
}

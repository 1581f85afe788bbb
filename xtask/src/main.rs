//! The developer's commands: `cargo xtask dev`, `test`, `doctor`, `agent`, `migrate`, `check` and `bench`.

#![warn(unused_crate_dependencies)]

mod agent;
mod auth_server;
mod aws;
mod bench;
mod certificates;
mod check;
mod deploy;
mod dev;
mod doctor;
mod functions;
mod gateway;
mod http;
mod licences;
mod local_database;
mod migration;
mod pgbouncer;
mod ports;
mod postgres;
mod process;
mod program;
mod progress;
mod running;
mod sam_build;
mod sam_local;
mod secrets;
mod services;
mod statements;
mod test;
mod tools;
mod tour;
mod user;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::running::Running;

/// Colloquy's developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Run the whole system: real sign-in, real database, real functions
    Dev(dev::Options),
    /// Run all tests, with servers of their own
    Test(test::Options),
    /// Run the development agent alone
    Agent(agent::Options),
    /// Measure the functions as they are deployed, each figure beside its floor
    Bench(bench::Options),
    /// Say what is wrong with a deployment's settings, and judge a token
    Doctor(doctor::Options),
    /// Give functions of a stack that SAM made new code, faster than `sam deploy`
    Deploy(deploy::Options),
    /// Build functions for AWS by `sam build`, and measure them
    SamBuild(sam_build::Options),
    /// Serve the template's functions in containers, by `sam local`
    SamLocal(sam_local::Options),
    /// Check format, lints, docs, SQL statements and licences
    Check,
    /// Bring the schema of `MIGRATE_DATABASE_URL` up to date, and give `colloquy_app` the `APP_DATABASE_PASSWORD`
    Migrate,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = Command::parse();
    let mut running = Running::default();
    let outcome = tokio::select! {
        outcome = run(&command, &mut running) => outcome,
        code = interrupted() => code,
    };
    let code = outcome.unwrap_or_else(|error| {
        progress::warn(&format!("{error:#}"));
        ExitCode::FAILURE
    });
    // A second Ctrl-C doesn't wait: what still runs is killed when `running` is dropped.
    tokio::select! {
        () = running.stop() => {}
        _ = interrupted() => {}
    }
    code
}

async fn run(command: &Command, running: &mut Running) -> Result<ExitCode> {
    match command {
        Command::Dev(options) => dev::run(options, running).await,
        Command::Test(options) => test::run(options, running).await,
        Command::Agent(options) => agent::run(options).await,
        Command::Bench(options) => bench::run(options, running).await,
        Command::Doctor(options) => doctor::run(options).await,
        Command::Deploy(options) => deploy::run(options).await,
        Command::SamBuild(options) => sam_build::run(options).await,
        Command::SamLocal(options) => sam_local::run(options, running).await,
        Command::Check => check::run(running).await,
        Command::Migrate => migration::run().await,
    }
}

/// Waits until somebody wants this to end; answers the exit code that a shell expects of it.
async fn interrupted() -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let number = tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
        _ = hangup.recv() => 1,
    };
    progress::say("stopping");
    Ok(ExitCode::from(128 + number))
}

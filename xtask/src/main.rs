//! The developer's commands: `cargo xtask dev`, `test`, `migrate` and `check`.

mod auth_server;
mod certificates;
mod http;
mod pgbouncer;
mod ports;
mod postgres;
mod process;
mod progress;
mod secrets;
mod services;
mod test;
mod tools;
mod user;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::process::Running;

/// Colloquy's developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Run all tests, with servers of their own
    Test(test::Options),
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
        Command::Test(options) => test::run(options, running).await,
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

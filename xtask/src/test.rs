//! `cargo xtask test`: the whole suite against servers of its own.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::process::{Program, Running};
use crate::progress::say;
use crate::user::User;
use crate::{services, tools, workspace};

/// The variable that tells the suite where its servers are.
const VARIABLE: &str = "COLLOQUY_TEST";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the tests whose name contains this
    name: Option<String>,
    /// Start the servers, print how to reach them and wait for Ctrl-C, so that `cargo test` can be repeated quickly
    #[arg(long)]
    serve: bool,
    /// Fail unless these databases are there: postgres-15, postgres-18, pgbouncer
    #[arg(long, value_delimiter = ',')]
    require: Vec<String>,
}

pub(crate) async fn run(options: &Options, running: &mut Running) -> Result<ExitCode> {
    let user = User::without_rights()?;
    let tools = tools::install(&user).await?;
    let run = format!("test-{}", std::process::id());
    let scratch = workspace::database_state(&user)?.join(&run);
    user.create_folder(&scratch)?;
    running.remove_afterwards(scratch.clone());
    let logs = workspace::fresh_logs("test")?;

    say("starting the servers");
    let services = services::start(&tools, &user, &scratch, &logs, running).await?;
    require(&options.require, &services)?;
    let description = services.describe(&tools)?.to_string();

    if options.serve {
        let file = workspace::state().join("test.env");
        fs::write(&file, format!("export {VARIABLE}='{description}'\n"))
            .with_context(|| format!("couldn't write {}", file.display()))?;
        say(&format!("in another shell: . {} && cargo test --package tests NAME", file.display()));
        say("Ctrl-C stops the servers");
        return std::future::pending().await;
    }

    let cargo = shared::config::environment("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let status = Program::new("cargo test", vec![cargo])
        .args(["test", "--workspace"])
        .args(options.name.iter().cloned())
        .env(VARIABLE, description)
        .folder(workspace::root())
        .run()
        .await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn require(names: &[String], services: &services::Services) -> Result<()> {
    for name in names {
        let there = services.databases.iter().any(|server| server.name == name)
            || (name == "pgbouncer" && services.pgbouncer_port.is_some());
        if !there {
            bail!("{name} is required and is not on this machine: install it, or leave it out of --require");
        }
    }
    Ok(())
}

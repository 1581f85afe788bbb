//! `cargo xtask doctor`: what is wrong with a deployment's settings, in plain words, and what to do about it.
//!
//! It looks from this machine, with the functions' own code: their settings, their verifier, their database role. It
//! changes nothing, asks no model, and prints neither a secret nor a token.

mod agent;
mod cors;
mod database;
mod env_file;
mod key_set;
mod report;
mod settings;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use self::report::Report;
use self::settings::Settings;

/// For anything that is asked over HTTP.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Read settings from this file, too, such as `.env`; what the environment has wins
    #[arg(long, value_name = "PATH")]
    env_file: Option<PathBuf>,
    /// A token to judge; `-` reads it from standard input, so that no list of processes shows it
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let token = options.token.as_deref().map(token::read).transpose()?;
    let mut report = Report::new();
    let settings = Settings::read(options.env_file.as_deref(), &mut report)?;
    let client = crate::http::without_redirects(PATIENCE).context("no HTTP client can be had")?;
    let mut clock_difference = None;
    if let Some(auth) = settings.auth() {
        clock_difference = key_set::check(auth, settings.get("AUTH_URL").as_deref(), &client, &mut report).await?;
    }
    if let Some(token) = token {
        token::check(&token, settings.auth(), clock_difference, &mut report).await?;
    }
    database::check(&settings, &mut report).await;
    agent::check(&settings, &client, &mut report).await;
    cors::check(&settings, &mut report);
    Ok(report.end())
}

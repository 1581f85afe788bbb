//! `cargo xtask check`: what can be said about the code without running it.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::program::Program;
use crate::progress::{say, warn};
use crate::running::Running;
use crate::{licences, statements, workspace};

/// Runs every check, also after one failed: a developer mends them together.
pub(crate) async fn run(running: &mut Running) -> Result<ExitCode> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"];
    let mut failed = Vec::new();
    let mut note = |check: &'static str, outcome: Result<()>| {
        if let Err(error) = outcome {
            warn(&format!("{check}: {error:#}"));
            failed.push(check);
        }
    };
    note("format", cargo("format", &["fmt", "--all", "--check"], "`cargo fmt` mends it").await);
    note("lints", cargo("lints", &clippy, "the lints are above").await);
    note("docs", cargo("docs", &["doc", "--workspace", "--no-deps"], "rustdoc's words are above").await);
    note("statements", statements::check(running).await);
    note("licences", licences::check().await);

    if failed.is_empty() {
        say("all checks passed");
        return Ok(ExitCode::SUCCESS);
    }
    bail!("failed: {}", failed.join(", "))
}

async fn cargo(check: &str, arguments: &[&str], mend: &str) -> Result<()> {
    say(&format!("checking {check}"));
    let cargo = Program::new(check, vec![workspace::cargo()])
        .args(arguments.iter().copied())
        .env("RUSTDOCFLAGS", "--deny=warnings")
        .folder(workspace::root());
    if cargo.run().await?.success() { Ok(()) } else { bail!("{mend}") }
}

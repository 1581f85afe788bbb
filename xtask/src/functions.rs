//! Colloquy's functions as processes.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::gateway::Gateway;
use crate::program::Program;
use crate::progress::say;
use crate::running::Running;
use crate::workspace;

/// The function for what no endpoint answers.
pub(crate) const FALLBACK: &str = "fallback";
/// The name under which the gateway has work that no route claims.
const UNCLAIMED: &str = "_";

/// Every function's name: the endpoints, and those that no endpoint names.
pub(crate) fn all() -> Vec<&'static str> {
    let endpoints = ::functions::endpoints();
    endpoints.iter().map(|endpoint| endpoint.name).chain([FALLBACK, "migrate", "sweep"]).collect()
}

/// What functions run on, as AWS and the template's parameter name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Architecture {
    Arm64,
    #[value(name = "x86_64")]
    X86_64,
}

impl Architecture {
    /// This machine's.
    pub(crate) const fn here() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X86_64 }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Arm64, Self::X86_64].into_iter().find(|it| it.name() == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        if matches!(self, Self::Arm64) { "arm64" } else { "x86_64" }
    }

    /// The option of `cargo lambda build` that chooses it.
    pub(crate) const fn flag(self) -> &'static str {
        if matches!(self, Self::Arm64) { "--arm64" } else { "--x86-64" }
    }
}

/// How the functions are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// As deployed.
    Release,
}

impl Profile {
    /// Builds all functions and answers the folder of their binaries.
    pub(crate) async fn build(self) -> Result<PathBuf> {
        say("building the functions");
        let cargo =
            Program::new("cargo build", vec![workspace::cargo()]).args(["build", "--package=functions", "--bins"]);
        let cargo = match self {
            // This program, too, though it is up to date: with it the dependencies have the very features that they
            // were built with for it, and aren't built twice.
            Self::Dev => cargo.arg("--package=xtask"),
            Self::Release => cargo.arg("--release"),
        };
        let status = cargo.folder(workspace::root()).run().await?;
        if !status.success() {
            bail!("the functions don't build: the compiler's words are above");
        }
        self.folder()
    }

    pub(crate) fn folder(self) -> Result<PathBuf> {
        Ok(workspace::target()?.join(if self == Self::Dev { "debug" } else { "release" }))
    }
}

/// Starts `instances` of each function, so that requests run side by side as they do on Lambda, where each environment
/// serves one at a time.
pub(crate) fn start(
    binaries: &Path,
    gateway: Gateway,
    instances: usize,
    settings: &[(String, String)],
    logs: &Path,
    running: &mut Running,
) -> Result<()> {
    let endpoints = ::functions::endpoints().map(|endpoint| (endpoint.name, endpoint.name));
    for (binary, name) in endpoints.into_iter().chain([(FALLBACK, FALLBACK), (FALLBACK, UNCLAIMED)]) {
        let mut program = Program::new(binary, vec![binaries.join(binary).display().to_string()])
            .env("AWS_LAMBDA_RUNTIME_API", gateway.runtime_url(name))
            .env("AWS_LAMBDA_FUNCTION_NAME", binary)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        for setting in shared::config::settings() {
            program = program.without_env(setting.name);
        }
        for (name, value) in settings {
            program = program.env(name, value);
        }
        let log = logs.join(format!("{binary}.log"));
        for _ in 0..instances {
            running.add(program.start(&log)?.restarted());
        }
    }
    Ok(())
}

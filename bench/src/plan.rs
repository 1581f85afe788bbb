//! What `cargo xtask bench` has prepared, and what it wants measured.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The variable that holds the plan, as JSON.
const VARIABLE: &str = "COLLOQUY_BENCH";

/// Where everything is, and how much to measure.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plan {
    /// The migrated, empty database that gets few rows.
    pub(crate) small: Database,
    /// The migrated, empty database that gets `rows`.
    pub(crate) large: Database,
    /// The messages of the large database.
    pub(crate) rows: u64,
    /// How many times everything is measured.
    pub(crate) runs: usize,
    /// Whether the figures are printed as JSON.
    pub(crate) json: bool,
    /// The folder of the functions' release binaries, which are measured.
    pub(crate) release: PathBuf,
    /// The folder of all functions' development binaries, whose round trips are counted.
    pub(crate) dev: PathBuf,
    /// The binary of the floor.
    pub(crate) floor: PathBuf,
    /// The binary of the peer.
    pub(crate) peer: PathBuf,
    /// A folder to write to.
    pub(crate) scratch: PathBuf,
    /// What the server has been told beside its defaults; shown with the figures.
    pub(crate) server_settings: Vec<String>,
}

/// A database.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Database {
    /// For filling it.
    pub(crate) superuser_url: String,
    /// For the functions.
    pub(crate) app_url: String,
}

impl Plan {
    /// The plan of this run.
    pub(crate) fn read() -> Result<Self> {
        let text =
            shared::config::environment(VARIABLE).context("run `cargo xtask bench`: it prepares what this needs")?;
        serde_json::from_str(&text).with_context(|| format!("{VARIABLE} isn't a plan"))
    }
}

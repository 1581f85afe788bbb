//! `cargo xtask migrate`, and the migrations of databases of our own.

use std::process::ExitCode;

use anyhow::{Context, Result};
use shared::config::environment;

use crate::progress::say;

/// Applies what isn't applied yet, to the database that the environment names.
pub(crate) async fn run() -> Result<ExitCode> {
    let owner_url = environment("MIGRATE_DATABASE_URL").context(
        "MIGRATE_DATABASE_URL is not set: set it to the database's connection string as its owner, on the direct host",
    )?;
    migrate(&owner_url, environment("APP_DATABASE_PASSWORD").as_deref()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Applies what isn't applied yet, and says what was.
pub(crate) async fn migrate(owner_url: &str, app_password: Option<&str>) -> Result<()> {
    let applied = shared::db::migrate::migrate(owner_url, app_password).await?.applied;
    match applied.as_slice() {
        [] => say("the database is up to date"),
        applied => say(&format!("migrated the database: {}", applied.join(", "))),
    }
    Ok(())
}

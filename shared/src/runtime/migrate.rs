//! The function `migrate`: whatever it is invoked with, it brings the schema up to date and says what it applied.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

use super::{StartError, block_on, log_from_here};
use crate::config::MigrateConfig;
use crate::db::migrate::migrate;

/// Serves the function `migrate` until its environment ends.
#[must_use]
pub fn serve_migrate() -> ExitCode {
    block_on("migrate", start())
}

async fn start() -> Result<(), StartError> {
    let config = MigrateConfig::from_env();
    log_from_here(config.as_ref().map_or(tracing::Level::INFO, |config| config.log_level));
    let config = config?;
    lambda_runtime::run(service_fn(|_: LambdaEvent<Value>| async {
        let migrated = migrate(&config.owner_url, config.app_password.as_deref()).await;
        // Whoever invokes it may manage the deployment, so that the cause goes there as well as into the log.
        migrated
            .map(|report| {
                tracing::info!(applied = ?report.applied, "migrated");
                json!({"applied": report.applied})
            })
            .inspect_err(|error| tracing::error!(cause = %error, "not migrated"))
            .map_err(lambda_runtime::Error::from)
    }))
    .await
}

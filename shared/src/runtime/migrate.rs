//! The function `migrate`: whatever it is invoked with, it brings the schema up to date and says what it applied.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

use super::{StartError, block_on, log_from_here};
use crate::config::{MigrateConfig, Secret, StoredSecret};
use crate::db::migrate::{Report, migrate};
use crate::db::{app_password, connection_url};
use crate::secrets::text;

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
        let migrated = run(&config).await;
        // Whoever invokes it may manage the deployment, so that the cause goes there as well as into the log.
        migrated
            .map(|report| {
                tracing::info!(applied = ?report.applied, "migrated");
                json!({"applied": report.applied})
            })
            .inspect_err(|error| tracing::error!(cause = %error, "not migrated"))
    }))
    .await
}

/// Secrets are read anew each time: this is invoked once in a deployment.
async fn run(config: &MigrateConfig) -> Result<Report, StartError> {
    let owner = text(&config.owner_url).await?;
    let url = match &config.owner_url {
        Secret::Text(_) => owner.as_str().into(),
        Secret::Stored(stored) => connection_url(&owner).map_err(|bad| malformed(stored, &bad))?,
    };
    let password = match &config.app_password {
        None => None,
        Some(secret @ Secret::Text(_)) => Some(text(secret).await?),
        Some(secret @ Secret::Stored(stored)) => {
            Some(app_password(&text(secret).await?).map_err(|bad| malformed(stored, &bad))?)
        }
    };
    Ok(migrate(&url, password.as_deref()).await?)
}

fn malformed(secret: &StoredSecret, bad: &str) -> StartError {
    format!("the secret of {} {bad}", secret.setting).into()
}

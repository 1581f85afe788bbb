//! The function `sweep`: whatever it is invoked with, it ends the runs whose functions died, deletes the chunks that nobody can
//! resume any more, and forgets runs and windows of quotas once they are old.

use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

use super::{StartError, block_on, settings};
use crate::error::Error;
use crate::metrics;

/// How much one transaction does: locks are held no longer than it takes.
const BATCH: u16 = 200;
/// How many transactions of each kind one invocation may take; what is left the next one does.
const BATCHES: usize = 50;
/// How long a run is remembered once it has ended: as long as a request that is repeated by its `Idempotency-Key` finds it.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// Serves the function `sweep` until its environment ends.
#[must_use]
pub fn serve_sweep() -> ExitCode {
    block_on("sweep", start())
}

async fn start() -> Result<(), StartError> {
    let (config, db) = settings()?;
    let (replay, window) = (config.chat.replay, config.chat.quota.window);
    lambda_runtime::run(service_fn(|_: LambdaEvent<Value>| async {
        let (mut runs, mut chunks) = (0, 0);
        for _ in 0..BATCHES {
            let swept = db.sweep(BATCH, replay).await.map_err(logged)?;
            runs += swept.runs;
            chunks += swept.chunks;
            if swept.runs > 0 {
                metrics::record(metrics::Event::RunsSwept(swept.runs));
            }
            if swept.runs + swept.chunks == 0 {
                break;
            }
        }
        let mut pruned = 0;
        for _ in 0..BATCHES {
            // A window that began so long ago is over.
            let more = db.prune(BATCH, KEPT, KEPT.saturating_add(window)).await.map_err(logged)?;
            pruned += more;
            if more == 0 {
                break;
            }
        }
        tracing::info!(runs, chunks, pruned, "swept");
        Ok::<_, lambda_runtime::Error>(json!({"runs": runs, "chunks": chunks, "pruned": pruned}))
    }))
    .await
}

fn logged(error: Error) -> Error {
    let cause = error.cause.as_deref().map(ToString::to_string);
    tracing::error!(code = error.code.as_str(), cause, "not swept");
    error
}

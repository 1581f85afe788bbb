//! What stands in for AWS: moto's server, which speaks the APIs of Lambda and Secrets Manager, keeps all in memory and
//! believes every key.

use std::path::Path;

use anyhow::Result;

use crate::process::Process;
use crate::program::Program;
use crate::services::START;
use crate::{ports, tools};

/// Starts it.
pub(crate) async fn start(port: u16, log: &Path) -> Result<Process> {
    let program = tools::install_from_pypi().await?.path("moto_server");
    let mut process =
        Program::new("moto", vec![program]).arg("--host=127.0.0.1").arg(format!("--port={port}")).start(log)?;
    process.wait_until(START, async || !ports::is_free(port)).await?;
    Ok(process)
}

/// Where AWS's APIs are.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

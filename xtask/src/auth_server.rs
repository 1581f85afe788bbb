//! A real Better Auth server.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::process::Process;
use crate::program::Program;
use crate::{http, workspace};

/// For it to make its tables and to listen.
const START: Duration = Duration::from_mins(1);

/// Starts it, and waits until it answers.
pub(crate) async fn start(node: &Path, port: u16, database_url: &str, secret: &str, log: &Path) -> Result<Process> {
    let script = workspace::better_auth().join("server.mjs");
    let mut process = Program::new("better-auth", vec![node.display().to_string(), script.display().to_string()])
        .env("PORT", port.to_string())
        .env("DATABASE_URL", database_url)
        .env("BETTER_AUTH_SECRET", secret)
        .start(log)?;
    let (client, health) = (http::client(Duration::from_secs(10))?, format!("{}/ok", url(port)));
    process.wait_until(START, async || http::status(&client, "GET", &health).await == Some(200)).await?;
    Ok(process)
}

/// Its base URL.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/api/auth")
}

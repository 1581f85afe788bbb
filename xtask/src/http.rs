//! Asking a server on this machine whether it answers.

use std::time::Duration;

use anyhow::Result;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(10);

fn client() -> Result<reqwest::Client> {
    let tls = shared::tls::client_config(shared::tls::web_roots())?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(PATIENCE).build()?)
}

/// The status of a GET, if there is an answer.
pub(crate) async fn status(url: &str) -> Option<u16> {
    Some(client().ok()?.get(url).send().await.ok()?.status().as_u16())
}

//! Asking a server whether it answers.

use std::time::Duration;

use anyhow::Result;

/// A client that gives up on an answer after `patience`.
pub(crate) fn client(patience: Duration) -> Result<reqwest::Client> {
    let tls = shared::tls::client_config(shared::tls::web_roots())?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(patience).build()?)
}

/// The same, and an answer that redirects is the answer.
pub(crate) fn without_redirects(patience: Duration) -> Result<reqwest::Client> {
    let tls = shared::tls::client_config(shared::tls::web_roots())?;
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(patience);
    Ok(client.redirect(reqwest::redirect::Policy::none()).build()?)
}

/// The status of the answer, if there is one.
pub(crate) async fn status(client: &reqwest::Client, method: &str, url: &str) -> Option<u16> {
    let method = method.parse().ok()?;
    Some(client.request(method, url).send().await.ok()?.status().as_u16())
}

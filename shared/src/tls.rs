//! TLS and HTTPS as a client: one crypto library, and the web's certificate authorities built in.
//!
//! The authorities come with the binary (`webpki-roots`): loading the system's costs a cold start 2 ms.

use std::sync::Arc;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

/// The certificate authorities that browsers trust.
#[must_use]
pub fn web_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// A client that verifies a server's certificate and name against `roots`.
pub fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The beginnings of every HTTP client of a function: what it asks for and sends goes to whom the settings name, and to nobody
/// else. Each sets its own limits of time.
pub fn http_client() -> Result<ClientBuilder, rustls::Error> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(web_roots())?)
        .user_agent(concat!("colloquy/", env!("CARGO_PKG_VERSION")))
        // A redirect or a proxy would let someone else answer, and be told keys, tokens and texts.
        .redirect(Policy::none())
        .no_proxy()
        // An answer is asked for and read as it is, whatever features other crates switch on: a small compressed one can be
        // a large one, and compression holds words back.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        // What is asked next is minutes away, or after a freeze: a connection kept until then may be dead, which shows only
        // once a request was sent that perhaps can't be sent again.
        .pool_max_idle_per_host(0))
}

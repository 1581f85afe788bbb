//! TLS and HTTPS as a client: one crypto library, and the web's certificate authorities built in.
//!
//! The authorities come with the binary (`webpki-roots`): loading the system's costs a cold start 2 ms.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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

/// The certificate authorities of a PEM file. The error completes "the file …".
pub fn roots_of_file(path: &str) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|_| "can't be read")? {
        let certificate = certificate.map_err(|_| "isn't a PEM file")?;
        roots.add(certificate).map_err(|_| "holds what is no certificate")?;
    }
    if roots.is_empty() { Err("holds no certificate") } else { Ok(roots) }
}

/// Whether an address is of a private network: RFC 1918, 4193 (`fc00::/7`) or 6598 (`100.64.0.0/10`), or this machine's own.
/// Link-local ones aren't: a cloud's metadata service is there, which nobody means.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private() || address.is_loopback() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    }
}

/// Resolves names to addresses of private networks, and to no others: what is sent in the clear doesn't leave them, whatever
/// a name leads to tomorrow.
#[derive(Clone, Copy, Debug)]
pub struct PrivateNetwork;

impl Resolve for PrivateNetwork {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let private: Vec<SocketAddr> = found.filter(|address| is_private(address.ip())).collect();
            if private.is_empty() {
                return Err("its name leads to no private network".into());
            }
            Ok(Box::new(private.into_iter()) as Addrs)
        })
    }
}

/// The beginnings of an HTTP client that believes in the web's certificate authorities.
pub fn http_client() -> Result<ClientBuilder, rustls::Error> {
    http_client_trusting(web_roots())
}

/// The beginnings of every HTTP client of a function: what it asks for and sends goes to whom the settings name, and to nobody
/// else. Each sets its own limits of time.
pub fn http_client_trusting(roots: RootCertStore) -> Result<ClientBuilder, rustls::Error> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(roots)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_network_is_one_that_the_internet_does_not_route() {
        for (address, private) in [
            ("10.0.0.5", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("127.0.0.1", true),
            ("169.254.169.254", false),
            ("8.8.8.8", false),
            ("0.0.0.0", false),
            ("::1", true),
            ("fd00::5", true),
            ("fe80::1", false),
            ("2001:db8::1", false),
            ("::ffff:10.0.0.5", true),
            ("::ffff:8.8.8.8", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
            // An address is its own name, and asks no server.
            let name = address.parse::<Name>().unwrap();
            let resolved =
                tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(PrivateNetwork.resolve(name));
            assert_eq!(resolved.is_ok(), private, "{address}");
        }
    }
}

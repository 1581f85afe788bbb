//! An agent whose certificate is of one's own authority, as agents in private networks have it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared::agent::{Agent, FailureKind};
use shared::config::Config;
use shared::model::Role;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::agent_server::AgentServer;
use super::{DONE, QUESTION, Step, finished, prompt, rest, said, text, words};

/// TLS before a server on this machine.
struct Front {
    port: u16,
    /// The authority that signed its certificate, in PEM.
    authority: String,
    task: JoinHandle<()>,
}

impl Front {
    async fn before(port: u16) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate)], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that doesn't believe in the certificate goes away.
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { port: own, authority: authority.pem(), task }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The agent of these settings.
fn agent(url: &str, more: &[(&str, &str)]) -> Agent {
    let settings = [("DATABASE_URL", "postgresql://x"), ("AUTH_URL", "https://app.example.com"), ("AGENT_URL", url)];
    let settings = [&settings[..], more].concat();
    let find = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Agent::new(&Config::read(&find).unwrap().agent.unwrap()).unwrap()
}

#[tokio::test]
async fn ones_own_authority_vouches_for_the_agent_where_its_file_is_set() {
    let steps = vec![Step::head(), Step::send(words("Twenty")), Step::send(finished("stop")), Step::send(DONE)];
    let server = AgentServer::start(steps).await;
    let front = Front::before(server.port()).await;
    let url = format!("https://localhost:{}/v1", front.port);
    let history = [said(Role::User, QUESTION)];
    let failure = agent(&url, &[]).ask(prompt(&history)).await.expect_err("nobody vouches for it");
    assert_eq!((failure.kind(), server.asked()), (&FailureKind::Unreachable, 0), "{failure}");

    let file = std::env::temp_dir().join(format!("agent-ca-{}.pem", std::process::id()));
    std::fs::write(&file, &front.authority).unwrap();
    let agent = agent(&url, &[("AGENT_CA_FILE", file.to_str().unwrap())]);
    std::fs::remove_file(&file).unwrap();
    let (events, failure) = rest(agent.ask(prompt(&history)).await.expect("an answer")).await;
    assert_eq!((text(&events).as_str(), failure, server.asked()), ("Twenty", None, 1));
}

/// A name is resolved to addresses of private networks and to no other.
#[tokio::test]
async fn http_reaches_a_private_network_by_name() {
    let steps = vec![Step::head(), Step::send(words("Twenty")), Step::send(finished("stop")), Step::send(DONE)];
    let server = AgentServer::start(steps).await;
    let agent = agent(&format!("http://localhost:{}/v1", server.port()), &[("AGENT_ALLOW_HTTP", "true")]);
    let (events, failure) = rest(agent.ask(prompt(&[said(Role::User, QUESTION)])).await.expect("an answer")).await;
    assert_eq!((text(&events).as_str(), failure), ("Twenty", None));
}

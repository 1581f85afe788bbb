//! What the tests stand on: the servers that `cargo xtask test` started, and ways to wait without sleeping.

pub(crate) mod api;
pub(crate) mod auth_server;
pub(crate) mod chat;
pub(crate) mod content;
pub(crate) mod database;
pub(crate) mod function;
pub(crate) mod issuer;
pub(crate) mod outage;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod runtime_api;
pub(crate) mod turns;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;

/// The variable through which `cargo xtask test` tells where its servers are.
const VARIABLE: &str = "COLLOQUY_TEST";

/// The servers of this run.
pub(crate) struct Setup {
    /// All that `cargo xtask test` says.
    pub(crate) all: Value,
    /// A real Better Auth server's base URL.
    pub(crate) auth_url: String,
    /// Where the functions' binaries are.
    pub(crate) bin_dir: PathBuf,
}

impl Setup {
    /// All functions behind `cargo lambda`'s gateway.
    pub(crate) fn api_url(&self) -> &str {
        self.text("apiUrl")
    }

    /// A program of the Python packages that `cargo xtask test` installs: `cargo-lambda`, `sam`, `cfn-lint`.
    pub(crate) fn python(&self, program: &str) -> PathBuf {
        PathBuf::from(self.text("pythonBin")).join(program)
    }

    /// A member that must be there.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> &str {
        self.all[name].as_str().unwrap_or_else(|| panic!("{VARIABLE} lacks {name}"))
    }
}

/// The servers of this run; tests that need none don't ask.
pub(crate) fn setup() -> &'static Setup {
    static SETUP: LazyLock<Setup> = LazyLock::new(|| {
        let text = shared::config::environment(VARIABLE)
            .unwrap_or_else(|| panic!("{VARIABLE} isn't set: run the suite by `cargo xtask test [NAME]`"));
        let all: Value = serde_json::from_str(&text).expect("JSON");
        let text = |name: &str| all[name].as_str().unwrap_or_else(|| panic!("{VARIABLE} lacks {name}")).to_owned();
        Setup { auth_url: text("authUrl"), bin_dir: text("binDir").into(), all }
    });
    &SETUP
}

/// Asks until there is an answer. Fails after 30 s, which a test that passes never comes near.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// An HTTP client. The workspace's reqwest has no TLS of its own choosing.
pub(crate) fn http_client() -> reqwest::Client {
    let tls = shared::tls::client_config(shared::tls::web_roots()).expect("a TLS configuration");
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("an HTTP client")
}

//! What API Gateway and Lambda are in the cloud: `cargo lambda`'s Runtime API and router, without its compiling and
//! watching, whose routes are in the workspace's Cargo.toml; and before it a REST API's ways with requests and answers.

mod rest_api;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use functions::endpoints;

use crate::functions::FALLBACK;
use crate::program::Program;
use crate::running::Running;
use crate::{http, ports, tools, workspace};

/// For the gateway to listen.
const START: Duration = Duration::from_secs(30);
/// For every endpoint to answer, on a machine that is busy.
const ANSWER: Duration = Duration::from_mins(2);

/// A gateway that listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gateway {
    port: u16,
    /// The Runtime API's.
    runtime_port: u16,
}

impl Gateway {
    /// Starts it. It answers once there are functions.
    pub(crate) async fn start(port: u16, logs: &Path, running: &mut Running) -> Result<Self> {
        let program = tools::install_from_pypi().await?.path("cargo-lambda");
        let runtime_port = ports::free()?;
        let mut process = Program::new("the gateway", vec![program])
            .args(["lambda", "watch", "--only-lambda-apis", "--disable-cors", "--invoke-address", "127.0.0.1"])
            .arg(format!("--invoke-port={runtime_port}"))
            .folder(workspace::root())
            .start(&logs.join("gateway.log"))?;
        process.wait_until(START, async || !ports::is_free(runtime_port)).await?;
        running.add(process);
        let gateway = Self { port, runtime_port };
        rest_api::serve(port, gateway.runtime()).await?;
        Ok(gateway)
    }

    /// Where clients call.
    pub(crate) fn url(self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn runtime(self) -> String {
        format!("http://127.0.0.1:{}", self.runtime_port)
    }

    /// Where a function asks for work.
    pub(crate) fn runtime_url(self, function: &str) -> String {
        format!("{}/.rt/{function}", self.runtime())
    }

    /// Waits until every endpoint answers, and so does the fallback: to a preflight, and to what no route claims.
    pub(crate) async fn wait_for_endpoints(self, logs: &Path, running: &mut Running) -> Result<()> {
        let client = http::client(ANSWER)?;
        let endpoints = endpoints().map(|endpoint| (endpoint.method.as_str(), endpoint.path, endpoint.name));
        let others = [("OPTIONS", "/health", FALLBACK), ("GET", "/", FALLBACK)];
        for (method, path, function) in endpoints.into_iter().chain(others) {
            let url = format!("{}{}", self.url(), path.replace(['{', '}'], ""));
            // Whether it lets the caller in is for the suite to say; here it has to run.
            let problem = match running.while_running(http::status(&client, method, &url)).await? {
                Some(status) if status < 500 => continue,
                Some(status) => format!("answers with status {status}"),
                None => "doesn't answer".to_owned(),
            };
            bail!("{method} {path} {problem}: {} says why", logs.join(format!("{function}.log")).display());
        }
        Ok(())
    }
}

//! What API Gateway and Lambda are in the cloud, on one port: `cargo lambda`'s Runtime API and router, without its
//! compiling and watching.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
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
}

impl Gateway {
    /// Starts it. It answers once there are functions.
    pub(crate) async fn start(port: u16, logs: &Path, running: &mut Running) -> Result<Self> {
        let program = tools::install_cargo_lambda().await?;
        let config = logs.join("router.toml");
        let routes = endpoints().map(|endpoint| (endpoint.path, endpoint.method.as_str(), endpoint.name));
        fs::write(&config, router_config(&routes)).with_context(|| format!("couldn't write {}", config.display()))?;
        let mut process = Program::new("the gateway", vec![program.display().to_string()])
            .args(["lambda", "watch", "--only-lambda-apis", "--disable-cors", "--invoke-address", "127.0.0.1"])
            .arg(format!("--invoke-port={port}"))
            .arg(format!("--global={}", config.display()))
            .folder(workspace::root())
            .start(&logs.join("gateway.log"))?;
        process.wait_until(START, async || !ports::is_free(port)).await?;
        running.add(process);
        Ok(Self { port })
    }

    /// Where clients call.
    pub(crate) fn url(self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where functions ask for work.
    pub(crate) fn runtime_url(self, function: &str) -> String {
        // An event that no route claims goes to the function of this name.
        let function = if function == FALLBACK { "_" } else { function };
        format!("{}/.rt/{function}", self.url())
    }

    /// Waits until every endpoint answers, and anything else gets its 404.
    pub(crate) async fn wait_for_endpoints(self, running: &mut Running) -> Result<()> {
        let client = http::client(ANSWER)?;
        for (method, path) in
            endpoints().map(|endpoint| (endpoint.method.as_str(), endpoint.path)).into_iter().chain([("GET", "/")])
        {
            let url = format!("{}{}", self.url(), path.replace(['{', '}'], ""));
            let answer = http::status(&client, method, &url);
            tokio::pin!(answer);
            // Whether it lets the caller in is for the suite to say; here it has to run.
            let status = running.while_running(answer).await?;
            if status.is_none_or(|status| status >= 500) {
                let said = status.map_or("doesn't answer".to_owned(), |status| format!("answers with status {status}"));
                anyhow::bail!("{method} {path} {said}: its function's log says why");
            }
        }
        Ok(())
    }
}

/// The router's settings: each path with its methods and their functions.
fn router_config(routes: &[(&str, &str, &str)]) -> String {
    let mut config = String::from("[watch.router]\n");
    let mut paths: Vec<&str> = Vec::new();
    for (path, _, _) in routes {
        if !paths.contains(path) {
            paths.push(path);
        }
    }
    for path in paths {
        let functions: Vec<String> = routes
            .iter()
            .filter(|route| route.0 == path)
            .map(|(_, method, function)| format!("{{ method = \"{method}\", function = \"{function}\" }}"))
            .collect();
        let _ = writeln!(config, "\"{path}\" = [{}]", functions.join(", "));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lists_its_methods_once() {
        let config = router_config(&[
            ("/v1/conversations", "GET", "list-conversations"),
            ("/health", "GET", "health"),
            ("/v1/conversations", "POST", "create-conversation"),
        ]);
        assert_eq!(
            config,
            r#"[watch.router]
"/v1/conversations" = [{ method = "GET", function = "list-conversations" }, { method = "POST", function = "create-conversation" }]
"/health" = [{ method = "GET", function = "health" }]
"#
        );
    }

    #[test]
    fn what_no_route_claims_goes_to_the_fallback() {
        let gateway = Gateway { port: 9000 };
        assert_eq!(gateway.runtime_url("me"), "http://127.0.0.1:9000/.rt/me");
        assert_eq!(gateway.runtime_url(FALLBACK), "http://127.0.0.1:9000/.rt/_");
    }
}

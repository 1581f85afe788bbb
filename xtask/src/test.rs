//! `cargo xtask test`: the whole suite against servers of its own.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::functions::Profile;
use crate::gateway::Gateway;
use crate::postgres::OWNER;
use crate::program::Program;
use crate::progress::{say, warn};
use crate::running::Running;
use crate::services::Services;
use crate::user::User;
use crate::{agent, functions, migration, pgbouncer, ports, services, tools, workspace};

/// The variable that tells the suite where its servers are.
const VARIABLE: &str = "COLLOQUY_TEST";
/// The database behind the gateway.
const DATABASE: &str = "colloquy";
/// Requests that a function serves at a time.
const INSTANCES: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the tests whose name contains this
    name: Option<String>,
    /// Start the servers, print how to reach them and wait for Ctrl-C, so that `cargo test` can be repeated quickly
    #[arg(long)]
    serve: bool,
    /// Fail unless these are there: postgres-15, postgres-18, pgbouncer, browser
    #[arg(long, value_delimiter = ',')]
    require: Vec<String>,
}

pub(crate) async fn run(options: &Options, running: &mut Running) -> Result<ExitCode> {
    require(&options.require)?;
    let user = User::without_rights()?;
    let tools = tools::install(&user).await?;
    let binaries = Profile::Dev.build().await?;
    let scratch = running.scratch(&user, "test")?;
    let logs = workspace::fresh_logs("test")?;

    say("starting the servers");
    let services = services::start(&tools, &user, &scratch, &logs, running).await?;
    say("starting the functions");
    // Of a page that a browser shows.
    let page_origin = format!("http://127.0.0.1:{}", ports::free()?);
    let gateway = start_functions(&services, &binaries, &page_origin, &logs, running).await?;
    let front_ends = tools::install_front_ends(&tools.node).await?;
    let front_ends = front_ends.iter().map(|it| json!({"folder": it.folder, "node": it.node})).collect::<Vec<_>>();
    let browser = tools::browser();
    if browser.is_none() {
        warn("Chromium is not on this machine: the browser's test doesn't run (Debian: apt-get install chromium)");
    }
    let driver = tools::install_browser_driver().await?;
    let description = json!({
        "browser": browser.map(|program| json!({"program": program, "driver": driver, "pageOrigin": page_origin})),
        "node": tools.node,
        "frontEnds": front_ends,
        "authServerDir": workspace::better_auth(),
        "binDir": binaries,
        "apiUrl": gateway.url(),
        "apiDatabaseUrl": services.databases[0].superuser_url(DATABASE),
        "pythonBin": tools::install_from_pypi().await?.folder(),
    });
    let description = services.describe(description).to_string();

    if options.serve {
        let file = workspace::state().join("test.env");
        User::Same.write_secret(&file, &format!("export {VARIABLE}='{description}'\n"))?;
        say(&format!("in another shell: . {} && cargo test --package tests NAME", file.display()));
        say("Ctrl-C stops the servers");
        match running.keep().await? {}
    }

    let status = Program::new("cargo test", vec![workspace::cargo()])
        .args(["test", "--workspace", "--tests", "--no-fail-fast"])
        .args(options.name.iter().cloned())
        .env(VARIABLE, description)
        .folder(workspace::root())
        .run()
        .await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts all functions behind the gateway, on a database of their own.
async fn start_functions(
    services: &Services,
    binaries: &Path,
    page_origin: &str,
    logs: &Path,
    running: &mut Running,
) -> Result<Gateway> {
    let server = &services.databases[0];
    server.create_database(DATABASE, OWNER).await.context("couldn't make the functions' database")?;
    migration::migrate(&server.owner_url(DATABASE), Some(&services.passwords.app)).await?;
    let gateway = Gateway::start(ports::free()?, logs, running).await?;
    let settings = [
        ("DATABASE_URL", server.app_url(DATABASE)),
        ("AUTH_URL", services.auth_url.clone()),
        ("AGENT_URL", services.agent_url.clone()),
        ("AGENT_MODEL", agent::MODEL.to_owned()),
        ("CORS_ORIGINS", page_origin.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    functions::start(binaries, gateway, INSTANCES, &settings, logs, running)?;
    gateway.wait_for_endpoints(logs, running).await?;
    Ok(gateway)
}

/// Fails unless all of these can be started.
fn require(names: &[String]) -> Result<()> {
    for name in names {
        let there = match name.as_str() {
            "postgres-18" => true,
            "postgres-15" => tools::postgres_15().is_some(),
            "pgbouncer" => pgbouncer::find().is_some(),
            "browser" => tools::browser().is_some(),
            _ => bail!("--require knows postgres-15, postgres-18, pgbouncer and browser, and no {name}"),
        };
        if !there {
            bail!("{name} is required and is not on this machine: install it, or leave it out of --require");
        }
    }
    Ok(())
}

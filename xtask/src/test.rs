//! `cargo xtask test`: the whole suite against servers of its own.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::functions::{Architecture, Profile};
use crate::gateway::Gateway;
use crate::postgres::OWNER;
use crate::program::Program;
use crate::progress::{say, warn};
use crate::running::Running;
use crate::sam_local::{Pull, SamLocal};
use crate::services::Services;
use crate::user::User;
use crate::{agent, functions, migration, pgbouncer, ports, sam_build, services, tools, workspace};

/// The variable that tells the suite where its servers are.
const VARIABLE: &str = "COLLOQUY_TEST";
/// What `--require` calls a Docker engine.
const DOCKER: &str = "docker";
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
    /// Fail unless these are there: postgres-15, postgres-18, pgbouncer, browser; docker, whose test runs only where it is
    /// asked for
    #[arg(long, value_delimiter = ',')]
    require: Vec<String>,
    /// Don't build two functions for AWS, which takes minutes; a NAME leaves that out as well
    #[arg(long)]
    without_release_build: bool,
}

/// What is built for AWS to be looked at: the least of the functions, and the greatest.
const BUILT_FOR_AWS: [&str; 2] = ["health", "reply-chat"];

pub(crate) async fn run(options: &Options, running: &mut Running) -> Result<ExitCode> {
    require(&options.require)?;
    let user = User::without_rights()?;
    let tools = tools::install(&user).await?;
    let built = match options.name {
        None if !options.without_release_build && !options.serve => {
            let names = BUILT_FOR_AWS.map(str::to_owned);
            Some(sam_build::build(&names, Architecture::here()).await?.measured)
        }
        _ => None,
    };
    let sam_local = if options.require.iter().any(|name| name == DOCKER) {
        Some(SamLocal::prepare(Pull::WhereMissing).await?)
    } else {
        None
    };
    let binaries = Profile::Dev.build().await?;
    let scratch = running.scratch(&user, "test")?;
    let logs = workspace::fresh_logs("test")?;

    say("starting the servers");
    let services = services::start(&tools, &user, &scratch, &logs, running).await?;
    say("starting the functions");
    // Of a page that a browser shows, under either of its names.
    let page_port = ports::free()?;
    let page_origin = format!("http://127.0.0.1:{page_port}");
    let settings = functions_settings(&services, &format!("{page_origin},http://localhost:{page_port}"));
    let gateway = start_functions(&services, &binaries, &settings, &logs, running).await?;
    let sam_local_port = match &sam_local {
        None => None,
        Some(sam_local) => {
            let port = ports::free()?;
            sam_local.start(port, &settings, &logs, running).await?;
            Some(port)
        }
    };
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
        "samLocalUrl": sam_local_port.map(|port| format!("http://127.0.0.1:{port}")),
        "builtForAws": built,
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

/// The settings of the functions behind a gateway.
fn functions_settings(services: &Services, page_origins: &str) -> [(String, String); 5] {
    [
        ("DATABASE_URL", services.databases[0].app_url(DATABASE)),
        ("AUTH_URL", services.auth_url.clone()),
        ("AGENT_URL", services.agent_url.clone()),
        ("AGENT_MODEL", agent::MODEL.to_owned()),
        ("CORS_ORIGINS", page_origins.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// Puts all functions behind the gateway, on a database of their own.
async fn start_functions(
    services: &Services,
    binaries: &Path,
    settings: &[(String, String)],
    logs: &Path,
    running: &mut Running,
) -> Result<Gateway> {
    let server = &services.databases[0];
    server.create_database(DATABASE, OWNER).await.context("couldn't make the functions' database")?;
    migration::migrate(&server.owner_url(DATABASE), Some(&services.passwords.app)).await?;
    let gateway = Gateway::start(ports::free()?, logs, running).await?;
    functions::start(binaries, gateway, INSTANCES, settings, logs, running)?;
    gateway.wait_for_endpoints(logs, running).await?;
    Ok(gateway)
}

/// Fails unless all of these can be started.
fn require(names: &[String]) -> Result<()> {
    for name in names {
        let there = match name.as_str() {
            // An engine is asked itself later on, and says what is missing.
            "postgres-18" | DOCKER => true,
            "postgres-15" => tools::postgres_15().is_some(),
            "pgbouncer" => pgbouncer::find().is_some(),
            "browser" => tools::browser().is_some(),
            _ => bail!("--require knows postgres-15, postgres-18, pgbouncer, browser and docker, and no {name}"),
        };
        if !there {
            bail!("{name} is required and is not on this machine: install it, or leave it out of --require");
        }
    }
    Ok(())
}

//! What the suite needs, on free ports.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::postgres::{Installation, Passwords, Purpose, Server};
use crate::progress::{say, warn};
use crate::running::Running;
use crate::tools::Tools;
use crate::user::User;
use crate::{agent, auth_server, aws, pgbouncer, ports, secrets, tools};

/// For a server that has to create its files first, on a busy machine.
pub(crate) const START: Duration = Duration::from_mins(2);

/// The servers that run, as the suite reads them.
pub(crate) struct Services {
    pub(crate) databases: Vec<Server>,
    pub(crate) pgbouncer_port: Option<u16>,
    pub(crate) passwords: Passwords,
    pub(crate) auth_url: String,
    pub(crate) agent_url: String,
    pub(crate) aws_url: String,
}

/// Starts PostgreSQL (all versions that there are), PgBouncer, Better Auth, the agent that the tests script and what stands
/// in for AWS.
pub(crate) async fn start(
    tools: &Tools,
    user: &User,
    folder: &Path,
    logs: &Path,
    running: &mut Running,
) -> Result<Services> {
    let passwords = Passwords::random()?;
    let eighteen = start_postgres(&tools.postgres, user, folder, logs, &passwords, running).await?;
    let mut databases = vec![eighteen];
    match tools::postgres_15() {
        Some(fifteen) => databases.push(start_postgres(&fifteen, user, folder, logs, &passwords, running).await?),
        None => {
            warn("PostgreSQL 15 is not on this machine: its tests don't run (Debian: apt-get install postgresql-15)");
        }
    }

    let mut pgbouncer_port = None;
    if let Some(program) = pgbouncer::find() {
        let port = ports::free()?;
        let folder = folder.join("pgbouncer");
        let log = logs.join("pgbouncer.log");
        let mut process = pgbouncer::start(&program, user, &folder, port, databases[0].port, &passwords.app, &log)?;
        process.wait_until(START, async || !ports::is_free(port)).await?;
        running.add(process);
        pgbouncer_port = Some(port);
    } else {
        warn("PgBouncer is not on this machine: its tests don't run (Debian: apt-get install pgbouncer)");
    }

    let role = "better_auth";
    let password = secrets::password()?;
    let server = &databases[0];
    server.create_role(role, "", &password).await?;
    server.create_database(role, role).await?;
    let port = ports::free()?;
    let url = server.url(role, &password, role);
    let log = logs.join("better-auth.log");
    running.add(auth_server::start(&tools.node, port, &url, &secrets::password()?, &log).await?);

    let auth_url = auth_server::url(port);
    let port = ports::free()?;
    running.add(agent::start(port, true, &logs.join("agent.log")).await?);
    let agent_url = agent::url(port);
    let port = ports::free()?;
    running.add(aws::start(port, &logs.join("moto.log")).await?);
    let aws_url = aws::url(port);
    let names: Vec<&str> = databases.iter().map(|server| server.name).collect();
    say(&format!(
        "{}{}, Better Auth, the development agent and moto run",
        names.join(", "),
        if pgbouncer_port.is_some() { ", PgBouncer" } else { "" }
    ));
    Ok(Services { databases, pgbouncer_port, passwords, auth_url, agent_url, aws_url })
}

async fn start_postgres(
    installation: &Installation,
    user: &User,
    folder: &Path,
    logs: &Path,
    passwords: &Passwords,
    running: &mut Running,
) -> Result<Server> {
    let name = installation.name;
    let log = logs.join(format!("{name}.log"));
    let (mut process, server) =
        installation.start(user, &folder.join(name), ports::free()?, passwords, Purpose::Test, &log).await?;
    process.wait_until(START, async || server.is_ready().await).await?;
    running.add(process);
    server.create_owner().await.with_context(|| format!("couldn't make the owner's role in {name}"))?;
    Ok(server)
}

impl Services {
    /// The value of `COLLOQUY_TEST`, which the suite reads, with `more` in it.
    pub(crate) fn describe(&self, mut more: Value) -> Value {
        let databases: Vec<Value> = self
            .databases
            .iter()
            .map(|server| {
                json!({"name": server.name, "url": server.superuser_url("postgres"), "tlsCaFile": server.authority})
            })
            .collect();
        more["databases"] = databases.into();
        more["pgbouncer"] = self
            .pgbouncer_port
            .map(|port| json!({"host": "127.0.0.1", "port": port, "database": self.databases[0].name}))
            .into();
        more["appPassword"] = self.passwords.app.as_str().into();
        more["ownerPassword"] = self.passwords.owner.as_str().into();
        more["authUrl"] = self.auth_url.as_str().into();
        more["agentUrl"] = self.agent_url.as_str().into();
        more["awsUrl"] = self.aws_url.as_str().into();
        more
    }
}

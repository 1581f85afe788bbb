//! `cargo xtask dev`: the whole system, running.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use shared::config::{self, Config, environment};

use crate::functions::Profile;
use crate::gateway::Gateway;
use crate::progress::say;
use crate::running::Running;
use crate::tour::ReadyFile;
use crate::user::User;
use crate::{agent, auth_server, functions, local_database, migration, ports, tools, tour, workspace};

/// Where the servers are, and whether the database is the last run's.
#[derive(clap::Args)]
pub(crate) struct Servers {
    /// Where the API listens; Better Auth, PostgreSQL and the development agent get the next three ports
    #[arg(long, default_value_t = 9000, value_parser = clap::value_parser!(u16).range(1024..=65532))]
    pub(crate) port: u16,
    /// Begin with an empty database
    #[arg(long)]
    fresh: bool,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    servers: Servers,
    /// Serve release binaries
    #[arg(long)]
    release: bool,
    /// How many requests a function serves at a time
    #[arg(long, default_value_t = 3)]
    instances: usize,
    /// Keep {"apiUrl","authUrl","agentUrl","databaseUrl","ownerDatabaseUrl"} there from when every endpoint answers to the end
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

/// Where everything is.
pub(crate) struct Addresses {
    pub(crate) api: String,
    pub(crate) auth: String,
    pub(crate) agent: String,
    pub(crate) database: String,
    pub(crate) owner_database: Option<String>,
}

/// What the environment has of its own.
pub(crate) struct Given {
    database: Option<String>,
    owner_database: Option<String>,
    auth: Option<String>,
    agent: Option<String>,
}

pub(crate) async fn run(options: &Options, running: &mut Running) -> Result<ExitCode> {
    // Two at once would share one database folder.
    let Some(_alone) = workspace::lock("dev")? else {
        bail!("another `cargo xtask dev` runs in this clone: stop it first");
    };
    let ready_file = options.ready_file.clone().map(ReadyFile::new).transpose()?;
    let given = options.servers.check()?;
    let binaries = if options.release { Profile::Release } else { Profile::Dev }.build().await?;
    let logs = workspace::fresh_logs("dev")?;
    let (addresses, settings) = options.servers.start(given, &logs, running).await?;

    let gateway = Gateway::start(options.servers.port, &logs, running).await?;
    say("starting the functions");
    functions::start(&binaries, gateway, options.instances, &settings, &logs, running)?;
    gateway.wait_for_endpoints(&logs, running).await?;
    if let Some(file) = &ready_file {
        file.write(&addresses)?;
    }
    println!("{}", tour::text(&addresses, &logs));
    match running.keep().await? {}
}

/// Starts what isn't given and migrates the database; answers where everything is, and what that makes of the settings.
async fn start_servers(
    options: &Servers,
    given: Given,
    logs: &Path,
    running: &mut Running,
) -> Result<(Addresses, Vec<(&'static str, String)>)> {
    let mut defaults = vec![("CORS_ORIGINS", "*".to_owned())];
    let mut app_password = setting("APP_DATABASE_PASSWORD");
    let (mut database, mut owner_database) = (given.database.clone(), given.owner_database);
    // Better Auth needs a database, too, and one that is given isn't there for its tables.
    if database.is_none() || given.auth.is_none() {
        let user = User::without_rights()?;
        let tools = tools::install(&user).await?;
        let folder = local_database::folder(&user)?;
        tools.postgres.stop_left_over(&user, &folder).await;
        if options.fresh {
            workspace::remove_folder(&folder)?;
        }
        check_port(options.database_port(), options)?;
        say("starting PostgreSQL");
        let local =
            local_database::start(&tools.postgres, &user, &folder, options.database_port(), logs, running).await?;
        if database.is_none() {
            database = Some(local.app_url());
            owner_database = Some(local.owner_url());
            app_password = Some(local.app_password().to_owned());
        }
        if given.auth.is_none() {
            say("starting Better Auth");
            let (url, secret) = local.better_auth().await?;
            let log = logs.join("better-auth.log");
            running.add(auth_server::start(&tools.node, options.auth_port(), &url, &secret, &log).await?);
            // The issuer has the port in it. On another port, users shall still find what is theirs.
            defaults.push(("ISSUER_ID", "development".to_owned()));
        }
    }
    if given.agent.is_none() {
        say("starting the development agent");
        running.add(agent::start(options.agent_port(), false, &logs.join("agent.log")).await?);
        defaults.push(("AGENT_MODEL", agent::MODEL.to_owned()));
    }
    match &owner_database {
        Some(url) => migration::migrate(url, app_password.as_deref()).await.map_err(|error| {
            if given.database.is_none() { error.context("`--fresh` begins with an empty database") } else { error }
        })?,
        None => say("MIGRATE_DATABASE_URL is not set: the database is taken as it is"),
    }

    let addresses = Addresses {
        api: format!("http://127.0.0.1:{}", options.port),
        auth: given.auth.unwrap_or_else(|| auth_server::url(options.auth_port())),
        agent: given.agent.unwrap_or_else(|| agent::url(options.agent_port())),
        database: database.unwrap_or_default(),
        owner_database,
    };
    defaults.push(("DATABASE_URL", addresses.database.clone()));
    defaults.push(("AUTH_URL", addresses.auth.clone()));
    defaults.push(("AGENT_URL", addresses.agent.clone()));
    Ok((addresses, defaults))
}

impl Servers {
    /// What is given, once it is plain that the rest can be started.
    pub(crate) fn check(&self) -> Result<Given> {
        let given = Given::read(self.fresh)?;
        check_port(self.port, self)?;
        if given.auth.is_none() {
            check_port(self.auth_port(), self)?;
        }
        if given.agent.is_none() {
            check_port(self.agent_port(), self)?;
        }
        Ok(given)
    }

    /// Starts what isn't given; answers where everything is, and the functions' settings.
    pub(crate) async fn start(
        &self,
        given: Given,
        logs: &Path,
        running: &mut Running,
    ) -> Result<(Addresses, Vec<(String, String)>)> {
        let (addresses, defaults) = start_servers(self, given, logs, running).await?;
        let settings = settings(&defaults, &setting);
        // Said here once, and not by each instance of each function in its log.
        Config::read(&|name| settings.iter().find(|(setting, _)| setting == name).map(|(_, value)| value.clone()))?;
        Ok((addresses, settings))
    }

    fn auth_port(&self) -> u16 {
        self.port + 1
    }

    fn database_port(&self) -> u16 {
        self.port + 2
    }

    fn agent_port(&self) -> u16 {
        self.port + 3
    }
}

impl Given {
    fn read(fresh: bool) -> Result<Self> {
        let given = Self {
            database: setting("DATABASE_URL"),
            owner_database: setting("MIGRATE_DATABASE_URL"),
            auth: setting("AUTH_URL"),
            agent: setting("AGENT_URL"),
        };
        if given.owner_database.is_some() && given.database.is_none() {
            bail!(
                "MIGRATE_DATABASE_URL is set and DATABASE_URL is not: set both, or neither for a database of this clone"
            );
        }
        if fresh && given.database.is_some() && given.auth.is_some() {
            bail!("--fresh empties the database of this clone, and DATABASE_URL and AUTH_URL name others");
        }
        Ok(given)
    }
}

/// A setting of the environment, if it isn't empty.
fn setting(name: &str) -> Option<String> {
    environment(name).filter(|value| !value.trim().is_empty())
}

/// The settings of the functions: the environment's where it has them, else these defaults.
fn settings(defaults: &[(&str, String)], given: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let default = |name| defaults.iter().find(|(default, _)| *default == name).map(|(_, value)| value.clone());
    config::settings()
        .filter_map(|setting| Some((setting.name.to_owned(), given(setting.name).or_else(|| default(setting.name))?)))
        .collect()
}

fn check_port(port: u16, options: &Servers) -> Result<()> {
    if ports::is_free(port) {
        return Ok(());
    }
    let other = if options.port < 60_000 { options.port + 100 } else { 9000 };
    bail!("port {port} is taken: stop the program that listens there, or choose other ports with --port {other}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_defaults() {
        let given = |name: &str| (name == "AUTH_URL").then(|| "https://app.example.com/api/auth".to_owned());
        let defaults =
            vec![("AUTH_URL", "http://127.0.0.1:9001/api/auth".to_owned()), ("CORS_ORIGINS", "*".to_owned())];
        assert_eq!(
            settings(&defaults, &given),
            [("AUTH_URL", "https://app.example.com/api/auth"), ("CORS_ORIGINS", "*")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}

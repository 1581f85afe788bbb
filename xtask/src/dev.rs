//! `cargo xtask dev`: the whole system, running.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use shared::config::{Config, SETTINGS, environment};

use crate::functions::Profile;
use crate::gateway::Gateway;
use crate::progress::say;
use crate::running::Running;
use crate::tour::ReadyFile;
use crate::user::User;
use crate::{auth_server, functions, local_database, migration, ports, tools, tour, workspace};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the API listens; Better Auth and PostgreSQL get the next two ports
    #[arg(long, default_value_t = 9000, value_parser = clap::value_parser!(u16).range(1024..=65533))]
    port: u16,
    /// Begin with an empty database
    #[arg(long)]
    fresh: bool,
    /// Serve release binaries
    #[arg(long)]
    release: bool,
    /// How many requests a function serves at a time
    #[arg(long, default_value_t = 3)]
    instances: usize,
    /// Keep {"apiUrl","authUrl","databaseUrl","ownerDatabaseUrl"} there from when every endpoint answers to the end
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

/// Where everything is.
pub(crate) struct Addresses {
    pub(crate) api: String,
    pub(crate) auth: String,
    pub(crate) database: String,
    pub(crate) owner_database: Option<String>,
}

pub(crate) async fn run(options: &Options, running: &mut Running) -> Result<ExitCode> {
    // Two at once would share one database folder.
    let Some(_alone) = workspace::lock("dev")? else {
        bail!("another `cargo xtask dev` runs in this clone: stop it first");
    };
    let ready_file = options.ready_file.clone().map(ReadyFile::new).transpose()?;
    let given = |name| environment(name).filter(|value| !value.trim().is_empty());
    let (database_url, owner_url, auth_url) = (given("DATABASE_URL"), given("MIGRATE_DATABASE_URL"), given("AUTH_URL"));
    if owner_url.is_some() && database_url.is_none() {
        bail!("MIGRATE_DATABASE_URL is set and DATABASE_URL is not: set both, or neither for a database of this clone");
    }
    let [api_port, auth_port, database_port] = [0, 1, 2].map(|offset| options.port + offset);
    check_port(api_port, options.port)?;
    if auth_url.is_none() {
        check_port(auth_port, options.port)?;
    }

    let user = User::without_rights()?;
    let binaries = if options.release { Profile::Release } else { Profile::Dev }.build().await?;
    let logs = workspace::fresh_logs("dev")?;

    // Better Auth needs a database, too, and one that is given isn't there for its tables.
    let local = if database_url.is_none() || auth_url.is_none() {
        let tools = tools::install(&user).await?;
        let folder = local_database::folder(&user)?;
        tools.postgres.stop_left_over(&user, &folder).await;
        if options.fresh {
            workspace::remove_folder(&folder)?;
        }
        check_port(database_port, options.port)?;
        say("starting PostgreSQL");
        let local = local_database::start(&tools.postgres, &user, &folder, database_port, &logs, running).await?;
        Some((tools, local))
    } else if options.fresh {
        bail!("--fresh empties the database of this clone, and DATABASE_URL and AUTH_URL name others");
    } else {
        None
    };

    let mut addresses = Addresses {
        api: format!("http://127.0.0.1:{api_port}"),
        auth: auth_url.clone().unwrap_or_else(|| auth_server::url(auth_port)),
        database: database_url.clone().unwrap_or_default(),
        owner_database: owner_url,
    };
    let mut defaults = vec![("CORS_ORIGINS", "*".to_owned())];
    if let Some((tools, local)) = &local {
        if database_url.is_none() {
            addresses.database = local.app_url();
            addresses.owner_database = Some(local.owner_url());
        }
        if auth_url.is_none() {
            say("starting Better Auth");
            let (url, secret) = local.better_auth().await?;
            running
                .add(auth_server::start(&tools.node, auth_port, &url, &secret, &logs.join("better-auth.log")).await?);
            // The issuer has the port in it. On another port, users shall still find what is theirs.
            defaults.push(("ISSUER_ID", "development".to_owned()));
        }
    }
    match &addresses.owner_database {
        Some(url) => {
            let password = local.as_ref().filter(|_| database_url.is_none()).map(|(_, local)| local.app_password());
            migration::migrate(url, password.map(str::to_owned).or(given("APP_DATABASE_PASSWORD")).as_deref()).await?;
        }
        None => say("MIGRATE_DATABASE_URL is not set: the database is taken as it is"),
    }
    defaults.push(("DATABASE_URL", addresses.database.clone()));
    defaults.push(("AUTH_URL", addresses.auth.clone()));

    let settings = settings(&defaults, &given);
    // Said here once, and not by each instance of each function in its log.
    Config::read(&|name| settings.iter().find(|(setting, _)| setting == name).map(|(_, value)| value.clone()))?;

    let gateway = Gateway::start(api_port, &logs, running).await?;
    say("starting the functions");
    functions::start(&binaries, gateway, options.instances, &settings, &logs, running)?;
    gateway.wait_for_endpoints(&logs, running).await?;
    if let Some(file) = &ready_file {
        file.write(&addresses)?;
    }
    println!("{}", tour::text(&addresses, &logs));
    match running.keep().await? {}
}

/// The settings of the functions: the environment's where it has them, else these defaults.
fn settings(defaults: &[(&str, String)], given: &dyn Fn(&'static str) -> Option<String>) -> Vec<(String, String)> {
    let default = |name| defaults.iter().find(|(default, _)| *default == name).map(|(_, value)| value.clone());
    SETTINGS
        .iter()
        .filter_map(|setting| Some((setting.name.to_owned(), given(setting.name).or_else(|| default(setting.name))?)))
        .collect()
}

fn check_port(port: u16, first: u16) -> Result<()> {
    if ports::is_free(port) {
        return Ok(());
    }
    let other = if first < 60_000 { first + 100 } else { 9000 };
    bail!("port {port} is taken: stop the program that listens there, or choose other ports with --port {other}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_defaults() {
        let given = |name| (name == "AUTH_URL").then(|| "https://app.example.com/api/auth".to_owned());
        let defaults =
            vec![("AUTH_URL", "http://127.0.0.1:9001/api/auth".to_owned()), ("CORS_ORIGINS", "*".to_owned())];
        assert_eq!(
            settings(&defaults, &given),
            [("AUTH_URL", "https://app.example.com/api/auth"), ("CORS_ORIGINS", "*")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}

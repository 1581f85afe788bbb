//! PostgreSQL servers of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio_postgres::NoTls;

use crate::certificates;
use crate::process::Process;
use crate::program::Program;
use crate::secrets;
use crate::user::User;

/// The role that owns databases and migrates them; no superuser, as on any hosted PostgreSQL.
pub(crate) const OWNER: &str = "colloquy_owner";
/// The role that functions log in as; `migrate` makes it.
pub(crate) const APP: &str = "colloquy_app";

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its data is kept.
    Development,
    /// Its data is thrown away: nothing waits for the disk.
    Test,
    /// The same, and otherwise as a service would have it.
    Measurement,
}

impl Purpose {
    /// What the server is told for this purpose.
    pub(crate) const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Development => &[],
            Self::Test => {
                &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_locks_per_transaction=256"]
            }
            // A commit writes its WAL, but doesn't wait for the disk, which says nothing about this code. Neither a
            // checkpoint nor autovacuum begins in the middle of a measurement.
            Self::Measurement => &[
                "fsync=off",
                "shared_buffers=2GB",
                "max_wal_size=16GB",
                "checkpoint_timeout=1h",
                "autovacuum=off",
                "maintenance_work_mem=512MB",
            ],
        }
    }
}

/// The programs of one version.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    /// Such as `postgres-18`.
    pub(crate) name: &'static str,
    /// The folder of `initdb` and `postgres`.
    pub(crate) programs: PathBuf,
    /// The arguments of `initdb` for text compared by code point, whatever the system's language.
    pub(crate) locale: &'static [&'static str],
}

/// The passwords of a server's roles.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Passwords {
    pub(crate) superuser: String,
    pub(crate) owner: String,
    pub(crate) app: String,
}

impl Passwords {
    pub(crate) fn random() -> Result<Self> {
        Ok(Self { superuser: secrets::password()?, owner: secrets::password()?, app: secrets::password()? })
    }
}

/// A server that accepts connections.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// What a client must trust to connect by TLS.
    pub(crate) authority: PathBuf,
    passwords: Passwords,
}

impl Installation {
    /// Starts a server whose files are in `folder`, and makes the role that owns databases.
    pub(crate) async fn start(
        &self,
        user: &User,
        folder: &Path,
        port: u16,
        passwords: &Passwords,
        purpose: Purpose,
        log: &Path,
    ) -> Result<(Process, Server)> {
        let data = folder.join("data");
        if !data.join("PG_VERSION").exists() {
            self.create(user, folder, &data, &passwords.superuser).await?;
        }
        let program = self.program(user, "postgres", &data).args(settings(folder, port, purpose));
        // SIGINT: end sessions and stop. SIGTERM would wait until every client has left.
        let process = program.stopped_by(Signal::INT).start(log)?;
        let server = Server { name: self.name, port, authority: folder.join("ca.pem"), passwords: passwords.clone() };
        Ok((process, server))
    }

    fn program(&self, user: &User, program: &str, data: &Path) -> Program {
        Program::new(self.name, vec![self.programs.join(program).display().to_string()])
            .run_by(user)
            .args(["-D".to_owned(), data.display().to_string()])
            // Any folder will do that this user may enter; the one that we were started in may be closed to it.
            .folder(Path::new("/"))
            // Messages in English, to be searched for. The rest would point it at another server's files.
            .env("LC_ALL", "C")
            .without_env("PGDATA")
            .without_env("PGPORT")
    }

    async fn create(&self, user: &User, folder: &Path, data: &Path, password: &str) -> Result<()> {
        user.create_folder(folder)?;
        // What an interrupted initdb left would be refused.
        crate::workspace::remove_folder(data)?;
        let password_file = folder.join("password");
        user.write_secret(&password_file, password)?;
        let created = self
            .program(user, "initdb", data)
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--no-instructions"])
            .arg(format!("--pwfile={}", password_file.display()))
            .args(self.locale.iter().copied())
            .run_quietly(Duration::from_mins(5))
            .await;
        fs::remove_file(&password_file)?;
        created.with_context(|| format!("couldn't create the files of {}", self.name))?;

        let certificates = certificates::issue().context("couldn't make a certificate")?;
        fs::write(folder.join("ca.pem"), certificates.authority)?;
        user.write_secret(&folder.join("server.pem"), &certificates.certificate)?;
        user.write_secret(&folder.join("server.key"), &certificates.key)
    }

    /// Stops a server that a killed run left behind. Without one there is nothing to do.
    pub(crate) async fn stop_left_over(&self, user: &User, folder: &Path) {
        let data = folder.join("data");
        if data.join("postmaster.pid").exists() {
            let stop = self.program(user, "pg_ctl", &data).args(["stop", "--mode=fast", "--wait", "--timeout=30"]);
            // It fails where the server is gone and its file is left, and that is as well.
            let _ = stop.run_quietly(Duration::from_mins(1)).await;
        }
    }
}

fn settings(folder: &Path, port: u16, purpose: Purpose) -> Vec<String> {
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        // A socket's path may have 107 bytes, and a clone's has as many as it likes.
        "unix_socket_directories=".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", folder.join("server.pem").display()),
        format!("ssl_key_file={}", folder.join("server.key").display()),
        // One for each instance of each function, and for many tests at once.
        "max_connections=400".to_owned(),
    ];
    settings.extend(purpose.settings().iter().map(|&setting| setting.to_owned()));
    settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
}

impl Server {
    /// The connection string of a role.
    pub(crate) fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The superuser's connection string.
    pub(crate) fn superuser_url(&self, database: &str) -> String {
        self.url("postgres", &self.passwords.superuser, database)
    }

    /// The owner's connection string.
    pub(crate) fn owner_url(&self, database: &str) -> String {
        self.url(OWNER, &self.passwords.owner, database)
    }

    /// The functions' connection string. Plain: the server is on this machine.
    pub(crate) fn app_url(&self, database: &str) -> String {
        format!("{}?sslmode=disable", self.url(APP, &self.passwords.app, database))
    }

    /// Whether it accepts connections.
    pub(crate) async fn is_ready(&self) -> bool {
        self.run("select 1").await.is_ok()
    }

    /// Makes the owner, unless it is there.
    pub(crate) async fn create_owner(&self) -> Result<()> {
        self.create_role(OWNER, "CREATEROLE", &self.passwords.owner).await
    }

    /// Makes a role that may log in, unless it is there, and gives it its password.
    pub(crate) async fn create_role(&self, role: &str, rights: &str, password: &str) -> Result<()> {
        self.run(&format!(
            "do $$ begin if not exists (select from pg_roles where rolname = '{role}') then create role {role}; end if; end $$;
             alter role {role} login {rights} password '{password}'"
        ))
        .await
    }

    /// Makes a database, unless it is there.
    pub(crate) async fn create_database(&self, database: &str, owner: &str) -> Result<()> {
        match self.run(&format!("create database {database} owner {owner}")).await {
            Err(error) if code(&error) == Some("42P04") => Ok(()),
            other => other,
        }
    }

    /// Runs SQL as the superuser.
    async fn run(&self, sql: &str) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.superuser_url("postgres"), NoTls).await?;
        let work = async {
            let done = client.batch_execute(sql).await;
            drop(client);
            done
        };
        let (done, _) = tokio::join!(work, connection);
        Ok(done?)
    }
}

fn code(error: &anyhow::Error) -> Option<&str> {
    Some(error.downcast_ref::<tokio_postgres::Error>()?.code()?.code())
}

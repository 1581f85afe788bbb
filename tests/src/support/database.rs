//! A database for each test: a clone of one that was migrated once.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use shared::config::DatabaseConfig;
use shared::db::Db;
use shared::db::migrate::migrate;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use super::setup;

/// In which ways the functions reach PostgreSQL. What holds must hold in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The newest version, directly.
    Postgres18,
    /// The oldest version, directly.
    Postgres15,
    /// Encrypted, the server's certificate verified, the password bound to the channel.
    Tls,
    /// Through a pooler in transaction mode.
    PgBouncer,
}

impl Kind {
    /// The server's name in `COLLOQUY_TEST`.
    const fn server(self) -> &'static str {
        match self {
            Self::Postgres15 => "postgres-15",
            Self::Postgres18 | Self::Tls | Self::PgBouncer => "postgres-18",
        }
    }
}

/// A server that `cargo xtask test` started.
struct Server {
    /// The superuser's URL of the database `postgres`.
    url: &'static str,
    ca_file: &'static str,
}

fn server(name: &str) -> Option<Server> {
    let servers = setup().all["databases"].as_array().expect("databases");
    let server = servers.iter().find(|server| server["name"] == name)?;
    Some(Server {
        url: server["url"].as_str().expect("url"),
        ca_file: server["tlsCaFile"].as_str().expect("tlsCaFile"),
    })
}

/// A database of a test's own, migrated and empty. It is dropped at the end, unless the test fails.
#[derive(Debug)]
pub(crate) struct Database {
    /// How it is reached.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// For the functions: `colloquy_app`.
    pub(crate) app_url: String,
    /// For migrations: `colloquy_owner`, directly.
    pub(crate) owner_url: String,
    /// For looking behind the curtain, directly.
    pub(crate) superuser_url: String,
}

impl Database {
    /// A migrated database; none where this kind isn't on this machine.
    pub(crate) async fn migrated(kind: Kind) -> Option<Self> {
        let server = server(kind.server())?;
        Self::clone_of(template(kind.server(), &server).await, kind, &server).await
    }

    /// An empty database that the migrations haven't seen.
    pub(crate) async fn unmigrated(kind: Kind) -> Option<Self> {
        Self::clone_of("template0", kind, &server(kind.server())?).await
    }

    async fn clone_of(template: &str, kind: Kind, server: &Server) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let pgbouncer = &setup().all["pgbouncer"];
        if kind == Kind::PgBouncer && pgbouncer.is_null() {
            return None;
        }
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        create(server.url, &name, template).await;
        let app = ("colloquy_app", setup().text("appPassword"));
        let app_url = match kind {
            Kind::Postgres15 | Kind::Postgres18 => url_of(server.url, app, &name),
            Kind::Tls => format!(
                "{}?sslmode=verify-full&channel_binding=require&sslrootcert={}",
                url_of(server.url, app, &name),
                server.ca_file
            ),
            Kind::PgBouncer => {
                let through = format!("postgresql://x@{}:{}/x", text(&pgbouncer["host"]), pgbouncer["port"]);
                format!("{}?pgbouncer=true", url_of(&through, app, &name))
            }
        };
        Some(Self {
            kind,
            app_url,
            owner_url: owner_url(server.url, &name),
            superuser_url: rename(server.url, &name),
            name,
        })
    }

    /// Settings with one connection.
    pub(crate) fn config(&self) -> DatabaseConfig {
        DatabaseConfig {
            url: self.app_url.as_str().into(),
            pool_size: 1,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }

    /// The database as the functions have it, with one connection.
    pub(crate) fn db(&self) -> Db {
        Db::new(&self.config()).expect("a good URL")
    }

    /// The same with so many connections.
    pub(crate) fn db_of(&self, pool_size: usize) -> Db {
        Db::new(&DatabaseConfig { pool_size, ..self.config() }).expect("a good URL")
    }

    /// A session of the superuser.
    pub(crate) async fn superuser(&self) -> Client {
        connect(&self.superuser_url).await
    }

    /// A session of the owner.
    pub(crate) async fn owner(&self) -> Client {
        connect(&self.owner_url).await
    }

    /// A session of `colloquy_app`, directly and without any of the code under test.
    pub(crate) async fn app(&self) -> Client {
        connect(&url_of(&self.superuser_url, ("colloquy_app", setup().text("appPassword")), &self.name)).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the database {} is kept", self.name);
            return;
        }
        let (url, name) = (rename(&self.superuser_url, "postgres"), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let drop = format!("drop database {name} with (force)");
                connect(&url).await.batch_execute(&drop).await.expect("dropped");
            });
        });
        dropping.join().expect("dropped");
    }
}

/// Runs a test's body on one kind of database, and says so loudly where that isn't on this machine.
pub(crate) async fn on<F: Future<Output = ()>>(kind: Kind, test: impl FnOnce(Database) -> F) {
    match Database::migrated(kind).await {
        Some(database) => test(database).await,
        None => eprintln!("SKIPPED: there is no {kind:?} on this machine"),
    }
}

/// Makes a test of each kind of database out of each function. It runs on one thread, as the Lambda functions do; with
/// `on threads:` before the names on two, where connections and requests truly interleave.
macro_rules! on_every_database {
    (on threads: $($name:ident),+ $(,)?) => {$(
        $crate::support::database::on_kinds! {
            (flavor = "multi_thread", worker_threads = 2)
            $name: postgres_18 Postgres18, postgres_15 Postgres15, tls Tls, pgbouncer PgBouncer
        }
    )+};
    ($($name:ident),+ $(,)?) => {$(
        $crate::support::database::on_kinds! {
            (flavor = "current_thread")
            $name: postgres_18 Postgres18, postgres_15 Postgres15, tls Tls, pgbouncer PgBouncer
        }
    )+};
}

/// Makes a test of each version of PostgreSQL out of each function: for what doesn't hang on the way to the server.
macro_rules! on_every_version {
    ($($name:ident),+ $(,)?) => {$(
        $crate::support::database::on_kinds! {
            (flavor = "current_thread") $name: postgres_18 Postgres18, postgres_15 Postgres15
        }
    )+};
}

macro_rules! on_kinds {
    ($runtime:tt $name:ident: $($test:ident $kind:ident),+) => {
        mod $name {
            $(
                #[tokio::test $runtime]
                async fn $test() {
                    $crate::support::database::on($crate::support::database::Kind::$kind, super::$name).await;
                }
            )+
        }
    };
}
pub(crate) use {on_every_database, on_every_version, on_kinds};

/// One template for each server in a run. Tests have runtimes of their own and share this process.
async fn template(name: &str, server: &Server) -> &'static str {
    static FIFTEEN: OnceCell<String> = OnceCell::const_new();
    static EIGHTEEN: OnceCell<String> = OnceCell::const_new();
    let cell = if name == "postgres-15" { &FIFTEEN } else { &EIGHTEEN };
    cell.get_or_init(|| async {
        let template = format!("template_{}", std::process::id());
        create(server.url, &template, "template0").await;
        migrate(&owner_url(server.url, &template), Some(setup().text("appPassword"))).await.expect("migrated");
        template
    })
    .await
}

async fn create(superuser_url: &str, name: &str, template: &str) {
    let client = connect(superuser_url).await;
    // A run that was served for several `cargo test`s may have left one of this name.
    client.batch_execute(&format!("drop database if exists {name} with (force)")).await.expect("dropped");
    let create = format!("create database {name} template {template} owner colloquy_owner");
    client.batch_execute(&create).await.expect("created");
}

/// A plain session without any of the code under test.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn owner_url(url: &str, database: &str) -> String {
    url_of(url, ("colloquy_owner", setup().text("ownerPassword")), database)
}

/// The URL with another role and database.
fn url_of(url: &str, (role, password): (&str, &str), database: &str) -> String {
    let host = url.split_once('@').expect("a role").1;
    rename(&format!("postgresql://{role}:{password}@{host}"), database)
}

/// The URL with another database.
fn rename(url: &str, database: &str) -> String {
    format!("{}/{database}", url.rsplit_once('/').expect("a database").0)
}

//! What an operator asks of a database before anybody else does: where a URL leads, who signs in there with which
//! rights, and whether the schema is the one that this release needs. Reads only; no function calls this.

use std::time::Duration;

use refinery::Migration;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Row};

use super::address::Address;
use super::migrate::{embedded, words};

/// Every statement of this release, by its file.
const STATEMENTS: &[(&str, &str)] = &[
    ("conversations/create.sql", include_str!("conversations/create.sql")),
    ("conversations/delete.sql", include_str!("conversations/delete.sql")),
    ("conversations/get.sql", include_str!("conversations/get.sql")),
    ("conversations/list.sql", include_str!("conversations/list.sql")),
    ("conversations/lock.sql", include_str!("conversations/lock.sql")),
    ("conversations/set_generated_title.sql", include_str!("conversations/set_generated_title.sql")),
    ("conversations/update.sql", include_str!("conversations/update.sql")),
    ("messages/append.sql", include_str!("messages/append.sql")),
    ("messages/get.sql", include_str!("messages/get.sql")),
    ("messages/list_asc.sql", include_str!("messages/list_asc.sql")),
    ("messages/list_desc.sql", include_str!("messages/list_desc.sql")),
    ("runs/append_chunks.sql", include_str!("runs/append_chunks.sql")),
    ("runs/chunks.sql", include_str!("runs/chunks.sql")),
    ("runs/end.sql", include_str!("runs/end.sql")),
    ("runs/find.sql", include_str!("runs/find.sql")),
    ("runs/prune.sql", include_str!("runs/prune.sql")),
    ("runs/read.sql", include_str!("runs/read.sql")),
    ("runs/request_stop.sql", include_str!("runs/request_stop.sql")),
    ("runs/store_parts.sql", include_str!("runs/store_parts.sql")),
    ("runs/sweep.sql", include_str!("runs/sweep.sql")),
    ("turns/activate.sql", include_str!("turns/activate.sql")),
    ("turns/branches.sql", include_str!("turns/branches.sql")),
    ("turns/page.sql", include_str!("turns/page.sql")),
    ("turns/start.sql", include_str!("turns/start.sql")),
];

/// Which role this is, what it may do beyond its own, and through which it could do more.
const ROLE: &str = "
    select current_user::text, r.rolsuper, r.rolbypassrls, exists (
        select from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace
            and c.relname in ('users', 'conversations', 'messages', 'runs', 'run_chunks', 'quota_usage')
            and pg_has_role(c.relowner, 'MEMBER')),
        (select min(p.rolname) from pg_catalog.pg_roles p
            where (p.rolsuper or p.rolbypassrls) and p.rolname <> current_user and not r.rolsuper
                and pg_has_role(p.oid, 'MEMBER'))::text,
        current_setting('server_version_num')::int4,
        to_regclass('public.conversations') is not null,
        r.rolcreaterole
    from pg_catalog.pg_roles r where r.rolname = current_user";

/// Where a connection URL leads. Holds no password.
#[derive(Clone, Debug)]
pub struct Route {
    /// Hosts and their ports; a socket's folder is none.
    pub hosts: Vec<(String, u16)>,
    /// Who signs in.
    pub role: Option<String>,
    /// Whether the way is encrypted, and the server's certificate verified.
    pub encrypted: bool,
    /// Whether the host is Neon's.
    pub neon: bool,
    /// Whether the host is that of Neon's pooler.
    pub pooler: bool,
}

/// Reads a connection URL. The error completes "the URL …" and holds nothing of it.
pub fn route(url: &str) -> Result<Route, String> {
    let address = Address::parse(url, Duration::from_secs(5)).map_err(|bad| bad.to_string())?;
    let config = address.config();
    let port = |i: usize| config.get_ports().get(i).or(config.get_ports().first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate().filter_map(|(i, host)| match host {
        Host::Tcp(name) => Some((name.clone(), port(i))),
        Host::Unix(_) => None,
    });
    let hosts: Vec<_> = hosts.collect();
    Ok(Route {
        neon: hosts.iter().any(|(name, _)| name.ends_with(".neon.tech")),
        role: config.get_user().map(str::to_owned),
        encrypted: address.is_encrypted(),
        pooler: address.is_neons_pooler(),
        hosts,
    })
}

/// What a database answers.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Such as 180001.
    pub server_version: i32,
    /// Who signed in.
    pub role: String,
    /// Why row-level security can't hold against it; empty where it does.
    pub powers: Vec<Power>,
    /// It may make roles, as migrating does.
    pub creates_roles: bool,
    /// A role that row-level security doesn't bind and that this one can become.
    pub can_become: Option<String>,
    /// How far the schema is.
    pub schema: Schema,
    /// The statements of this release that the database refuses, by their file, with its reason.
    pub refused_statements: Vec<(&'static str, String)>,
}

/// What makes row-level security powerless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// A superuser.
    Superuser,
    /// A role with BYPASSRLS.
    Bypass,
    /// The tables' owner, or a member of it: it can switch row-level security off.
    Owner,
}

/// How far the schema is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// There are no tables of ours.
    None,
    /// There are tables; which migrations made them, this role may not read.
    Hidden,
    /// What the migrations' own table says.
    Known {
        /// Migrations of this release that aren't applied.
        pending: Vec<String>,
        /// Applied migrations that this release doesn't know: a later release's.
        unknown: Vec<String>,
        /// Migrations whose file is another than the applied one.
        changed: Vec<String>,
    },
}

/// Why a database can't be inspected. Holds no part of the URL and no password.
#[derive(Clone, Debug)]
pub struct NotInspected {
    /// What happened.
    pub words: String,
    /// The server's code, if it was the server that refused.
    pub sqlstate: Option<String>,
}

/// Signs in and looks around.
pub async fn inspect(url: &str, connect_timeout: Duration) -> Result<Inspection, NotInspected> {
    let failed = |words: &str| NotInspected { words: words.to_owned(), sqlstate: None };
    let address = Address::parse(url, connect_timeout).map_err(|bad| failed(&format!("the URL {bad}")))?;
    let whole = connect_timeout + Duration::from_secs(10);
    let looking = tokio::time::timeout(whole, async {
        let (mut client, connection) = address.connect().await.map_err(|error| refused(&error))?;
        let found = look(&mut client).await.map_err(|error| refused(&error));
        drop(client);
        connection.abort();
        found
    });
    looking.await.unwrap_or_else(|_| Err(failed(&format!("no answer within {} s", whole.as_secs()))))
}

async fn look(client: &mut Client) -> Result<Inspection, tokio_postgres::Error> {
    // One transaction, so that a pooler gives one session for all of it.
    let transaction = client.build_transaction().read_only(true).start().await?;
    let row = transaction.query_typed_one(ROLE, &[]).await?;
    let tables: bool = row.try_get(6)?;
    let mut refused_statements = Vec::new();
    let mut schema = Schema::None;
    if tables {
        for (file, sql) in STATEMENTS {
            // A failed statement ends a transaction; back at the savepoint it goes on.
            transaction.batch_execute("savepoint statement").await?;
            if let Err(error) = transaction.prepare(sql).await {
                transaction.batch_execute("rollback to savepoint statement").await?;
                refused_statements.push((*file, words(&error)));
            }
        }
        let history = "select version, name, checksum from public.refinery_schema_history order by version";
        schema = match transaction.query_typed(history, &[]).await {
            Ok(rows) => compared(&rows)?,
            Err(_) => Schema::Hidden,
        };
    }
    let mut powers = Vec::new();
    for (column, power) in [(1, Power::Superuser), (2, Power::Bypass), (3, Power::Owner)] {
        if row.try_get(column)? {
            powers.push(power);
        }
    }
    Ok(Inspection {
        role: row.try_get(0)?,
        powers,
        can_become: row.try_get(4)?,
        server_version: row.try_get(5)?,
        creates_roles: row.try_get(7)?,
        schema,
        refused_statements,
    })
}

/// What the migrations' table says, against this release's files.
fn compared(rows: &[Row]) -> Result<Schema, tokio_postgres::Error> {
    let runner = embedded::migrations::runner();
    let files = runner.get_migrations();
    let (mut unknown, mut changed, mut applied) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let (version, name, checksum): (i32, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        applied.push(version);
        match files.iter().find(|file| i64::from(file.version()) == i64::from(version)) {
            None => unknown.push(format!("V{version}__{name}")),
            Some(file) if file.checksum().to_string() != checksum => changed.push(file.to_string()),
            Some(_) => {}
        }
    }
    let pending = files.iter().filter(|file| !applied.iter().any(|it| i64::from(*it) == i64::from(file.version())));
    Ok(Schema::Known { pending: pending.map(Migration::to_string).collect(), unknown, changed })
}

fn refused(error: &tokio_postgres::Error) -> NotInspected {
    NotInspected { words: words(error), sqlstate: error.code().map(|code| code.code().to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn no_statement_is_forgotten() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/db");
        let mut files = Vec::new();
        for module in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|it| it.is_dir()) {
            for file in std::fs::read_dir(&module).unwrap().map(|entry| entry.unwrap().path()) {
                if file.extension().is_some_and(|extension| extension == "sql") {
                    files.push(file.strip_prefix(&folder).unwrap().display().to_string());
                }
            }
        }
        files.sort();
        assert_eq!(files, STATEMENTS.iter().map(|(file, _)| (*file).to_owned()).collect::<Vec<_>>());
    }

    #[test]
    fn a_route_has_hosts_and_no_password() {
        let url = "postgresql://colloquy_app:secret@ep-x-pooler.eu.aws.neon.tech/db?sslmode=require";
        let found = route(url).unwrap();
        assert_eq!(found.hosts, [("ep-x-pooler.eu.aws.neon.tech".to_owned(), 5432)]);
        assert!(found.neon && found.pooler && found.encrypted);
        assert!(!format!("{found:?}").contains("secret"));
        let found = route("postgresql://u:p@db.example.com:6432/db?sslmode=disable").unwrap();
        assert!(!found.neon && !found.pooler && !found.encrypted);
        assert_eq!(found.hosts[0].1, 6432);
    }
}

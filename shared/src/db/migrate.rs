//! The schema's migrations, and the role that the functions sign in as.
//!
//! refinery applies each file of `migrations/` once, in a transaction of its own, and refuses to go on where a file was
//! changed after it had been applied. It has no lock, so an advisory lock of ours makes a second run wait for the first.
//! That lock and the settings below belong to the session: this needs the direct host, not a pooler.
//!
//! Roles belong to the whole cluster while migrations run in one database, and several databases may be migrated at the
//! same time. So roles aren't made by a migration but before them, by steps that find their work done already.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use refinery::Migration;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::address::Address;

#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "the macro writes this module")]
pub(super) mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// `colloquy` in ASCII. Advisory locks are per database.
const LOCK: i64 = 0x636f_6c6c_6f71_7579;
/// To reach the database and sign in. A suspended compute of Neon's wakes within it.
const CONNECT: Duration = Duration::from_secs(15);
/// For everything: what Lambda gives a function at most, less a minute.
const WHOLE: Duration = Duration::from_mins(14);
/// For another migration of the same database.
const LOCK_WAIT: &str = "60s";
/// For a table that a request uses. Whoever waits for a table's lock keeps later requests from it, so not for long.
const TABLE_WAIT: &str = "5s";

/// The role that the functions sign in as, and the one that owns what must reach across users: nobody signs in as that.
///
/// Waits are bounded for every session of the first, through a pooler, too: it opens the sessions. It is changed only
/// where it differs, since two databases' migrations can't change one role at the same moment.
const ROLES: &str = "
do $do$
declare
    wanted constant text[] := array[
        'statement_timeout=5s', 'lock_timeout=2s', 'idle_in_transaction_session_timeout=10s'];
    role text;
    setting text;
begin
    foreach role in array array['colloquy_app login', 'colloquy_sweep nologin'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = split_part(role, ' ', 1)) then
            begin
                execute 'create role ' || role;
            exception when duplicate_object or unique_violation then
                null; -- the migration of another database was faster
            end;
        end if;
    end loop;
    if not exists (
        select from pg_catalog.pg_db_role_setting
        where setdatabase = 0 and setrole = 'colloquy_app'::regrole and setconfig @> wanted
    ) then
        foreach setting in array wanted loop
            execute format(
                'alter role colloquy_app set %I = %L', split_part(setting, '=', 1), split_part(setting, '=', 2));
        end loop;
    end if;
end
$do$";

const HAND_OVER_PASSWORD: &str = "select set_config('colloquy.app_password', $1, false)";

/// In plain text, since Neon demands it, but in no statement's text, which the server may log. The error is raised anew
/// because the first one's context has the inner statement.
const SET_PASSWORD: &str = "
do $do$
begin
    execute format('alter role colloquy_app password %L', current_setting('colloquy.app_password'));
exception when others then
    raise exception using errcode = sqlstate, message = sqlerrm;
end
$do$";

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The migrations that it applied, such as `V1__tables`. Empty where there were none left.
    pub applied: Vec<String>,
}

/// Why the schema isn't up to date. Holds no part of the URL and no password.
#[derive(Debug)]
pub struct NotMigrated(String);

impl fmt::Display for NotMigrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotMigrated {}

/// Brings the schema up to date, as its owner. With a password it becomes `colloquy_app`'s.
pub async fn migrate(owner_url: &str, app_password: Option<&str>) -> Result<Report, NotMigrated> {
    let address =
        Address::parse(owner_url, CONNECT).map_err(|bad| NotMigrated(format!("MIGRATE_DATABASE_URL {bad}")))?;
    if address.is_neons_pooler() {
        return Err(NotMigrated("MIGRATE_DATABASE_URL names the pooler; use the host without -pooler".to_owned()));
    }
    let connected = tokio::time::timeout(CONNECT, address.connect()).await;
    let (mut client, connection) = connected
        .map_err(|_| NotMigrated("the database didn't answer in time".to_owned()))?
        .map_err(|error| because("the database can't be reached", &error))?;
    let report = tokio::time::timeout(WHOLE, run(&mut client, app_password)).await;
    // The lock ends with the session.
    drop(client);
    connection.abort();
    report.map_err(|_| NotMigrated("the migrations didn't end in time; what was under way is undone".to_owned()))?
}

async fn run(client: &mut Client, app_password: Option<&str>) -> Result<Report, NotMigrated> {
    bound_waits(client, LOCK_WAIT).await?;
    client
        .query_typed("select pg_advisory_lock($1)", &[(&LOCK, Type::INT8)])
        .await
        .map_err(|error| because("another migration of this database didn't end", &error))?;
    bound_waits(client, TABLE_WAIT).await?;
    change_role(client, ROLES).await?;
    let report = embedded::migrations::runner().run_async(client).await.map_err(|error| not_applied(&error))?;
    if let Some(password) = app_password {
        let hand_over = client.query_typed(HAND_OVER_PASSWORD, &[(&password, Type::TEXT)]).await;
        hand_over.map_err(|error| because("the password can't be set", &error))?;
        change_role(client, SET_PASSWORD).await?;
    }
    Ok(Report { applied: report.applied_migrations().iter().map(Migration::to_string).collect() })
}

/// The role of whoever migrates may have limits of its own, which are for requests.
async fn bound_waits(client: &Client, lock_timeout: &str) -> Result<(), NotMigrated> {
    let settings = "select set_config('lock_timeout', $1, false), set_config('statement_timeout', '0', false)";
    let set = client.query_typed(settings, &[(&lock_timeout, Type::TEXT)]).await;
    set.map(drop).map_err(|error| because("the session can't be prepared", &error))
}

/// Changes the role; again where another database's migration changes it at the same moment, which PostgreSQL reports as
/// an internal error: "tuple concurrently updated".
async fn change_role(client: &Client, statement: &str) -> Result<(), NotMigrated> {
    let mut attempt = 1;
    loop {
        match client.batch_execute(statement).await {
            Err(error) if error.code().is_some_and(|code| code.code() == "XX000") && attempt < 20 => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            done => return done.map_err(|error| because("the roles can't be set up", &error)),
        }
    }
}

fn not_applied(error: &refinery::Error) -> NotMigrated {
    use refinery::error::Kind;
    match error.kind() {
        Kind::DivergentVersion(applied, _) => NotMigrated(format!(
            "{applied} was changed after it had been applied; restore the file and write a new one"
        )),
        Kind::MissingVersion(missing) => NotMigrated(format!(
            "{missing} is in the database or among the files, but not in both, or in another order"
        )),
        Kind::Connection(what, source) => {
            let mut causes = std::iter::successors(Some(source.as_ref() as &dyn Error), |&cause| cause.source());
            match causes.find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()) {
                Some(cause) => because(what, cause),
                None => NotMigrated(what.clone()),
            }
        }
        other => NotMigrated(other.to_string()),
    }
}

fn because(what: &str, error: &tokio_postgres::Error) -> NotMigrated {
    NotMigrated(format!("{what}: {}", words(error)))
}

/// The server's code and message; its DETAIL may hold a row.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        None => error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
    }
}

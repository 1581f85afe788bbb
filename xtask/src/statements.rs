//! Whether PostgreSQL understands every SQL statement.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio_postgres::NoTls;

use crate::postgres::{OWNER, Passwords, Purpose};
use crate::progress::say;
use crate::running::Running;
use crate::services::START;
use crate::user::User;
use crate::{migration, ports, tools, workspace};

/// Where the statements are.
const FOLDER: &str = "shared/src/db";
/// The database that they are prepared in.
const DATABASE: &str = "statements";

/// Prepares every statement in a migrated database of a server of its own.
pub(crate) async fn check(running: &mut Running) -> Result<()> {
    say("checking SQL statements");
    let mut files = Vec::new();
    find(&workspace::root().join(FOLDER), &mut files)?;
    if files.is_empty() {
        bail!("there are no statements in {FOLDER}");
    }

    let user = User::without_rights()?;
    let tools = tools::install(&user).await?;
    let folder = running.scratch(&user, "check")?;
    let log = workspace::fresh_logs("check")?.join("postgres-18.log");
    let passwords = Passwords::random()?;
    let (mut process, server) =
        tools.postgres.start(&user, &folder, ports::free()?, &passwords, Purpose::Test, &log).await?;
    process.wait_until(START, async || server.is_ready().await).await?;
    running.add(process);
    server.create_owner().await?;
    server.create_database(DATABASE, OWNER).await?;
    migration::migrate(&server.owner_url(DATABASE), Some(&passwords.app)).await?;

    let (client, connection) = tokio_postgres::connect(&server.app_url(DATABASE), NoTls).await?;
    let prepare = async {
        let mut refused = Vec::new();
        for file in &files {
            let sql = fs::read_to_string(file).with_context(|| format!("couldn't read {}", file.display()))?;
            if let Err(error) = client.prepare(&sql).await {
                let said = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
                refused.push(format!("{}: {said}", file.strip_prefix(workspace::root()).unwrap_or(file).display()));
            }
        }
        drop(client);
        anyhow::Ok(refused)
    };
    let (refused, _) = tokio::join!(prepare, connection);
    let refused = refused?;
    if refused.is_empty() { Ok(()) } else { bail!("{}", refused.join("; ")) }
}

/// Every `.sql` file below a folder.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("couldn't read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

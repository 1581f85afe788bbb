//! The database of `cargo xtask dev`, kept from run to run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::postgres::{Installation, Passwords, Purpose, Server};
use crate::running::Running;
use crate::services::START;
use crate::user::User;
use crate::{secrets, workspace};

/// Colloquy's database.
const DATABASE: &str = "colloquy";
/// Better Auth's database and its owner.
const BETTER_AUTH: &str = "better_auth";

/// A running server with Colloquy's database in it.
pub(crate) struct LocalDatabase {
    server: Server,
    secrets: Secrets,
}

/// Made once, kept beside the data that they open.
#[derive(PartialEq, Eq)]
struct Secrets {
    passwords: Passwords,
    better_auth_password: String,
    better_auth_secret: String,
}

/// Where its files are.
pub(crate) fn folder(user: &User) -> Result<PathBuf> {
    Ok(workspace::database_state(user)?.join("development"))
}

/// Starts PostgreSQL and makes the database, unless it is there.
pub(crate) async fn start(
    postgres: &Installation,
    user: &User,
    folder: &Path,
    port: u16,
    logs: &Path,
    running: &mut Running,
) -> Result<LocalDatabase> {
    user.create_folder(folder)?;
    let secrets = Secrets::kept(user, folder)?;
    let log = logs.join(format!("{}.log", postgres.name));
    let (mut process, server) =
        postgres.start(user, folder, port, &secrets.passwords, Purpose::Development, &log).await?;
    process.wait_until(START, async || server.is_ready().await).await?;
    running.add(process);
    server.create_owner().await.context("couldn't make the owner's role")?;
    server.create_database(DATABASE, crate::postgres::OWNER).await.context("couldn't make the database")?;
    Ok(LocalDatabase { server, secrets })
}

impl LocalDatabase {
    /// The connection string of the functions.
    pub(crate) fn app_url(&self) -> String {
        self.server.app_url(DATABASE)
    }

    /// The connection string of the owner.
    pub(crate) fn owner_url(&self) -> String {
        self.server.owner_url(DATABASE)
    }

    /// The password that migrating gives to the functions' role.
    pub(crate) fn app_password(&self) -> &str {
        &self.secrets.passwords.app
    }

    /// Makes a database for Better Auth, unless it is there; answers its connection string and Better Auth's secret.
    pub(crate) async fn better_auth(&self) -> Result<(String, String)> {
        let Secrets { better_auth_password: password, better_auth_secret: secret, .. } = &self.secrets;
        self.server.create_role(BETTER_AUTH, "", password).await?;
        self.server.create_database(BETTER_AUTH, BETTER_AUTH).await?;
        Ok((self.server.url(BETTER_AUTH, password, BETTER_AUTH), secret.clone()))
    }
}

impl Secrets {
    fn kept(user: &User, folder: &Path) -> Result<Self> {
        let file = folder.join("secrets.json");
        if let Ok(text) = fs::read_to_string(&file) {
            return Self::parse(&text).with_context(|| {
                format!("{} is damaged: `cargo xtask dev --fresh` starts with an empty database", file.display())
            });
        }
        if folder.join("data").exists() {
            bail!(
                "{} is gone, and the database can't be opened without it: `cargo xtask dev --fresh` starts with an empty one",
                file.display()
            );
        }
        let secrets = Self {
            passwords: Passwords::random()?,
            better_auth_password: secrets::password()?,
            better_auth_secret: secrets::password()?,
        };
        user.write_secret(&file, &secrets.to_json().to_string())?;
        Ok(secrets)
    }

    fn to_json(&self) -> Value {
        json!({
            "superuser": self.passwords.superuser,
            "owner": self.passwords.owner,
            "app": self.passwords.app,
            "betterAuthPassword": self.better_auth_password,
            "betterAuthSecret": self.better_auth_secret,
        })
    }

    fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let get = |name: &str| value[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        Ok(Self {
            passwords: Passwords { superuser: get("superuser")?, owner: get("owner")?, app: get("app")? },
            better_auth_password: get("betterAuthPassword")?,
            better_auth_secret: get("betterAuthSecret")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_survive_being_kept() {
        let made = Secrets {
            passwords: Passwords::random().unwrap(),
            better_auth_password: secrets::password().unwrap(),
            better_auth_secret: secrets::password().unwrap(),
        };
        let kept = Secrets::parse(&made.to_json().to_string()).unwrap();
        // Without `Debug`, so that no message ever holds a password.
        assert!(kept == made);
        assert_ne!(made.passwords.app, made.passwords.owner);
    }
}

//! The database: whether it can be reached, as whom, and whether its schema is this release's.

use std::borrow::Cow;
use std::time::Duration;

use shared::config::{DatabaseConfig, Secret, is_loopback};
use shared::db::inspect::{Inspection, NotInspected, Power, Route, Schema, inspect, route};
use shared::db::{Db, connection_url};

use super::report::{Report, quoted};
use super::settings::Settings;

/// For a host's name and its port.
const REACH: Duration = Duration::from_secs(5);

pub(super) async fn check(settings: &Settings, report: &mut Report) {
    if let Some(config) =
        settings.config.as_ref().filter(|_| settings.are_good(&["DATABASE_URL", "DATABASE_SECRET_ARN"]))
    {
        let database = &config.database;
        if let Some((setting, url)) = url("DATABASE_URL", &database.url, report).await
            && let Some(found) = reach(setting, &url, database.connect_timeout, report).await
        {
            functions_role(&found, report);
            schema(&found, report);
            if found.powers.is_empty() && found.schema != Schema::None {
                statement(database, report).await;
            }
        }
    }
    if let Some(secret) = settings.owner(report)
        && let Some((setting, url)) = url("MIGRATE_DATABASE_URL", &secret, report).await
        && let Some(found) = reach(setting, &url, REACH, report).await
    {
        owners_role(setting, &found, report);
        if let Schema::Known { .. } = found.schema {
            schema(&found, report);
        }
    }
}

/// A URL, and the setting that it comes from: this one, or the one of a secret.
async fn url(plain: &'static str, secret: &Secret, report: &mut Report) -> Option<(&'static str, String)> {
    let stored = match secret {
        Secret::Text(url) => return Some((plain, url.clone())),
        Secret::Stored(stored) => stored,
    };
    let read = shared::secrets::text(secret).await.map_err(|unread| unread.to_string());
    match read.and_then(|text| connection_url(&text).map(Cow::into_owned)) {
        Ok(url) => Some((stored.setting, url)),
        Err(cause) => {
            report.wrong(
                format!("{}: {cause}", stored.setting),
                "give this shell credentials that may read the secret, and the secret a URL or AWS's JSON",
            );
            None
        }
    }
}

/// What each request does: the role's check, the claim, row-level security, in one round trip.
async fn statement(database: &DatabaseConfig, report: &mut Report) {
    let done = match Db::new(database) {
        Ok(db) => db.health().await.map_err(|error| error.cause.map(|cause| cause.to_string()).unwrap_or_default()),
        Err(fault) => Err(fault.to_string()),
    };
    match done {
        Ok(()) => report.good("a function's statement runs, under row-level security"),
        Err(cause) => report.wrong(
            format!("a function's statement doesn't run: {cause}"),
            "the functions answer 503 until this is mended",
        ),
    }
}

/// Follows a URL to its end; reports what is in the way.
async fn reach(setting: &str, url: &str, connect_timeout: Duration, report: &mut Report) -> Option<Inspection> {
    let found = match route(url) {
        Ok(found) => found,
        Err(what) => {
            report.wrong(
                format!("{setting} {what}"),
                "copy the connection string from Neon's console, and its role's name and password into it",
            );
            return None;
        }
    };
    way(setting, &found, report);
    for (host, port) in &found.hosts {
        let resolved = tokio::time::timeout(REACH, tokio::net::lookup_host((host.as_str(), *port))).await;
        if !resolved.is_ok_and(|found| found.is_ok_and(|mut addresses| addresses.next().is_some())) {
            report.wrong(
                format!("{setting}: the host {host} doesn't resolve"),
                "copy the host from Neon's console once more",
            );
            return None;
        }
    }
    let hosts: Vec<String> = found.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
    let hosts = hosts.join(", ");
    match inspect(url, connect_timeout).await {
        Ok(inspected) => {
            let version = (inspected.server_version / 10_000, inspected.server_version % 10_000);
            report.good(format!(
                "{setting} leads to PostgreSQL {}.{} at {hosts}{}, as {}",
                version.0,
                version.1,
                if found.encrypted { ", encrypted and verified" } else { "" },
                inspected.role
            ));
            if version.0 < 15 {
                report.wrong(format!("PostgreSQL {} is too old", version.0), "15 to 18 are supported");
            }
            Some(inspected)
        }
        Err(error) => {
            let advice = advice(&error, &found);
            report.wrong(format!("{setting}: {hosts} can't be used: {}", error.words), advice);
            None
        }
    }
}

/// Whether it is the host that is meant, and a safe way to it.
fn way(setting: &str, found: &Route, report: &mut Report) {
    let migrates = setting.starts_with("MIGRATE");
    if migrates && found.pooler {
        report.wrong(
            format!("{setting} names the pooler, and migrating needs a session of its own"),
            "use the same host without -pooler",
        );
    }
    if !migrates && found.neon && !found.pooler {
        report.doubtful(
            format!(
                "{setting} names Neon's direct host: each environment of each function takes one of its few connections"
            ),
            "put -pooler behind the endpoint's id: ep-...-pooler....neon.tech",
        );
    }
    if !found.encrypted && found.hosts.iter().any(|(host, _)| !is_loopback(host)) {
        report.doubtful(
            format!("{setting} says sslmode=disable: password and data can be read on the way"),
            "say sslmode=require",
        );
    }
}

/// What to do about a refusal.
fn advice(error: &NotInspected, found: &Route) -> String {
    let words = error.words.to_lowercase();
    let role = found.role.as_deref().unwrap_or_default();
    match error.sqlstate.as_deref() {
        Some("28P01" | "28000") if role == "colloquy_app" => {
            "give colloquy_app its password: run migrate with APP_DATABASE_PASSWORD, and put that into DATABASE_URL".to_owned()
        }
        Some("28P01" | "28000") => format!("role {} or its password is another: look into Neon's console", quoted(role)),
        Some("3D000") => "there is no such database: its name is the URL's path".to_owned(),
        Some("53300") => "all connections are taken: use the pooler's host".to_owned(),
        Some(_) if words.contains("endpoint") => "that is Neon's own word: look at the project in its console".to_owned(),
        Some(_) => "that is the server's word: its log has more".to_owned(),
        None if words.contains("certificate") => {
            "the server's certificate isn't signed by an authority that browsers trust: for your own, name it with sslrootcert=/path".to_owned()
        }
        None if words.contains("tls") => "the server doesn't speak TLS: check host and port".to_owned(),
        None => "check host and port, and that this machine may reach them".to_owned(),
    }
}

/// The role of the functions must be bound by row-level security.
fn functions_role(found: &Inspection, report: &mut Report) {
    let role = &found.role;
    let powers: Vec<&str> = found
        .powers
        .iter()
        .map(|power| match power {
            Power::Superuser => "is a superuser",
            Power::Bypass => "has BYPASSRLS",
            Power::Owner => "owns the tables, or is a member of their owner",
        })
        .collect();
    if powers.is_empty() {
        report.good(format!("the role {role} is bound by row-level security: no superuser, no BYPASSRLS, no owner"));
    } else {
        report.wrong(
            format!(
                "the functions' role {role} {}: row-level security can't hold, and the functions refuse it",
                powers.join(" and ")
            ),
            "use colloquy_app, which migrate makes",
        );
    }
    if let Some(other) = &found.can_become {
        report.doubtful(
            format!("the role {role} can become {other}, which row-level security doesn't bind"),
            format!(
                "revoke {other} from {role}; a role made in Neon's console is such a member, one made by migrate isn't"
            ),
        );
    }
}

/// The role of `migrate` must own the tables and may make a role.
fn owners_role(setting: &str, found: &Inspection, report: &mut Report) {
    let role = &found.role;
    if found.powers.contains(&Power::Superuser) {
        report.doubtful(format!("{setting}'s role {role} is a superuser"), "an owner without that right is enough");
    } else if found.schema != Schema::None && !found.powers.contains(&Power::Owner) {
        report.wrong(
            format!("{setting}'s role {role} doesn't own the tables"),
            "use the role that migrated the database first",
        );
    } else if !found.creates_roles {
        report.doubtful(
            format!("{setting}'s role {role} may not make roles"),
            "the first migration makes colloquy_app: use the role of Neon's console, or alter role ... createrole",
        );
    } else {
        report.good(format!("the role {role} can migrate"));
    }
}

fn schema(found: &Inspection, report: &mut Report) {
    const MIGRATE: &str = "migrate: `cargo xtask migrate`, or invoke the function migrate";
    match &found.schema {
        Schema::None => return report.wrong("there are no tables in this database", MIGRATE),
        Schema::Hidden if found.refused_statements.is_empty() => {
            report.good("the tables are there, and this release's statements are understood; which migrations were applied is for the owner to see (MIGRATE_DATABASE_URL)");
        }
        Schema::Hidden => {}
        Schema::Known { pending, unknown, changed } => {
            if !pending.is_empty() {
                report.wrong(format!("the schema lacks {}", pending.join(", ")), MIGRATE);
            }
            if !changed.is_empty() {
                report.wrong(
                    format!("applied with another text: {}", changed.join(", ")),
                    "restore the file, and write a new migration",
                );
            }
            if !unknown.is_empty() {
                report.doubtful(
                    format!("the schema is a later release's: {}", unknown.join(", ")),
                    "right after a roll back; otherwise check out that release",
                );
            }
            if pending.is_empty() && changed.is_empty() && unknown.is_empty() {
                report.good("the schema is this release's");
            }
        }
    }
    if let Some((file, why)) = found.refused_statements.first() {
        let others = match found.refused_statements.len() - 1 {
            0 => String::new(),
            others => format!(", and {others} others"),
        };
        report.wrong(format!("the database doesn't understand {file}{others}: {why}"), MIGRATE);
    }
}

//! The database: who signs in, and how far the schema is.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::{Said, doctor, healthy};
use crate::support::database::{Database, Kind};
use crate::support::{http_client, setup};

/// What is said of this `DATABASE_URL`.
async fn examined(url: &str) -> Said {
    doctor(&[&healthy()[..], &[("DATABASE_URL", url)]].concat()).await
}

async fn database() -> Database {
    Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18")
}

#[tokio::test]
async fn a_role_that_row_level_security_does_not_bind_is_named() {
    let database = database().await;
    let said = examined(&database.superuser_url).await;
    said.expect_wrong(1).expect("✗", &["role postgres is a superuser", "use colloquy_app"]);
    let said = examined(&database.owner_url).await;
    said.expect_wrong(1).expect("✗", &["role colloquy_owner owns the tables"]);

    // Roles belong to the whole cluster: these have this test's name.
    let superuser = database.superuser().await;
    let (bypass, member) = (format!("doctor_bypass_{}", database.name), format!("doctor_member_{}", database.name));
    let roles = format!(
        "create role {bypass} login bypassrls password 'canary';
        create role {member} login password 'canary' in role {bypass}, colloquy_app"
    );
    superuser.batch_execute(&roles).await.expect("roles");
    let url = |role: &str| {
        let host = database.superuser_url.split_once('@').expect("a role").1;
        format!("postgresql://{role}:canary@{host}")
    };
    let (said, of_member) = (examined(&url(&bypass)).await, examined(&url(&member)).await);
    superuser.batch_execute(&format!("drop role {member}; drop role {bypass}")).await.expect("dropped");
    said.expect("✗", &["has BYPASSRLS"]);
    of_member.expect_wrong(0).expect("!", &["can become", &bypass, "revoke"]);
}

#[tokio::test]
async fn a_schema_that_is_missing_or_another_releases_is_told() {
    let empty = Database::unmigrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let said = examined(&empty.app_url).await;
    said.expect_wrong(1).expect("✗", &["no tables in this database", "cargo xtask migrate"]);

    let database = database().await;
    let superuser = database.superuser().await;
    let changes = "
        delete from refinery_schema_history where version = 3;
        update refinery_schema_history set checksum = '1' where version = 2;
        insert into refinery_schema_history values (9000, 'later', '2026-01-01T00:00:00Z', '1');
        alter table messages rename column seq to number";
    superuser.batch_execute(changes).await.expect("changed");
    let urls = [("DATABASE_URL", database.app_url.as_str()), ("MIGRATE_DATABASE_URL", database.owner_url.as_str())];
    let said = doctor(&[&healthy()[..], &urls].concat()).await;
    said.expect("✗", &["doesn't understand", ".sql", "seq"])
        .expect("✗", &["the schema lacks V3__writes"])
        .expect("✗", &["applied with another text: V2__walls"])
        .expect("!", &["later release's: V9000__later"]);
    assert_eq!(said.code, Some(1));
}

#[tokio::test]
async fn the_owner_is_told_from_others() {
    let database = database().await;
    let urls = [("DATABASE_URL", database.app_url.as_str()), ("MIGRATE_DATABASE_URL", database.app_url.as_str())];
    let said = doctor(&[&healthy()[..], &urls].concat()).await;
    said.expect_wrong(1).expect("✗", &["MIGRATE_DATABASE_URL's role colloquy_app doesn't own the tables"]);
}

/// Keeps a secret, and answers its ARN.
async fn keep(text: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("doctor-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let request = http_client().post(setup().text("awsUrl")).header("x-amz-target", "secretsmanager.CreateSecret");
    let request = request.json(&json!({"Name": name, "SecretString": text}));
    // moto believes every signature, and reads from it which service and region are meant.
    let scope = "anybody/20260101/eu-central-1/secretsmanager/aws4_request";
    let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let kept: Value =
        request.header("authorization", signature).send().await.expect("moto").json().await.expect("JSON");
    kept["ARN"].as_str().unwrap_or_else(|| panic!("{kept}")).to_owned()
}

#[tokio::test]
async fn secrets_are_read_and_not_shown() {
    let database = database().await;
    let (_, host) = database.superuser_url.split_once('@').expect("a role");
    let (host, name) = host.split_once('/').expect("a database");
    let (host, port) = host.split_once(':').expect("a port");
    let password = setup().text("appPassword");
    let app = json!({"username": "colloquy_app", "password": password, "host": host, "port": port.parse::<u16>().expect("a port"), "dbname": name});
    let (app, owner, key) = (keep(&app.to_string()).await, keep(&database.owner_url).await, keep("canary").await);
    let aws = [
        ("AWS_ENDPOINT_URL", setup().text("awsUrl")),
        ("AWS_ACCESS_KEY_ID", "anybody"),
        ("AWS_SECRET_ACCESS_KEY", "anything"),
    ];
    let settings = [
        ("DATABASE_SECRET_ARN", app.as_str()),
        ("MIGRATE_DATABASE_SECRET_ARN", &owner),
        ("AGENT_API_KEY_SECRET_ARN", &key),
    ];
    let said = doctor(&[&healthy()[..], &aws, &settings].concat()).await;
    said.expect_wrong(0)
        .expect("✓", &["DATABASE_SECRET_ARN leads to", "as colloquy_app"])
        .expect("✓", &["MIGRATE_DATABASE_SECRET_ARN leads to", "as colloquy_owner"])
        .expect("✓", &["statement runs"])
        .expect("✓", &["agent answers"]);
    for secret in [password, setup().text("ownerPassword"), "canary"] {
        assert!(!said.lines.iter().any(|line| line.contains(secret)), "{:?}", said.lines);
    }

    let absent = app.replace("doctor-", "absent-");
    let settings = [("DATABASE_SECRET_ARN", absent.as_str()), ("MIGRATE_DATABASE_SECRET_ARN", "owner")];
    let said = doctor(&[&healthy()[..], &aws, &settings].concat()).await;
    said.expect_wrong(2)
        .expect("✗", &["DATABASE_SECRET_ARN", "ResourceNotFoundException", "credentials"])
        .expect("✗", &["MIGRATE_DATABASE_SECRET_ARN is not the ARN of a secret"]);
}

#[tokio::test]
async fn what_keeps_it_from_signing_in_is_told() {
    let database = database().await;
    let (role, host) = database.app_url.split_once('@').expect("a role");
    let password = setup().text("appPassword");
    let (server, _) = host.split_once('/').expect("a database");
    for (url, words) in [
        ("postgresql://colloquy_app:canary@127.0.0.1:1/db".to_owned(), &["127.0.0.1:1", "refused"][..]),
        ("postgresql://colloquy_app:canary@nowhere.invalid/db".to_owned(), &["nowhere.invalid doesn't resolve"]),
        (format!("postgresql://colloquy_app:canary@{host}"), &["28P01", "APP_DATABASE_PASSWORD"]),
        (format!("postgresql://somebody:canary@{host}"), &["28P01", "role \"somebody\""]),
        (format!("{role}@{server}/no_such_database"), &["3D000", "no such database"]),
        (format!("{}?sslmode=require", database.app_url), &["certificate", "sslrootcert"]),
        ("mysql://u:canary@h/db".to_owned(), &["must begin with postgresql://"]),
    ] {
        let said = examined(&url).await;
        said.expect_wrong(1).expect("✗", &[&["DATABASE_URL"], words].concat());
        assert!(!said.lines.iter().any(|line| line.contains(password)), "{:?}", said.lines);
    }
}

#[tokio::test]
async fn neons_hosts_are_told_apart() {
    // Without a network, the host is judged before anything is asked of it.
    let url = "postgresql://owner:canary@ep-x-pooler.nowhere.invalid/db";
    let said = doctor(&[&healthy()[..], &[("MIGRATE_DATABASE_URL", url)]].concat()).await;
    said.expect("✗", &["MIGRATE_DATABASE_URL names the pooler", "without -pooler"]);
    let url = "postgresql://colloquy_app:canary@ep-x.nowhere.invalid.neon.tech/db";
    examined(url).await.expect("!", &["Neon's direct host", "-pooler"]);
    let url = "postgresql://colloquy_app:canary@db.nowhere.invalid/db?sslmode=disable";
    examined(url).await.expect("!", &["sslmode=disable"]);
}

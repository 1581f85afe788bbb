//! The function `migrate` with secrets: the owner's URL, and the password that `colloquy_app` gets.

use serde_json::{Value, json};

use crate::support::database::{Database, Kind, connect};
use crate::support::function::Function;
use crate::support::setup;

use super::store::{self, Door, Store};

/// What the server keeps of `colloquy_app`'s password: another salt each time that it is set.
async fn verifier(database: &Database) -> Option<String> {
    let row = "select rolpassword from pg_authid where rolname = 'colloquy_app'";
    let superuser = database.superuser().await;
    superuser.query_opt(row, &[]).await.expect("a row").and_then(|row| row.get(0))
}

/// As the template's secret for the functions, with its generated password. That is the suite's: the role is everybody's.
fn app_secret(database: &Database, role: &str) -> Value {
    let host = database.superuser_url.split_once('@').expect("a role").1;
    let (host, port) = host.split_once('/').expect("a database").0.split_once(':').expect("a port");
    json!({
        "username": role, "password": setup().text("appPassword"), "host": host,
        "port": port.parse::<u16>().expect("a port"), "dbname": database.name,
    })
}

async fn start(store: &Store, owner: &str, app: &str) -> Function {
    let settings = [("MIGRATE_DATABASE_SECRET_ARN", owner), ("APP_DATABASE_SECRET_ARN", app), ("LOG_LEVEL", "trace")];
    Function::start("migrate", &[&store.settings()[..], &settings].concat()).await
}

#[tokio::test]
async fn colloquy_app_gets_the_generated_password() {
    let (store, database) = (Store::open().await, Database::unmigrated(Kind::Postgres18).await.expect("PostgreSQL 18"));
    let secret = app_secret(&database, "colloquy_app");
    let (owner, app) = (store::create(&database.owner_url).await, store::create(&secret.to_string()).await);
    let before = verifier(&database).await;
    let migrate = start(&store, &owner, &app).await;
    let answer = migrate.invoke(&json!({})).await.answer;
    assert!(answer["applied"].as_array().is_some_and(|applied| !applied.is_empty()), "{answer} {}", migrate.log());
    assert_ne!(verifier(&database).await, before);
    // As a function would, with what the secret says.
    let text = |name: &str| secret[name].as_str().expect("a text").to_owned();
    let url = format!(
        "postgresql://{}:{}@{}:{}/{}",
        text("username"),
        text("password"),
        text("host"),
        secret["port"],
        text("dbname")
    );
    let role = connect(&url).await.query_one("select current_user::text", &[]).await.expect("a row");
    assert_eq!(role.get::<_, &str>(0), "colloquy_app");
    // Each invocation reads them anew: it is the next deployment's.
    assert_eq!(migrate.invoke(&json!({})).await.answer, json!({"applied": []}));
    assert_eq!((store.reads(&owner), store.reads(&app)), (2, 2));
    for secret in [setup().text("appPassword"), "postgresql://"] {
        assert!(!migrate.log().contains(secret), "{}", migrate.log());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_is_told_to_whoever_migrates() {
    let (store, database) = (Store::open().await, Database::unmigrated(Kind::Postgres18).await.expect("PostgreSQL 18"));
    let owner = store::create(&database.owner_url).await;
    let elsewhere = store::create("postgresql://owner:canary@ep-x-pooler.eu.aws.neon.tech/db").await;
    let other_role = store::create(&app_secret(&database, "canary").to_string()).await;
    let no_secret = store::create("canary").await;
    for (owner, app, cause) in [
        (
            &elsewhere,
            &no_secret,
            "the secret of APP_DATABASE_SECRET_ARN holds a URL that must begin with postgresql://",
        ),
        (&owner, &other_role, "the secret of APP_DATABASE_SECRET_ARN isn't that of the role colloquy_app"),
    ] {
        let migrate = start(&store, owner, app).await;
        let answer = migrate.invoke(&json!({})).await.answer;
        assert_eq!(answer["errorMessage"], *cause, "{answer}");
        migrate.logged("not migrated").await;
        assert!(!migrate.log().contains("canary"), "{}", migrate.log());
    }
    store.turn(Door::Denied);
    let migrate = start(&store, &owner, &other_role).await;
    let answer = migrate.invoke(&json!({})).await.answer;
    let message = answer["errorMessage"].as_str().expect("a message");
    assert!(
        message.starts_with("the secret of MIGRATE_DATABASE_SECRET_ARN can't be read: refused: Access"),
        "{answer}"
    );
    assert!(!migrate.log().contains("canary"), "{}", migrate.log());
}

//! The function `migrate`, which no HTTP reaches.

use serde_json::json;

use crate::support::database::{Database, Kind};
use crate::support::function::Function;

#[tokio::test]
async fn brings_the_schema_up_to_date_and_says_what_it_applied() {
    let database = Database::unmigrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let migrate = Function::start("migrate", &[("MIGRATE_DATABASE_URL", &database.owner_url)]).await;
    let first = migrate.invoke(&json!({})).await.answer;
    let files =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations")).expect("the migrations").count();
    assert_eq!(first["applied"].as_array().map(Vec::len), Some(files), "{first}");
    assert_eq!(migrate.invoke(&json!(null)).await.answer, json!({"applied": []}));
    assert!(!migrate.log().contains("postgresql://"));
}

#[tokio::test]
async fn what_is_wrong_is_said_without_a_secret() {
    let url = "postgresql://owner:canary-secret@127.0.0.1:1/none";
    let migrate = Function::start("migrate", &[("MIGRATE_DATABASE_URL", url)]).await;
    let failed = migrate.invoke(&json!({})).await.answer;
    assert!(failed["errorMessage"].as_str().is_some_and(|words| words.contains("can't be reached")), "{failed}");
    migrate.logged("not migrated").await;
    assert!(!format!("{failed}{}", migrate.log()).contains("canary"));

    let unset = Function::start("migrate", &[]).await;
    assert!(unset.logged("can't start").await.contains("MIGRATE_DATABASE_URL is not set"));
}

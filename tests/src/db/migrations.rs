//! Migrations: run again, changed, at the same time, and under the owner's own walls.

use std::path::Path;

use serde_json::json;
use shared::db::migrate::migrate;
use tokio_postgres::Client;

use crate::support::content::{conversation, says, someone};
use crate::support::database::{Database, Kind, on_every_version};
use crate::support::{eventually, setup};

/// The files of `migrations/`, in their order.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// All that the catalogue says about the schema.
async fn schema(client: &Client) -> String {
    let schema = "
        select string_agg(line, E'\\n' order by line) from (
            select format('%s %s %s %s', c.oid, c.relname, c.relacl, a.attname) as line
            from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
            where c.relnamespace = 'public'::regnamespace
            union all
            select format('%s %s %s', p.oid, p.proname, p.prosrc) from pg_proc p
            where p.pronamespace = 'public'::regnamespace
            union all
            select format('%s %s', p.oid, p.polname) from pg_policy p
            union all
            select format('%s %s %s', h.version, h.checksum, h.applied_on) from refinery_schema_history h
        ) lines";
    client.query_one(schema, &[]).await.unwrap().get(0)
}

fn password() -> &'static str {
    setup().text("appPassword")
}

on_every_version!(
    running_again_changes_nothing,
    a_changed_file_is_refused,
    a_file_that_is_gone_is_refused,
    of_two_at_once_one_waits_for_the_other,
    databases_of_one_cluster_are_migrated_side_by_side,
    a_change_that_row_level_security_would_empty_fails
);

async fn running_again_changes_nothing(database: Database) {
    let empty = Database::unmigrated(database.kind).await.unwrap();
    let report = migrate(&empty.owner_url, Some(password())).await.unwrap();
    assert_eq!(report.applied.len(), files().len());
    let superuser = empty.superuser().await;
    let before = schema(&superuser).await;
    assert_eq!(migrate(&empty.owner_url, Some(password())).await.unwrap().applied, Vec::<String>::new());
    assert_eq!(migrate(&empty.owner_url, None).await.unwrap().applied, Vec::<String>::new());
    assert_eq!(schema(&superuser).await, before);
    let (db, caller) = (empty.db(), someone());
    assert!(db.as_user(&caller).create_conversation(conversation(json!({}))).await.is_ok(), "the password holds");
}

async fn a_changed_file_is_refused(database: Database) {
    let change = "update refinery_schema_history set checksum = '1' where version = 1";
    database.superuser().await.execute(change, &[]).await.unwrap();
    let refused = migrate(&database.owner_url, None).await.unwrap_err().to_string();
    assert!(refused.contains("V1__tables was changed"), "{refused}");
}

async fn a_file_that_is_gone_is_refused(database: Database) {
    let add = "insert into refinery_schema_history values (9000, 'gone', '2026-01-01T00:00:00Z', '1')";
    database.superuser().await.execute(add, &[]).await.unwrap();
    let refused = migrate(&database.owner_url, None).await.unwrap_err().to_string();
    assert!(refused.contains("V9000__gone"), "{refused}");
}

async fn of_two_at_once_one_waits_for_the_other(database: Database) {
    let empty = Database::unmigrated(database.kind).await.unwrap();
    let (one, other) =
        tokio::join!(migrate(&empty.owner_url, Some(password())), migrate(&empty.owner_url, Some(password())));
    let mut applied = [one.unwrap().applied.len(), other.unwrap().applied.len()];
    applied.sort_unstable();
    assert_eq!(applied, [0, files().len()]);

    let holder = empty.owner().await;
    holder.execute("select pg_advisory_lock($1)", &[&0x636f_6c6c_6f71_7579_i64]).await.unwrap();
    let url = empty.owner_url.clone();
    let waiting = tokio::spawn(async move { migrate(&url, None).await });
    let superuser = empty.superuser().await;
    eventually("a migration that waits", async || {
        let waits = "select from pg_locks where locktype = 'advisory' and not granted and database =
            (select oid from pg_database where datname = current_database())";
        superuser.query_opt(waits, &[]).await.unwrap()
    })
    .await;
    assert!(!waiting.is_finished());
    drop(holder);
    assert_eq!(waiting.await.unwrap().unwrap().applied, Vec::<String>::new());
}

async fn databases_of_one_cluster_are_migrated_side_by_side(database: Database) {
    // The role is the cluster's, and each of these sets it up.
    let mut empty = Vec::new();
    for _ in 0..4 {
        empty.push(Database::unmigrated(database.kind).await.unwrap());
    }
    let runs = empty.iter().map(|database| migrate(&database.owner_url, Some(password())));
    for report in futures_util::future::join_all(runs).await {
        assert_eq!(report.unwrap().applied.len(), files().len());
    }
}

async fn a_change_that_row_level_security_would_empty_fails(database: Database) {
    let (db, caller) = (database.db(), someone());
    db.as_user(&caller).create_conversation(conversation(json!({"messages": [says("a")]}))).await.unwrap();
    let owner = database.owner().await;
    assert_eq!(owner.execute("update messages set model = 'x'", &[]).await.unwrap(), 0, "this is the danger");
    let loud = owner.batch_execute("begin; set local row_security = off; update messages set model = 'x'").await;
    assert_eq!(loud.unwrap_err().code().unwrap().code(), "42501");
    owner.batch_execute("rollback").await.unwrap();
    let backfill = "begin; set local row_security = off; alter table messages no force row level security;
        update messages set model = 'x'; alter table messages force row level security; commit";
    owner.batch_execute(backfill).await.unwrap();
    let changed = database.superuser().await.query_one("select count(*) from messages where model = 'x'", &[]).await;
    assert_eq!(changed.unwrap().get::<_, i64>(0), 1);
}

#[test]
fn every_file_switches_the_silence_off() {
    for (name, sql) in files() {
        let first = sql.lines().find(|line| !line.is_empty() && !line.starts_with("--"));
        assert_eq!(first, Some("set local row_security = off;"), "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_without_the_url() {
    for (url, word) in [
        ("postgresql://o:hunter2@ep-x-pooler.eu.aws.neon.tech/db", "pooler"),
        ("postgresql://o:hunter2@127.0.0.1:1/db", "can't be reached"),
        ("hunter2", "postgresql://"),
    ] {
        let refused = migrate(url, Some("hunter3")).await.unwrap_err();
        assert!(refused.to_string().contains(word), "{refused}");
        assert!(!format!("{refused:?} {refused}").contains("hunter"), "{refused:?}");
    }
    if let Some(database) = Database::unmigrated(Kind::Postgres18).await {
        let refused = migrate(&database.app_url, None).await.unwrap_err().to_string();
        assert!(refused.contains("42501"), "colloquy_app may change nothing: {refused}");
    }
}

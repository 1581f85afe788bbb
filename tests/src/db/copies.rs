//! Copying a database into another, as `docs/operations.md` has it.

use std::process::Output;

use tokio::process::Command;

use crate::support::content::someone;
use crate::support::database::{Database, Kind};
use crate::support::turns::{submit, texts, turn_of};

/// The block of the document that copies.
fn recipe() -> String {
    let document = include_str!("../../../docs/operations.md");
    let block =
        document.split("```bash\n").skip(1).find(|block| block.contains("pg_dump --data-only")).expect("the recipe");
    block.split("```").next().expect("its end").to_owned()
}

/// Both databases, where the machine has an older server; its own tools come with it.
async fn databases() -> Option<(Database, Database)> {
    Some((Database::migrated(Kind::Postgres15).await?, Database::migrated(Kind::Postgres18).await?))
}

async fn copy(old: &Database, new: &Database) -> Output {
    let path = format!("/usr/lib/postgresql/15/bin:{}", shared::config::environment("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(recipe()).env("PATH", path);
    bash.env("OLD_OWNER_URL", &old.owner_url).env("NEW_OWNER_URL", &new.owner_url).output().await.expect("bash")
}

/// Whether row-level security binds the owner again.
async fn is_forced(database: &Database) -> bool {
    let sql = "select bool_and(relforcerowsecurity) from pg_class where relrowsecurity";
    database.superuser().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn all_rows_arrive_in_a_newer_server() {
    let Some((old, new)) = databases().await else { return };
    let (db, caller) = (old.db(), someone());
    turn_of(db.as_user(&caller), &submit("c", "q", "Hello?"), "Yes.").await;
    let copied = copy(&old, &new).await;
    let said = String::from_utf8_lossy(&copied.stdout).into_owned();
    assert!(copied.status.success(), "{said}{}", String::from_utf8_lossy(&copied.stderr));
    assert!(said.contains("messages|2") && said.contains("runs|1"), "{said}");
    assert_eq!(texts(new.db().as_user(&caller), "c").await, ["Hello?", "Yes."]);
    assert!(is_forced(&old).await && is_forced(&new).await);
}

#[tokio::test]
async fn a_row_that_does_not_fit_stops_it_and_nothing_is_stored() {
    let Some((old, new)) = databases().await else { return };
    let (db, caller) = (old.db(), someone());
    turn_of(db.as_user(&caller), &submit("c", "q", "Hello?"), "Yes.").await;
    let owner = new.owner().await;
    owner.batch_execute("alter table messages add constraint odd check (content <> 'Yes.')").await.unwrap();
    let copied = copy(&old, &new).await;
    assert!(!copied.status.success(), "{}", String::from_utf8_lossy(&copied.stdout));
    let users: i64 = new.superuser().await.query_one("select count(*) from users", &[]).await.unwrap().get(0);
    assert_eq!(users, 0);
    assert!(is_forced(&old).await && is_forced(&new).await);
}

#[tokio::test]
async fn rows_that_were_there_already_are_told() {
    let Some((old, new)) = databases().await else { return };
    let (one, other) = (someone(), someone());
    turn_of(old.db().as_user(&one), &submit("c", "q", "Hello?"), "Yes.").await;
    turn_of(new.db().as_user(&other), &submit("c", "q", "Hello?"), "Yes.").await;
    let copied = copy(&old, &new).await;
    assert!(!copied.status.success());
    assert!(String::from_utf8_lossy(&copied.stderr).contains("Rows are missing"));
}

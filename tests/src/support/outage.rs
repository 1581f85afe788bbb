//! What may befall a database while it is asked.

use std::time::Duration;

use shared::config::DatabaseConfig;
use shared::db::Db;
use shared::error::Error;
use tokio_postgres::Client;

use super::database::Database;
use super::eventually;
use super::proxy::Proxy;

/// A database with one connection, which leads through a proxy. Its requests have 10 seconds.
pub(crate) async fn behind_a_proxy(database: &Database) -> (Proxy, Db) {
    behind_a_proxy_within(database, Duration::from_secs(10)).await
}

/// The same with another deadline.
pub(crate) async fn behind_a_proxy_within(database: &Database, request_timeout: Duration) -> (Proxy, Db) {
    let proxy = Proxy::before(&database.app_url).await;
    let url = proxy.through(&database.app_url);
    let db = Db::new(&DatabaseConfig { url: url.into(), request_timeout, ..database.config() }).expect("a good URL");
    (proxy, db)
}

/// When an error says to come back.
pub(crate) fn retry_after(error: &Error) -> Option<&str> {
    error.headers.iter().find(|(name, _)| *name == "retry-after").map(|(_, value)| value.as_str())
}

/// Ends the sessions of the functions' role, and waits until they are gone. Answers how many there were.
pub(crate) async fn end_sessions(superuser: &Client) -> usize {
    let sessions = "from pg_stat_activity where datname = current_database() and usename = 'colloquy_app'";
    let ended = superuser.query(&format!("select pg_terminate_backend(pid) {sessions}"), &[]).await.expect("ended");
    eventually("the sessions' end", async || {
        let left = superuser.query_one(&format!("select count(*) {sessions}"), &[]).await.expect("a count");
        (left.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    ended.len()
}

/// The process of a session that waits for a lock.
pub(crate) async fn waiting_for_a_lock(superuser: &Client) -> i32 {
    let waiting = "
        select pid from pg_stat_activity
        where datname = current_database() and usename = 'colloquy_app' and wait_event_type = 'Lock'";
    eventually("a session that waits for a lock", async || {
        superuser.query_opt(waiting, &[]).await.expect("sessions").map(|row| row.get(0))
    })
    .await
}

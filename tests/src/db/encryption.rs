//! TLS: verified always, and plain to this machine alone.

use shared::config::DatabaseConfig;
use shared::db::Db;
use shared::error::Code;

use crate::support::database::{Database, Kind, on};

fn with_parameters(database: &Database, parameters: &str) -> Db {
    let url = database.app_url.split_once('?').map_or(database.app_url.as_str(), |(url, _)| url);
    Db::new(&DatabaseConfig { url: format!("{url}?{parameters}").into(), ..database.config() }).unwrap()
}

/// Whether the functions' session is encrypted; none where there is no session.
async fn encrypted(database: &Database) -> Option<bool> {
    let session = "
        select ssl from pg_stat_ssl join pg_stat_activity using (pid)
        where datname = current_database() and usename = 'colloquy_app'";
    database.superuser().await.query_opt(session, &[]).await.unwrap().map(|row| row.get(0))
}

#[tokio::test]
async fn the_url_decides_and_the_certificate_is_verified() {
    on(Kind::Tls, async |database: Database| {
        let parameters = database.app_url.split_once("sslrootcert=").unwrap().1.to_owned();
        let authority = format!("sslrootcert={parameters}");
        for mode in ["require", "verify-ca", "verify-full"] {
            let db = with_parameters(&database, &format!("sslmode={mode}&channel_binding=require&{authority}"));
            db.health().await.unwrap();
            assert_eq!(encrypted(&database).await, Some(true), "{mode}");
            drop(db);
            crate::support::eventually("the session's end", async || {
                encrypted(&database).await.is_none().then_some(())
            })
            .await;

            // The web's authorities didn't sign this server's certificate.
            let error = with_parameters(&database, &format!("sslmode={mode}")).health().await.unwrap_err();
            assert_eq!(error.code, Code::Unavailable, "{mode}");
            assert!(error.cause.unwrap().to_string().contains("certificate"), "{mode}");
        }
        for mode in ["prefer", "disable"] {
            let db = with_parameters(&database, &format!("sslmode={mode}"));
            db.health().await.unwrap();
            assert_eq!(encrypted(&database).await, Some(false), "{mode} on this machine");
            drop(db);
            crate::support::eventually("the session's end", async || {
                encrypted(&database).await.is_none().then_some(())
            })
            .await;
        }
        let error = with_parameters(&database, "channel_binding=require").health().await.unwrap_err();
        assert_eq!(error.code, Code::Unavailable, "there is no channel to bind to");
    })
    .await;
}

//! Secrets that AWS Secrets Manager keeps: read, rotated, refused, absent, slow. The functions run as on Lambda, the
//! secrets are moto's, the databases are real.

mod agent;
mod migrate;
mod reading;
mod rotating;
mod store;

use serde_json::{Value, json};

use self::store::Store;
use crate::support::database::{Database, Kind};
use crate::support::eventually;
use crate::support::function::{Function, Invoked, rest_event};
use crate::support::setup;

/// A database, and a role of this test's own that may do what the functions' may: a password is the whole cluster's.
struct Rotated {
    database: Database,
    role: String,
}

impl Rotated {
    async fn new() -> Self {
        let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
        let role = format!("rotated_{}", database.name);
        let it = Self { database, role };
        it.run(&format!("create role {0} login password 'canary-1' in role colloquy_app", it.role)).await;
        it
    }

    async fn run(&self, sql: &str) {
        self.database.superuser().await.batch_execute(sql).await.expect("done");
    }

    /// As AWS keeps a database's secret.
    fn secret(&self, password: &str) -> String {
        let host = self.host();
        let (host, port) = host.split_once(':').expect("a port");
        json!({
            "engine": "postgres", "host": host, "port": port.parse::<u16>().expect("a port"), "username": self.role,
            "password": password, "dbname": self.database.name,
        })
        .to_string()
    }

    /// As a connection URL.
    fn url(&self, password: &str) -> String {
        format!("postgresql://{}:{password}@{}/{}", self.role, self.host(), self.database.name)
    }

    fn host(&self) -> &str {
        let host = self.database.superuser_url.split_once('@').expect("a role").1;
        host.split_once('/').expect("a database").0
    }

    /// Changes the password, and ends the sessions that were opened with the old one.
    async fn change_password(&self, password: &str) {
        self.run(&format!("alter role {} password '{password}'", self.role)).await;
        let sessions = format!("from pg_stat_activity where usename = '{}'", self.role);
        self.run(&format!("select pg_terminate_backend(pid) {sessions}")).await;
        let superuser = self.database.superuser().await;
        eventually("the sessions' end", async || {
            let left = superuser.query_one(&format!("select count(*) {sessions}"), &[]).await.expect("a count");
            (left.get::<_, i64>(0) == 0).then_some(())
        })
        .await;
    }

    /// At the end of a test that passed: the role outlives the database.
    async fn drop_role(self) {
        self.run(&format!("drop role {}", self.role)).await;
    }
}

/// Starts `health`, which tells whether the database is reached, with this secret.
async fn start(store: &Store, arn: &str) -> Function {
    start_with(store, &[("DATABASE_SECRET_ARN", arn)]).await
}

async fn start_with(store: &Store, settings: &[(&str, &str)]) -> Function {
    let more = [("AUTH_URL", setup().auth_url.as_str()), ("LOG_LEVEL", "trace")];
    Function::start("health", &[&store.settings()[..], &more, settings].concat()).await
}

async fn ask(function: &Function) -> Invoked {
    function.invoke(&rest_event("GET", "/health", &json!({}), None)).await
}

/// Expects a 503 that says when to come back and nothing of why.
#[track_caller]
fn expect_away(answer: &Invoked) {
    assert_eq!(answer.status(), 503, "{}", answer.answer);
    let retry_after: u32 = answer.header("retry-after").expect("a Retry-After").parse().expect("seconds");
    assert!((1..=30).contains(&retry_after), "{retry_after}");
    assert!(!answer.answer.to_string().to_lowercase().contains("secret"), "{}", answer.answer);
}

/// Expects that nothing was logged that only a secret holds.
#[track_caller]
fn expect_no_secret(function: &Function) {
    let log = function.log();
    assert!(!log.contains("canary") && !log.contains("postgresql://"), "{log}");
}

/// The causes that were logged.
fn causes(function: &Function) -> Vec<String> {
    let log = function.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["cause"].as_str().map(str::to_owned)).collect()
}

//! Lambda freezes an environment after each answer and thaws it for the next event, after a second or an hour. What happened
//! meanwhile the function learns from its first request: connections were closed or forgotten, keys changed, time passed.
//!
//! Here a process is stopped and continued (SIGSTOP, SIGCONT), and its wall clock is moved: all code asks libc for the time,
//! which a preloaded library may answer instead. One that is frozen in the middle of a stream: `chat::replays`.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use shared::clock::Clock;
use uuid::Uuid;

use crate::auth::key::Key;
use crate::auth::key_server::Answer;
use crate::support::database::{Database, Kind};
use crate::support::function::rest_event;
use crate::support::issuer::{Issuer, headers};
use crate::support::outage::end_sessions;
use crate::support::process::{freeze, thaw};
use crate::support::proxy::Proxy;
use crate::support::runtime_api::{Environment, Response};

/// The library that moves a process's clock, made by the C compiler that links Rust's programs.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = scratch(".so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime/freezing.c");
    let compiler = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
    assert!(compiler.expect("a C compiler").success());
    library
});

/// A file that nobody else has.
fn scratch(end: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}{end}", Uuid::new_v4()))
}

/// A function, its issuer and a network before its database, with a clock that can be moved.
struct Scene {
    function: Environment,
    issuer: Issuer,
    database: Database,
    proxy: Proxy,
    /// Goes with the function's.
    clock: Clock,
    ahead: i64,
    file: (PathBuf, File),
}

impl Scene {
    /// A function that has listed conversations.
    async fn listing() -> Self {
        let scene = Self::of("list-conversations", &[]).await;
        assert_eq!(scene.list().await.status, 200);
        assert_eq!(scene.issuer.server.asked(), 1);
        scene
    }

    async fn of(name: &str, more: &[(&str, &str)]) -> Self {
        let (issuer, path) = (Issuer::start().await, scratch(".clock"));
        fs::write(&path, 0_i64.to_ne_bytes()).expect("a file");
        let file = File::options().write(true).open(&path).expect("a file");
        let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
        let proxy = Proxy::before(&database.app_url).await;
        let url = proxy.through(&database.app_url);
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("LD_PRELOAD", LIBRARY.to_str().expect("a path")),
            ("TEST_CLOCK", path.to_str().expect("a path")),
        ];
        let function = Environment::start(name, &[&settings[..], &issuer.settings(), more].concat()).await;
        Self { function, issuer, database, proxy, clock: Clock::system(), ahead: 0, file: (path, file) }
    }

    /// Freezes the function, does `meanwhile` and thaws it so much later.
    async fn frozen(&mut self, later: Duration, meanwhile: impl AsyncFnOnce(&mut Self)) {
        freeze(&self.function.process).await;
        meanwhile(self).await;
        self.clock.advance(later);
        self.ahead += i64::try_from(later.as_secs()).expect("a time");
        self.file.1.write_all_at(&self.ahead.to_ne_bytes(), 0).expect("written");
        thaw(&self.function.process);
    }

    /// Lists conversations with a token of this moment.
    async fn list(&self) -> Response {
        self.list_with(&self.issuer.key).await
    }

    async fn list_with(&self, key: &Key) -> Response {
        self.list_as(&key.token(&self.clock)).await
    }

    async fn list_as(&self, token: &str) -> Response {
        let list = rest_event("GET", "/v1/conversations", &headers(token), None);
        self.function.invoke(&list).await.response()
    }

    async fn create(&self, new: &str) -> Response {
        let create = rest_event("POST", "/v1/conversations", &headers(&self.issuer.key.token(&self.clock)), Some(new));
        self.function.invoke(&create).await.response()
    }

    /// How many conversations are stored.
    async fn stored(&self) -> i64 {
        let count = "select count(*) from conversations";
        self.database.superuser().await.query_one(count, &[]).await.expect("a count").get(0)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file.0);
    }
}

#[track_caller]
fn expect_problem(answer: &Response, status: u16, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{}", answer.body);
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_connection_that_the_database_closed_meanwhile_is_replaced() {
    let mut scene = Scene::listing().await;
    for _ in 0..3 {
        let opened = scene.proxy.opened();
        scene
            .frozen(5 * MINUTE, async |scene| {
                assert_eq!(end_sessions(&scene.database.superuser().await).await, 1);
            })
            .await;
        assert_eq!(scene.list().await.status, 200);
        assert_eq!(scene.proxy.opened(), opened + 1);
    }
}

#[tokio::test]
async fn a_write_after_a_connection_was_closed_is_stored_once() {
    let mut scene = Scene::of("create-conversation", &[]).await;
    for n in 1..=3 {
        // Without a client id: were it sent blindly, nobody could tell whether it was stored.
        assert_eq!(scene.create("{}").await.status, 201);
        assert_eq!(scene.stored().await, n);
        scene
            .frozen(5 * MINUTE, async |scene| {
                assert_eq!(end_sessions(&scene.database.superuser().await).await, 1);
            })
            .await;
    }
}

#[tokio::test]
async fn a_connection_that_the_network_forgot_costs_one_request_its_deadline() {
    let mut scene = Scene::of("create-conversation", &[("DATABASE_REQUEST_SECONDS", "1")]).await;
    assert_eq!(scene.create("{}").await.status, 201);
    // At this Lambda would end the function; it answers before.
    scene.function.timeout = Duration::from_secs(10);
    scene.frozen(5 * MINUTE, async |scene| scene.proxy.forget()).await;
    let new = r#"{"clientId": "c"}"#;
    expect_problem(&scene.create(new).await, 504, "timeout");
    // That is said to be safe to repeat, and it is: on a new connection.
    assert_eq!((scene.create(new).await.status, scene.stored().await), (201, 2));
}

#[tokio::test]
async fn a_key_that_came_meanwhile_is_fetched_once_and_one_that_went_is_gone() {
    let mut scene = Scene::listing().await;
    let new = Key::new("key-2");
    // Fresh still: nothing but the key's name says that there is something to be fetched.
    scene.frozen(5 * MINUTE, async |scene| scene.issuer.server.answer(Answer::keys(&[&new]))).await;
    for _ in 0..3 {
        assert_eq!(scene.list_with(&new).await.status, 200);
        expect_problem(&scene.list().await, 401, "unauthenticated");
    }
    // The set at the start, and three look-ups of keys that it hasn't: the new one, and twice the one that went.
    assert_eq!(scene.issuer.server.asked(), 4);
}

#[tokio::test]
async fn a_key_set_that_is_older_than_its_time_to_live_serves_and_is_fetched_beside() {
    let mut scene = Scene::listing().await;
    let new = Key::new("key-2");
    scene
        .frozen(11 * MINUTE, async |scene| {
            scene.issuer.server.answer(Answer::keys(&[&new, &scene.issuer.key]));
        })
        .await;
    assert_eq!(scene.list().await.status, 200);
    assert_eq!(scene.issuer.server.asked(), 2);
    // Fetched by that request: nobody waits for the new key.
    assert_eq!(scene.list_with(&new).await.status, 200);
    assert_eq!(scene.issuer.server.asked(), 2);
}

#[tokio::test]
async fn while_no_keys_can_be_had_the_old_ones_serve_for_an_hour_and_then_nobody_is_signed_out() {
    let mut scene = Scene::listing().await;
    scene.frozen(59 * MINUTE, async |scene| scene.issuer.server.stop().await).await;
    assert_eq!(scene.list().await.status, 200);
    scene.frozen(2 * MINUTE, async |_| {}).await;
    let away = scene.list().await;
    expect_problem(&away, 503, "unavailable");
    assert!(away.header("retry-after").is_some());
    scene.frozen(MINUTE, async |scene| scene.issuer.server.start_again().await).await;
    assert_eq!(scene.list().await.status, 200);
}

#[tokio::test]
async fn a_token_that_expired_meanwhile_is_refused() {
    let mut scene = Scene::listing().await;
    let token = scene.issuer.key.token(&scene.clock);
    scene.frozen(14 * MINUTE, async |_| {}).await;
    assert_eq!(scene.list_as(&token).await.status, 200);
    scene.frozen(2 * MINUTE, async |_| {}).await;
    let refused = scene.list_as(&token).await;
    expect_problem(&refused, 401, "unauthenticated");
    assert!(refused.header("www-authenticate").is_some_and(|it| it.contains("invalid_token")));
    assert_eq!(scene.list().await.status, 200);
}

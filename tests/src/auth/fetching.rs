//! The first fetch, and what is spared afterwards.

use futures_util::future::{FutureExt, join_all};
use shared::auth::Verifier;
use shared::clock::Clock;

use super::{Answer, COOLDOWN, Key, KeyServer, Outcome, Scene, TTL, config, of, until, within};
use crate::auth::key_server::Gate;

#[tokio::test]
async fn keys_are_fetched_while_the_function_initialises() {
    let key = Key::new("key-1");
    let scene = Scene::publishing(&[&key]).await;
    scene.verifier.warm().await;
    assert_eq!(scene.server.asked(), 1);
    for _ in 0..3 {
        let admitted = scene.admit(&key).now_or_never();
        assert_eq!(admitted, Some(Outcome::Admitted), "a known key is had without waiting");
    }
    scene.verifier.health().await.unwrap();
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn the_request_for_keys_is_plain() {
    let key = Key::new("key-1");
    let scene = Scene::answering(Answer::keys(&[&key]).kept_alive()).await;
    assert_eq!(scene.admit(&key).await, Outcome::Admitted);
    let request = scene.server.last_request().to_ascii_lowercase();
    assert!(request.starts_with("get /api/auth/jwks http/1.1\r\n"), "the URL is taken as it is: {request}");
    // Nothing of the user's, and no wish for compression.
    for name in ["authorization:", "cookie:", "accept-encoding:", "ey"] {
        assert!(!request.contains(name), "{request}");
    }
    // It would be dead after a freeze.
    until("the connection is closed", || scene.server.connections() == 0).await;
}

/// Whoever can set a variable must not be able to say where the keys are. The variable is for a process of its own.
#[tokio::test]
async fn a_proxy_from_the_environment_is_not_asked() {
    let proxy = KeyServer::start(Answer::status("500 Oops", "", "")).await;
    let url = proxy.url();
    let run = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "auth::fetching::keys_are_fetched_while_the_function_initialises"])
        .envs(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, &url)))
        .output();
    let run = within("the other process", run).await.unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(proxy.asked(), 0);
}

#[tokio::test]
async fn a_failed_initialisation_is_made_good_by_the_first_request() {
    let key = Key::new("key-1");
    let scene = Scene::answering(Answer::status("500 Oops", "", "")).await;
    scene.verifier.warm().await;
    assert_eq!(scene.server.asked(), 1);
    scene.server.answer(Answer::keys(&[&key]));
    assert_eq!(scene.admit(&key).await, Outcome::Admitted);
    assert_eq!(scene.server.asked(), 2);
}

#[tokio::test]
async fn without_keys_nobody_is_told_that_their_token_is_bad() {
    let key = Key::new("key-1");
    let scene = Scene::answering(Answer::status("500 Oops", "", "")).await;
    scene.verifier.warm().await;
    assert!(matches!(scene.admit(&key).await, Outcome::Unavailable(1..=30)));
    assert_eq!(scene.server.asked(), 2, "the first request tried again");
    assert!(matches!(scene.admit(&key).await, Outcome::Unavailable(1..=30)));
    let unhealthy = scene.verifier.health().await.unwrap_err();
    assert!(matches!(of(&unhealthy), Outcome::Unavailable(1..=30)));
    let cause = unhealthy.cause.unwrap().to_string();
    assert!(cause.contains("status 500"), "the log is told why: {cause}");
    assert_eq!(scene.server.asked(), 2, "the cooldown spares a server that is down");
    scene.clock.advance(COOLDOWN);
    scene.server.answer(Answer::keys(&[&key]));
    assert_eq!(scene.admit(&key).await, Outcome::Admitted);
    assert_eq!(scene.server.asked(), 3);
}

#[tokio::test]
async fn retry_after_outlives_a_failed_initialisation() {
    let key = Key::new("key-1");
    let scene = Scene::answering(Answer::status("429 Too Many Requests", "x-retry-after: 10\r\n", "")).await;
    scene.verifier.warm().await;
    scene.server.answer(Answer::keys(&[&key]));
    assert!(matches!(scene.admit(&key).await, Outcome::Unavailable(1..=10)));
    assert_eq!(scene.server.asked(), 1);
    scene.clock.advance(std::time::Duration::from_secs(10));
    assert_eq!(scene.admit(&key).await, Outcome::Admitted);
}

#[tokio::test]
async fn first_requests_share_one_fetch() {
    let key = Key::new("key-1");
    let gate = Gate::closed();
    let scene = Scene::answering(Answer::keys(&[&key]).behind(&gate)).await;
    let requests = join_all((0..20).map(|_| scene.admit(&key)));
    let (outcomes, ()) = within("twenty requests", async {
        futures_util::join!(requests, async {
            until("the server is asked", || scene.server.asked() == 1).await;
            gate.open();
        })
    })
    .await;
    assert_eq!(outcomes, [Outcome::Admitted; 20]);
    assert_eq!(scene.server.asked(), 1);
}

/// On Managed Instances requests run on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_requests_on_many_threads_share_one_fetch() {
    let key = Key::new("key-1");
    let scene = Scene::publishing(&[&key]).await;
    let token = key.token(&scene.clock);
    let requests = (0..100).map(|_| {
        let (verifier, token) = (scene.verifier.clone(), token.clone());
        tokio::spawn(async move { super::outcome(&verifier, &token).await })
    });
    for outcome in within("a hundred requests", join_all(requests)).await {
        assert_eq!(outcome.unwrap(), Outcome::Admitted);
    }
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn health_fetches_if_there_are_no_keys() {
    let key = Key::new("key-1");
    let scene = Scene::publishing(&[&key]).await;
    scene.verifier.health().await.unwrap();
    assert_eq!(scene.admit(&key).now_or_never(), Some(Outcome::Admitted));
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn a_request_that_needs_no_keys_waits_for_none() {
    let scene = Scene::answering(Answer::Silence).await;
    assert_eq!(scene.verifier.beside(async { 7 }).now_or_never(), Some(7));
    assert_eq!(scene.server.asked(), 0);
}

#[tokio::test]
async fn fresh_keys_are_not_refreshed() {
    let key = Key::new("key-1");
    let scene = Scene::publishing(&[&key]).await;
    scene.verifier.warm().await;
    // A minute short of it: the clock goes on while the test runs.
    scene.clock.advance(TTL.saturating_sub(std::time::Duration::from_mins(1)));
    assert_eq!(scene.verifier.beside(scene.admit(&key)).now_or_never(), Some(Outcome::Admitted));
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn a_jwks_url_that_is_none_is_found_out_at_the_start() {
    assert!(Verifier::new(&config("not a URL".to_owned()), Clock::system()).is_err());
}

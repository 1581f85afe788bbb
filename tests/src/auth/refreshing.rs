//! A set older than its time to live, and an endpoint that is away.

use std::time::Duration;

use futures_util::FutureExt;

use super::key_server::Gate;
use super::{Answer, COOLDOWN, Key, Outcome, STALE, Scene, TTL, until, within};

/// A scene whose set is due for a refresh.
async fn due(key: &Key) -> Scene {
    let scene = Scene::publishing(&[key]).await;
    scene.verifier.warm().await;
    scene.clock.advance(TTL);
    scene
}

#[tokio::test]
async fn old_keys_serve_while_new_ones_are_fetched_beside_the_request() {
    let (old, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = due(&old).await;
    let gate = Gate::closed();
    scene.server.answer(Answer::keys(&[&new]).behind(&gate));
    let work = async {
        let admitted = scene.admit(&old).now_or_never();
        assert_eq!(admitted, Some(Outcome::Admitted), "old keys serve, at once");
        until("the server is asked", || scene.server.asked() == 2).await;
        gate.open();
        until("the answer is read", || scene.server.connections() == 0).await;
    };
    within("the request", scene.verifier.beside(work)).await;
    assert_eq!(scene.admit(&new).now_or_never(), Some(Outcome::Admitted));
    assert_eq!(scene.server.asked(), 2);
    // Replaced, not merged: what the issuer withdraws is gone.
    assert_eq!(scene.admit(&old).await, Outcome::UNKNOWN_KEY);
}

/// The work is done before the refresh has begun: it gets its time all the same.
#[tokio::test]
async fn a_refresh_is_waited_for_after_the_work() {
    let (old, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = due(&old).await;
    scene.server.answer(Answer::keys(&[&new]));
    scene.verifier.beside(std::future::ready(())).await;
    assert_eq!(scene.server.asked(), 2);
    assert_eq!(scene.admit(&new).now_or_never(), Some(Outcome::Admitted));
}

#[tokio::test]
async fn nobody_but_beside_refreshes() {
    let key = Key::new("key-1");
    let scene = due(&key).await;
    assert_eq!(scene.admit(&key).now_or_never(), Some(Outcome::Admitted));
    scene.verifier.health().now_or_never().unwrap().unwrap();
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn requests_side_by_side_share_one_refresh() {
    let key = Key::new("key-1");
    let scene = due(&key).await;
    let requests = (0..20).map(|_| scene.verifier.beside(scene.admit(&key)));
    let outcomes = within("twenty requests", futures_util::future::join_all(requests)).await;
    assert_eq!(outcomes, [Outcome::Admitted; 20]);
    assert_eq!(scene.server.asked(), 2);
}

/// Lambda would freeze it: a refresh that isn't done a moment after the work is cancelled, and has failed.
#[tokio::test]
async fn a_slow_refresh_is_cancelled_and_counts_as_failed() {
    let key = Key::new("key-1");
    let scene = due(&key).await;
    scene.server.answer(Answer::Silence);
    // Shorter than the fetch's own limit of five seconds, which would end it too.
    let work = scene.verifier.beside(scene.admit(&key));
    assert_eq!(tokio::time::timeout(Duration::from_secs(4), work).await, Ok(Outcome::Admitted));
    until("the connection is closed", || scene.server.asked() == 2 && scene.server.connections() == 0).await;
    // Failed, so that the cooldown holds.
    assert_eq!(scene.verifier.beside(scene.admit(&key)).now_or_never(), Some(Outcome::Admitted));
    assert_eq!(scene.server.asked(), 2);
    scene.clock.advance(COOLDOWN);
    scene.server.answer(Answer::keys(&[&key]));
    assert_eq!(scene.verifier.beside(scene.admit(&key)).await, Outcome::Admitted);
    assert_eq!(scene.server.asked(), 3);
    assert_eq!(scene.verifier.beside(scene.admit(&key)).now_or_never(), Some(Outcome::Admitted), "fresh again");
}

/// Each fetch takes longer than the first refresh is given: a later one is given more.
#[tokio::test]
async fn an_endpoint_that_is_always_slow_is_refreshed_before_twice_the_time_to_live() {
    let (withdrawn, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = due(&withdrawn).await;
    scene.server.answer(Answer::keys(&[&new]).after(Duration::from_millis(400)));
    // A request every cooldown, as an environment in use has them.
    let mut age = TTL;
    while age < 2 * TTL && scene.verifier.beside(scene.admit(&withdrawn)).await == Outcome::Admitted {
        scene.clock.advance(COOLDOWN);
        age += COOLDOWN;
    }
    assert!(age < 2 * TTL, "{age:?}");
    assert_eq!(scene.admit(&new).now_or_never(), Some(Outcome::Admitted));
    assert_eq!(scene.admit(&withdrawn).await, Outcome::UNKNOWN_KEY);
}

/// An environment that was frozen in between: its request waits for the keys, and isn't answered from the old ones.
#[tokio::test]
async fn a_withdrawn_key_is_dead_after_twice_the_time_to_live() {
    let (withdrawn, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = Scene::publishing(&[&withdrawn]).await;
    scene.verifier.warm().await;
    scene.clock.advance(2 * TTL);
    let gate = Gate::closed();
    scene.server.answer(Answer::keys(&[&new]).behind(&gate));
    let request = scene.verifier.beside(scene.admit(&withdrawn));
    let (outcome, ()) = within("the request", async {
        futures_util::join!(request, async {
            until("the server is asked", || scene.server.asked() == 2).await;
            gate.open();
        })
    })
    .await;
    assert_eq!(outcome, Outcome::UNKNOWN_KEY);
    assert_eq!((scene.admit(&new).await, scene.server.asked()), (Outcome::Admitted, 2));
}

/// Where no fetch succeeds, the old keys serve on: an outage signs nobody out.
#[tokio::test]
async fn old_keys_serve_after_twice_the_time_to_live_where_there_are_no_others() {
    let key = Key::new("key-1");
    let scene = Scene::publishing(&[&key]).await;
    scene.verifier.warm().await;
    scene.clock.advance(2 * TTL);
    scene.server.answer(Answer::status("500 Oops", "", ""));
    assert_eq!(scene.verifier.beside(scene.admit(&key)).await, Outcome::Admitted);
    assert_eq!(scene.admit(&key).now_or_never(), Some(Outcome::Admitted), "cooling down");
    assert_eq!(scene.server.asked(), 2);
}

#[tokio::test]
async fn a_request_that_goes_away_takes_its_refresh_along() {
    let key = Key::new("key-1");
    let scene = due(&key).await;
    scene.server.answer(Answer::Silence);
    tokio::select! {
        () = scene.verifier.beside(std::future::pending()) => unreachable!(),
        () = until("the server is asked", || scene.server.asked() == 2) => {}
    }
    until("the connection is closed", || scene.server.connections() == 0).await;
    assert_eq!(scene.verifier.beside(scene.admit(&key)).now_or_never(), Some(Outcome::Admitted));
    assert_eq!(scene.server.asked(), 2);
}

#[tokio::test]
async fn while_the_endpoint_is_away_old_keys_serve_for_a_while() {
    let (key, other) = (Key::new("key-1"), Key::new("made-up"));
    let mut scene = due(&key).await;
    scene.server.stop().await;
    assert_eq!(scene.verifier.beside(scene.admit(&key)).await, Outcome::Admitted);
    scene.clock.advance(STALE.saturating_sub(TTL).saturating_sub(Duration::from_mins(1)));
    assert_eq!(scene.verifier.beside(scene.admit(&key)).await, Outcome::Admitted);
    scene.verifier.health().await.unwrap();
    // Then nobody is admitted, and nobody is told that their token is bad.
    scene.clock.advance(Duration::from_mins(1));
    for key in [&key, &other] {
        let outcome = scene.verifier.beside(scene.admit(key)).await;
        assert!(matches!(outcome, Outcome::Unavailable(1..=30)), "{outcome:?}");
    }
    assert!(scene.verifier.health().await.is_err());
    // The first request after the cooldown finds it back.
    scene.server.start_again().await;
    scene.clock.advance(COOLDOWN);
    assert_eq!(scene.verifier.beside(scene.admit(&key)).await, Outcome::Admitted);
    assert_eq!(scene.server.asked(), 2);
}

/// An environment that was frozen for long wakes with a stale set: its first request fetches, and waits.
#[tokio::test]
async fn a_stale_set_is_replaced_before_it_is_used() {
    let (old, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = Scene::publishing(&[&old]).await;
    scene.verifier.warm().await;
    scene.clock.advance(Duration::from_hours(24));
    scene.server.answer(Answer::keys(&[&new]));
    assert_eq!(scene.verifier.beside(scene.admit(&old)).await, Outcome::UNKNOWN_KEY);
    assert_eq!(scene.admit(&new).await, Outcome::Admitted);
    assert_eq!(scene.server.asked(), 2);
}

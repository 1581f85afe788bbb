//! A `kid` that the set doesn't have: the issuer may have rotated its key, or somebody made the name up.

use std::time::Duration;

use futures_util::future::{FutureExt, join_all};
use serde_json::json;
use shared::auth::Refusal;

use super::key_server::Gate;
use super::{Answer, COOLDOWN, Key, Outcome, STALE, Scene, outcome, until, within};

/// A scene whose set has one key and is no longer cooling down.
async fn settled(key: &Key) -> Scene {
    let scene = Scene::publishing(&[key]).await;
    scene.verifier.warm().await;
    scene.clock.advance(COOLDOWN);
    scene
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_for_everyone_who_waits() {
    let (old, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = settled(&old).await;
    let gate = Gate::closed();
    scene.server.answer(Answer::keys(&[&old, &new]).behind(&gate));
    let requests = join_all((0..20).map(|_| scene.admit(&new)));
    let (outcomes, ()) = within("twenty requests", async {
        futures_util::join!(requests, async {
            until("the server is asked", || scene.server.asked() == 2).await;
            let known = scene.admit(&old).now_or_never();
            assert_eq!(known, Some(Outcome::Admitted), "who has a known key waits for nobody");
            gate.open();
        })
    })
    .await;
    assert_eq!(outcomes, [Outcome::Admitted; 20]);
    assert_eq!(scene.server.asked(), 2);
    assert_eq!(scene.admit(&old).await, Outcome::Admitted, "old tokens go on");
}

#[tokio::test]
async fn made_up_keys_cost_three_fetches_and_then_one_a_cooldown() {
    let key = Key::new("key-1");
    let scene = Scene::publishing(&[&key]).await;
    scene.verifier.warm().await;
    let flood = async || {
        for name in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(scene.admit(&Key::new(name)).await, Outcome::UNKNOWN_KEY);
        }
        scene.server.asked()
    };
    assert_eq!(flood().await, 4, "the first set's, and three");
    for fetches in 5..8 {
        scene.clock.advance(COOLDOWN);
        assert_eq!(flood().await, fetches);
    }
    assert_eq!(scene.admit(&key).now_or_never(), Some(Outcome::Admitted));
    scene.clock.advance(10 * COOLDOWN);
    assert_eq!(flood().await, 10, "three at once once more");
}

/// Whoever made up a key a moment ago doesn't keep out those whose key is new.
#[tokio::test]
async fn a_rotated_key_is_found_although_another_was_made_up_before() {
    let (old, new, forged) = (Key::new("key-1"), Key::new("key-2"), Key::new("made-up"));
    let scene = settled(&old).await;
    assert_eq!(scene.admit(&forged).await, Outcome::UNKNOWN_KEY);
    scene.server.answer(Answer::keys(&[&old, &new]));
    scene.clock.advance(Duration::from_secs(5));
    assert_eq!(scene.admit(&new).await, Outcome::Admitted);
    assert_eq!(scene.server.asked(), 3);
}

#[tokio::test]
async fn a_failed_fetch_starts_the_cooldown_as_well() {
    let (key, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = settled(&key).await;
    scene.server.answer(Answer::status("500 Oops", "", ""));
    assert_eq!(scene.admit(&new).await, Outcome::UNKNOWN_KEY);
    assert_eq!(scene.server.asked(), 2);
    scene.server.answer(Answer::keys(&[&key, &new]));
    assert_eq!(scene.admit(&new).now_or_never(), Some(Outcome::UNKNOWN_KEY));
    assert_eq!(scene.admit(&key).await, Outcome::Admitted, "the last good set stays");
    scene.clock.advance(COOLDOWN);
    assert_eq!(scene.admit(&new).await, Outcome::Admitted);
    assert_eq!(scene.server.asked(), 3);
}

#[tokio::test]
async fn a_token_that_no_key_could_save_costs_no_fetch() {
    let key = Key::new("key-1");
    let scene = settled(&key).await;
    for (header, refusal) in [
        (json!({ "alg": "HS256", "kid": "key-2" }), Refusal::ForbiddenAlgorithm),
        (json!({ "alg": "none", "kid": "key-2" }), Refusal::ForbiddenAlgorithm),
        (json!({ "alg": "EdDSA" }), Refusal::NoKeyId),
        (json!({ "alg": "EdDSA", "kid": "" }), Refusal::BadKeyId),
        (json!({ "alg": "EdDSA", "kid": "k".repeat(3000) }), Refusal::BadKeyId),
        (json!({ "alg": "EdDSA", "kid": "key-2", "crit": ["exp"] }), Refusal::UnsupportedHeader),
        (json!({ "alg": "EdDSA", "kid": "key-2", "typ": "at+jwt" }), Refusal::WrongType),
        (json!({ "alg": "ES256", "kid": "key-1" }), Refusal::OtherAlgorithm),
    ] {
        let token = key.sign(&header, &scene.clock);
        assert_eq!(outcome(&scene.verifier, &token).now_or_never(), Some(Outcome::Refused(refusal)), "{header}");
    }
    assert_eq!(outcome(&scene.verifier, "no.token.at~all").await, Outcome::Refused(Refusal::BadAlphabet));
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn a_kid_of_two_keys_is_unknown_until_it_is_of_one() {
    let (key, twin, other) = (Key::new("key-1"), Key::new("key-1"), Key::new("other"));
    let scene = Scene::publishing(&[&key, &twin, &other]).await;
    scene.verifier.warm().await;
    assert_eq!(scene.admit(&key).await, Outcome::UNKNOWN_KEY);
    assert_eq!(scene.admit(&twin).await, Outcome::UNKNOWN_KEY);
    assert_eq!(scene.admit(&other).await, Outcome::Admitted);
    scene.server.answer(Answer::keys(&[&key, &other]));
    scene.clock.advance(COOLDOWN);
    assert_eq!(scene.admit(&key).await, Outcome::Admitted);
    assert_eq!(scene.admit(&twin).await, Outcome::Refused(Refusal::BadSignature));
}

/// The client that began the fetch goes away; those who joined it get its result.
#[tokio::test]
async fn a_fetch_outlives_the_request_that_began_it() {
    let (old, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = settled(&old).await;
    let gate = Gate::closed();
    scene.server.answer(Answer::keys(&[&old, &new]).behind(&gate));
    let mut leader = Box::pin(scene.admit(&new));
    assert!(futures_util::poll!(&mut leader).is_pending());
    let mut follower = Box::pin(scene.admit(&new));
    assert!(futures_util::poll!(&mut follower).is_pending());
    let drive = async {
        tokio::select! {
            _ = &mut leader => panic!("the answer is held back"),
            () = until("the server is asked", || scene.server.asked() == 2) => {}
        }
    };
    drive.await;
    drop(leader);
    gate.open();
    assert_eq!(within("the follower", follower).await, Outcome::Admitted);
    assert_eq!(scene.server.asked(), 2);
}

/// When everyone who waited has gone away, the fetch has failed: its connection is closed, and the next begins after the
/// cooldown.
#[tokio::test]
async fn a_fetch_that_nobody_waits_for_is_a_failed_one() {
    let (old, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = settled(&old).await;
    let gate = Gate::closed();
    scene.server.answer(Answer::keys(&[&old, &new]).behind(&gate));
    let both = async { futures_util::join!(scene.admit(&new), scene.admit(&new)) };
    tokio::select! {
        _ = both => panic!("the answer is held back"),
        () = until("the server is asked", || scene.server.asked() == 2) => {}
    }
    until("the connection is closed", || scene.server.connections() == 0).await;
    scene.server.answer(Answer::keys(&[&old, &new]));
    assert_eq!(scene.admit(&new).now_or_never(), Some(Outcome::UNKNOWN_KEY));
    assert_eq!(scene.admit(&old).now_or_never(), Some(Outcome::Admitted));
    scene.clock.advance(COOLDOWN);
    assert_eq!(scene.admit(&new).await, Outcome::Admitted);
}

/// The same before there is any set, dropped before the first poll and after it.
#[tokio::test]
async fn a_cancelled_first_fetch_wedges_nobody() {
    let key = Key::new("key-1");
    let scene = Scene::answering(Answer::Silence).await;
    let request = scene.admit(&key);
    tokio::select! {
        _ = request => panic!("there is no answer"),
        () = until("the server is asked", || scene.server.asked() == 1) => {}
    }
    assert!(matches!(scene.admit(&key).now_or_never(), Some(Outcome::Unavailable(1..=30))));
    scene.server.answer(Answer::keys(&[&key]));
    scene.clock.advance(COOLDOWN);
    drop(scene.admit(&key));
    assert_eq!(within("the next request", scene.admit(&key)).await, Outcome::Admitted);
}

/// An unknown `kid` joins the refresh that is under way.
#[tokio::test]
async fn an_unknown_key_joins_a_refresh() {
    let (old, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = Scene::publishing(&[&old]).await;
    scene.verifier.warm().await;
    scene.clock.advance(STALE.saturating_sub(Duration::from_mins(1)));
    scene.server.answer(Answer::keys(&[&old, &new]));
    let outcomes = scene.verifier.beside(async { futures_util::join!(scene.admit(&old), scene.admit(&new)) }).await;
    assert_eq!(outcomes, (Outcome::Admitted, Outcome::Admitted));
    assert_eq!(scene.server.asked(), 2);
}

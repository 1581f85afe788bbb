//! Ends of answers that the database can't take, or has taken from somebody else: the last frame never tells more than is
//! stored.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use shared::clock::Clock;

use crate::support::api::{Api, User};
use crate::support::chat::{Stream, behind_a_proxy, expire, held, question, release, unique};
use crate::support::eventually;
use crate::support::proxy::{Proxy, Weather};

/// A question to a function that must have answered in so many milliseconds.
async fn asked(user: &User, script: &str, left: i64) -> Stream {
    let body = question("c", "q", "How are cursors made?", script);
    user.stream_within(left, "POST", "/v1/chat", Some(&body)).await
}

/// The database goes away, the agent comes to its end, and the end is tried in vain.
async fn waiting_for_its_end(stream: &mut Stream, proxy: &Proxy, hold: &str) {
    proxy.turn(Weather::Refusing);
    proxy.cut();
    release(hold).await;
    stream.until("text-end").await;
    let refused = proxy.refused();
    eventually("the end's first attempts", async || (proxy.refused() > refused + 2).then_some(())).await;
}

#[tokio::test]
async fn what_somebody_else_ended_meanwhile_is_not_told_as_ours() {
    for deleted in [false, true] {
        let api = Api::new().await;
        let user = api.user().await;
        let (proxy, instance) = behind_a_proxy(&api, &user, |_| {}).await;
        let hold = unique("theirs").replace(' ', "-");
        let mut stream = held(&instance, &hold).await;
        waiting_for_its_end(&mut stream, &proxy, &hold).await;
        if deleted {
            user.delete("/v1/conversations/c").await.expect(StatusCode::NO_CONTENT);
        } else {
            expire(&api.database.superuser().await).await;
            let reader = user.resume("c").await.rest().await;
            assert_eq!(reader.terminal()["type"], "error");
            let kinds: Vec<_> = reader.frames.iter().filter_map(|frame| frame["type"].as_str()).collect();
            let open = |of: &str| kinds.iter().filter(|kind| **kind == format!("text-{of}")).count();
            assert_eq!(open("start"), open("end"), "what its function left open is closed");
        }
        proxy.turn(Weather::Fair);
        let stream = stream.rest().await;
        let told = stream.terminal()["errorText"].as_str().unwrap_or_default();
        assert!(told.contains("ended elsewhere"), "deleted: {deleted}, {:?}", stream.terminal());
    }
}

#[tokio::test]
async fn what_could_not_be_stored_in_time_is_told() {
    let api = Api::new().await;
    let user = api.user().await;
    let (proxy, instance) = behind_a_proxy(&api, &user, |_| {}).await;
    let hold = unique("never").replace(' ', "-");
    let mut stream = asked(&instance, &format!("bytes=4000 hold@5={hold}"), 15_000).await;
    stream.until("text-delta").await;
    waiting_for_its_end(&mut stream, &proxy, &hold).await;
    let stream = stream.rest().await;
    let told = stream.terminal()["errorText"].as_str().unwrap_or_default();
    assert!(told.contains("couldn't be stored"), "{:?}", stream.terminal());
    // Whoever comes next ends it with what was stored.
    proxy.turn(Weather::Fair);
    expire(&api.database.superuser().await).await;
    let page = user.get("/v1/chat/c").await;
    assert_eq!(page.text("/data/1/metadata/status"), "incomplete");
}

/// A database that takes everything and says nothing: every wait has its own end, and the answer's is the last.
#[tokio::test]
async fn an_answer_ends_in_time_although_the_database_says_nothing() {
    let one = async |left: i64| {
        let api = Api::new().await;
        let user = api.user().await;
        let (proxy, instance) = behind_a_proxy(&api, &user, |_| {}).await;
        let hold = unique("hole").replace(' ', "-");
        let deadline = Clock::system().now().as_millisecond() + left;
        let mut stream = asked(&instance, &format!("bytes=4000 hold@5={hold}"), left).await;
        stream.until("text-delta").await;
        proxy.turn(Weather::BlackHole);
        release(&hold).await;
        let stream = stream.rest().await;
        assert_eq!(stream.terminal()["type"], "error", "{left}");
        assert!(Clock::system().now().as_millisecond() + 300 <= deadline, "{left} ms: Lambda would have ended it");
    };
    tokio::join!(one(12_000), one(25_000));
}

#[tokio::test]
async fn what_is_open_when_an_answer_is_stopped_is_closed() {
    let api = Api::with(|config| config.chat.keep_alive = Duration::from_secs(5)).await;
    let user = api.user().await;
    let hold = unique("open").replace(' ', "-");
    let stream = held(&user, &hold).await;
    user.post("/v1/chat/c/stop", &json!({})).await.expect(StatusCode::ACCEPTED);
    let stream = stream.rest().await;
    release(&hold).await;
    let kinds: Vec<&str> = stream.frames.iter().filter_map(|frame| frame["type"].as_str()).collect();
    let place = |kind: &str| kinds.iter().position(|it| *it == kind).unwrap_or_else(|| panic!("no {kind}: {kinds:?}"));
    assert!(place("text-end") < place("abort"), "{kinds:?}");
    let page = user.get("/v1/chat/c").await;
    assert_eq!(page.text("/data/1/parts/0/state"), "done");
}

/// `cargo lambda watch` tells such.
#[tokio::test]
async fn a_deadline_that_has_passed_counts_as_none() {
    let api = Api::new().await;
    let user = api.user().await;
    let stream = asked(&user, "", -60_000).await.rest().await;
    assert_eq!(stream.terminal()["type"], "finish");
}

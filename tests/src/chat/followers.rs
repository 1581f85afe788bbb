//! Who follows an answer that is written elsewhere.

use std::time::Duration;

use crate::support::api::{Api, User};
use crate::support::chat::{Stream, behind_a_proxy, held, question, release, sweep_later, unique};
use crate::support::eventually;
use crate::support::proxy::{Proxy, Weather};

/// An answer that is held, and its follower whose database has gone away.
async fn cut_off(api: &Api, user: &User, hold: &str) -> (Stream, Stream, Proxy) {
    let (proxy, instance) = behind_a_proxy(api, user, |_| {}).await;
    let stream = held(user, hold).await;
    let mut reader = instance.resume("c").await;
    reader.until("text-delta").await;
    proxy.turn(Weather::Refusing);
    proxy.cut();
    (stream, reader, proxy)
}

#[tokio::test]
async fn a_short_outage_costs_a_follower_nothing() {
    let api = Api::new().await;
    let user = api.user().await;
    let hold = unique("outage").replace(' ', "-");
    let (stream, reader, proxy) = cut_off(&api, &user, &hold).await;
    let outage = async {
        eventually("a refused connection", async || (proxy.refused() > 1).then_some(())).await;
        proxy.turn(Weather::Fair);
        release(&hold).await;
    };
    let (reader, stream, ()) = tokio::join!(reader.rest(), stream.rest(), outage);
    assert_eq!(stream.terminal()["type"], "finish");
    assert_eq!((reader.text(), reader.terminal()), (stream.text(), stream.terminal()));
}

#[tokio::test]
async fn a_long_outage_is_told_to_a_follower() {
    let api = Api::new().await;
    let user = api.user().await;
    let hold = unique("outage").replace(' ', "-");
    let (stream, reader, _proxy) = cut_off(&api, &user, &hold).await;
    let reader = reader.rest().await;
    let told = reader.terminal();
    assert_eq!(
        (&told["type"], &told["errorText"]),
        (&"error".into(), &"The database can't be reached right now.".into())
    );
    // The answer isn't touched by it.
    release(&hold).await;
    assert_eq!(stream.rest().await.terminal()["type"], "finish");
}

#[tokio::test]
async fn a_follower_is_told_when_its_functions_time_is_over() {
    let api = Api::new().await;
    let user = api.user().await;
    let hold = unique("time").replace(' ', "-");
    let stream = held(&user, &hold).await;
    let reader = user.stream_within(2000, "GET", "/v1/chat/c/stream", None).await.rest().await;
    let told = &reader.terminal()["errorText"];
    assert_eq!(told, "This service may not stream for longer. Load the conversation again.");
    release(&hold).await;
    assert_eq!(stream.rest().await.terminal()["type"], "finish");
}

#[tokio::test]
async fn a_follower_whose_run_is_swept_is_told_to_load_the_conversation() {
    let api = Api::new().await;
    let user = api.user().await;
    user.chat(&question("c", "q", "How are cursors made?", "")).await.rest().await;
    // It is looked up before its first chunk is read.
    let reader = user.resume("c").await;
    sweep_later(&api).await;
    let reader = reader.rest().await;
    assert_eq!(reader.terminal()["errorText"], "The answer is stored. Load the conversation again.");
}

#[tokio::test]
async fn a_follower_asks_seldom_while_nothing_comes() {
    let api = Api::new().await;
    let user = api.user().await;
    let (proxy, instance) = behind_a_proxy(&api, &user, |config| {
        config.chat.poll = Duration::from_millis(100);
        config.chat.keep_alive = Duration::from_millis(400);
    })
    .await;
    let hold = unique("seldom").replace(' ', "-");
    let stream = held(&user, &hold).await;
    let mut reader = instance.resume("c").await;
    reader.until("text-delta").await;
    eventually("a keep-alive", async || reader.is_kept_alive().await.then_some(())).await;
    let before = proxy.commits();
    assert!(reader.is_kept_alive().await);
    // The pause has grown to four times the least: as long as a stream stays silent.
    let asked = proxy.commits() - before;
    assert!(asked <= 2, "{asked} questions in between");
    release(&hold).await;
    assert_eq!(stream.rest().await.terminal()["type"], "finish");
}

//! Whatever but a good answer is a failed fetch: the last good set stays, and the next fetch waits.

use std::time::Duration;

use futures_util::FutureExt;

use super::{Answer, COOLDOWN, Key, Outcome, Scene, TTL, until, within};

/// The cap on an answer.
const CAP: usize = 256 * 1024;

/// An answer fails as a first one and as a later one; `pause` is when the next fetch may be.
async fn fails(name: &str, answer: impl Fn(&Key) -> Answer, pause: Duration) {
    futures_util::join!(fails_first(name, &answer), fails_later(name, &answer, pause));
}

async fn fails_first(name: &str, answer: impl Fn(&Key) -> Answer) {
    let key = Key::new("key-1");
    let scene = Scene::answering(answer(&key)).await;
    let outcome = within(name, scene.admit(&key)).await;
    assert!(matches!(outcome, Outcome::Unavailable(_)), "{name}: {outcome:?}");
    assert_eq!(scene.server.asked(), 1, "{name}: nothing is asked twice, and nowhere else");
}

async fn fails_later(name: &str, answer: impl Fn(&Key) -> Answer, pause: Duration) {
    let (key, new) = (Key::new("key-1"), Key::new("key-2"));
    let scene = Scene::publishing(&[&key]).await;
    scene.verifier.warm().await;
    scene.clock.advance(COOLDOWN);
    scene.server.answer(answer(&new));
    assert_eq!(within(name, scene.admit(&new)).await, Outcome::UNKNOWN_KEY, "{name}");
    assert_eq!(scene.admit(&key).now_or_never(), Some(Outcome::Admitted), "{name}: the last good set stays");
    assert_eq!(scene.server.asked(), 2, "{name}");
    // Well short of it, for the clock goes on; to the second it is tested beside the code.
    scene.server.answer(Answer::keys(&[&new]));
    scene.clock.advance(pause.saturating_sub(Duration::from_secs(15)));
    assert_eq!(scene.admit(&new).now_or_never(), Some(Outcome::UNKNOWN_KEY), "{name}: too early");
    scene.clock.advance(Duration::from_secs(15));
    assert_eq!(scene.admit(&new).await, Outcome::Admitted, "{name}");
    assert_eq!(scene.server.asked(), 3, "{name}");
}

fn keys(key: &Key) -> String {
    format!(r#"{{"keys":[{}]}}"#, key.jwk())
}

#[tokio::test]
async fn statuses_other_than_200() {
    let statuses = [
        "201 Created",
        "204 No Content",
        "206 Partial Content",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "500 Internal Server Error",
        "502 Bad Gateway",
    ];
    for status in statuses {
        fails(
            status,
            |key| Answer::status(status, "", if status.starts_with("204") { String::new() } else { keys(key) }),
            COOLDOWN,
        )
        .await;
    }
}

/// They lead to the same server, which counts: nobody follows.
#[tokio::test]
async fn redirects() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        for location in ["/api/auth/jwks", "https://other.example/jwks"] {
            let headers = format!("location: {location}\r\n");
            fails(status, |key| Answer::status(status, &headers, keys(key)), COOLDOWN).await;
        }
    }
}

#[tokio::test]
async fn retry_after() {
    let later = |seconds: i64| {
        let time = shared::clock::Clock::system().now() + jiff::SignedDuration::from_secs(seconds);
        time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    for (header, pause) in [
        ("retry-after: 120".to_owned(), 120),
        ("x-retry-after: 120".to_owned(), 120),
        // Never less than our own cooldown, never more than the time to live.
        ("retry-after: 1".to_owned(), 30),
        ("retry-after: 0".to_owned(), 30),
        ("retry-after: 86400".to_owned(), 600),
        ("retry-after: 99999999999999999999".to_owned(), 600),
        ("retry-after: soon".to_owned(), 30),
        (format!("retry-after: {}", later(-60)), 30),
        (format!("retry-after: {}", later(86_400)), 600),
    ] {
        for status in ["429 Too Many Requests", "503 Service Unavailable"] {
            let answer = |_: &Key| Answer::status(status, &format!("{header}\r\n"), "");
            fails(&header, answer, Duration::from_secs(pause)).await;
        }
    }
}

/// While there are no keys nobody is let in: one answer of a proxy that restarts must not keep everyone out for an hour. A
/// client that retries after what it is told finds the keys.
#[tokio::test]
async fn without_keys_retry_after_counts_no_longer_than_the_cooldown() {
    let key = Key::new("key-1");
    for (asked, told) in [("3600", 25..=30), ("100", 25..=30), ("7", 1..=30)] {
        let head = format!("retry-after: {asked}\r\n");
        let scene = Scene::answering(Answer::status("503 Service Unavailable", &head, "")).await;
        scene.verifier.warm().await;
        let Outcome::Unavailable(wait) = scene.admit(&key).await else { panic!("admitted without keys") };
        assert!(told.contains(&wait), "{asked}: {wait}");
        scene.server.answer(Answer::keys(&[&key]));
        scene.clock.advance(Duration::from_secs(wait));
        assert_eq!(scene.admit(&key).await, Outcome::Admitted, "{asked}");
    }
}

#[tokio::test]
async fn garbage() {
    for body in [
        "",
        " ",
        "null",
        "[]",
        "{}",
        "<!doctype html><title>Sign in</title>",
        r#"{"keys":{}}"#,
        r#"{"keys":["#,
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","kid":"key-2","k":"AAAA"}]}"#,
        "\u{feff}{\"keys\":[]}",
    ] {
        fails(body, |_| Answer::ok(body), COOLDOWN).await;
    }
    fails("bytes", |_| Answer::ok([0xff; 100]), COOLDOWN).await;
    fails("no HTTP", |_| Answer::raw("SSH-2.0-OpenSSH\r\n", ""), COOLDOWN).await;
    fails("no answer", |_| Answer::raw("", ""), COOLDOWN).await;
    fails("cut short", |key| Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", keys(key)), COOLDOWN).await;
    let chunked = |key: &Key| Answer::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFF\r\n", keys(key));
    fails("a chunk cut short", chunked, COOLDOWN).await;
    let thousands = |key: &Key| Answer::ok(format!(r#"{{"keys":[{},{}]}}"#, vec!["1"; 1000].join(","), key.jwk()));
    fails("too many members", thousands, COOLDOWN).await;
}

/// A small compressed answer can be a large one, so that none is asked for or undone.
#[tokio::test]
async fn compressed_answers() {
    let gzip = |key: &Key| Answer::status("200 OK", "content-encoding: gzip\r\n", gzip(keys(key).as_bytes()));
    fails("gzip", gzip, COOLDOWN).await;
}

/// RFC 1952, with the one block stored as it is.
fn gzip(body: &[u8]) -> Vec<u8> {
    let step = |crc: u32, byte: &u8| {
        let shift = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(*byte), shift)
    };
    let crc = !body.iter().fold(!0, step);
    let length = u16::try_from(body.len()).unwrap();
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    file.extend(length.to_le_bytes());
    file.extend((!length).to_le_bytes());
    file.extend(body);
    file.extend(crc.to_le_bytes());
    file.extend(u32::from(length).to_le_bytes());
    file
}

#[tokio::test]
async fn an_answer_may_be_as_large_as_the_cap_and_no_larger() {
    let padded = |key: &Key, length: usize| {
        let keys = keys(key);
        keys.clone() + &" ".repeat(length - keys.len())
    };
    fails("too large", |key| Answer::ok(padded(key, CAP + 1)), COOLDOWN).await;
    // Without a length it is cut off when it is.
    let endless = |key: &Key| Answer::raw("HTTP/1.1 200 OK\r\n\r\n", padded(key, 4 * CAP));
    fails("too large, without a length", endless, COOLDOWN).await;
    let key = Key::new("key-1");
    let scene = Scene::answering(Answer::ok(padded(&key, CAP))).await;
    assert_eq!(scene.admit(&key).await, Outcome::Admitted);
}

/// Both last as long as the fetcher lets them, five seconds.
#[tokio::test]
async fn slow_answers() {
    let silent = fails("silence", |_| Answer::Silence, COOLDOWN);
    // Never idle for long: only a limit on the whole ends it.
    let dripping = fails("drip", |_| Answer::Drip, COOLDOWN);
    futures_util::join!(silent, dripping);
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_on() {
    let key = Key::new("key-1");
    let mut scene = Scene::publishing(&[&key]).await;
    scene.server.stop().await;
    assert!(matches!(scene.admit(&key).await, Outcome::Unavailable(1..=30)));
    scene.server.start_again().await;
    assert!(matches!(scene.admit(&key).now_or_never(), Some(Outcome::Unavailable(_))), "cooling down");
    scene.clock.advance(COOLDOWN);
    assert_eq!(scene.admit(&key).await, Outcome::Admitted);
}

/// Keys come over https from whom the web's authorities vouch for; a server that doesn't speak TLS isn't listened to.
#[tokio::test]
async fn https_means_tls() {
    let key = Key::new("key-1");
    let scene = Scene::publishing(&[&key]).await;
    let url = scene.server.url().replacen("http:", "https:", 1);
    let verifier = shared::auth::Verifier::new(&super::config(url), scene.clock.clone()).unwrap();
    let outcome = within("a handshake", super::outcome(&verifier, &key.token(&scene.clock))).await;
    assert!(matches!(outcome, Outcome::Unavailable(1..=30)), "{outcome:?}");
    assert_eq!(scene.server.asked(), 0);
}

/// A refresh that fails isn't repeated by the next request, and one that succeeds is good for the time to live.
#[tokio::test]
async fn a_failed_refresh_waits_for_the_cooldown() {
    let key = Key::new("key-1");
    let scene = Scene::publishing(&[&key]).await;
    scene.verifier.warm().await;
    scene.clock.advance(TTL);
    scene.server.answer(Answer::status("500 Oops", "", ""));
    assert_eq!(scene.verifier.beside(scene.admit(&key)).await, Outcome::Admitted);
    assert_eq!(scene.verifier.beside(scene.admit(&key)).now_or_never(), Some(Outcome::Admitted));
    assert_eq!(scene.server.asked(), 2);
    scene.clock.advance(COOLDOWN);
    scene.server.answer(Answer::keys(&[&key]));
    assert_eq!(scene.verifier.beside(scene.admit(&key)).await, Outcome::Admitted);
    until("asked again", || scene.server.asked() == 3).await;
    assert_eq!(scene.verifier.beside(scene.admit(&key)).now_or_never(), Some(Outcome::Admitted));
    assert_eq!(scene.server.asked(), 3);
}

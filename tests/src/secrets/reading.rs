//! A function reads its database's secret when it starts, and goes on where it can't.

use crate::support::eventually;

use super::store::{self, Door, Store};
use super::{Rotated, ask, causes, expect_away, expect_no_secret, start, start_with};

#[tokio::test]
async fn both_shapes_of_a_secret_are_read_once() {
    let (store, rotated) = (Store::open().await, Rotated::new().await);
    for text in [rotated.secret("canary-1"), rotated.url("canary-1")] {
        let arn = store::create(&text).await;
        let function = start(&store, &arn).await;
        for _ in 0..3 {
            let answer = ask(&function).await;
            assert_eq!(answer.status(), 200, "{} {}", answer.answer, function.log());
        }
        assert_eq!(store.reads(&arn), 1);
        // The secret's own region, not the function's.
        assert!(store.signature().contains("/eu-central-1/secretsmanager/"), "{}", store.signature());
        expect_no_secret(&function);
    }
    rotated.drop_role().await;
}

#[tokio::test]
async fn a_plain_url_asks_nobody() {
    let (store, rotated) = (Store::open().await, Rotated::new().await);
    let function = start_with(&store, &[("DATABASE_URL", &rotated.url("canary-1"))]).await;
    assert_eq!(ask(&function).await.status(), 200);
    assert_eq!(store.signature(), "");
    rotated.change_password("canary-2").await;
    expect_away(&ask(&function).await);
    assert_eq!(store.signature(), "");
    rotated.drop_role().await;
}

#[tokio::test]
async fn a_start_without_the_secret_is_logged_once_and_mended_by_a_later_request() {
    let (store, rotated) = (Store::open().await, Rotated::new().await);
    let arn = store::create(&rotated.secret("canary-1")).await;
    store.turn(Door::Denied);
    let function = start(&store, &arn).await;
    let line = function.logged("no database connection while initialising").await;
    for word in ["DATABASE_SECRET_ARN", "AccessDeniedException", "assumed-role/r/f is not authorized"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    for _ in 0..3 {
        expect_away(&ask(&function).await);
    }
    assert_eq!(store.reads(&arn), 2, "by the start, by the first request, and then there is a pause");
    assert_eq!(causes(&function).len(), 4, "one line a failure: {}", function.log());
    assert!(causes(&function).iter().all(|cause| cause.contains("AccessDeniedException")));
    store.turn(Door::Open);
    eventually("an answer", async || (ask(&function).await.status() == 200).then_some(())).await;
    assert_eq!(store.reads(&arn), 3);
    expect_no_secret(&function);
    rotated.drop_role().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_a_503_and_its_cause_is_logged() {
    let store = Store::open().await;
    let absent = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:colloquy/absent-AbCdEf".to_owned();
    let without = store::create(r#"{"username": "canary", "password": "canary"}"#).await;
    let text = store::create("canary-password").await;
    let parameter = store::create("postgresql://u:canary@db.example.com/db?sslcert=canary").await;
    for (arn, cause) in [
        (absent, "ResourceNotFoundException"),
        (without, "without host, dbname"),
        (text, "must begin with"),
        (parameter, "isn't understood here: sslcert"),
    ] {
        let function = start(&store, &arn).await;
        expect_away(&ask(&function).await);
        let log = function.log();
        assert!(causes(&function).iter().all(|it| it.contains(cause)) && log.contains(cause), "{cause}: {log}");
        assert!(!log.contains("canary"), "{log}");
    }
    let garbled = store::create("x").await;
    store.turn(Door::Garbled);
    let function = start(&store, &garbled).await;
    expect_away(&ask(&function).await);
    assert!(function.log().contains("the answer can't be read"), "{}", function.log());
    expect_no_secret(&function);
}

#[tokio::test]
async fn a_silent_secrets_manager_costs_no_request_its_deadline() {
    let (store, rotated) = (Store::open().await, Rotated::new().await);
    let arn = store::create(&rotated.secret("canary-1")).await;
    store.turn(Door::Silent);
    let function = start(&store, &arn).await;
    // Past its deadline it would be a 504.
    expect_away(&ask(&function).await);
    assert!(causes(&function).iter().all(|cause| cause.contains("no answer within 3 s")), "{}", function.log());
    store.turn(Door::Open);
    eventually("an answer", async || (ask(&function).await.status() == 200).then_some(())).await;
    expect_no_secret(&function);
    rotated.drop_role().await;
}

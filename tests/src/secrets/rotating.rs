//! A password is changed while functions run.

use futures_util::future::join_all;

use crate::support::eventually;

use super::store::{self, Store};
use super::{Rotated, ask, expect_away, expect_no_secret, start, start_with};

#[tokio::test]
async fn the_request_that_meets_a_new_password_is_answered() {
    let (store, rotated) = (Store::open().await, Rotated::new().await);
    let arn = store::create(&rotated.secret("canary-1")).await;
    let function = start(&store, &arn).await;
    for (number, password) in [(1, "canary-2"), (2, "canary-3/@")] {
        assert_eq!(ask(&function).await.status(), 200);
        assert_eq!(store.reads(&arn), number);
        store::put(&arn, &rotated.secret(password)).await;
        rotated.change_password(password).await;
        let answer = ask(&function).await;
        assert_eq!(answer.status(), 200, "{} {}", answer.answer, function.log());
        assert_eq!(store.reads(&arn), number + 1);
    }
    expect_no_secret(&function);
    rotated.drop_role().await;
}

#[tokio::test]
async fn a_password_that_is_refused_for_good_is_not_asked_for_again_and_again() {
    let (store, rotated) = (Store::open().await, Rotated::new().await);
    let arn = store::create(&rotated.secret("canary-1")).await;
    let function = start(&store, &arn).await;
    assert_eq!(ask(&function).await.status(), 200);
    rotated.change_password("canary-2").await;
    for _ in 0..5 {
        expect_away(&ask(&function).await);
    }
    assert_eq!(store.reads(&arn), 2, "by the start, and once since the refusal");
    assert!(function.log().contains("SQLSTATE 28P01"), "{}", function.log());
    store::put(&arn, &rotated.secret("canary-2")).await;
    eventually("an answer", async || (ask(&function).await.status() == 200).then_some(())).await;
    expect_no_secret(&function);
    rotated.drop_role().await;
}

#[tokio::test]
async fn requests_that_meet_a_new_password_together_read_it_once() {
    let (store, rotated) = (Store::open().await, Rotated::new().await);
    let arn = store::create(&rotated.secret("canary-1")).await;
    let settings = [("DATABASE_SECRET_ARN", arn.as_str()), ("AWS_LAMBDA_MAX_CONCURRENCY", "4")];
    let function = start_with(&store, &settings).await;
    assert_eq!(ask(&function).await.status(), 200);
    store::put(&arn, &rotated.secret("canary-2")).await;
    rotated.change_password("canary-2").await;
    let answers = join_all((0..8).map(|_| ask(&function))).await;
    assert!(answers.iter().all(|answer| answer.status() == 200), "{}", function.log());
    assert_eq!(store.reads(&arn), 2);
    rotated.drop_role().await;
}

//! What a user may use.

use http::StatusCode;

use crate::support::api::Api;
use crate::support::chat::{question, release, unique};

#[tokio::test]
async fn a_quota_is_told_counted_and_given_back() {
    let api = Api::with(|config| config.chat.quota.messages = Some(2)).await;
    let (user, other) = (api.user().await, api.user().await);
    let first = user.chat(&question("c", "q1", "One?", "")).await;
    assert_eq!(first.headers["ratelimit-policy"], "\"messages\";q=2;w=86400");
    assert!(first.headers["ratelimit"].to_str().expect("text").starts_with("\"messages\";r=1;t="));
    first.rest().await;
    // What the agent refused costs nothing; nor does what is repeated.
    user.chat(&question("c", "q2", "Two?", "status=503")).await.rest().await;
    user.chat(&question("c", "q1", "One?", "")).await.rest().await;
    user.chat(&question("c", "q3", "Three?", "")).await.rest().await;
    let refused = user.post("/v1/chat", &question("c", "q4", "Four?", "")).await;
    refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|s| s <= 86_400)));
    assert!(refused.header("ratelimit").is_some_and(|left| left.contains(";r=0;")));
    assert_eq!(api.count("select count(*) from messages").await, 6);
    assert_eq!(other.chat(&question("c", "q1", "One?", "")).await.rest().await.terminal()["type"], "finish");
}

#[tokio::test]
async fn tokens_count_once_they_are_known() {
    let api = Api::with(|config| config.chat.quota.tokens = Some(1)).await;
    let user = api.user().await;
    user.chat(&question("c", "q1", "One?", "")).await.expect(StatusCode::OK).rest().await;
    let refused = user.post("/v1/chat", &question("c", "q2", "Two?", "")).await;
    refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded");
}

#[tokio::test]
async fn a_users_running_answers_are_bounded() {
    let api = Api::with(|config| config.chat.quota.running = Some(2)).await;
    let (user, other) = (api.user().await, api.user().await);
    let hold = unique("running").replace(' ', "-");
    let running = async |chat: &str| {
        let mut stream = user.chat(&question(chat, "q", "How?", &format!("hold@1={hold}"))).await;
        stream.until("text-delta").await;
        stream
    };
    let (one, two) = (running("a").await, running("b").await);
    let refused = user.post("/v1/chat", &question("c", "q", "How?", "")).await;
    refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded");
    assert!(refused.text("/detail").contains("are being written for you"), "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(user.get("/v1/chat/c").await.status, StatusCode::NOT_FOUND, "nothing is stored");
    other.chat(&question("c", "q", "How?", "")).await.expect(StatusCode::OK).rest().await;
    release(&hold).await;
    one.rest().await;
    user.chat(&question("c", "q", "How?", "")).await.expect(StatusCode::OK).rest().await;
    two.rest().await;
}

//! `DELETE /v1/conversations/{id}`

use http::{Method, StatusCode};

use crate::support::api::Api;

#[tokio::test]
async fn deletes_with_all_messages_and_a_second_time_is_a_404() {
    let api = Api::new().await;
    let user = api.user().await;
    let id = user.conversation().await;
    user.say(&id, &["Hi", "Hello"]).await;
    let path = format!("/v1/conversations/{id}");
    let deleted = user.delete(&path).await;
    deleted.expect(StatusCode::NO_CONTENT);
    assert!(deleted.bytes.is_empty());
    user.delete(&path).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    user.get(&path).await.expect(StatusCode::NOT_FOUND);
    user.get(&format!("{path}/messages")).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(api.count("select count(*) from messages").await, 0);
}

#[tokio::test]
async fn if_match_guards_what_was_changed_meanwhile() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}", user.conversation().await);
    let delete = async |if_match| user.send(Method::DELETE, &path, &[("if-match", if_match)], None).await;
    delete("\"2\"").await.expect_problem(StatusCode::PRECONDITION_FAILED, "precondition_failed");
    user.get(&path).await.expect(StatusCode::OK);
    delete("\"1\"").await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn nobody_deletes_anothers() {
    let api = Api::new().await;
    let (owner, other) = (api.user().await, api.user().await);
    let path = format!("/v1/conversations/{}", owner.conversation().await);
    other.delete(&path).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    owner.get(&path).await.expect(StatusCode::OK);
}

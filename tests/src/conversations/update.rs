//! `PATCH /v1/conversations/{id}`

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, User};

async fn patch_if(user: &User, path: &str, if_match: &str, body: Value) -> Answer {
    user.send(Method::PATCH, path, &[("if-match", if_match)], Some(&body)).await
}

#[tokio::test]
async fn changes_what_it_names_and_leaves_the_rest() {
    let api = Api::new().await;
    let user = api.user().await;
    let created =
        user.post("/v1/conversations", &json!({"title": "Leave", "metadata": {"a": 1, "b": {"c": 2, "d": 3}}})).await;
    let path = format!("/v1/conversations/{}", created.text("/id"));

    let patched = user.patch(&path, &json!({"pinned": true, "metadata": {"a": null, "b": {"c": [1]}, "e": "x"}})).await;
    patched.expect(StatusCode::OK);
    assert_eq!(patched.header("etag"), Some("\"2\""));
    assert_eq!(patched.body["title"], "Leave");
    assert_eq!(patched.body["pinned"], true);
    assert_eq!(patched.body["metadata"], json!({"b": {"c": [1], "d": 3}, "e": "x"}));
    assert_ne!(patched.body["updatedAt"], created.body["updatedAt"]);
    assert_eq!(patched.body["activityAt"], created.body["activityAt"]);

    let cleared = user.patch(&path, &json!({"title": null, "pinned": null, "archived": true, "metadata": null})).await;
    assert_eq!(cleared.body.get("title"), None);
    assert_eq!((&cleared.body["pinned"], &cleared.body["archived"]), (&json!(false), &json!(true)));
    assert_eq!(cleared.body["metadata"], json!({}));
    assert_eq!(user.get(&path).await.body, cleared.body);
}

#[tokio::test]
async fn what_changes_nothing_is_a_200_with_the_version_as_it_was() {
    let api = Api::new().await;
    let user = api.user().await;
    let created = user.post("/v1/conversations", &json!({"title": "Leave", "metadata": {"a": 1}})).await;
    let path = format!("/v1/conversations/{}", created.text("/id"));
    for patch in
        [json!({}), json!({"title": "Leave"}), json!({"archived": false}), json!({"metadata": {"a": 1, "b": null}})]
    {
        let same = user.patch(&path, &patch).await;
        same.expect(StatusCode::OK);
        assert_eq!(same.header("etag"), Some("\"1\""), "{patch}");
        assert_eq!(same.body, created.body, "{patch}");
    }
}

#[tokio::test]
async fn if_match_guards_against_a_lost_update() {
    let api = Api::new().await;
    let user = api.user().await;
    let id = user.conversation().await;
    let path = format!("/v1/conversations/{id}");
    patch_if(&user, &path, "\"1\"", json!({"title": "first"})).await.expect(StatusCode::OK);
    let late = patch_if(&user, &path, "\"1\"", json!({"title": "second"})).await;
    late.expect_problem(StatusCode::PRECONDITION_FAILED, "precondition_failed");
    assert_eq!(user.get(&path).await.text("/title"), "first");
    // Appending spoils nobody's `If-Match`.
    user.say(&id, &["Hi"]).await;
    for matching in ["\"2\"", "*", "\"7\", \"2\""] {
        patch_if(&user, &path, matching, json!({"title": "first"})).await.expect(StatusCode::OK);
    }
    for other in ["W/\"2\"", "\"x\"", "\"3\""] {
        patch_if(&user, &path, other, json!({"title": "x"})).await.expect(StatusCode::PRECONDITION_FAILED);
    }
    assert_eq!(patch_if(&user, &path, "2", json!({"colour": 1})).await.faults(), ["body:/colour", "header:/if-match"]);
}

#[tokio::test]
async fn metadata_that_grows_too_large_by_a_merge_is_refused() {
    let api = Api::new().await;
    let user = api.user().await;
    let created = user.post("/v1/conversations", &json!({"metadata": {"a": "x".repeat(9000)}})).await;
    let path = format!("/v1/conversations/{}", created.text("/id"));
    let refused = user.patch(&path, &json!({"metadata": {"b": "x".repeat(9000)}})).await;
    assert!(refused.status.is_client_error(), "{}", refused.body);
    assert_eq!(refused.body["errors"][0]["pointer"], "/metadata");
    assert_eq!(user.get(&path).await.body, created.body);
}

#[tokio::test]
async fn reads_merge_patches_by_their_own_media_type() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}", user.conversation().await);
    let body = |media_type| Some((media_type, br#"{"title": "a"}"#.to_vec()));
    user.send_bytes(Method::PATCH, &path, &[], body("application/merge-patch+json")).await.expect(StatusCode::OK);
    let refused = user.send_bytes(Method::PATCH, &path, &[], body("application/json-patch+json")).await;
    refused.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
}

#[tokio::test]
async fn nobody_changes_anothers() {
    let api = Api::new().await;
    let (owner, other) = (api.user().await, api.user().await);
    let path = format!("/v1/conversations/{}", owner.conversation().await);
    other.patch(&path, &json!({"title": "mine"})).await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(owner.get(&path).await.body.get("title"), None);
}

//! `GET /v1/conversations/{id}/messages`

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::api::{Api, User};

async fn contents(user: &User, path: &str) -> Vec<String> {
    let listed = user.get(path).await;
    listed.expect(StatusCode::OK);
    listed.texts("/data", "/content")
}

#[tokio::test]
async fn both_orders_page_through_everything_once() {
    let api = Api::new().await;
    let user = api.user().await;
    let id = user.conversation().await;
    user.say(&id, &["1", "2", "3", "4", "5"]).await;
    for (order, expected) in [("asc", "12345"), ("desc", "54321")] {
        let (mut seen, mut cursor) = (String::new(), String::new());
        loop {
            let page = user.get(&format!("/v1/conversations/{id}/messages?order={order}&limit=2{cursor}")).await;
            page.expect(StatusCode::OK);
            seen.extend(page.texts("/data", "/content"));
            let Some(next) = page.body.get("nextCursor").and_then(Value::as_str) else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, expected, "{order}");
    }
}

#[tokio::test]
async fn filters_hold_together() {
    let api = Api::new().await;
    let user = api.user().await;
    let id = user.conversation().await;
    let path = format!("/v1/conversations/{id}/messages");
    user.say(&id, &["q1", "a1"]).await;
    user.say(&id, &["q2", "a2"]).await;
    apart(&api).await;
    assert_eq!(contents(&user, &format!("{path}?role=assistant")).await, ["a1", "a2"]);
    assert_eq!(contents(&user, &format!("{path}?role=tool")).await, [""; 0]);
    let times = user.get(&path).await.texts("/data", "/createdAt");
    assert_eq!(contents(&user, &format!("{path}?createdAfter={}", times[1])).await, ["q2", "a2"]);
    assert_eq!(contents(&user, &format!("{path}?createdBefore={}&role=user", times[2])).await, ["q1"]);
}

/// A second between each message and the next.
async fn apart(api: &Api) {
    let sql = "update messages set created_at = date_trunc('second', created_at) + seq * interval '1.000456 seconds'";
    api.database.superuser().await.execute(sql, &[]).await.expect("updated");
}

/// A JavaScript `Date` of a message's time asks for those after it, and before it, and never for that message itself.
#[tokio::test]
async fn times_are_compared_to_the_millisecond() {
    let api = Api::new().await;
    let user = api.user().await;
    let id = user.conversation().await;
    let path = format!("/v1/conversations/{id}/messages");
    user.say(&id, &["q1", "a1", "q2"]).await;
    apart(&api).await;
    let micros = user.get(&path).await.texts("/data", "/createdAt").remove(1);
    let millis = micros.replace(".000912Z", ".000Z");
    assert_ne!(millis, micros);
    for named in [&millis, &micros] {
        assert_eq!(contents(&user, &format!("{path}?createdAfter={named}")).await, ["q2"], "{named}");
        assert_eq!(contents(&user, &format!("{path}?createdBefore={named}")).await, ["q1"], "{named}");
    }
}

#[tokio::test]
async fn embeddings_come_only_when_asked_for() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}/messages", user.conversation().await);
    let sources = json!([{"id": "a", "embedding": [0.25, -1]}, {"id": "b"}]);
    user.post(&path, &json!({"messages": [{"role": "assistant", "content": "x", "sources": sources}]})).await;
    let plain = user.get(&path).await;
    assert_eq!(
        plain.body["data"][0]["sources"],
        json!([{"id": "a", "type": "document"}, {"id": "b", "type": "document"}])
    );
    let full = user.get(&format!("{path}?include=embeddings")).await;
    assert_eq!(full.body["data"][0]["sources"][0]["embedding"], json!([0.25, -1]));
    assert_eq!(full.body["data"][0]["sources"][1].get("embedding"), None);
}

#[tokio::test]
async fn a_page_ends_before_lambda_couldnt_carry_it() {
    let api = Api::new().await;
    let user = api.user().await;
    let path = format!("/v1/conversations/{}/messages", user.conversation().await);
    for _ in 0..4 {
        let message = json!({"messages": [{"role": "user", "content": "\"".repeat(300_000)}]});
        user.post(&path, &message).await.expect(StatusCode::CREATED);
    }
    let (mut seen, mut pages, mut cursor) = (0, 0, String::new());
    loop {
        let page = user.get(&format!("{path}?limit=100{cursor}")).await;
        page.expect(StatusCode::OK);
        let escaped = serde_json::to_string(&String::from_utf8(page.bytes.clone()).expect("UTF-8")).expect("JSON");
        assert!(escaped.len() < 6_000_000, "{}", escaped.len());
        seen += page.body["data"].as_array().map_or(0, Vec::len);
        pages += 1;
        let Some(next) = page.body.get("nextCursor").and_then(Value::as_str) else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, 4);
    assert!(pages > 1);
}

#[tokio::test]
async fn an_empty_conversation_isnt_an_unknown_one() {
    let api = Api::new().await;
    let user = api.user().await;
    let id = user.conversation().await;
    assert_eq!(user.get(&format!("/v1/conversations/{id}/messages")).await.body, json!({"data": []}));
    user.get("/v1/conversations/unknown/messages").await.expect_problem(StatusCode::NOT_FOUND, "not_found");
    let other = api.user().await.get(&format!("/v1/conversations/{id}/messages")).await;
    other.expect_problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn every_fault_of_the_query_is_told_at_once() {
    let api = Api::new().await;
    let user = api.user().await;
    let query = "order=up&role=robot&createdAfter=1&createdBefore=2&branch=old&include=all&limit=x&cursor=AQ&page=2";
    assert_eq!(
        user.get(&format!("/v1/conversations/any/messages?{query}")).await.faults(),
        [
            "query:/branch",
            "query:/createdAfter",
            "query:/createdBefore",
            "query:/cursor",
            "query:/include",
            "query:/limit",
            "query:/order",
            "query:/page",
            "query:/role",
        ]
    );
}

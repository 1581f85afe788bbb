//! `GET /v1/conversations`

use http::StatusCode;
use serde_json::json;

use crate::support::api::{Api, User};

async fn titles(user: &User, query: &str) -> Vec<String> {
    let listed = user.get(&format!("/v1/conversations?{query}")).await;
    listed.expect(StatusCode::OK);
    listed.texts("/data", "/title")
}

/// Conversations of these titles, oldest first; their ids.
async fn make(user: &User, titles: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for title in titles {
        let created = user.post("/v1/conversations", &json!({"title": title})).await;
        created.expect(StatusCode::CREATED);
        ids.push(created.text("/id"));
    }
    ids
}

#[tokio::test]
async fn newest_activity_comes_first() {
    let api = Api::new().await;
    let user = api.user().await;
    let ids = make(&user, &["a", "b", "c"]).await;
    assert_eq!(titles(&user, "").await, ["c", "b", "a"]);
    user.say(&ids[0], &["Hi"]).await;
    // A change of the title is no activity.
    user.patch(&format!("/v1/conversations/{}", ids[1]), &json!({"title": "B"})).await.expect(StatusCode::OK);
    assert_eq!(titles(&user, "").await, ["a", "c", "B"]);
    assert_eq!(api.user().await.get("/v1/conversations").await.body, json!({"data": []}));
}

#[tokio::test]
async fn pages_hold_everything_once() {
    let api = Api::new().await;
    let user = api.user().await;
    make(&user, &["a", "b", "c", "d", "e"]).await;
    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    let mut pages = 0;
    loop {
        let page = user.get(&format!("/v1/conversations?{query}")).await;
        page.expect(StatusCode::OK);
        seen.extend(page.texts("/data", "/title"));
        pages += 1;
        let Some(cursor) = page.body.get("nextCursor") else { break };
        query = format!("limit=2&cursor={}", cursor.as_str().expect("a cursor"));
    }
    assert_eq!((seen.join(""), pages), ("edcba".to_owned(), 3));
    // A last page that is full has no cursor.
    assert_eq!(user.get("/v1/conversations?limit=5").await.body.get("nextCursor"), None);
}

#[tokio::test]
async fn filters_hold_together() {
    let api = Api::new().await;
    let user = api.user().await;
    let ids = make(&user, &["Leave policy", "100% leave", "Pay"]).await;
    let path = |i: usize| format!("/v1/conversations/{}", ids[i]);
    user.patch(&path(0), &json!({"archived": true, "metadata": {"team": "hr", "n": 1, "deep": {"x": 1}}})).await;
    user.patch(&path(1), &json!({"pinned": true, "metadata": {"team": "hr", "ok": true}})).await;

    assert_eq!(titles(&user, "archived=true").await, ["Leave policy"]);
    assert_eq!(titles(&user, "archived=false").await, ["Pay", "100% leave"]);
    assert_eq!(titles(&user, "pinned=true").await, ["100% leave"]);
    assert_eq!(titles(&user, "title=LEAVE").await, ["100% leave", "Leave policy"]);
    assert_eq!(titles(&user, "title=%25").await, ["100% leave"]);
    assert_eq!(titles(&user, "title=_").await, [""; 0]);
    assert_eq!(titles(&user, "title=%C5%BFtra%C3%9Fe").await, [""; 0]);
    user.patch(&path(2), &json!({"title": "STRASSE 1, Caf\u{65}\u{301}"})).await;
    assert_eq!(titles(&user, "title=%C5%BFtra%C3%9Fe").await, ["STRASSE 1, Caf\u{65}\u{301}"]);
    assert_eq!(titles(&user, "title=CAF%C3%89").await, ["STRASSE 1, Caf\u{65}\u{301}"]);
    user.patch(&path(2), &json!({"title": "Pay"})).await;
    assert_eq!(titles(&user, "metadata.team=hr").await, ["100% leave", "Leave policy"]);
    assert_eq!(titles(&user, "metadata.team=hr&metadata.n=1").await, ["Leave policy"]);
    assert_eq!(titles(&user, "metadata.ok=true").await, ["100% leave"]);
    assert_eq!(titles(&user, "metadata.team=HR").await, [""; 0]);
    assert_eq!(titles(&user, "metadata.team=hr&archived=false").await, ["100% leave"]);
}

#[tokio::test]
async fn times_are_of_the_last_activity() {
    let api = Api::new().await;
    let user = api.user().await;
    make(&user, &["a", "b"]).await;
    let sql = "update conversations set activity_at = activity_at + interval '1 second' where title = 'b'";
    api.database.superuser().await.execute(sql, &[]).await.expect("updated");
    let listed = user.get("/v1/conversations").await;
    let (b, a) = (listed.text("/data/0/activityAt"), listed.text("/data/1/activityAt"));
    assert_eq!(titles(&user, &format!("updatedAfter={a}")).await, ["b"]);
    assert_eq!(titles(&user, &format!("updatedBefore={b}")).await, ["a"]);
    assert_eq!(titles(&user, &format!("updatedAfter={a}&updatedBefore={b}")).await, [""; 0]);
}

#[tokio::test]
async fn every_fault_of_the_query_is_told_at_once() {
    let api = Api::new().await;
    let user = api.user().await;
    let of_messages = "AgAAAAAAAAAB";
    let query = format!(
        "limit=101&cursor={of_messages}&archived=1&pinned=&updatedAfter=yesterday&title=&metadata.=x&metadata.a=1&metadata.a=2&sort=title"
    );
    assert_eq!(
        user.get(&format!("/v1/conversations?{query}")).await.faults(),
        [
            "query:/archived",
            "query:/cursor",
            "query:/limit",
            "query:/metadata.",
            "query:/metadata.a",
            "query:/pinned",
            "query:/sort",
            "query:/title",
            "query:/updatedAfter",
        ]
    );
    for query in ["limit=0", "limit=+1", "limit=1e1", "limit=-1", "limit=99999999999", "limit=1&limit=2"] {
        assert_eq!(user.get(&format!("/v1/conversations?{query}")).await.faults(), ["query:/limit"], "{query}");
    }
    assert_eq!(
        user.get("/v1/conversations?title=%ff&metadata.a=%00").await.faults(),
        ["query:/metadata.a", "query:/title"]
    );
}

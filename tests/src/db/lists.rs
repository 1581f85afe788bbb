//! Lists: their filters, and pages that miss nothing and repeat nothing.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::db::UserDb;
use shared::id::ConversationRef;
use shared::model::{
    ConversationCursor, ConversationFilter, Cursor, Message, MessageCursor, MessageFilter, Order, PageSize, Role,
};

use crate::support::content::{by_id, conversation, messages, patch, random, says, someone};
use crate::support::database::{Database, on_every_database};

fn size(text: &str) -> PageSize {
    PageSize::try_from(text).unwrap()
}

/// The titles of all pages of a list.
async fn titles(user: UserDb<'_>, filter: &ConversationFilter, size: PageSize) -> Vec<String> {
    let mut titles = Vec::new();
    let mut cursor = None;
    loop {
        let page = user.list_conversations(filter, size, cursor).await.unwrap();
        assert!(page.data.len() <= usize::from(size.get()));
        titles.extend(page.data.into_iter().map(|conversation| conversation.title.unwrap_or_default()));
        let Some(next) = page.next_cursor else { return titles };
        cursor = Some(ConversationCursor::decode(&next).unwrap());
    }
}

/// The messages of all pages of a list.
async fn all(user: UserDb<'_>, id: &ConversationRef, filter: &MessageFilter, size: PageSize) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut cursor = None;
    loop {
        let page = user.list_messages(id, filter, size, cursor).await.unwrap().unwrap();
        messages.extend(page.data);
        let Some(next) = page.next_cursor else { return messages };
        cursor = Some(MessageCursor::decode(&next).unwrap());
    }
}

on_every_database!(
    conversations_by_newest_activity,
    conversations_of_one_moment_are_not_lost_between_pages,
    conversations_by_filter,
    titles_are_found_in_any_case_and_form,
    conversations_by_time,
    messages_in_both_directions_and_by_filter,
    an_empty_conversation_is_not_an_unknown_one,
    pages_are_complete_while_others_append
);

async fn conversations_by_newest_activity(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    for n in 0..7 {
        user.create_conversation(conversation(json!({"title": n.to_string(), "clientId": n.to_string()})))
            .await
            .unwrap();
    }
    let revived = ConversationRef::parse("2");
    user.append_messages(&revived, messages([says("a")])).await.unwrap().unwrap();
    let expected = ["2", "6", "5", "4", "3", "1", "0"];
    for length in ["1", "2", "3", "7", "100"] {
        assert_eq!(titles(user, &ConversationFilter::default(), size(length)).await, expected, "pages of {length}");
    }
    assert_eq!(titles(db.as_user(&someone()), &ConversationFilter::default(), size("3")).await, Vec::<String>::new());
}

async fn conversations_of_one_moment_are_not_lost_between_pages(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    for n in 0..9 {
        user.create_conversation(conversation(json!({"title": n.to_string()}))).await.unwrap();
    }
    database.superuser().await.execute("update conversations set activity_at = now()", &[]).await.unwrap();
    let seen = titles(user, &ConversationFilter::default(), size("2")).await;
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 9);
    assert_eq!(seen.len(), 9);
}

async fn conversations_by_filter(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    for (title, metadata, change) in [
        ("Leave policy", json!({"team": "hr", "n": 1, "ok": true, "deep": {"a": 1}}), json!({})),
        ("Parental LEAVE", json!({"team": "hr", "n": 10, "ok": "true"}), json!({"archived": true})),
        ("100% _of_ it", json!({"team": null, "n": "1"}), json!({"pinned": true})),
        ("untagged", json!({}), json!({"archived": true, "pinned": true})),
    ] {
        let new = conversation(json!({"title": title, "metadata": metadata}));
        let id = by_id(user.create_conversation(new).await.unwrap().conversation.id);
        user.update_conversation(&id, patch(change), &shared::model::IfMatch::Any).await.unwrap();
    }
    let expect = async |filter: ConversationFilter, expected: &[&str]| {
        let mut seen = titles(user, &filter, size("1")).await;
        seen.reverse();
        assert_eq!(seen, expected, "{filter:?}");
    };
    let every = ConversationFilter::default;
    expect(ConversationFilter { archived: Some(true), ..every() }, &["Parental LEAVE", "untagged"]).await;
    expect(ConversationFilter { archived: Some(false), ..every() }, &["Leave policy", "100% _of_ it"]).await;
    expect(ConversationFilter { pinned: Some(true), archived: Some(true), ..every() }, &["untagged"]).await;
    let title = |text: &str| ConversationFilter { title: Some(text.to_owned()), ..every() };
    expect(title("leave"), &["Leave policy", "Parental LEAVE"]).await;
    expect(title("%"), &["100% _of_ it"]).await;
    expect(title("_of"), &["100% _of_ it"]).await;
    expect(title("L_ave"), &[]).await;
    let metadata = |pairs: &[(&str, &str)]| {
        let metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ConversationFilter { metadata, ..every() }
    };
    expect(metadata(&[("team", "hr")]), &["Leave policy", "Parental LEAVE"]).await;
    expect(metadata(&[("team", "hr"), ("n", "10")]), &["Parental LEAVE"]).await;
    expect(metadata(&[("n", "1")]), &["Leave policy", "100% _of_ it"]).await;
    expect(metadata(&[("ok", "true")]), &["Leave policy", "Parental LEAVE"]).await;
    for nothing in [("team", "null"), ("deep", "{\"a\": 1}"), ("missing", ""), ("team", "")] {
        expect(metadata(&[nothing]), &[]).await;
    }
}

async fn titles_are_found_in_any_case_and_form(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let stored = ["Straße", "ΟΔΥΣΣΕΥΣ", "Ca\u{65}\u{301}", "Ca\u{e9}", "İstanbul", "Isparta", "ﬁn", "Ǆ", "ΐ", "한글"];
    for title in stored {
        user.create_conversation(conversation(json!({"title": title}))).await.unwrap();
    }
    for (filter, found) in [
        ("STRASSE", &["Straße"][..]),
        ("STRAẞE", &["Straße"]),
        ("strasse", &["Straße"]),
        ("οδυσσευς", &["ΟΔΥΣΣΕΥΣ"]),
        ("σευσ", &["ΟΔΥΣΣΕΥΣ"]),
        ("CA\u{c9}", &["Ca\u{e9}", "Ca\u{65}\u{301}"]),
        ("caE\u{301}", &["Ca\u{e9}", "Ca\u{65}\u{301}"]),
        ("cae", &[]),
        ("istanbul", &["İstanbul"]),
        ("ISTANBUL", &["İstanbul"]),
        ("i\u{307}stanbul", &["İstanbul"]),
        ("ısparta", &["Isparta"]),
        ("FI", &["ﬁn"]),
        ("ǆ", &["Ǆ"]),
        ("\u{3ca}\u{301}", &["ΐ"]),
        ("\u{1112}\u{1161}\u{11ab}", &["한글"]),
        ("%", &[]),
        ("_", &[]),
        ("\\", &[]),
    ] {
        let filter = ConversationFilter { title: Some(filter.to_owned()), ..ConversationFilter::default() };
        assert_eq!(titles(user, &filter, size("9")).await, found, "{filter:?}");
    }
}

async fn conversations_by_time(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    for n in 0..3 {
        user.create_conversation(conversation(json!({"title": n.to_string()}))).await.unwrap();
    }
    let sql = "update conversations set activity_at = '2030-01-01T00:00:00.000456Z'::timestamptz + title::int * interval '1 s'";
    database.superuser().await.execute(sql, &[]).await.unwrap();
    let first: Timestamp = "2030-01-01T00:00:00.000456Z".parse().unwrap();
    let times = [0, 1, 2].map(|n| first + SignedDuration::from_secs(n));
    let (millisecond, microsecond) = (SignedDuration::from_millis(1), SignedDuration::from_micros(1));
    for (after, before, expected) in [
        (Some(times[1]), None, &["2"][..]),
        // Within the same millisecond, as a `Date` has it, and beyond.
        (Some(times[1] - 456 * microsecond), None, &["2"]),
        (Some(times[1] + 543 * microsecond), None, &["2"]),
        (Some(times[1] - millisecond), None, &["2", "1"]),
        (None, Some(times[1]), &["0"]),
        (None, Some(times[1] + 543 * microsecond), &["0"]),
        (None, Some(times[1] + millisecond), &["1", "0"]),
        (Some(times[0]), Some(times[2]), &["1"]),
        (Some(Timestamp::MIN), Some(Timestamp::MAX), &["2", "1", "0"]),
        (Some(Timestamp::MAX), None, &[]),
        (None, Some(Timestamp::MIN), &[]),
    ] {
        let filter = ConversationFilter { updated_after: after, updated_before: before, ..Default::default() };
        assert_eq!(titles(user, &filter, size("2")).await, expected, "{after:?} to {before:?}");
    }
}

async fn messages_in_both_directions_and_by_filter(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let rows = (0..9).map(|n| {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        json!({"role": role, "content": n.to_string()})
    });
    let rows: Vec<_> = rows.collect();
    let made = user.create_conversation(conversation(json!({"messages": rows[..5]}))).await.unwrap();
    let id = by_id(made.conversation.id);
    let late = user.append_messages(&id, messages(rows[5..].to_vec())).await.unwrap().unwrap();
    let texts = async |filter: &MessageFilter, length: &str| {
        all(user, &id, filter, size(length)).await.into_iter().map(|message| message.content).collect::<String>()
    };
    for length in ["1", "2", "3", "4", "9", "100"] {
        assert_eq!(texts(&MessageFilter::default(), length).await, "012345678", "pages of {length}");
        let desc = MessageFilter { order: Order::Desc, ..Default::default() };
        assert_eq!(texts(&desc, length).await, "876543210", "pages of {length}");
    }
    let by_role = MessageFilter { role: Some(Role::Assistant), ..Default::default() };
    assert_eq!(texts(&by_role, "3").await, "1357");
    let (early, late) = (made.messages[0].created_at, late.data[0].created_at);
    let after = MessageFilter { created_after: Some(early), ..Default::default() };
    assert_eq!(texts(&after, "3").await, "5678");
    let before = MessageFilter { created_before: Some(late), order: Order::Desc, ..Default::default() };
    assert_eq!(texts(&before, "3").await, "43210");
    let none = MessageFilter { role: Some(Role::Tool), ..Default::default() };
    assert_eq!(texts(&none, "3").await, "");
}

async fn an_empty_conversation_is_not_an_unknown_one(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    for order in [Order::Asc, Order::Desc] {
        let filter = MessageFilter { order, ..Default::default() };
        let page = user.list_messages(&id, &filter, size("5"), None).await.unwrap().unwrap();
        assert!(page.data.is_empty() && page.next_cursor.is_none());
        assert!(user.list_messages(&by_id(random().into()), &filter, size("5"), None).await.unwrap().is_none());
        assert!(db.as_user(&someone()).list_messages(&id, &filter, size("5"), None).await.unwrap().is_none());
    }
}

async fn pages_are_complete_while_others_append(database: Database) {
    let db = database.db_of(4);
    let caller = someone();
    let made = db.as_user(&caller).create_conversation(conversation(json!({"messages": [says("0")]}))).await.unwrap();
    let id = by_id(made.conversation.id);
    let done = AtomicBool::new(false);
    let write = async {
        for n in 1..120 {
            db.as_user(&caller).append_messages(&id, messages([says(&n.to_string())])).await.unwrap().unwrap();
        }
        done.store(true, Ordering::Release);
    };
    let read = async {
        let mut readings = 0;
        while !done.load(Ordering::Acquire) || readings == 0 {
            let seen = all(db.as_user(&caller), &id, &MessageFilter::default(), size("7")).await;
            let expected: Vec<String> = (0..seen.len()).map(|n| n.to_string()).collect();
            assert_eq!(seen.into_iter().map(|message| message.content).collect::<Vec<_>>(), expected);
            readings += 1;
        }
    };
    tokio::join!(write, read);
}

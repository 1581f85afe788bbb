//! What fits: a page ends before Lambda would refuse it, and what could never be answered isn't stored.

use std::fmt::Write;

use serde_json::{Value, json};
use shared::error::Code;
use shared::model::{Cursor, Message, MessageCursor, MessageFilter, Order, Page, PageSize, limits};

use crate::support::content::{by_id, conversation, messages, read, says, someone};
use crate::support::database::{Database, on_every_database, on_every_version};

/// The bytes of an answer once Lambda has escaped it into a string.
fn escaped(answer: &impl serde::Serialize) -> usize {
    serde_json::to_string(&serde_json::to_string(answer).unwrap()).unwrap().len()
}

/// Texts that grow differently when they are escaped.
fn awkward_texts() -> Vec<String> {
    let every_ascii: String = (1_u8..128).map(char::from).collect();
    vec![
        String::new(),
        "plain".repeat(1_000),
        "\"\\".repeat(1_000),
        "\u{1}\n\t\u{7f}".repeat(1_000),
        "äß漢字🦀".repeat(500),
        every_ascii.repeat(20),
    ]
}

on_every_database!(the_stored_size_is_what_a_message_takes, a_page_ends_before_it_is_too_large);

async fn the_stored_size_is_what_a_message_takes(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let rows = awkward_texts().into_iter().enumerate().map(|(n, text)| {
        json!({
            "role": "assistant",
            "clientId": format!("\"{n}\""),
            "parts": [
                    {"type": "text", "text": text},
                    {"type": "data-x", "data": {"n": 1.5e-7, "huge": 1e300, "list": [1, null]}},
                ],
            "metadata": {"text": text.chars().take(300).collect::<String>()},
            "model": "model \"x\"",
            "usage": {"inputTokens": 3},
            "sources": [{"title": text, "embedding": vec![0.012_345_678; 500]}, {"url": "https://example.com"}],
        })
    });
    let rows: Vec<Value> = rows.collect();
    let made = user.create_conversation(conversation(json!({"messages": rows}))).await.unwrap();
    let sizes = "select size, embeddings_size from messages order by seq";
    let sizes = database.superuser().await.query(sizes, &[]).await.unwrap();
    let with_embeddings = MessageFilter { embeddings: true, ..Default::default() };
    let id = by_id(made.conversation.id);
    let with_embeddings = user.list_messages(&id, &with_embeddings, PageSize::default(), None).await.unwrap().unwrap();
    for ((message, embedded), row) in made.messages.iter().zip(&with_embeddings.data).zip(sizes) {
        let size = usize::try_from(row.get::<_, i32>(0)).unwrap();
        let taken = escaped(message);
        assert!((taken..taken + 300).contains(&size), "{size} for {taken}");
        let size = size + usize::try_from(row.get::<_, i32>(1)).unwrap();
        let taken = escaped(embedded);
        assert!((taken..taken + 400).contains(&size), "{size} for {taken} with embeddings");
    }
}

async fn a_page_ends_before_it_is_too_large(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    // Each takes about a fifth of a page; the last alone takes more than a half.
    for n in 0..12 {
        let text = n.to_string() + &"\"".repeat(160_000);
        user.append_messages(&id, messages([says(&text)])).await.unwrap().unwrap();
    }
    let large = "\\".repeat(480_000);
    user.append_messages(&id, messages([says(&large), says("last")])).await.unwrap().unwrap();

    for order in [Order::Asc, Order::Desc] {
        let filter = MessageFilter { order, ..Default::default() };
        let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page: Page<Message> =
                user.list_messages(&id, &filter, PageSize::default(), cursor).await.unwrap().unwrap();
            assert!(escaped(&page) <= limits::PAGE_BYTES + 1_000, "{} bytes", escaped(&page));
            pages += 1;
            cursor = page.next_cursor.as_deref().map(|next| MessageCursor::decode(next).unwrap());
            seen.extend(page.data.into_iter().map(|message| message.seq));
            if cursor.is_none() {
                break;
            }
        }
        if order == Order::Desc {
            seen.reverse();
        }
        assert_eq!(seen, (1..=14).collect::<Vec<_>>());
        assert!((3..=5).contains(&pages), "{pages} pages");
    }
}

on_every_version!(
    embeddings_shorten_a_page,
    what_could_not_be_answered_is_not_stored,
    the_tables_caps_are_those_of_the_model
);

async fn embeddings_shorten_a_page(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    let sources: Vec<Value> = (0..20).map(|_| json!({"title": "t", "embedding": vec![0.123_456_789; 4_096]})).collect();
    for _ in 0..8 {
        let row = json!({"role": "assistant", "content": "a", "sources": sources});
        user.append_messages(&id, messages([row])).await.unwrap().unwrap();
    }
    let plain = user.list_messages(&id, &MessageFilter::default(), PageSize::default(), None).await.unwrap().unwrap();
    assert_eq!(plain.data.len(), 8);
    let embedded = MessageFilter { embeddings: true, ..Default::default() };
    let page = user.list_messages(&id, &embedded, PageSize::default(), None).await.unwrap().unwrap();
    assert!((1..8).contains(&page.data.len()) && page.next_cursor.is_some());
    assert!(escaped(&page) <= limits::PAGE_BYTES + 1_000);
}

async fn what_could_not_be_answered_is_not_stored(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    let refused = async |rows: Vec<Value>| {
        let error = user.append_messages(&id, messages(rows)).await.unwrap_err();
        assert_eq!(error.code, Code::ContentTooLarge);
        error.faults.into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
    };
    // Numbers that PostgreSQL writes out: five bytes become three hundred.
    let huge = json!({"role": "user", "parts": [{"type": "data-x", "data": vec![1e300; 20_000]}]});
    assert_eq!(refused(vec![says("a"), huge.clone(), huge]).await, ["/messages/1", "/messages/2"]);
    let embedding = vec![1e300; 4_096];
    let sources: Vec<Value> = (0..5).map(|_| json!({"title": "t", "embedding": embedding})).collect();
    let row = json!({"role": "user", "content": "a", "sources": sources});
    assert_eq!(refused(vec![row]).await, ["/messages/0"]);
    let row = json!({"role": "user", "content": "a", "metadata": {"n": vec![1e300; 60]}});
    assert_eq!(refused(vec![row]).await, ["/messages/0/metadata"]);
    let half = "\"".repeat(340_000);
    assert_eq!(refused(vec![says(&half), says(&half), says(&half)]).await, ["/messages"]);
    let new = conversation(json!({"clientId": "x", "messages": [says(&half), says(&half), says(&half)]}));
    assert_eq!(user.create_conversation(new).await.unwrap_err().code, Code::ContentTooLarge);
    let new = conversation(json!({"metadata": {"n": vec![1e300; 60]}}));
    let error = user.create_conversation(new).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::ContentTooLarge, "/metadata"));
    let stored = "select (select count(*) from messages), (select count(*) from conversations)";
    let stored = database.superuser().await.query_one(stored, &[]).await.unwrap();
    assert_eq!((stored.get::<_, i64>(0), stored.get::<_, i64>(1)), (0, 1));
}

async fn the_tables_caps_are_those_of_the_model(database: Database) {
    let constraints = "select string_agg(pg_get_constraintdef(oid), ' ') from pg_constraint where contype = 'c'";
    let row = database.superuser().await.query_one(constraints, &[]).await.unwrap();
    let constraints: String = row.get(0);
    let mut expected = vec![format!("<= {}", limits::METADATA_BYTES), format!("<= {}", limits::PAGE_BYTES)];
    expected.push(format!("<= {}", limits::TITLE_CHARS));
    for cap in expected {
        assert!(constraints.contains(&cap), "{cap} in {constraints}");
    }
    let mut title = String::new();
    for n in 0..limits::TITLE_CHARS {
        write!(title, "{}", if n % 2 == 0 { "漢" } else { "\"" }).unwrap();
    }
    let (db, caller) = (database.db(), someone());
    let made = db.as_user(&caller).create_conversation(read(json!({"title": title}))).await.unwrap();
    assert_eq!(made.conversation.title.as_deref(), Some(title.as_str()));
}

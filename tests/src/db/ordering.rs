//! Many writers to one conversation: every message has its own place and follows the one before it.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::content::{by_id, conversation, messages, says, someone};
use crate::support::database::{Database, on_every_database};

on_every_database!(on threads: twenty_writers_make_one_chain);
on_every_database!(a_batch_keeps_its_order_and_its_time);

async fn twenty_writers_make_one_chain(database: Database) {
    let db = database.db_of(20);
    let caller = someone();
    let made = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap();
    let id = by_id(made.conversation.id);
    join_all((0..20).map(|writer| {
        let (db, caller, id) = (db.clone(), caller.clone(), id.clone());
        async move {
            for n in 0..40 {
                let new = messages([says(&format!("{writer}/{n}"))]);
                db.as_user(&caller).append_messages(&id, new).await.unwrap().unwrap();
            }
        }
    }))
    .await;

    let rows = database.superuser().await;
    let rows = rows.query("select id, parent_id, seq, active from messages order by seq", &[]).await.unwrap();
    assert_eq!(rows.len(), 800);
    let mut before: Option<uuid::Uuid> = None;
    for (row, place) in rows.iter().zip(1_i64..) {
        assert_eq!(row.get::<_, i64>("seq"), place);
        assert_eq!(row.get::<_, Option<uuid::Uuid>>("parent_id"), before, "the parent of {place} is stale");
        assert!(row.get::<_, bool>("active"));
        before = Some(row.get("id"));
    }
    let stored = db.as_user(&caller).get_conversation(&id).await.unwrap().unwrap();
    assert_eq!(stored.message_count, 800);
    assert!(stored.activity_at > made.conversation.activity_at);
}

async fn a_batch_keeps_its_order_and_its_time(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let first = (0..50).map(|n| says(&n.to_string())).collect::<Vec<_>>();
    let made = user.create_conversation(conversation(json!({"messages": first}))).await.unwrap();
    let more = messages((50..150).map(|n| says(&n.to_string())));
    let more = user.append_messages(&by_id(made.conversation.id), more).await.unwrap().unwrap();
    let all: Vec<_> = made.messages.iter().chain(&more.data).collect();
    for (message, n) in all.iter().zip(0..) {
        assert_eq!((message.content.as_str(), message.seq), (n.to_string().as_str(), n + 1));
    }
    assert!(more.data.iter().all(|message| message.created_at == more.data[0].created_at));
    let stored = user.get_conversation(&by_id(made.conversation.id)).await.unwrap().unwrap();
    assert_eq!(stored.activity_at, more.data[0].created_at);
}

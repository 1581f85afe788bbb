//! A request that is repeated, by a client that lost the answer or by twenty at once, stores one thing.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;
use shared::error::Code;

use crate::support::content::{by_id, conversation, messages, random, says, someone};
use crate::support::database::{Database, on_every_database};

on_every_database!(on threads: concurrent_duplicates_of_a_create_make_one_conversation, concurrent_duplicates_of_an_append_store_one_message);
on_every_database!(
    another_content_under_the_same_id_is_refused,
    a_front_end_that_sends_its_whole_history_adds_what_is_new,
    the_same_id_twice_in_a_request_is_one_message_or_a_fault,
    a_repeated_create_answers_as_the_first_time
);

async fn concurrent_duplicates_of_a_create_make_one_conversation(database: Database) {
    let db = database.db_of(20);
    let caller = someone();
    for round in 0..5 {
        let new = || {
            conversation(json!({
                "clientId": format!("round-{round}"),
                "title": "Leave policy",
                "messages": [says("one"), {"clientId": "a", "role": "user", "content": "two"}],
            }))
        };
        let made = join_all((0..20).map(|_| {
            let db = db.clone();
            let caller = caller.clone();
            async move { db.as_user(&caller).create_conversation(new()).await.unwrap() }
        }))
        .await;
        assert_eq!(made.iter().filter(|made| !made.replayed).count(), 1);
        let ids: HashSet<_> = made.iter().map(|made| made.conversation.id).collect();
        assert_eq!(ids.len(), 1);
        let messages: HashSet<Vec<_>> = made.iter().map(|made| made.messages.iter().map(|m| m.id).collect()).collect();
        assert_eq!(messages.len(), 1, "every answer has the same messages");
    }
    let count = database.superuser().await;
    let count = count.query_one("select (select count(*) from conversations), (select count(*) from messages)", &[]);
    let count = count.await.unwrap();
    assert_eq!((count.get::<_, i64>(0), count.get::<_, i64>(1)), (5, 10));
}

async fn concurrent_duplicates_of_an_append_store_one_message(database: Database) {
    let db = database.db_of(20);
    let caller = someone();
    let made = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap();
    let id = by_id(made.conversation.id);
    for round in 0..5 {
        let new = || {
            messages([
                json!({"clientId": format!("question-{round}"), "role": "user", "content": "How many days?"}),
                json!({"clientId": format!("answer-{round}"), "role": "assistant", "content": "Twenty."}),
            ])
        };
        let appended = join_all((0..20).map(|_| {
            let (db, caller, id) = (db.clone(), caller.clone(), id.clone());
            async move { db.as_user(&caller).append_messages(&id, new()).await.unwrap().unwrap() }
        }))
        .await;
        assert_eq!(appended.iter().filter(|appended| !appended.replayed).count(), 1);
        let stored: HashSet<Vec<_>> =
            appended.iter().map(|appended| appended.data.iter().map(|m| (m.id, m.seq)).collect()).collect();
        assert_eq!(stored.len(), 1, "every answer has the same messages in the same order");
    }
    let stored = db.as_user(&caller).get_conversation(&id).await.unwrap().unwrap();
    assert_eq!(stored.message_count, 10);
}

async fn another_content_under_the_same_id_is_refused(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let first =
        json!({"clientId": "c", "title": "One", "messages": [{"clientId": "m", "role": "user", "content": "a"}]});
    let made = user.create_conversation(conversation(first)).await.unwrap();

    let other = json!({"clientId": "c", "title": "Two"});
    let error = user.create_conversation(conversation(other)).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::IdempotencyKeyReused, "/clientId"));

    let id = by_id(made.conversation.id);
    let batch = messages([says("new"), json!({"clientId": "m", "role": "user", "content": "b"})]);
    let error = user.append_messages(&id, batch).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::IdempotencyKeyReused, "/messages/1/clientId"));
    let stored = user.get_conversation(&id).await.unwrap().unwrap();
    assert_eq!(stored.message_count, 1, "all or none");
    assert_eq!(stored.title.as_deref(), Some("One"));
}

async fn a_front_end_that_sends_its_whole_history_adds_what_is_new(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    let row = |n: u32| json!({"clientId": format!("m{n}"), "role": "user", "content": format!("{n}")});

    let first = user.append_messages(&id, messages([row(1), row(2)])).await.unwrap().unwrap();
    assert!(!first.replayed);
    let activity = user.get_conversation(&id).await.unwrap().unwrap().activity_at;
    let again = user.append_messages(&id, messages([row(1), row(2)])).await.unwrap().unwrap();
    assert!(again.replayed);
    assert_eq!(serde_json::to_string(&first).unwrap(), serde_json::to_string(&again).unwrap());
    assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().activity_at, activity, "nothing happened");

    let more = user.append_messages(&id, messages([row(1), row(2), row(3), row(3)])).await.unwrap().unwrap();
    assert!(!more.replayed, "a part of it is new");
    assert_eq!(more.data.iter().map(|m| m.seq).collect::<Vec<_>>(), [1, 2, 3, 3]);
    assert_eq!(more.data[2].parent_id, Some(first.data[1].id));
    assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, 3);
}

async fn the_same_id_twice_in_a_request_is_one_message_or_a_fault(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let row = |text: &str| json!({"clientId": "m", "role": "user", "content": text});
    let twice = conversation(json!({"messages": [row("a"), says("b"), row("a")]}));
    let made = user.create_conversation(twice).await.unwrap();
    assert_eq!(made.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), [1, 2, 1]);

    let other = conversation(json!({"clientId": "x", "messages": [row("a"), row("b")]}));
    let error = user.create_conversation(other).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::IdempotencyKeyReused, "/messages/1/clientId"));
    let other = conversation(json!({"clientId": "x"}));
    assert!(!user.create_conversation(other).await.unwrap().replayed, "nothing was stored");
}

async fn a_repeated_create_answers_as_the_first_time(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let client_id = random().to_string();
    let row = json!({"clientId": "m", "role": "user", "content": "b"});
    let new = || conversation(json!({"clientId": client_id, "messages": [row, says("b"), row, says("c")]}));
    let first = user.create_conversation(new()).await.unwrap();
    let later = messages([json!({"role": "user", "content": "instead", "parentId": null})]);
    user.append_messages(&by_id(first.conversation.id), later).await.unwrap().unwrap();
    let again = user.create_conversation(new()).await.unwrap();
    assert!(again.replayed && !first.replayed);
    let ids = |made: &shared::model::CreatedConversation| made.messages.iter().map(|m| m.id).collect::<Vec<_>>();
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(again.conversation.message_count, 4, "as it is now");
}

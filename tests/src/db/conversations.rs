//! One conversation: its names, its changes and its end.

use serde_json::{Value, json};
use shared::error::{Code, Place};
use shared::id::{ConversationRef, MessageRef};
use shared::model::{Conversation, IfMatch};

use crate::support::content::{by_id, conversation, messages, patch, random, says, someone};
use crate::support::database::{Database, on_every_database};

fn metadata(conversation: &Conversation) -> Value {
    serde_json::from_str(conversation.metadata.get()).unwrap()
}

on_every_database!(on threads: of_two_changes_to_one_version_one_is_told);
on_every_database!(
    a_path_names_our_id_first_and_then_the_clients,
    a_message_is_found_by_either_name,
    a_patch_changes_what_it_names,
    if_match_guards_patch_and_delete,
    metadata_may_not_grow_beyond_its_cap,
    a_delete_takes_the_messages_along,
    what_postgresql_cannot_hold_is_a_bad_request
);

async fn a_path_names_our_id_first_and_then_the_clients(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let first = user.create_conversation(conversation(json!({"clientId": "mine"}))).await.unwrap().conversation;
    // A client may name one by a UUID that isn't in the form of ours.
    let version_4 = uuid::Uuid::new_v4().to_string();
    let second = conversation(json!({"clientId": version_4}));
    let second = user.create_conversation(second).await.unwrap().conversation;

    let get = async |name: &str| user.get_conversation(&ConversationRef::parse(name)).await.unwrap();
    assert_eq!(get("mine").await.unwrap().id, first.id);
    assert_eq!(get(&first.id.to_string()).await.unwrap().id, first.id);
    assert_eq!(get(&second.id.to_string()).await.unwrap().id, second.id);
    assert!(get("unknown").await.is_none());
    assert!(get(&random().to_string()).await.is_none());
    assert!(get("neither a uuid nor a client id").await.is_none());
    assert_eq!(get(&version_4).await.unwrap().id, second.id);
}

async fn a_message_is_found_by_either_name(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let row = json!({"clientId": "m", "role": "user", "content": "a", "model": "x", "usage": {"inputTokens": 3},
        "metadata": {"k": [1, null]},
        "sources": [{"url": "https://example.com", "embedding": [0.5, 1]}, {"title": "t"}]});
    let made = user.create_conversation(conversation(json!({"clientId": "c", "messages": [row]}))).await.unwrap();
    let stored = serde_json::to_value(&made.messages[0]).unwrap();
    assert_eq!(
        stored["sources"],
        json!([
        {"id": "s1", "type": "url", "url": "https://example.com"}, {"id": "s2", "type": "document", "title": "t"}])
    );
    for (conversation, message) in
        [("c".to_owned(), "m".to_owned()), (made.conversation.id.to_string(), made.messages[0].id.to_string())]
    {
        let conversation = ConversationRef::parse(&conversation);
        let found = user.get_message(&conversation, &MessageRef::parse(&message), false).await.unwrap().unwrap();
        assert_eq!(serde_json::to_value(&found).unwrap(), stored);
        let found = user.get_message(&conversation, &MessageRef::parse(&message), true).await.unwrap().unwrap();
        let sources: Value = serde_json::from_str(found.sources.get()).unwrap();
        assert_eq!(sources[0]["embedding"], json!([0.5, 1]));
        assert_eq!(sources[1].get("embedding"), None);
    }
    let other = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    let name = MessageRef::parse(&made.messages[0].id.to_string());
    assert!(user.get_message(&other, &name, false).await.unwrap().is_none(), "of another conversation");
}

async fn a_patch_changes_what_it_names(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let new = conversation(json!({"title": "One", "metadata": {"team": "hr", "deep": {"a": 1, "b": 2}}}));
    let first = user.create_conversation(new).await.unwrap().conversation;
    let id = by_id(first.id);
    let apply =
        async |change: Value| user.update_conversation(&id, patch(change), &IfMatch::Any).await.unwrap().unwrap();

    for nothing in [
        json!({}),
        json!({"title": "One"}),
        json!({"archived": false, "pinned": null, "metadata": {"team": "hr", "x": null}}),
    ] {
        let same = apply(nothing).await;
        assert_eq!((same.version, same.updated_at), (first.version, first.updated_at), "a change of nothing");
    }
    let changed =
        apply(json!({"title": null, "archived": true, "metadata": {"team": null, "deep": {"b": null, "c": [3]}}}))
            .await;
    assert_eq!((changed.title.as_deref(), changed.archived, changed.pinned), (None, true, false));
    assert_eq!(metadata(&changed), json!({"deep": {"a": 1, "c": [3]}}));
    assert_eq!(changed.version, first.version + 1);
    assert!(changed.updated_at > first.updated_at);
    assert_eq!(changed.activity_at, first.activity_at, "a change is no activity");
    assert_eq!(apply(json!({"archived": true})).await.version, changed.version);
    assert!(apply(json!({"pinned": true})).await.pinned);
    assert_eq!(metadata(&apply(json!({"metadata": null})).await), json!({}));

    let append = user.append_messages(&id, messages([says("a")])).await.unwrap();
    assert!(append.is_some());
    assert_eq!(apply(json!({})).await.version, changed.version + 2, "an append spoils no If-Match");
    let unknown = by_id(random().into());
    assert!(user.update_conversation(&unknown, patch(json!({})), &IfMatch::Any).await.unwrap().is_none());
}

async fn if_match_guards_patch_and_delete(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let first = user.create_conversation(conversation(json!({"title": "One"}))).await.unwrap().conversation;
    let id = by_id(first.id);
    let rename = |title: &str| patch(json!({"title": title}));
    let right = IfMatch::Versions(vec![99, first.version]);
    let second = user.update_conversation(&id, rename("Two"), &right).await.unwrap().unwrap();
    for wrong in [right.clone(), IfMatch::Versions(Vec::new())] {
        let error = user.update_conversation(&id, rename("Three"), &wrong).await.unwrap_err();
        assert_eq!(error.code, Code::PreconditionFailed);
        let error = user.delete_conversation(&id, &wrong).await.unwrap_err();
        assert_eq!(error.code, Code::PreconditionFailed);
    }
    assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().title.as_deref(), Some("Two"));
    assert!(user.delete_conversation(&id, &IfMatch::Versions(vec![second.version])).await.unwrap());
    assert!(user.update_conversation(&id, rename("Four"), &right).await.unwrap().is_none(), "gone is a 404, not a 412");
}

async fn of_two_changes_to_one_version_one_is_told(database: Database) {
    let db = database.db_of(10);
    let caller = someone();
    let first = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap().conversation;
    let id = by_id(first.id);
    let changes = (0..10).map(|n| {
        let (db, caller, id) = (db.clone(), caller.clone(), id.clone());
        let only = IfMatch::Versions(vec![first.version]);
        async move { db.as_user(&caller).update_conversation(&id, patch(json!({"title": n.to_string()})), &only).await }
    });
    let outcomes = futures_util::future::join_all(changes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(
        outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .all(|error| error.code == Code::PreconditionFailed)
    );
}

async fn metadata_may_not_grow_beyond_its_cap(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let half = "x".repeat(10_000);
    let new = conversation(json!({"metadata": {"a": half}}));
    let id = by_id(user.create_conversation(new).await.unwrap().conversation.id);
    let error =
        user.update_conversation(&id, patch(json!({"metadata": {"b": half}})), &IfMatch::Any).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::ContentTooLarge, "/metadata"));
    let stored = user.get_conversation(&id).await.unwrap().unwrap();
    assert_eq!(metadata(&stored), json!({"a": half}));
}

async fn a_delete_takes_the_messages_along(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let id = by_id(
        user.create_conversation(conversation(json!({"messages": [says("a"), says("b")]})))
            .await
            .unwrap()
            .conversation
            .id,
    );
    let kept = user.create_conversation(conversation(json!({"messages": [says("c")]}))).await.unwrap().conversation.id;
    assert!(user.delete_conversation(&id, &IfMatch::Any).await.unwrap());
    assert!(!user.delete_conversation(&id, &IfMatch::Any).await.unwrap(), "a second delete finds nothing");
    assert!(user.append_messages(&id, messages([says("d")])).await.unwrap().is_none());
    let left = database.superuser().await.query("select conversation_id from messages", &[]).await.unwrap();
    assert_eq!(left.iter().map(|row| row.get(0)).collect::<Vec<uuid::Uuid>>(), [kept.uuid()]);
}

async fn what_postgresql_cannot_hold_is_a_bad_request(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    // The edge leaves it out; were it not to, it would be told here.
    let mut new = conversation(json!({}));
    new.metadata.0.insert("a".to_owned(), "\0".into());
    let error = user.create_conversation(new).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].place), (Code::InvalidRequest, Place::Body));
    let filter = shared::model::ConversationFilter { title: Some("\0".to_owned()), ..Default::default() };
    let error = user.list_conversations(&filter, shared::model::PageSize::default(), None).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].place), (Code::InvalidRequest, Place::Query));
    assert!(user.create_conversation(conversation(json!({}))).await.is_ok(), "the connection is clean");
}

//! Edits and new answers: what they replace leaves the branch that a reader sees, and stays readable.

use std::collections::HashMap;

use serde_json::{Value, json};
use shared::db::UserDb;
use shared::error::Code;
use shared::id::{ConversationRef, MessageId};
use shared::model::{MessageFilter, Order, PageSize};

use crate::support::content::{by_id, conversation, messages, random, says, someone};
use crate::support::database::{Database, on_every_database};

fn after(parent: Option<MessageId>, text: &str) -> Value {
    json!({"role": "user", "content": text, "parentId": parent.map(|id| id.to_string())})
}

/// The texts of the messages that a reader sees.
async fn shown(user: UserDb<'_>, id: &ConversationRef) -> Vec<String> {
    let filter = MessageFilter::default();
    let page = user.list_messages(id, &filter, PageSize::try_from("100").unwrap(), None).await;
    page.unwrap().unwrap().data.into_iter().map(|message| message.content).collect()
}

on_every_database!(
    an_explicit_parent_makes_a_branch,
    a_parent_elsewhere_is_a_fault,
    the_active_messages_are_always_one_path
);

async fn an_explicit_parent_makes_a_branch(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let made = user
        .create_conversation(conversation(json!({"messages": [says("q1"), says("a1"), says("q2"), says("a2")]})))
        .await
        .unwrap();
    let id = by_id(made.conversation.id);
    let stored = |n: usize| Some(made.messages[n].id);

    // The parent that it would have had anyway.
    let same = user.append_messages(&id, messages([after(stored(3), "q3")])).await.unwrap().unwrap();
    assert_eq!(shown(user, &id).await, ["q1", "a1", "q2", "a2", "q3"]);

    // An edit of the second question, and its answer in the same request.
    user.append_messages(&id, messages([after(stored(1), "q2'"), says("a2'")])).await.unwrap().unwrap();
    assert_eq!(shown(user, &id).await, ["q1", "a1", "q2'", "a2'"]);

    // Back onto the branch that was left: its ancestors are shown again.
    user.append_messages(&id, messages([after(Some(same.data[0].id), "a3")])).await.unwrap().unwrap();
    assert_eq!(shown(user, &id).await, ["q1", "a1", "q2", "a2", "q3", "a3"]);

    // Another first message.
    let other = messages([json!({"role": "user", "content": "Q1", "parentId": null}), says("A1")]);
    let other = user.append_messages(&id, other).await.unwrap().unwrap();
    assert_eq!(other.data[0].parent_id, None);
    assert_eq!(shown(user, &id).await, ["Q1", "A1"]);

    // A branch within one request.
    let forked = messages([says("q"), after(Some(other.data[1].id), "q'")]);
    let forked = user.append_messages(&id, forked).await.unwrap().unwrap();
    assert_eq!(forked.data.iter().map(|m| m.active).collect::<Vec<_>>(), [false, true], "the answer is the outcome");
    assert_eq!(shown(user, &id).await, ["Q1", "A1", "q'"]);

    let all = MessageFilter { all_branches: true, order: Order::Desc, ..MessageFilter::default() };
    let all = user.list_messages(&id, &all, PageSize::default(), None).await.unwrap().unwrap();
    assert_eq!(all.data.len(), 12, "nothing is destroyed");
    assert_eq!(user.get_conversation(&id).await.unwrap().unwrap().message_count, 12);
}

async fn a_parent_elsewhere_is_a_fault(database: Database) {
    let db = database.db();
    let (caller, stranger) = (someone(), someone());
    let user = db.as_user(&caller);
    let new = || conversation(json!({"messages": [says("a")]}));
    let id = by_id(user.create_conversation(new()).await.unwrap().conversation.id);
    let elsewhere = user.create_conversation(new()).await.unwrap().messages[0].id;
    let foreign = db.as_user(&stranger).create_conversation(new()).await.unwrap().messages[0].id;
    for parent in [elsewhere, foreign, MessageId::from(random())] {
        let batch = messages([says("b"), after(Some(parent), "c"), after(Some(parent), "d")]);
        let error = user.append_messages(&id, batch).await.unwrap_err();
        assert_eq!(error.code, Code::InvalidRequest);
        let pointers: Vec<_> = error.faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/messages/1/parentId", "/messages/2/parentId"], "all faults at once");
    }
    assert_eq!(shown(user, &id).await, ["a"], "nothing is stored");

    let new = conversation(json!({"clientId": "x", "messages": [after(Some(elsewhere), "b")]}));
    let error = user.create_conversation(new).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::InvalidRequest, "/messages/0/parentId"));
    assert!(!user.create_conversation(conversation(json!({"clientId": "x"}))).await.unwrap().replayed);
}

/// Whatever is appended where: what a reader sees is the path from the root to the message that was stored last.
async fn the_active_messages_are_always_one_path(database: Database) {
    let db = database.db();
    let caller = someone();
    let user = db.as_user(&caller);
    let id = by_id(user.create_conversation(conversation(json!({}))).await.unwrap().conversation.id);
    let mut parents: HashMap<MessageId, Option<MessageId>> = HashMap::new();
    let mut stored: Vec<MessageId> = Vec::new();
    let mut random = 88_172_645_463_325_252_u64;
    for step in 0..60 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let choice = usize::try_from(random % 1_000_000).unwrap();
        let row = match choice % 5 {
            0 | 1 => says("next"),
            2 if choice % 7 == 0 => after(None, "root"),
            _ if stored.is_empty() => says("first"),
            _ => after(Some(stored[choice % stored.len()]), "branch"),
        };
        let new = user.append_messages(&id, messages([row])).await.unwrap().unwrap().data.remove(0);
        parents.insert(new.id, new.parent_id);
        stored.push(new.id);

        let path = std::iter::successors(Some(new.id), |id| parents[id]).collect::<Vec<_>>();
        let filter = MessageFilter { order: Order::Desc, ..MessageFilter::default() };
        let page = user.list_messages(&id, &filter, PageSize::try_from("100").unwrap(), None).await.unwrap().unwrap();
        let seen: Vec<MessageId> = page.data.iter().map(|message| message.id).collect();
        assert_eq!(seen, path, "after step {step}");
    }
}

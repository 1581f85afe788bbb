//! Edits and new answers of the chat: what they replace leaves the branch that a reader sees, and stays readable.

use std::time::Duration;

use serde_json::json;
use shared::error::Code;
use shared::id::{ConversationRef, MessageRef};
use shared::model::{MessageFilter, PageSize, Turn, TurnStart};

use crate::support::content::{conversation, messages, random, read, says, someone};
use crate::support::database::{Database, on_every_database, on_every_version};
use crate::support::turns::{
    answer, asks, begun, edit, joined, regenerate, rules, shown, submit, texts, turn_of, with_key,
};

on_every_database!(an_edit_is_another_version, another_answer_replaces_the_last_one, a_branch_is_made_the_active_one);
on_every_version!(
    a_retry_of_what_never_arrived_is_a_submit,
    a_key_makes_another_answer_safe_to_repeat,
    a_key_that_joined_an_answer_is_remembered,
    targets_that_are_none,
    what_was_stored_without_a_clients_id_has_ours
);

fn name() -> ConversationRef {
    ConversationRef::parse("c")
}

async fn an_edit_is_another_version(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    turn_of(user, &submit("c", "q2", "two"), "A2").await;
    turn_of(user, &submit("c", "q3", "three"), "A3").await;

    let edited = begun(user.start_turn(&edit("c", "q2", "TWO"), &rules()).await);
    let said: Vec<_> = edited.history.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(said, ["one", "A1", "TWO"]);
    assert_eq!(joined(user.start_turn(&edit("c", "q2", "TWO"), &rules()).await).run, edited.run, "sent again");
    let back = user.start_turn(&edit("c", "q2", "two"), &rules()).await.unwrap_err();
    assert_eq!(back.code, Code::TurnRunning, "a version can't be changed under a running answer");
    answer(user, edited.run, "A2'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "TWO", "A2'"]);
    let versions = shown(user, "c").await;
    assert_eq!((versions[2].client_id.as_deref(), versions[2].parent_id), (Some("q2"), Some(first.message)));

    // Back to the first version: nothing runs, and what followed it is shown again.
    let found = joined(user.start_turn(&edit("c", "q2", "two"), &rules()).await);
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2", "three", "A3"]);
    assert_eq!(shown(user, "c").await[3].id, found.message);
    // The version that is shown, edited to itself.
    joined(user.start_turn(&edit("c", "q2", "two"), &rules()).await);
    assert_eq!(texts(user, "c").await.len(), 6);

    // The first question of all.
    turn_of(user, &edit("c", "q1", "ONE"), "A1'").await;
    assert_eq!(texts(user, "c").await, ["ONE", "A1'"]);
    let all = MessageFilter { all_branches: true, ..MessageFilter::default() };
    let all = user.list_messages(&name(), &all, PageSize::try_from("100").unwrap(), None).await.unwrap().unwrap();
    assert_eq!(all.data.iter().map(|message| message.seq).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert_eq!(user.get_conversation(&name()).await.unwrap().unwrap().message_count, 10);
    // A submit that is repeated after all that is still answered with its own answer, and changes no branch.
    joined(user.start_turn(&submit("c", "q3", "three"), &rules()).await);
    assert_eq!(texts(user, "c").await, ["ONE", "A1'"]);
}

async fn another_answer_replaces_the_last_one(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    let second = turn_of(user, &submit("c", "q2", "two"), "A2").await;

    let again = begun(user.start_turn(&regenerate("c", None), &rules()).await);
    assert_eq!(again.question, second.question);
    let said: Vec<_> = again.history.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(said, ["one", "A1", "two"]);
    // While it runs it is joined, whatever names it.
    for target in [None, Some(second.message.to_string()), Some("q2".to_owned())] {
        let turn = regenerate("c", target.as_deref());
        assert_eq!(joined(user.start_turn(&turn, &rules()).await).run, again.run, "{target:?}");
    }
    let other = regenerate("c", Some(&first.message.to_string()));
    assert_eq!(user.start_turn(&other, &rules()).await.unwrap_err().code, Code::TurnRunning);
    answer(user, again.run, "A2'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2'"]);

    // Afterwards it is a new answer, each time; of an earlier answer, too.
    turn_of(user, &regenerate("c", None), "A2''").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2''"]);
    turn_of(user, &other, "A1'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1'"]);
    // On a branch that was left.
    turn_of(user, &regenerate("c", Some(&second.message.to_string())), "A2'''").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2'''"]);
    assert_eq!(user.get_conversation(&name()).await.unwrap().unwrap().message_count, 8);

    // A question without an answer.
    user.append_messages(&name(), messages([says("three")])).await.unwrap().unwrap();
    turn_of(user, &regenerate("c", None), "A3").await;
    assert_eq!(texts(user, "c").await[4..], ["three", "A3"]);
    // An answer in several messages is one answer.
    let steps = messages([
        says("four"),
        json!({"role": "assistant", "content": "look"}),
        json!({"role": "tool", "content": "found"}),
        json!({"role": "assistant", "content": "A4"}),
    ]);
    user.append_messages(&name(), steps).await.unwrap().unwrap();
    turn_of(user, &regenerate("c", None), "A4'").await;
    assert_eq!(texts(user, "c").await[6..], ["four", "A4'"]);
}

async fn a_branch_is_made_the_active_one(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let old = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    turn_of(user, &submit("c", "q2", "two"), "A2").await;
    turn_of(user, &regenerate("c", None), "A2'").await;
    let new = turn_of(user, &edit("c", "q1", "ONE"), "B1").await;
    let activate = async |id: shared::id::MessageId| user.activate_message(&name(), &id.into()).await;

    let message = activate(old.question).await.unwrap().unwrap();
    assert!(message.active && message.id == old.question);
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2'"], "below it always the newest");
    activate(old.question).await.unwrap().unwrap();
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2'"], "again");
    activate(new.message).await.unwrap().unwrap();
    assert_eq!(texts(user, "c").await, ["ONE", "B1"]);
    // The client's id means the active version.
    let message = user.activate_message(&name(), &MessageRef::parse("q1")).await.unwrap().unwrap();
    assert_eq!(message.id, new.question);

    let before = user.get_conversation(&name()).await.unwrap().unwrap();
    let running = begun(user.start_turn(&submit("c", "q9", "nine"), &rules()).await);
    assert_eq!(activate(old.question).await.unwrap_err().code, Code::TurnRunning);
    assert_eq!(texts(user, "c").await[..3], ["ONE", "B1", "nine"]);
    answer(user, running.run, "A9").await;
    assert!(activate(shared::id::MessageId::from(random())).await.unwrap().is_none());
    let after = user.get_conversation(&name()).await.unwrap().unwrap();
    assert_eq!((after.version, after.updated_at), (before.version, before.updated_at));

    // An old run isn't what a reader of another branch follows.
    assert_eq!(user.find_run(&name(), Duration::from_mins(1)).await.unwrap().unwrap().run, running.run);
    activate(old.question).await.unwrap().unwrap();
    assert!(user.find_run(&name(), Duration::from_mins(1)).await.unwrap().is_none());
}

/// What a front end sends when its first attempt failed: a new answer to the last question that it shows.
fn retry(id: &str, text: &str) -> Turn {
    read(json!({"id": "c", "trigger": "regenerate-message", "messages": [asks(id, text)]}))
}

async fn a_retry_of_what_never_arrived_is_a_submit(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let started = begun(user.start_turn(&retry("q1", "one"), &rules()).await);
    assert!(started.conversation_made);
    assert_eq!(joined(user.start_turn(&retry("q1", "one"), &rules()).await).run, started.run);
    answer(user, started.run, "A1").await;
    turn_of(user, &retry("q2", "two"), "A2").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2"]);
    // It had arrived: it is a new answer.
    turn_of(user, &retry("q2", "two"), "A2'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2'"]);
    // An edit that never arrived.
    turn_of(user, &retry("q2", "TWO"), "B2").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "TWO", "B2"]);
    // An answer that never began has an id of the front end's.
    let unknown = json!({
        "id": "c", "trigger": "regenerate-message", "messageId": "local", "messages": [asks("q2", "TWO")],
    });
    turn_of(user, &read(unknown), "B2'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "TWO", "B2'"]);
}

async fn a_key_makes_another_answer_safe_to_repeat(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    let turn = || with_key(regenerate("c", None), "k");
    let started = turn_of(user, &turn(), "A1'").await;
    assert_eq!(joined(user.start_turn(&turn(), &rules()).await).run, started.run);
    let second = turn_of(user, &submit("c", "q2", "two"), "A2").await;
    assert_eq!(joined(user.start_turn(&turn(), &rules()).await).run, started.run, "whatever was said since");
    while db.sweep(10, Duration::ZERO).await.unwrap().chunks > 0 {}
    let TurnStart::Finished(message, _) = user.start_turn(&turn(), &rules()).await.unwrap() else { panic!("it ended") };
    assert_eq!(message.message.id, started.message);

    let named = with_key(regenerate("c", Some(&first.message.to_string())), "k");
    assert!(matches!(user.start_turn(&named, &rules()).await.unwrap(), TurnStart::Finished(..)));
    let other = with_key(regenerate("c", Some(&second.message.to_string())), "k");
    assert_eq!(user.start_turn(&other, &rules()).await.unwrap_err().code, Code::IdempotencyKeyReused);
    assert_eq!(texts(user, "c").await, ["one", "A1'", "two", "A2"]);
}

async fn a_key_that_joined_an_answer_is_remembered(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    let turn = |key: &str| with_key(regenerate("c", None), key);
    let again = begun(user.start_turn(&turn("k1"), &rules()).await);
    assert_eq!(joined(user.start_turn(&turn("k2"), &rules()).await).run, again.run);
    assert_eq!(joined(user.start_turn(&turn("k2"), &rules()).await).run, again.run, "which costs no second place");
    answer(user, again.run, "A1'").await;
    for key in ["k1", "k2"] {
        assert_eq!(joined(user.start_turn(&turn(key), &rules()).await).run, again.run, "{key}");
    }
    // One that joined the first answer of all, which no regenerate began.
    let second = begun(user.start_turn(&submit("c", "q2", "two"), &rules()).await);
    assert_eq!(joined(user.start_turn(&turn("k3"), &rules()).await).run, second.run);
    answer(user, second.run, "A2").await;
    assert_eq!(joined(user.start_turn(&turn("k3"), &rules()).await).run, second.run);
    let other = with_key(regenerate("c", Some(&first.message.to_string())), "k3");
    assert_eq!(user.start_turn(&other, &rules()).await.unwrap_err().code, Code::IdempotencyKeyReused);

    // Of an answer that the front end shows under a name of its own.
    let local = json!({
        "id": "c", "trigger": "regenerate-message", "messageId": "local", "messages": [asks("q2", "two")],
    });
    let local = || with_key(read(local.clone()), "k5");
    let begun_by_it = turn_of(user, &local(), "A2'").await;
    assert_eq!(joined(user.start_turn(&local(), &rules()).await).run, begun_by_it.run);

    // A run remembers a hundred; what it couldn't remember it doesn't promise.
    let third = begun(user.start_turn(&turn("k4"), &rules()).await);
    for n in 1..100 {
        joined(user.start_turn(&turn(&format!("more-{n}")), &rules()).await);
    }
    assert_eq!(user.start_turn(&turn("one-more"), &rules()).await.unwrap_err().code, Code::TurnRunning);
    answer(user, third.run, "A2''").await;
    assert_eq!(joined(user.start_turn(&turn("more-99"), &rules()).await).run, third.run);
    let runs = database.superuser().await.query_one("select count(*) from runs", &[]).await.unwrap();
    assert_eq!(runs.get::<_, i64>(0), 5);
}

async fn targets_that_are_none(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    user.create_conversation(conversation(json!({"clientId": "c"}))).await.unwrap();
    user.create_conversation(conversation(json!({"clientId": "d", "messages": [says("elsewhere")]}))).await.unwrap();
    let error = user.start_turn(&regenerate("c", None), &rules()).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::InvalidRequest, "/messages"));
    let greeting = json!({"clientId": "hello", "role": "assistant", "content": "What can I do for you?"});
    user.append_messages(&name(), messages([greeting])).await.unwrap().unwrap();
    let elsewhere = shown(user, "d").await[0].id.to_string();
    for target in ["nobody", &elsewhere, &random().to_string()] {
        let turns = [(edit("c", target, "?"), Code::InvalidRequest), (regenerate("c", Some(target)), Code::NotFound)];
        for (turn, code) in turns {
            let error = user.start_turn(&turn, &rules()).await.unwrap_err();
            assert_eq!((error.code, error.faults[0].pointer.as_str()), (code, "/messageId"), "{turn:?}");
        }
    }
    for turn in [edit("c", "hello", "?"), regenerate("c", Some("hello"))] {
        let error = user.start_turn(&turn, &rules()).await.unwrap_err();
        assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::InvalidRequest, "/messageId"), "{turn:?}");
    }
    assert_eq!(texts(user, "c").await.len(), 1, "nothing is stored");
}

async fn what_was_stored_without_a_clients_id_has_ours(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let made = conversation(json!({"clientId": "c", "messages": [
        says("one"), {"role": "assistant", "content": "A1"}, says("two"), {"role": "assistant", "content": "A2"},
    ]}));
    let made = user.create_conversation(made).await.unwrap();
    let id = made.messages[2].id.to_string();
    // Repeated as the front end knows it: its answer is there, without a stream.
    let again = user.start_turn(&submit("c", &id, "two"), &rules()).await.unwrap();
    assert!(matches!(again, TurnStart::Finished(answer, _) if answer.message.id == made.messages[3].id));
    turn_of(user, &edit("c", &id, "TWO"), "B2").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "TWO", "B2"]);
    turn_of(user, &edit("c", &id, "2"), "C2").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "2", "C2"]);
    joined(user.start_turn(&edit("c", &id, "TWO"), &rules()).await);
    assert_eq!(texts(user, "c").await, ["one", "A1", "TWO", "B2"]);
    let again = user.start_turn(&edit("c", &id, "two"), &rules()).await.unwrap();
    assert!(matches!(again, TurnStart::Finished(..)));
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2"]);
    assert_eq!(shown(user, "c").await[2].client_id, None);
    // What the front end shows under the first version's id is the version that is shown.
    joined(user.start_turn(&edit("c", &id, "2"), &rules()).await);
    turn_of(user, &regenerate("c", Some(&id)), "C2'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "2", "C2'"]);
    turn_of(user, &retry(&id, "2"), "C2''").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "2", "C2''"]);
}

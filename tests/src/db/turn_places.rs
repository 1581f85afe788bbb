//! Where a question belongs: behind what the front end shows, or where it says.

use serde_json::{Value, json};
use shared::error::Code;
use shared::id::{ConversationRef, MessageRef};
use shared::model::{Cursor, MessageCursor, PageSize, Turn, TurnStart};

use crate::support::content::{conversation, messages, random, read, says, someone};
use crate::support::database::{Database, on_every_database, on_every_version};
use crate::support::turns::{
    answer, asks, begun, edit, joined, regenerate, rules, shown, submit, texts, turn_of, with_key,
};

on_every_database!(a_question_follows_what_the_front_end_shows, a_question_follows_its_parent);
on_every_version!(
    names_that_lead_nowhere_are_passed_over,
    a_repeated_question_stays_where_it_is,
    an_edit_with_a_name_of_its_own_keeps_it,
    a_name_in_the_form_of_ours_is_never_given,
    branches_are_told_to_the_reader,
    all_branches_are_a_tree_of_names_that_are_unique
);

/// A question behind messages that the front end shows.
fn below(earlier: &[&str], id: &str, text: &str) -> Turn {
    let mut shown: Vec<Value> = earlier.iter().map(|id| json!({"id": id, "role": "assistant", "parts": []})).collect();
    shown.push(asks(id, text));
    read(json!({"id": "c", "messages": shown}))
}

/// A question with a parent.
fn placed(parent: &Value, id: &str, text: &str) -> Turn {
    read(json!({"id": "c", "message": asks(id, text), "parentId": parent}))
}

fn said(history: &[shared::model::HistoryMessage]) -> Vec<&str> {
    history.iter().map(|message| message.content.as_str()).collect()
}

async fn a_question_follows_what_the_front_end_shows(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &below(&[], "q1", "one"), "A1").await;
    let a1 = first.message.to_string();
    let second = turn_of(user, &below(&["q1", &a1], "q2", "two"), "A2").await;
    assert_eq!((second.left, second.question_siblings), (None, None), "behind the last one nothing is left");

    // A front end that cuts its list before it sends an edit, as a page does that hasn't seen the second question.
    let edited = begun(user.start_turn(&below(&["q1", &a1], "q3", "TWO"), &rules()).await);
    assert_eq!(said(&edited.history), ["one", "A1", "TWO"]);
    assert_eq!(edited.left, Some(second.message));
    let siblings = edited.question_siblings.unwrap();
    assert_eq!((siblings.ids, siblings.index), (vec![second.question.to_string(), edited.question.to_string()], 1));
    assert_eq!(edited.siblings, None);
    answer(user, edited.run, "A2'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "TWO", "A2'"]);

    // From the branch that was left.
    let back = turn_of(user, &below(&["q1", &a1, "q2", &second.message.to_string()], "q4", "three"), "A3").await;
    assert_eq!(back.left, Some(edited.message));
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2", "three", "A3"]);
    // From a question whose answer the page never got.
    turn_of(user, &below(&["q1"], "q5", "hello?"), "B1").await;
    assert_eq!(texts(user, "c").await, ["one", "hello?", "B1"]);
    assert_eq!(user.get_conversation(&ConversationRef::parse("c")).await.unwrap().unwrap().message_count, 10);
    // The question alone follows the last message.
    turn_of(user, &below(&[], "q6", "more"), "B2").await;
    assert_eq!(texts(user, "c").await, ["one", "hello?", "B1", "more", "B2"]);
}

async fn a_question_follows_its_parent(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &placed(&Value::Null, "q1", "one"), "A1").await;
    let second = turn_of(user, &placed(&json!(first.message), "q2", "two"), "A2").await;
    assert_eq!(second.left, None);

    let root = begun(user.start_turn(&placed(&Value::Null, "r", "another beginning"), &rules()).await);
    assert_eq!((said(&root.history), root.left), (vec!["another beginning"], Some(second.message)));
    answer(user, root.run, "R").await;
    assert_eq!(texts(user, "c").await, ["another beginning", "R"]);
    // By either name, and whatever else the request shows.
    let by_ours = json!({"id": "c", "messages": [{"id": "r"}, asks("q3", "three")], "parentId": second.message});
    turn_of(user, &read(by_ours), "A3").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2", "three", "A3"]);
    turn_of(user, &placed(&json!("q2"), "q4", "at once"), "A4").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "at once", "A4"]);

    user.create_conversation(conversation(json!({"clientId": "d", "messages": [says("elsewhere")]}))).await.unwrap();
    let elsewhere = shown(user, "d").await[0].id.to_string();
    for parent in ["nobody", &elsewhere, &random().to_string(), "no name at all"] {
        let error = user.start_turn(&placed(&json!(parent), "q5", "?"), &rules()).await.unwrap_err();
        assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::NotFound, "/parentId"), "{parent}");
    }
    let new = read(json!({"id": "new", "message": asks("q", "?"), "parentId": elsewhere}));
    assert_eq!(user.start_turn(&new, &rules()).await.unwrap_err().faults[0].pointer, "/parentId");
    assert!(user.get_conversation(&ConversationRef::parse("new")).await.unwrap().is_none(), "nothing is made");

    // An edit has its parent: another one is a mistake.
    let edited = |parent: Value| {
        read(json!({"id": "c", "message": asks("q4", "at ONCE"), "messageId": "q4", "parentId": parent}))
    };
    let error = user.start_turn(&edited(Value::Null), &rules()).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::InvalidRequest, "/parentId"));
    turn_of(user, &edited("q2".into()), "A4'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "at ONCE", "A4'"]);
}

async fn names_that_lead_nowhere_are_passed_over(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    let a1 = first.message.to_string();
    // What a page made up, what failed before it was stored, what is no name.
    let strange = random().to_string();
    turn_of(user, &below(&["q1", &a1, "failed", &strange, "no name at all"], "q2", "two"), "A2").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "two", "A2"]);
    turn_of(user, &below(&["greeting", "failed"], "q3", "three"), "A3").await;
    assert_eq!(texts(user, "c").await[4..], ["three", "A3"], "a page without a stored message is no beginning");
    // A name that versions share means the one that is shown.
    turn_of(user, &edit("c", "q3", "THREE"), "A3'").await;
    turn_of(user, &below(&["q3"], "q4", "four"), "A4").await;
    assert_eq!(texts(user, "c").await[4..], ["THREE", "four", "A4"]);
}

async fn a_repeated_question_stays_where_it_is(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    let a1 = first.message.to_string();
    let second = begun(user.start_turn(&below(&["q1", &a1], "q2", "two"), &rules()).await);
    assert_eq!(joined(user.start_turn(&below(&["q1", &a1], "q2", "two"), &rules()).await).run, second.run);
    answer(user, second.run, "A2").await;
    turn_of(user, &below(&["q1", &a1], "q3", "TWO"), "B2").await;
    for turn in [below(&["q1", &a1], "q2", "two"), submit("c", "q2", "two"), placed(&json!(a1), "q2", "two")] {
        assert_eq!(joined(user.start_turn(&turn, &rules()).await).run, second.run, "{turn:?}");
    }
    assert_eq!(texts(user, "c").await, ["one", "A1", "TWO", "B2"], "and changes no branch");
    for parent in [Value::Null, json!("q3")] {
        let error = user.start_turn(&placed(&parent, "q2", "two"), &rules()).await.unwrap_err();
        assert_eq!(error.code, Code::IdempotencyKeyReused, "one id, one message");
    }
    assert_eq!(texts(user, "c").await.len(), 4);
    // What never arrived is asked where the page shows it.
    let retry = json!({"id": "c", "trigger": "regenerate-message", "messages": [{"id": a1}, asks("q4", "2")]});
    turn_of(user, &read(retry), "C2").await;
    assert_eq!(texts(user, "c").await, ["one", "A1", "2", "C2"]);
}

async fn an_edit_with_a_name_of_its_own_keeps_it(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    turn_of(user, &submit("c", "q2", "two"), "A2").await;
    let named = |id: &str, text: &str| read(json!({"id": "c", "messageId": "q1", "message": asks(id, text)}));
    let edited = begun(user.start_turn(&named("fv3s", "ONE"), &rules()).await);
    assert_eq!(joined(user.start_turn(&named("fv3s", "ONE"), &rules()).await).run, edited.run, "sent again");
    answer(user, edited.run, "B1").await;
    let versions = shown(user, "c").await;
    assert_eq!((versions[0].client_id.as_deref(), versions[0].content.as_str()), (Some("fv3s"), "ONE"));
    // The old name means the old message.
    turn_of(user, &regenerate("c", Some("q1")), "A1'").await;
    assert_eq!(texts(user, "c").await, ["one", "A1'"]);
    // A new name is a new message, even of the same words: the front end knows it by that.
    turn_of(user, &named("fv4s", "one"), "C1").await;
    assert_eq!(shown(user, "c").await[0].client_id.as_deref(), Some("fv4s"));
    // A name that is taken.
    for turn in [named("q2", "?"), named("fv3s", "?"), named("q2", "two")] {
        let error = user.start_turn(&turn, &rules()).await.unwrap_err();
        assert_eq!(error.code, Code::IdempotencyKeyReused, "{turn:?}");
    }
    // Our id and the client's are names of one message.
    let ours = first.question.to_string();
    for (message_id, id) in [(ours.as_str(), "q1"), ("q1", &ours)] {
        let turn = read(json!({"id": "c", "messageId": message_id, "message": asks(id, &format!("by {id}"))}));
        turn_of(user, &turn, "D1").await;
        assert_eq!(shown(user, "c").await[0].client_id.as_deref(), Some("q1"));
    }
}

async fn a_name_in_the_form_of_ours_is_never_given(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let ours = "0199c0de-0000-7000-8000-000000000abc".to_owned();
    for id in [ours.clone(), ours.to_uppercase()] {
        let error = user.start_turn(&submit(&id, "q", "?"), &rules()).await.unwrap_err();
        assert_eq!((error.code, error.faults.len()), (Code::NotFound, 0));
    }
    let made = begun(user.start_turn(&submit("c", "q1", "one"), &rules()).await);
    answer(user, made.run, "A1").await;
    let id = made.conversation.to_string();
    turn_of(user, &submit(&id, "q2", "two"), "A2").await;
    assert!(user.delete_conversation(&made.conversation.into(), &shared::model::IfMatch::Any).await.unwrap());
    for turn in [submit(&id, "q3", "?"), with_key(regenerate(&id, None), "k"), edit(&id, "q1", "?")] {
        assert_eq!(user.start_turn(&turn, &rules()).await.unwrap_err().code, Code::NotFound, "{turn:?}");
    }
    let stored = database.superuser().await.query_one("select count(*) from conversations", &[]).await.unwrap();
    assert_eq!(stored.get::<_, i64>(0), 0);

    turn_of(user, &submit("c", "q1", "one"), "A1").await;
    for turn in [
        submit("c", &ours, "?"),
        read(json!({"id": "c", "messageId": "q1", "message": asks(&ours, "ONE")})),
        read(json!({"id": "c", "trigger": "regenerate-message", "messages": [asks(&ours, "?")]})),
    ] {
        let error = user.start_turn(&turn, &rules()).await.unwrap_err();
        assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::InvalidRequest, "/messages"), "{turn:?}");
    }
}

async fn branches_are_told_to_the_reader(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let name = ConversationRef::parse("c");
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    let again = begun(user.start_turn(&regenerate("c", None), &rules()).await);
    let ids = vec![first.message.to_string(), again.message.to_string()];
    assert_eq!(again.left, Some(first.message));
    assert_eq!(again.siblings.map(|it| (it.ids, it.index)), Some((ids.clone(), 1)));
    answer(user, again.run, "A1'").await;
    let siblings = async |n: usize| {
        let page = user.chat_page(&name, PageSize::default(), None).await.unwrap().unwrap();
        page.data[n].siblings.clone().map(|it| (it.ids, it.index))
    };
    assert_eq!((siblings(0).await, siblings(1).await), (None, Some((ids.clone(), 1))));
    user.activate_message(&name, &first.message.into()).await.unwrap().unwrap();
    assert_eq!(siblings(1).await, Some((ids, 0)));

    // Many: fifty on either side, whatever came before and after.
    let rows = (0..90).map(|n| json!({"role": "user", "content": format!("{n}"), "parentId": null}));
    let rows = user.append_messages(&name, messages(rows)).await.unwrap().unwrap();
    let (ids, index) = siblings(0).await.unwrap();
    assert_eq!((ids.len(), index, ids.last()), (51, 50, Some(&rows.data[89].id.to_string())));
    user.activate_message(&name, &first.question.into()).await.unwrap().unwrap();
    let (ids, index) = siblings(0).await.unwrap();
    assert_eq!((ids.len(), index, &ids[0]), (51, 0, &first.question.to_string()));
    // A finished answer that is replayed from its row has its siblings, too.
    while db.sweep(10, std::time::Duration::ZERO).await.unwrap().chunks > 0 {}
    let replayed = user.start_turn(&submit("c", "q1", "one"), &rules()).await.unwrap();
    assert!(matches!(replayed, TurnStart::Finished(answer, _) if answer.siblings.is_some()));
}

async fn all_branches_are_a_tree_of_names_that_are_unique(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let name = ConversationRef::parse("c");
    let size = |text: &str| PageSize::try_from(text).unwrap();
    assert!(user.chat_branches(&name, PageSize::default(), None).await.unwrap().is_none());
    user.create_conversation(conversation(json!({"clientId": "c"}))).await.unwrap();
    let empty = user.chat_branches(&name, PageSize::default(), None).await.unwrap().unwrap();
    assert_eq!((empty.head, empty.messages.len(), empty.next_cursor), (None, 0, None));

    user.append_messages(&name, messages([says("bare")])).await.unwrap().unwrap();
    let bare = shown(user, "c").await[0].id.to_string();
    turn_of(user, &regenerate("c", None), "A0").await;
    let first = turn_of(user, &submit("c", "q1", "one"), "A1").await;
    turn_of(user, &edit("c", "q1", "ONE"), "B1").await;
    turn_of(user, &regenerate("c", None), "B1'").await;
    // Under our id of what it replaces, as a front end that loaded it names it.
    let own = turn_of(user, &edit("c", &bare, "BARE"), "C0").await;
    let running = begun(user.start_turn(&submit("c", "q2", "two"), &rules()).await);

    let (mut tree, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = user.chat_branches(&name, size("3"), cursor).await.unwrap().unwrap();
        assert_eq!(page.head.as_deref(), Some("q2"), "the answer that is being written isn't shown");
        tree.extend(page.messages);
        pages += 1;
        let Some(next) = page.next_cursor else { break };
        cursor = Some(<MessageCursor as Cursor>::decode(&next).unwrap());
    }
    assert_eq!((pages, tree.len()), (4, 10));
    let mut names: Vec<String> = Vec::new();
    for named in &tree {
        assert!(!names.contains(&named.name), "{} is the name of two", named.name);
        assert!(named.parent.as_ref().is_none_or(|parent| names.contains(parent)), "a parent comes first");
        names.push(named.name.clone());
        // And each leads back to its message.
        let found = user.get_message(&name, &MessageRef::parse(&named.name), false).await.unwrap().unwrap();
        assert_eq!(found.id, named.shown.message.id);
    }
    let name_of = |text: &str| &tree.iter().find(|named| named.shown.message.content == text).unwrap().name;
    assert_eq!((name_of("bare"), name_of("BARE")), (&bare, &own.question.to_string()));
    assert_eq!((name_of("one").as_str(), name_of("ONE")), (first.question.to_string().as_str(), &"q1".to_owned()));

    // The name is the shown one's.
    answer(user, running.run, "A2").await;
    user.activate_message(&name, &first.question.into()).await.unwrap().unwrap();
    let page = user.chat_branches(&name, size("100"), None).await.unwrap().unwrap();
    assert_eq!(page.head, Some(first.message.to_string()));
    let shown = page.messages.iter().find(|named| named.name == "q1").unwrap();
    assert_eq!(shown.shown.message.content, "one");
    assert!(shown.shown.siblings.is_some());
}

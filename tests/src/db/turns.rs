//! How a turn begins: once, whoever asks how often.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::{Code, Error};
use shared::id::ConversationRef;
use shared::model::{IfMatch, Origin, PageSize, Role, Status, Title, Turn, TurnRules, TurnStart};

use crate::support::content::{by_id, conversation, messages, patch, random, read, says, someone};
use crate::support::database::{Database, on_every_database, on_every_version};
use crate::support::turns::{
    answer, asks, begun, chunk, dead, edit, ending, frames, joined, regenerate, rules, shown, submit, texts, turn_of,
    with_key,
};

on_every_database!(on threads:
    of_twenty_questions_at_once_one_is_begun,
    the_same_question_twenty_times_at_once_is_begun_once,
    twenty_at_once_make_one_conversation,
    an_expired_run_is_ended_by_one_of_twenty,
);
on_every_database!(
    a_turn_makes_what_is_missing,
    a_repeated_question_is_answered_once,
    another_users_conversation_is_out_of_reach
);
on_every_version!(
    other_content_under_the_same_id_is_refused,
    the_key_names_a_question_without_an_id,
    the_history_is_what_a_reader_sees,
    a_conversation_has_one_live_run,
    a_question_behind_a_stop_waits_for_the_end,
    what_cannot_be_stored_is_a_fault_and_leaves_nothing,
    a_generated_title_gives_way_to_the_users
);

/// So many requests at once, each on a connection of its own.
async fn at_once(
    db: &Db,
    caller: &Caller,
    turns: impl IntoIterator<Item = Turn>,
    rules: &TurnRules,
) -> Vec<Result<TurnStart, Error>> {
    join_all(turns.into_iter().map(|turn| async move { db.as_user(caller).start_turn(&turn, rules).await })).await
}

fn count(starts: &[Result<TurnStart, Error>], is: impl Fn(&Result<TurnStart, Error>) -> bool) -> usize {
    starts.iter().filter(|start| is(start)).count()
}

fn is_begun(start: &Result<TurnStart, Error>) -> bool {
    matches!(start, Ok(TurnStart::Started(_)))
}

fn is_busy(start: &Result<TurnStart, Error>) -> bool {
    start.as_ref().is_err_and(|error| error.code == Code::TurnRunning)
}

async fn of_twenty_questions_at_once_one_is_begun(database: Database) {
    let (db, caller) = (database.db_of(20), someone());
    for round in 0..5 {
        let turns = (0..20).map(|n| submit("c", &format!("{round}-{n}"), &format!("question {n}")));
        let starts = at_once(&db, &caller, turns, &rules()).await;
        assert_eq!((count(&starts, is_begun), count(&starts, is_busy)), (1, 19), "{starts:?}");
        assert_eq!(shown(db.as_user(&caller), "c").await.len(), 2 * (round + 1), "nothing of the others is stored");
        let started = starts.into_iter().find(is_begun).map(begun).unwrap();
        assert_eq!(started.conversation_made, round == 0);
        answer(db.as_user(&caller), started.run, "yes").await;
    }
    let stored = db.as_user(&caller).get_conversation(&ConversationRef::parse("c")).await.unwrap().unwrap();
    assert_eq!(stored.message_count, 10);
}

async fn the_same_question_twenty_times_at_once_is_begun_once(database: Database) {
    let (db, caller) = (database.db_of(20), someone());
    for round in 0..5 {
        let turns = (0..20).map(|_| submit("c", &format!("q{round}"), "How many days?"));
        let starts = at_once(&db, &caller, turns, &rules()).await;
        assert_eq!(count(&starts, is_begun), 1, "{starts:?}");
        let mut runs = HashSet::new();
        for start in starts {
            let (run, message) = match start.unwrap() {
                TurnStart::Started(started) => (started.run, started.message),
                TurnStart::Joined(found) => (found.run, found.message),
                TurnStart::Finished(message, _) => panic!("finished: {message:?}"),
            };
            runs.insert((run, message));
        }
        assert_eq!(runs.len(), 1, "all follow the same");
        answer(db.as_user(&caller), runs.into_iter().next().unwrap().0, "Twenty.").await;
    }
    assert_eq!(shown(db.as_user(&caller), "c").await.len(), 10);
}

async fn twenty_at_once_make_one_conversation(database: Database) {
    let (db, caller) = (database.db_of(20), someone());
    for round in 0..5 {
        let name = format!("c{round}");
        let turns = (0..20).map(|n| submit(&name, &format!("q{n}"), "Hi"));
        let starts = at_once(&db, &caller, turns, &rules()).await;
        assert_eq!((count(&starts, is_begun), count(&starts, is_busy)), (1, 19), "{starts:?}");
    }
    let superuser = database.superuser().await;
    let stored = "select (select count(*) from conversations), (select count(*) from messages),
        (select count(*) from runs where outcome is null)";
    let stored = superuser.query_one(stored, &[]).await.unwrap();
    assert_eq!((0..3).map(|n| stored.get::<_, i64>(n)).collect::<Vec<_>>(), [5, 10, 5]);
}

async fn an_expired_run_is_ended_by_one_of_twenty(database: Database) {
    let (db, caller) = (database.db_of(20), someone());
    for round in 0..3 {
        let died = begun(db.as_user(&caller).start_turn(&submit("c", &format!("dead{round}"), "?"), &dead()).await);
        let turns = (0..20).map(|n| submit("c", &format!("{round}-{n}"), "Are you there?"));
        let starts = at_once(&db, &caller, turns, &rules()).await;
        assert_eq!((count(&starts, is_begun), count(&starts, is_busy)), (1, 19), "{starts:?}");
        let page = db.as_user(&caller).read_run(died.run, -1).await.unwrap().unwrap();
        assert_eq!((page.ended, page.chunks.len()), (Some(Status::Incomplete), 1), "ended once");
        let started = starts.into_iter().find(is_begun).map(begun).unwrap();
        answer(db.as_user(&caller), started.run, "Yes.").await;
    }
}

async fn a_turn_makes_what_is_missing(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    // A client's id that looks like one of ours is still the client's.
    for name in ["zVMqu0OQzQqloXUY".to_owned(), random().to_string()] {
        let turn = submit(&name, "q1", "How many days of leave do I have?");
        let started = begun(user.start_turn(&turn, &rules()).await);
        assert!(started.conversation_made && started.quota.is_none());
        assert_eq!(started.title.as_deref(), Some("How many days of leave do I have?"));
        assert_eq!(started.history.len(), 1);
        let stored = user.get_conversation(&ConversationRef::parse(&name)).await.unwrap().unwrap();
        assert_eq!((stored.id, stored.client_id.as_deref()), (started.conversation, Some(name.as_str())));
        assert_eq!((stored.message_count, stored.activity_at), (2, started.created_at));
        let messages = shown(user, &name).await;
        let question = &messages[0];
        assert_eq!((question.id, question.role, question.origin), (started.question, Role::User, Origin::Client));
        assert_eq!((question.client_id.as_deref(), question.seq), (Some("q1"), 1));
        let empty = &messages[1];
        assert!(question.created_at < empty.created_at, "each has a time of its own");
        assert_eq!((empty.id, empty.role, empty.origin), (started.message, Role::Assistant, Origin::Relay));
        assert_eq!((empty.status, empty.parent_id, empty.seq), (Status::InProgress, Some(started.question), 2));
        assert_eq!((empty.parts.get(), empty.content.as_str(), empty.created_at), ("[]", "", started.created_at));
        answer(user, started.run, "Twenty.").await;
    }
    // One that is there is used, by either name, and keeps its title.
    let made = user.create_conversation(conversation(json!({"messages": [says("Hi")]}))).await.unwrap();
    let started = begun(user.start_turn(&submit(&made.conversation.id.to_string(), "q", "And?"), &rules()).await);
    assert_eq!((started.conversation, started.conversation_made), (made.conversation.id, false));
    assert_eq!((started.title, started.history.len()), (None, 2));
}

async fn a_repeated_question_is_answered_once(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let turn = || submit("c", "q", "How many days?");
    let started = begun(user.start_turn(&turn(), &rules()).await);
    let found = joined(user.start_turn(&turn(), &rules()).await);
    assert_eq!((found.run, found.message), (started.run, started.message), "while it runs");
    answer(user, started.run, "Twenty.").await;
    let found = joined(user.start_turn(&turn(), &rules()).await);
    assert_eq!(found.run, started.run, "its stream is still there");
    while db.sweep(10, Duration::ZERO).await.unwrap().chunks > 0 {}
    let TurnStart::Finished(message, _) = user.start_turn(&turn(), &rules()).await.unwrap() else { panic!("it ended") };
    assert_eq!((message.message.id, message.message.content.as_str()), (started.message, "Twenty."));

    // Also long after, when another turn runs.
    let next = begun(user.start_turn(&submit("c", "q2", "And next year?"), &rules()).await);
    assert!(matches!(user.start_turn(&turn(), &rules()).await.unwrap(), TurnStart::Finished(..)));
    assert_eq!(shown(user, "c").await.len(), 4);
    answer(user, next.run, "Twenty, too.").await;

    // A question that is stored and was never answered is answered now, under its own name or ours.
    let stored = messages([json!({"clientId": "q3", "role": "user", "content": "Hello?"}), says("Hello??")]);
    let stored = user.append_messages(&ConversationRef::parse("c"), stored).await.unwrap().unwrap();
    let started = turn_of(user, &submit("c", "q3", "Hello?"), "Hello.").await;
    assert_eq!(started.question, stored.data[0].id);
    assert_eq!(texts(user, "c").await[4..], ["Hello?", "Hello."]);
    let started = turn_of(user, &submit("c", &stored.data[1].id.to_string(), "Hello??"), "Hello!").await;
    assert_eq!(started.question, stored.data[1].id, "as a front end names what it loaded");
}

async fn another_users_conversation_is_out_of_reach(database: Database) {
    for row_level_security in [true, false] {
        let (db, owner, stranger) = (database.db(), someone(), someone());
        if !row_level_security {
            let off = ["users", "conversations", "messages", "runs", "run_chunks", "quota_usage"]
                .map(|table| format!("alter table {table} disable row level security"));
            database.superuser().await.batch_execute(&off.join(";")).await.unwrap();
        }
        let (user, other) = (db.as_user(&owner), db.as_user(&stranger));
        let started = begun(user.start_turn(&submit("c", "q", "secret"), &rules()).await);
        let theirs = ConversationRef::from(started.conversation);
        let (id, message) = (started.conversation.to_string(), started.message.to_string());

        assert!(other.find_run(&theirs, Duration::from_hours(1)).await.unwrap().is_none());
        assert!(other.request_stop(&theirs).await.unwrap().is_none());
        assert!(other.read_run(started.run, -1).await.unwrap().is_none());
        assert!(other.chat_page(&theirs, PageSize::default(), None).await.unwrap().is_none());
        assert!(other.chat_branches(&theirs, PageSize::default(), None).await.unwrap().is_none());
        assert!(other.activate_message(&theirs, &started.question.into()).await.unwrap().is_none());
        let lease = Duration::from_hours(1);
        assert!(!other.append_chunks(started.run, &[], lease).await.unwrap().live);
        assert!(other.end_run(started.run, &ending(Status::Failed, vec![])).await.unwrap().is_none());
        for turn in [edit(&id, "q", "mine"), regenerate(&id, Some(&message)), regenerate(&id, None)] {
            assert_eq!(other.start_turn(&turn, &rules()).await.unwrap_err().code, Code::NotFound, "{turn:?}");
        }
        // Its own name is nobody else's; the client's name of it is free for everybody.
        assert_eq!(other.start_turn(&submit(&id, "q", "?"), &rules()).await.unwrap_err().code, Code::NotFound);
        let own = begun(other.start_turn(&submit("c", "q", "secret"), &rules()).await);
        assert!(own.conversation_made && own.conversation != started.conversation);
        let elsewhere = regenerate("c", Some(&message));
        answer(other, own.run, "…").await;
        assert_eq!(other.start_turn(&elsewhere, &rules()).await.unwrap_err().faults[0].pointer, "/messageId");
        let below = read(json!({"id": "c", "message": asks("q2", "?"), "parentId": message}));
        assert_eq!(other.start_turn(&below, &rules()).await.unwrap_err().faults[0].pointer, "/parentId");

        assert!(user.append_chunks(started.run, &[], lease).await.unwrap().live, "nothing happened to it");
        assert_eq!(shown(user, "c").await.len(), 2);
    }
}

async fn other_content_under_the_same_id_is_refused(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    turn_of(user, &submit("c", "q", "How many days?"), "Twenty.").await;
    let error = user.start_turn(&submit("c", "q", "How many hours?"), &rules()).await.unwrap_err();
    assert_eq!(error.code, Code::IdempotencyKeyReused);
    // What a front end sends back with it changes nothing.
    let mut message = asks("q", "How many days?");
    message["metadata"] = json!({"createdAt": "…", "theme": "dark"});
    joined(user.start_turn(&read(json!({"id": "c", "message": message})), &rules()).await);
    assert_eq!(shown(user, "c").await.len(), 2);
}

async fn the_key_names_a_question_without_an_id(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let turn = |text: &str| {
        let message = json!({"role": "user", "parts": [{"type": "text", "text": text}]});
        with_key(read(json!({"id": "c", "message": message})), "key")
    };
    let started = begun(user.start_turn(&turn("Hi"), &rules()).await);
    assert_eq!(joined(user.start_turn(&turn("Hi"), &rules()).await).run, started.run);
    let error = user.start_turn(&turn("Ho"), &rules()).await.unwrap_err();
    assert_eq!(error.code, Code::IdempotencyKeyReused);
    assert_eq!(shown(user, "c").await[0].client_id.as_deref(), Some("key"));
}

async fn the_history_is_what_a_reader_sees(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let source = json!({"url": "https://example.com/handbook", "title": "Handbook", "snippet": "Twenty days."});
    let first = json!({"clientId": "c", "messages": [
        {"role": "user", "content": "old"}, {"role": "assistant", "content": "older", "sources": [source]},
        {"role": "user", "content": "left"}, {"role": "tool", "content": "found 3"},
    ]});
    let made = user.create_conversation(conversation(first)).await.unwrap();
    let fork = json!({"role": "user", "content": "instead", "parentId": made.messages[1].id.to_string()});
    user.append_messages(&ConversationRef::parse("c"), messages([fork])).await.unwrap().unwrap();
    // One that failed, and one of which nothing came.
    let failed = begun(user.start_turn(&submit("c", "f", "fails"), &rules()).await);
    let chunks = vec![chunk(0, frames("half"))];
    user.end_run(failed.run, &ending(Status::Failed, chunks)).await.unwrap();
    begun(user.start_turn(&submit("c", "d", "dies"), &dead()).await);

    let history = |messages, chars| TurnRules { history_messages: messages, history_chars: chars, ..rules() };
    for (n, (rules, expected)) in [
        (history(20, 1000), &["old", "older", "instead", "fails", "dies", "question 0"][..]),
        (history(3, 1000), &["dies", "question 0", "question 1"]),
        (history(1, 1000), &["question 2"]),
        (history(0, 0), &["question 3"]),
        // Two questions have 20 characters.
        (history(20, 29), &["question 3", "question 4"]),
    ]
    .into_iter()
    .enumerate()
    {
        let started = begun(user.start_turn(&submit("c", &format!("q{n}"), &format!("question {n}")), &rules).await);
        let said: Vec<&str> = started.history.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(said, expected, "{n}");
        if n == 0 {
            assert_eq!(started.history[1].sources[0]["snippet"], "Twenty days.");
            assert_eq!(started.history[1].role, Role::Assistant);
        }
        // It is stopped before a word has come: what has no text is left out.
        user.end_run(started.run, &ending(Status::Stopped, vec![])).await.unwrap();
    }
}

async fn a_conversation_has_one_live_run(database: Database) {
    let (db, caller) = (database.db(), someone());
    let started = begun(db.as_user(&caller).start_turn(&submit("c", "q", "?"), &rules()).await);
    let second = "insert into runs (user_id, conversation_id, message_id, lease_until)
        select user_id, conversation_id, (select id from messages where role = 'user'), now() from runs";
    let second = database.superuser().await.execute(second, &[]).await.unwrap_err();
    assert_eq!(second.as_db_error().unwrap().constraint(), Some("runs_live"), "even past the lock");
    let elsewhere = "update runs set conversation_id = uuidv7() where id = $1";
    let elsewhere = database.superuser().await.execute(elsewhere, &[&started.run.uuid()]).await.unwrap_err();
    assert_eq!(elsewhere.as_db_error().unwrap().constraint(), Some("runs_conversation"));
}

async fn a_question_behind_a_stop_waits_for_the_end(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = begun(user.start_turn(&submit("c", "q", "?"), &rules()).await);
    user.request_stop(&ConversationRef::parse("c")).await.unwrap().unwrap();
    let (next, rules) = (submit("c", "q2", "??"), rules());
    let (second, ()) = tokio::join!(user.start_turn(&next, &rules), async {
        // It is asked once at least before the end.
        tokio::task::yield_now().await;
        user.end_run(first.run, &ending(Status::Stopped, vec![])).await.unwrap().unwrap();
    });
    let second = begun(second);
    // One whose function hears of nothing.
    user.request_stop(&ConversationRef::parse("c")).await.unwrap().unwrap();
    let error = user.start_turn(&submit("c", "q3", "???"), &rules).await.unwrap_err();
    assert_eq!(error.code, Code::TurnRunning);
    assert!(error.headers.contains(&("retry-after", "1".to_owned())));
    joined(user.start_turn(&next, &rules).await);
    answer(user, second.run, "Yes.").await;
    assert_eq!(shown(user, "c").await.len(), 4, "nothing of the third is stored");
}

async fn what_cannot_be_stored_is_a_fault_and_leaves_nothing(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    // A megabyte of JSON that takes more than five once it is escaped, twice over.
    let message = json!({"id": "q", "role": "user", "parts": [{"type": "data-x", "data": vec![1e300; 30_000]}]});
    let error = user.start_turn(&read(json!({"id": "c", "message": message})), &rules()).await.unwrap_err();
    assert_eq!((error.code, error.faults[0].pointer.as_str()), (Code::ContentTooLarge, "/messages"));
    assert!(user.get_conversation(&ConversationRef::parse("c")).await.unwrap().is_none());
    for turn in [edit("c", "q", "?"), regenerate("c", None)] {
        assert_eq!(user.start_turn(&turn, &rules()).await.unwrap_err().code, Code::NotFound);
    }
    let stored = database.superuser().await;
    let stored = stored.query_one("select count(*) from conversations", &[]).await.unwrap();
    assert_eq!(stored.get::<_, i64>(0), 0);
}

async fn a_generated_title_gives_way_to_the_users(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let title = |text: &str| Title::try_from(text.to_owned()).unwrap();
    let started = turn_of(user, &submit("c", "q", "How many days?"), "Twenty.").await;
    let id = started.conversation;
    assert_eq!(started.title_question.as_deref(), Some("How many days?"));
    let again = turn_of(user, &submit("c", "q2", "And in March?"), "Two.").await;
    assert_eq!(again.title_question.as_deref(), Some("How many days?"), "it never came");
    assert!(!db.as_user(&someone()).set_generated_title(id, &title("Leave")).await.unwrap());
    assert!(user.set_generated_title(id, &title("Leave")).await.unwrap());
    assert!(!user.set_generated_title(id, &title("again")).await.unwrap());
    assert_eq!(turn_of(user, &submit("c", "q3", "And in May?"), "Three.").await.title_question, None);
    let stored = user.get_conversation(&by_id(id)).await.unwrap().unwrap();
    assert_eq!((stored.title.as_deref(), stored.version), (Some("Leave"), 1), "it spoils no If-Match");
    let change = patch(json!({"title": "Leave"}));
    user.update_conversation(&by_id(id), change, &IfMatch::Any).await.unwrap();
    let change = patch(json!({"pinned": true}));
    user.update_conversation(&by_id(id), change, &IfMatch::Any).await.unwrap();
    assert!(!user.set_generated_title(id, &title("late")).await.unwrap());
    let renamed = turn_of(user, &submit("d", "q", "How many days?"), "Twenty.").await.conversation;
    let change = patch(json!({"title": "Mine"}));
    user.update_conversation(&by_id(renamed), change, &IfMatch::Any).await.unwrap();
    assert!(!user.set_generated_title(renamed, &title("late")).await.unwrap(), "the user was faster");
    assert_eq!(turn_of(user, &submit("d", "q2", "And in March?"), "Two.").await.title_question, None);
}

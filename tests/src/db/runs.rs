//! The life of a run: what it stores, who follows it, and how it ends, once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::id::{ConversationRef, RunId};
use shared::model::{Ending, IfMatch, MessageCursor, PageSize, StartedTurn, Status};

use crate::support::content::{by_id, random, someone};
use crate::support::database::{Database, on_every_database, on_every_version};
use crate::support::turns::{answer, begun, chunk, dead, ending, frames, rules, shown, submit, turn_of};

const LEASE: Duration = Duration::from_mins(10);
const REPLAY: Duration = Duration::from_mins(1);

on_every_database!(a_run_is_written_followed_and_ended, whoever_meets_an_expired_lease_ends_the_run);
on_every_database!(on threads: of_many_ends_at_once_one_counts, a_conversation_is_deleted_under_its_run);
on_every_version!(
    an_end_is_what_it_was_the_first_time,
    a_run_whose_lease_expired_goes_on_unless_somebody_ended_it,
    what_died_before_its_first_frame_has_a_whole_stream,
    a_stored_message_is_not_rewritten,
    renewing_a_lease_touches_no_index,
    a_page_of_the_chat_ends_at_the_question_while_an_answer_is_written
);

fn name() -> ConversationRef {
    ConversationRef::parse("c")
}

async fn a_run_is_written_followed_and_ended(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    assert!(user.find_run(&name(), REPLAY).await.unwrap().is_none());
    assert!(user.request_stop(&name()).await.unwrap().is_none());
    assert!(user.read_run(RunId::from(random()), -1).await.unwrap().is_none());

    let started = begun(user.start_turn(&submit("c", "q", "How many days?"), &rules()).await);
    let run = started.run;
    let found = user.find_run(&name(), REPLAY).await.unwrap().unwrap();
    assert_eq!((found.run, found.message), (run, started.message));
    let page = user.read_run(run, -1).await.unwrap().unwrap();
    assert_eq!((page.chunks.len(), page.ended), (0, None));

    let all = frames("Twenty.");
    let chunks = [chunk(0, all[..2].to_vec()), chunk(1, all[2..3].to_vec()), chunk(2, all[3..].to_vec())];
    // The second time in one batch with the next: an answer was lost.
    for batch in [&chunks[..1], &chunks[..2], &[]] {
        let state = user.append_chunks(run, batch, LEASE).await.unwrap();
        assert!(state.live && !state.stop_requested);
    }
    assert_eq!(user.read_run(run, -1).await.unwrap().unwrap().chunks, chunks[..2]);
    assert_eq!(user.read_run(run, 0).await.unwrap().unwrap().chunks, chunks[1..2]);

    assert_eq!(user.request_stop(&name()).await.unwrap(), Some(Some(started.message)));
    assert!(user.append_chunks(run, &[], LEASE).await.unwrap().stop_requested);

    let usage = json!({"inputTokens": 9, "outputTokens": 3}).as_object().cloned();
    let end = Ending { usage, model: Some("m-1".to_owned()), ..ending(Status::Stopped, chunks.to_vec()) };
    let ended = user.end_run(run, &end).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.by_this), (Status::Stopped, true));
    let page = user.read_run(run, -1).await.unwrap().unwrap();
    assert_eq!((page.chunks.as_slice(), page.ended), (&chunks[..], Some(Status::Stopped)));
    assert_eq!(user.read_run(run, 2).await.unwrap().unwrap().ended, Some(Status::Stopped), "with no chunk, too");

    let message = shown(user, "c").await.pop().unwrap();
    assert_eq!((message.id, message.status, message.content.as_str()), (started.message, Status::Stopped, "Twenty."));
    assert_eq!(message.model.as_deref(), Some("m-1"));
    let [parts, usage]: [Value; 2] =
        [message.parts.get(), message.usage.as_ref().unwrap().get()].map(|json| serde_json::from_str(json).unwrap());
    assert_eq!(parts, json!([{"type": "text", "text": "Twenty.", "state": "done"}]));
    assert_eq!(usage["outputTokens"], 3);

    // Over, and replayable for a while.
    assert!(!user.append_chunks(run, &[chunk(9, [])], LEASE).await.unwrap().live);
    assert_eq!(user.request_stop(&name()).await.unwrap(), Some(None));
    assert_eq!(user.find_run(&name(), REPLAY).await.unwrap().unwrap().run, run);
    assert!(user.find_run(&name(), Duration::ZERO).await.unwrap().is_none());
    assert_eq!(user.get_conversation(&name()).await.unwrap().unwrap().message_count, 2);
}

/// A run that said something and whose function died.
async fn died(user: shared::db::UserDb<'_>, id: &str) -> StartedTurn {
    let started = begun(user.start_turn(&submit("c", id, "?"), &rules()).await);
    let said = chunk(0, frames("Half an")[..3].to_vec());
    assert!(user.append_chunks(started.run, &[said], Duration::ZERO).await.unwrap().live);
    started
}

async fn whoever_meets_an_expired_lease_ends_the_run(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    for meeting in ["find", "read", "stop", "page", "activate", "start", "sweep"] {
        let run = died(user, meeting).await;
        match meeting {
            "find" => assert_eq!(user.find_run(&name(), REPLAY).await.unwrap().unwrap().run, run.run, "replayable"),
            "read" => assert!(user.read_run(run.run, 0).await.unwrap().unwrap().ended.is_some()),
            "stop" => assert_eq!(user.request_stop(&name()).await.unwrap(), Some(None)),
            "page" => {
                let page = user.chat_page(&name(), PageSize::default(), None).await.unwrap().unwrap();
                assert_eq!(page.data.last().unwrap().message.id, run.message, "it has an end, and is shown");
            }
            "activate" => drop(user.activate_message(&name(), &run.message.into()).await.unwrap().unwrap()),
            "start" => drop(turn_of(user, &submit("c", "next", "Still there?"), "Yes.").await),
            _ => assert_eq!(db.sweep(10, REPLAY).await.unwrap().runs, 1),
        }
        let message = user.get_message(&name(), &run.message.into(), false).await.unwrap().unwrap();
        assert_eq!((message.status, message.content.as_str()), (Status::Incomplete, "Half an"), "{meeting}");
        let page = user.read_run(run.run, 0).await.unwrap().unwrap();
        assert_eq!(page.ended, Some(Status::Incomplete));
        assert_eq!(
            page.chunks[0].frames,
            [
                json!({"type": "message-metadata", "messageMetadata": {"status": "incomplete"}}),
                json!({"type": "error", "errorText": "The answer was cut off."}),
            ],
            "{meeting}"
        );
        let late = ending(Status::Complete, vec![chunk(1, frames("too late"))]);
        let late = user.end_run(run.run, &late).await.unwrap().unwrap();
        assert_eq!((late.status, late.by_this), (Status::Incomplete, false), "{meeting}");
        let same = ending(Status::Incomplete, vec![chunk(1, frames("too late"))]);
        assert!(!user.end_run(run.run, &same).await.unwrap().unwrap().by_this, "the same word, and not the same end");
    }
    let superuser = database.superuser().await;
    let live = superuser.query_one("select count(*) from runs where outcome is null", &[]).await.unwrap();
    assert_eq!(live.get::<_, i64>(0), 0);
}

async fn of_many_ends_at_once_one_counts(database: Database) {
    let (db, caller) = (database.db_of(12), someone());
    for round in 0..5 {
        let run = died(db.as_user(&caller), &format!("q{round}")).await;
        let ends = join_all((0..12).map(|n| {
            let (db, caller) = (db.clone(), caller.clone());
            async move {
                let user = db.as_user(&caller);
                match n % 4 {
                    0 => user.read_run(run.run, -1).await.unwrap().unwrap().ended.map(|_| false),
                    1 => db.sweep(10, REPLAY).await.map(|_| None).unwrap(),
                    2 => user.append_chunks(run.run, &[], Duration::ZERO).await.map(|_| None).unwrap(),
                    _ => {
                        let end = ending(Status::Complete, vec![chunk(1, frames(&format!("end {n}")))]);
                        user.end_run(run.run, &end).await.unwrap().map(|ended| ended.by_this)
                    }
                }
            }
        }))
        .await;
        assert!(ends.iter().filter(|by_this| **by_this == Some(true)).count() <= 1, "{ends:?}");
        let page = db.as_user(&caller).read_run(run.run, -1).await.unwrap().unwrap();
        assert_eq!((page.chunks.len(), page.ended.is_some()), (2, true), "one end");
        let message = shown(db.as_user(&caller), "c").await.pop().unwrap();
        assert_eq!(Some(message.status), page.ended);
    }
}

async fn a_conversation_is_deleted_under_its_run(database: Database) {
    let (db, caller) = (database.db_of(8), someone());
    for round in 0..10 {
        let run = died(db.as_user(&caller), &format!("q{round}")).await;
        let work = (0..8).map(|n| {
            let (db, caller) = (db.clone(), caller.clone());
            async move {
                let user = db.as_user(&caller);
                let end = ending(Status::Complete, vec![chunk(1, frames("?"))]);
                // All of them end: no two can wait for each other.
                match n % 4 {
                    0 => drop(user.delete_conversation(&by_id(run.conversation), &IfMatch::Any).await.unwrap()),
                    1 => drop(user.end_run(run.run, &end).await.unwrap()),
                    2 => drop(user.append_chunks(run.run, &[chunk(7, [])], LEASE).await.unwrap()),
                    _ => drop(user.read_run(run.run, -1).await.unwrap()),
                }
            }
        });
        join_all(work).await;
        let user = db.as_user(&caller);
        assert!(user.end_run(run.run, &ending(Status::Complete, vec![])).await.unwrap().is_none());
        assert!(!user.append_chunks(run.run, &[], LEASE).await.unwrap().live);
    }
    let superuser = database.superuser().await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(superuser.query_one(deadlocks, &[]).await.unwrap().get::<_, i64>(0), 0);
    let left = "select (select count(*) from runs) + (select count(*) from run_chunks)";
    assert_eq!(superuser.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

async fn an_end_is_what_it_was_the_first_time(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let started = begun(user.start_turn(&submit("c", "q", "?"), &rules()).await);
    let end = |status, text| ending(status, vec![chunk(0, frames(text))]);
    for (ending, expected) in [
        (end(Status::Complete, "one"), (Status::Complete, true)),
        (end(Status::Complete, "one"), (Status::Complete, true)),
        (end(Status::Complete, "two"), (Status::Complete, false)),
        (end(Status::Failed, "one"), (Status::Complete, false)),
    ] {
        let ended = user.end_run(started.run, &ending).await.unwrap().unwrap();
        assert_eq!((ended.status, ended.by_this), expected, "{ending:?}");
        assert_eq!(shown(user, "c").await[1].content, "one");
    }
}

async fn a_run_whose_lease_expired_goes_on_unless_somebody_ended_it(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let slow = died(user, "q").await;
    assert!(user.append_chunks(slow.run, &[], LEASE).await.unwrap().live, "the database was away for a while");
    assert!(user.read_run(slow.run, 0).await.unwrap().unwrap().ended.is_none());
    assert_eq!(db.sweep(10, REPLAY).await.unwrap().runs, 0);
    answer(user, slow.run, "whole").await;
}

async fn what_died_before_its_first_frame_has_a_whole_stream(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let started = begun(user.start_turn(&submit("c", "q", "?"), &dead()).await);
    let page = user.read_run(started.run, -1).await.unwrap().unwrap();
    let start = &page.chunks[0].frames[0];
    let message = started.message.to_string();
    let metadata = json!({
        "id": message, "createdAt": started.created_at.to_string(), "status": "in_progress", "parentId": started.question.to_string(),
    });
    assert_eq!(*start, json!({"type": "start", "messageId": message, "messageMetadata": metadata}));
    // Times of every length are written as the rest of the API writes them.
    let app = database.app().await;
    for time in
        ["2026-01-02T03:04:05Z", "2026-01-02T03:04:00.1Z", "2026-10-20T10:00:00.000010Z", "2026-10-20T00:00:00.12345Z"]
    {
        let time: jiff::Timestamp = time.parse().unwrap();
        let row = app.query_one("select json_time($1)", &[&time]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), time.to_string());
    }
}

async fn a_stored_message_is_not_rewritten(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = turn_of(user, &submit("c", "q", "?"), "Yes.").await;
    let running = begun(user.start_turn(&submit("c", "q2", "??"), &rules()).await);
    let app = database.app().await;
    app.execute("select set_config('app.user_id', $1, false)", &[&caller.user_id().to_string()]).await.unwrap();
    for column in ["content = 'no'", "status = 'failed'", "parts = '[]'", "sources = '[]'", "metadata = '{}'"] {
        let rewrite = format!("update messages set {column} where id = $1");
        for id in [first.question, first.message, running.question] {
            let refused = app.execute(&rewrite, &[&id.uuid()]).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "42501", "{column}");
        }
    }
    let begun = "update messages set content = 'so far' where id = $1";
    assert_eq!(
        app.execute(begun, &[&running.message.uuid()]).await.unwrap(),
        1,
        "what is being written isn't stored yet"
    );
}

async fn renewing_a_lease_touches_no_index(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let started = begun(user.start_turn(&submit("c", "q", "?"), &rules()).await);
    for _ in 0..20 {
        user.append_chunks(started.run, &[], LEASE).await.unwrap();
    }
    let superuser = database.superuser().await;
    crate::support::eventually("statistics of the updates", async || {
        let updates = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'runs'";
        let updates = superuser.query_one(updates, &[]).await.unwrap();
        (updates.get::<_, i64>(0) >= 20).then(|| assert_eq!(updates.get::<_, i64>(0), updates.get::<_, i64>(1)))
    })
    .await;
}

async fn a_page_of_the_chat_ends_at_the_question_while_an_answer_is_written(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    assert!(user.chat_page(&name(), PageSize::default(), None).await.unwrap().is_none());
    for n in 0..3 {
        turn_of(user, &submit("c", &format!("q{n}"), &format!("question {n}")), &format!("answer {n}")).await;
    }
    let running = begun(user.start_turn(&submit("c", "q3", "question 3"), &rules()).await);
    let page = async |cursor: Option<String>| {
        let cursor = cursor.map(|text| <MessageCursor as shared::model::Cursor>::decode(&text).unwrap());
        user.chat_page(&name(), PageSize::try_from("3").unwrap(), cursor).await.unwrap().unwrap()
    };
    let newest = page(None).await;
    let said = |page: &shared::model::Page<shared::model::ChatMessage>| {
        page.data.iter().map(|shown| shown.message.content.clone()).collect::<Vec<_>>()
    };
    assert_eq!(said(&newest), ["question 2", "answer 2", "question 3"]);
    let older = page(newest.next_cursor).await;
    assert_eq!(said(&older), ["answer 0", "question 1", "answer 1"]);
    let oldest = page(older.next_cursor).await;
    assert_eq!((said(&oldest), oldest.next_cursor), (vec!["question 0".to_owned()], None));
    answer(user, running.run, "answer 3").await;
    assert_eq!(said(&page(None).await), ["answer 2", "question 3", "answer 3"]);
}

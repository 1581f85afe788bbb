//! Quotas: counted with the turn, or not at all.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shared::error::Code;
use shared::id::ConversationRef;
use shared::model::{Ending, Quota, Status, TurnRules, TurnStart};

use crate::support::content::someone;
use crate::support::database::{Database, on_every_database, on_every_version};
use crate::support::turns::{answer, begun, chunk, ending, frames, joined, rules, submit};

on_every_database!(on threads: a_race_for_the_last_messages_is_fair, no_race_runs_more_answers_than_may_run);
on_every_version!(messages_are_counted_and_given_back, tokens_are_counted_when_they_are_known, a_window_ends);

fn limited(messages: Option<u64>, tokens: Option<u64>) -> TurnRules {
    // Nobody's test runs over this window's end but once in a hundred years.
    TurnRules { quota: Quota { messages, tokens, running: None, window: Duration::from_hours(876_000) }, ..rules() }
}

async fn a_race_for_the_last_messages_is_fair(database: Database) {
    let (db, caller) = (database.db_of(20), someone());
    let rules = limited(Some(5), None);
    // A conversation each: nothing but the quota is between them.
    let turns: Vec<_> = (0..20).map(|n| submit(&format!("c{n}"), "q", "?")).collect();
    let starts = join_all(turns.iter().map(|turn| {
        let (db, caller, rules) = (&db, &caller, &rules);
        async move { db.as_user(caller).start_turn(turn, rules).await }
    }))
    .await;
    let begun = starts.iter().filter(|start| matches!(start, Ok(TurnStart::Started(_)))).count();
    let refused = starts.iter().filter(|start| start.as_ref().is_err_and(|error| error.code == Code::QuotaExceeded));
    assert_eq!((begun, refused.count()), (5, 15), "{starts:?}");
    let stored = "select (select count(*) from conversations), (select count(*) from messages), (select sum(messages)::bigint from quota_usage)";
    let stored = database.superuser().await.query_one(stored, &[]).await.unwrap();
    assert_eq!((0..3).map(|n| stored.get::<_, i64>(n)).collect::<Vec<_>>(), [5, 10, 5], "of the refused nothing");
}

async fn no_race_runs_more_answers_than_may_run(database: Database) {
    let (db, caller) = (database.db_of(20), someone());
    let rules = TurnRules { quota: Quota { running: Some(5), ..limited(Some(1000), None).quota }, ..rules() };
    for round in 0..4 {
        // Conversations of which some are made by the race and some are there already.
        let turns: Vec<_> = (0..20).map(|n| submit(&format!("c{n}"), &format!("q{round}"), "?")).collect();
        let starts = join_all(turns.iter().map(|turn| {
            let (db, caller, rules) = (&db, &caller, &rules);
            async move { db.as_user(caller).start_turn(turn, rules).await }
        }))
        .await;
        let (started, refused): (Vec<_>, Vec<_>) = starts.into_iter().partition(Result::is_ok);
        assert_eq!((started.len(), refused.len()), (5, 15), "{refused:?}");
        for error in refused.iter().map(|start| start.as_ref().unwrap_err()) {
            assert_eq!(error.code, Code::QuotaExceeded);
            assert!(error.detail.contains(": 5."), "{}", error.detail);
            assert!(error.headers.contains(&("retry-after", "1".to_owned())));
        }
        let used = "select sum(messages)::bigint from quota_usage";
        let used: i64 = database.superuser().await.query_one(used, &[]).await.unwrap().get(0);
        assert_eq!(used, 5 * (round + 1), "what is refused isn't counted");
        // Somebody else has places of their own.
        begun(db.as_user(&someone()).start_turn(&submit("c", "q", "?"), &rules).await);
        // One that has ended and one whose function died leave theirs.
        let mut running: Vec<_> = started.into_iter().map(begun).collect();
        let ended = running.pop().unwrap();
        answer(db.as_user(&caller), ended.run, "Yes.").await;
        let dead = "update runs set lease_until = clock_timestamp() - interval '1 s' where id = $1";
        database.superuser().await.execute(dead, &[&running.pop().unwrap().run.uuid()]).await.unwrap();
        for n in 0..2 {
            let turn = submit(&format!("{round}-{n}"), "q", "?");
            running.push(begun(db.as_user(&caller).start_turn(&turn, &rules).await));
        }
        let turn = submit(&format!("{round}-2"), "q", "?");
        assert_eq!(db.as_user(&caller).start_turn(&turn, &rules).await.unwrap_err().code, Code::QuotaExceeded);
        // What runs already is joined for nothing.
        joined(db.as_user(&caller).start_turn(&submit(&format!("{round}-1"), "q", "?"), &rules).await);
        for started in running {
            answer(db.as_user(&caller), started.run, "Yes.").await;
        }
        let less = "update quota_usage set messages = messages - 2 where user_id = $1";
        database.superuser().await.execute(less, &[&caller.user_id().uuid()]).await.unwrap();
        let others = "delete from users where id <> $1";
        database.superuser().await.execute(others, &[&caller.user_id().uuid()]).await.unwrap();
    }
}

async fn messages_are_counted_and_given_back(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let rules = limited(Some(2), None);
    let refused_by_agent = Ending { give_back: true, ..ending(Status::Failed, vec![chunk(0, frames(""))]) };
    for n in 0..3 {
        let started = begun(user.start_turn(&submit("c", &format!("r{n}"), "?"), &rules).await);
        assert_eq!(started.quota.unwrap().messages_left, Some(1));
        user.end_run(started.run, &refused_by_agent).await.unwrap();
        user.end_run(started.run, &refused_by_agent).await.unwrap();
    }
    for left in [1, 0] {
        let turn = submit("c", &format!("q{left}"), "?");
        let started = begun(user.start_turn(&turn, &rules).await);
        assert_eq!(started.quota.unwrap().messages_left, Some(left));
        // Joining costs nothing, and what is refused neither.
        joined(user.start_turn(&turn, &rules).await);
        assert_eq!(user.start_turn(&submit("c", "x", "?"), &rules).await.unwrap_err().code, Code::TurnRunning);
        answer(user, started.run, "Yes.").await;
    }
    let before = user.get_conversation(&ConversationRef::parse("c")).await.unwrap().unwrap();
    for name in ["c", "another"] {
        let error = user.start_turn(&submit(name, "y", "?"), &rules).await.unwrap_err();
        assert_eq!(error.code, Code::QuotaExceeded);
        let header = |wanted| error.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        assert!(header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
        assert!(header("ratelimit").unwrap().starts_with("\"messages\";r=0;t="), "{:?}", error.headers);
        assert!(header("ratelimit-policy").unwrap().starts_with("\"messages\";q=2;w="));
    }
    let after = user.get_conversation(&ConversationRef::parse("c")).await.unwrap().unwrap();
    assert_eq!((after.message_count, after.activity_at), (before.message_count, before.activity_at));
    assert!(user.get_conversation(&ConversationRef::parse("another")).await.unwrap().is_none());
    // Somebody else has a quota of their own; none at all is none.
    begun(db.as_user(&someone()).start_turn(&submit("c", "q", "?"), &rules).await);
    let nothing = limited(Some(0), None);
    assert!(db.as_user(&someone()).start_turn(&submit("c", "q", "?"), &nothing).await.is_err());
}

async fn tokens_are_counted_when_they_are_known(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let rules = limited(None, Some(100));
    for (n, (left, tokens)) in [(100, 60), (40, 60)].into_iter().enumerate() {
        let started = begun(user.start_turn(&submit("c", &format!("q{n}"), "?"), &rules).await);
        let quota = started.quota.unwrap();
        assert_eq!((quota.messages_left, quota.tokens_left), (None, Some(left)));
        let usage = json!({"totalTokens": tokens}).as_object().cloned();
        let end = Ending { usage, tokens, ..ending(Status::Complete, vec![chunk(0, frames("Yes."))]) };
        for _ in 0..2 {
            user.end_run(started.run, &end).await.unwrap();
        }
    }
    let error = user.start_turn(&submit("c", "q", "?"), &rules).await.unwrap_err();
    assert_eq!(error.code, Code::QuotaExceeded);
    let sum = "select tokens, messages from quota_usage";
    let counted = database.superuser().await.query_one(sum, &[]).await.unwrap();
    assert_eq!((counted.get::<_, i64>(0), counted.get::<_, i64>(1)), (120, 2));
}

async fn a_window_ends(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let rules = limited(Some(1), None);
    let started = begun(user.start_turn(&submit("c", "q", "?"), &rules).await);
    assert!(user.start_turn(&submit("d", "q", "?"), &rules).await.is_err());
    // As if that had been in the window before.
    let back = "alter table runs disable trigger all;
        update quota_usage set \"window\" = \"window\" - interval '876000 hours';
        update runs set quota_window = quota_window - interval '876000 hours'";
    database.superuser().await.batch_execute(back).await.unwrap();
    begun(user.start_turn(&submit("d", "q", "?"), &rules).await);
    // What the first still costs is that window's.
    let end = Ending { tokens: 7, ..ending(Status::Complete, vec![]) };
    user.end_run(started.run, &end).await.unwrap();
    let sum = "select tokens from quota_usage order by \"window\"";
    let counted = database.superuser().await.query(sum, &[]).await.unwrap();
    assert_eq!(counted.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), [7, 0]);
}

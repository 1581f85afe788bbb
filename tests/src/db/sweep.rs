//! The sweep: it reaches across users, does its two things, and tells nobody anything but how much it did.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shared::db::Swept;
use shared::model::{Quota, Status, TurnRules, TurnStart};

use crate::support::content::someone;
use crate::support::database::{Database, on_every_database, on_every_version};
use crate::support::turns::{answer, begun, chunk, dead, frames, rules, shown, submit, turn_of};

const REPLAY: Duration = Duration::from_mins(1);

on_every_database!(
    everybodys_dead_runs_are_ended_and_old_chunks_dropped,
    what_another_holds_is_left_for_later,
    what_is_old_is_forgotten_little_by_little,
    a_run_that_cannot_be_put_together_ends_without_parts,
    a_chunk_that_cannot_be_read_keeps_nobody_waiting
);
on_every_database!(on threads: sweeps_at_once_share_the_work);
on_every_version!(many_large_dead_runs_are_ended_little_by_little);

async fn everybodys_dead_runs_are_ended_and_old_chunks_dropped(database: Database) {
    let db = database.db();
    let people: Vec<_> = (0..5).map(|_| someone()).collect();
    let mut lives = Vec::new();
    for caller in &people {
        let user = db.as_user(caller);
        begun(user.start_turn(&submit("dead", "q", "?"), &dead()).await);
        lives.push(begun(user.start_turn(&submit("live", "q", "?"), &rules()).await));
        turn_of(user, &submit("done", "q", "?"), "Yes.").await;
    }
    for (runs, batch) in [(2, 2), (2, 2), (1, 2), (0, 2)] {
        assert_eq!(db.sweep(batch, REPLAY).await.unwrap(), Swept { runs, chunks: 0 }, "one batch");
    }
    for (caller, live) in people.iter().zip(&lives) {
        let user = db.as_user(caller);
        assert_eq!(shown(user, "dead").await[1].status, Status::Incomplete);
        assert!(user.append_chunks(live.run, &[], REPLAY).await.unwrap().live);
    }
    // Each dead run has the chunk of its end, each done one its only chunk.
    let mut dropped = 0;
    for _ in 0..5 {
        dropped += db.sweep(2, Duration::ZERO).await.unwrap().chunks;
    }
    assert_eq!(dropped, 10);
    assert_eq!(db.sweep(2, Duration::ZERO).await.unwrap(), Swept { runs: 0, chunks: 0 });
    for (caller, live) in people.iter().zip(&lives) {
        let user = db.as_user(caller);
        assert_eq!(shown(user, "done").await[1].content, "Yes.", "the message stays");
        answer(user, live.run, "Still here.").await;
        let again = user.start_turn(&submit("done", "q", "?"), &rules()).await.unwrap();
        assert!(matches!(again, TurnStart::Finished(..)), "it isn't run again");
    }
}

async fn what_is_old_is_forgotten_little_by_little(database: Database) {
    const DAY: Duration = Duration::from_hours(24);
    let db = database.db();
    let quota = Quota { messages: Some(100), ..rules().quota };
    for n in 0..5 {
        let caller = someone();
        let user = db.as_user(&caller);
        let started = begun(user.start_turn(&submit("c", "q", "?"), &TurnRules { quota, ..rules() }).await);
        answer(user, started.run, &format!("Yes {n}.")).await;
        begun(user.start_turn(&submit("live", "q", "?"), &rules()).await);
    }
    assert_eq!(db.prune(2, Duration::ZERO, DAY).await.unwrap(), 0, "their streams can still be resumed");
    while db.sweep(10, Duration::ZERO).await.unwrap().chunks > 0 {}
    assert_eq!(db.prune(2, DAY, DAY).await.unwrap(), 0, "they aren't old");
    for pruned in [2, 2, 1, 0] {
        assert_eq!(db.prune(2, Duration::ZERO, DAY).await.unwrap(), pruned, "one batch");
    }
    let superuser = database.superuser().await;
    let count = async |table: &str| {
        superuser.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get::<_, i64>(0)
    };
    assert_eq!((count("runs").await, count("messages").await, count("quota_usage").await), (5, 20, 5));
    superuser.batch_execute("update quota_usage set \"window\" = \"window\" - interval '2 days'").await.unwrap();
    for pruned in [3, 2, 0] {
        assert_eq!(db.prune(3, DAY, DAY).await.unwrap(), pruned);
    }
    assert_eq!((count("runs").await, count("quota_usage").await), (5, 0));
}

async fn what_another_holds_is_left_for_later(database: Database) {
    let (db, caller) = (database.db(), someone());
    let run = begun(db.as_user(&caller).start_turn(&submit("c", "q", "?"), &dead()).await);
    let superuser = database.superuser().await;
    for held in ["messages where status = 'in_progress'", "runs"] {
        superuser.batch_execute(&format!("begin; select from {held} for update")).await.unwrap();
        assert_eq!(db.sweep(10, REPLAY).await.unwrap().runs, 0, "{held}");
        superuser.batch_execute("rollback").await.unwrap();
    }
    assert_eq!(db.sweep(10, REPLAY).await.unwrap().runs, 1);
    assert_eq!(db.as_user(&caller).read_run(run.run, -1).await.unwrap().unwrap().ended, Some(Status::Incomplete));
}

async fn sweeps_at_once_share_the_work(database: Database) {
    let db = database.db_of(8);
    let caller = someone();
    for n in 0..30 {
        begun(db.as_user(&caller).start_turn(&submit(&format!("c{n}"), "q", "?"), &dead()).await);
    }
    let mut ended = 0;
    while ended < 30 {
        let swept = join_all((0..8).map(|_| db.sweep(5, Duration::ZERO))).await;
        let now: u64 = swept.into_iter().map(|swept| swept.unwrap().runs).sum();
        assert!(now > 0, "all of them left something to the others");
        ended += now;
    }
    assert_eq!(ended, 30, "none twice");
}

/// What one run has said keeps nobody else's run from its end, and its own conversation from nothing.
async fn a_run_that_cannot_be_put_together_ends_without_parts(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let mut runs = Vec::new();
    for n in 0..3 {
        let run = begun(user.start_turn(&submit(&format!("c{n}"), "q", "?"), &rules()).await);
        let said = chunk(0, frames("Half an")[..3].to_vec());
        user.append_chunks(run.run, &[said], Duration::ZERO).await.unwrap();
        runs.push(run);
    }
    // No answer makes such a row: it stands for whatever nobody thought of.
    let refuse = format!(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
         create trigger refuse before update of parts on messages for each row when (new.id = '{}') execute function refuse()",
        runs[1].message
    );
    database.superuser().await.batch_execute(&refuse).await.unwrap();
    assert_eq!(db.sweep(10, REPLAY).await.unwrap().runs, 3);
    for (n, text) in [(0, "Half an"), (1, ""), (2, "Half an")] {
        let answer = shown(user, &format!("c{n}")).await.pop().unwrap();
        assert_eq!((answer.status, answer.content.as_str()), (Status::Incomplete, text), "{n}");
    }
    turn_of(user, &submit("c1", "next", "Still there?"), "Yes.").await;
}

/// Nested more deeply than a reader of JSON goes: nothing of it can be read back, and nothing waits for it.
async fn a_chunk_that_cannot_be_read_keeps_nobody_waiting(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let run = begun(user.start_turn(&submit("c", "q", "?"), &rules()).await);
    user.append_chunks(run.run, &[chunk(0, frames("Half an")[..3].to_vec())], Duration::ZERO).await.unwrap();
    let deep = format!("[{{\"type\": \"data-x\", \"data\": {}1{}}}]", "[".repeat(200), "]".repeat(200));
    let insert =
        format!("insert into run_chunks (run_id, n, user_id, frames) select id, 1, user_id, '{deep}' from runs");
    database.superuser().await.batch_execute(&insert).await.unwrap();
    let followed = user.read_run(run.run, -1).await.unwrap().unwrap();
    assert_eq!(followed.ended, Some(Status::Incomplete));
    assert_eq!(shown(user, "c").await[1].content, "Half an");
    turn_of(user, &submit("c", "next", "Still there?"), "Yes.").await;
}

/// How many dead runs, and how many of them one sweep ends.
const MANY: usize = 40;
const SHARE: u16 = 12;

async fn many_large_dead_runs_are_ended_little_by_little(database: Database) {
    let db = database.db_of(2);
    let (caller, neighbour) = (someone(), someone());
    let user = db.as_user(&caller);
    for n in 0..MANY {
        let run = begun(user.start_turn(&submit(&format!("c{n}"), "q", "?"), &rules()).await).run;
        let text = format!("{n} {}", "word ".repeat(20_000));
        let chunks: Vec<_> = (0..9)
            .map(|i| {
                let id = i.to_string();
                chunk(
                    i,
                    [
                        json!({"type": "text-start", "id": id}),
                        json!({"type": "text-delta", "id": id, "delta": text}),
                        json!({"type": "text-end", "id": id}),
                        json!({"type": "data-x", "data": i}),
                    ],
                )
            })
            .collect();
        for (i, chunk) in chunks.chunks(3).enumerate() {
            let lease = if i == 2 { Duration::ZERO } else { rules().lease };
            user.append_chunks(run, chunk, lease).await.unwrap();
        }
    }
    let mut ended = Vec::new();
    loop {
        // Beside it somebody else asks, and so does the same user.
        let (theirs, own) =
            (submit(&format!("n{}", ended.len()), "q", "?"), submit(&format!("o{}", ended.len()), "q", "?"));
        let (swept, _, _) = tokio::join!(
            db.sweep(SHARE, REPLAY),
            turn_of(db.as_user(&neighbour), &theirs, "Yes."),
            turn_of(user, &own, "Yes."),
        );
        match swept.unwrap().runs {
            0 => break,
            runs => ended.push(runs),
        }
    }
    assert_eq!(ended.iter().sum::<u64>(), MANY as u64, "{ended:?}");
    assert!(ended.iter().all(|runs| *runs <= u64::from(SHARE)), "{ended:?}");
    let due = "select count(*) from messages where role = 'assistant' and (status <> 'incomplete' or size < 900000)
        and conversation_id in (select id from conversations where client_id like 'c%')";
    assert_eq!(database.superuser().await.query_one(due, &[]).await.unwrap().get::<_, i64>(0), 0);
    for n in [0, MANY - 1] {
        let answer = shown(user, &format!("c{n}")).await.pop().unwrap();
        assert_eq!(answer.status, Status::Incomplete);
        assert!(answer.content.starts_with(&format!("{n} word ")) && answer.content.len() > 900_000);
    }
}

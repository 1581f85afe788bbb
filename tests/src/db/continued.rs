//! Answers that went on, in the database.

use serde_json::{Value, json};
use shared::db::UserDb;
use shared::model::{RunChunk, StartedTurn, Status};

use crate::support::content::{by_id, read, someone};
use crate::support::database::{Database, on_every_database};
use crate::support::turns::{begun, chunk, dead, ending, frames, joined, rules, shown, submit};

on_every_database!(a_run_that_dies_leaves_what_the_answer_was_before, nothing_else_writes_over_an_answer);
on_every_database!(on threads: of_two_devices_one_is_first);

/// An answer that waits for two outputs, and has a source with an embedding.
async fn waits(user: UserDb<'_>) -> StartedTurn {
    let started = begun(user.start_turn(&submit("c", "q", "?"), &rules()).await);
    let call = |id: &str| json!({"type": "tool-input-available", "toolCallId": id, "toolName": "a", "input": {}});
    let source = json!({"id": "s1", "type": "url", "url": "https://example.com", "embedding": [0.5]});
    let frames = [
        json!({"type": "source-url", "sourceId": "s1", "url": "https://example.com"}),
        call("c1"),
        call("c2"),
        json!({"type": "finish", "messageMetadata": {"finishReason": "tool-calls", "mood": "fine"}}),
    ];
    let source = source.as_object().unwrap().clone();
    let mut end = ending(Status::Complete, vec![RunChunk { sources: vec![source], ..chunk(0, frames) }]);
    (end.usage, end.model) = (json!({"totalTokens": 7}).as_object().cloned(), Some("a model".to_owned()));
    user.end_run(started.run, &end).await.unwrap();
    started
}

/// What a page sends with these outputs.
fn answers(message: &Value, outputs: [u8; 2]) -> Value {
    let part = |n: usize| json!({"type": "tool-a", "toolCallId": format!("c{}", n + 1), "state": "output-available", "output": outputs[n]});
    json!({"id": "c", "messageId": message, "message": {"role": "assistant", "parts": [part(0), part(1)]}})
}

async fn a_run_that_dies_leaves_what_the_answer_was_before(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = waits(user).await;
    let turn = read(answers(&json!(first.message), [1, 2]));
    let again = begun(user.start_turn(&turn, &dead()).await);
    assert_eq!((again.message, again.question), (first.message, first.question));
    user.append_chunks(again.run, &[chunk(0, frames("So far"))], rules().lease).await.unwrap();
    // It dies here.
    database.superuser().await.execute("update runs set lease_until = now()", &[]).await.unwrap();
    assert_eq!(db.sweep(10, rules().lease).await.unwrap().runs, 1);

    let message = shown(user, "c").await.pop().unwrap();
    assert_eq!((message.id, message.status, message.content.as_str()), (first.message, Status::Incomplete, "So far"));
    let parts: Value = serde_json::from_str(message.parts.get()).unwrap();
    let outputs: Vec<&Value> = parts.as_array().unwrap().iter().map(|part| &part["output"]).collect();
    assert_eq!(outputs, [&Value::Null, &json!(1), &json!(2), &Value::Null]);
    let metadata: Value = serde_json::from_str(message.metadata.get()).unwrap();
    assert_eq!((&metadata["mood"], &metadata["finishReason"]), (&json!("fine"), &Value::Null));
    assert_eq!((message.usage.unwrap().get(), message.model.as_deref()), ("{\"totalTokens\": 7}", Some("a model")));
    let whole = user.get_message(&by_id(first.conversation), &first.message.into(), true).await.unwrap().unwrap();
    assert!(whole.sources.get().contains("0.5"), "{}", whole.sources);
    let size: i32 = database.superuser().await.query_one(SIZES, &[&first.message.uuid()]).await.unwrap().get(0);
    assert!(size >= 0, "the size that is stored isn't less than what it takes: {size}");
}

const SIZES: &str = "select size - message_size(parts, content, sources, metadata, client_id, model, usage)
    from messages where id = $1";

async fn of_two_devices_one_is_first(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = waits(user).await;
    let turns = [[1, 2], [1, 3], [1, 2], [1, 3]].map(|outputs| read(answers(&json!(first.message), outputs)));
    let rules = rules();
    let starts = futures_util::future::join_all(turns.iter().map(|turn| user.start_turn(turn, &rules))).await;
    let (mut started, mut followed, mut refused) = (0, 0, 0);
    for start in starts {
        match start {
            Ok(shared::model::TurnStart::Started(_)) => started += 1,
            Ok(shared::model::TurnStart::Joined(run)) => {
                assert!(run.has_base);
                followed += 1;
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_eq!(error.code.as_str(), "turn_running");
                refused += 1;
            }
        }
    }
    assert_eq!((started, followed, refused), (1, 1, 2));
    let same = read(submit_again());
    assert!(!joined(user.start_turn(&same, &rules).await).has_base, "who asks the question again has nothing yet");
}

fn submit_again() -> Value {
    json!({"id": "c", "message": {"id": "q", "role": "user", "parts": [{"type": "text", "text": "?"}]}})
}

async fn nothing_else_writes_over_an_answer(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let first = waits(user).await;
    let app = database.app().await;
    app.execute("select set_config('app.user_id', $1, false)", &[&caller.user_id().to_string()]).await.unwrap();
    let forge =
        |what: &str| format!("update messages set status = 'in_progress', {what} where id = '{}'", first.message);
    for what in ["content = 'forged'", "parts = '[]'", "sources = '[]'", "parts = parts - 1", "parts = parts || '{}'"] {
        let refused = app.batch_execute(&forge(what)).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{what}");
    }
    app.batch_execute(&forge("size = size")).await.unwrap();
}

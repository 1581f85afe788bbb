//! An answer's parts are made of its stream's frames, by one SQL function, as the AI SDK makes them in the front end.
//!
//! `parts.json` holds streams and what `readUIMessageStream` of ai 6.0.326 and of ai 7.0.173 made of them: both the same.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::model::{RunChunk, Status};
use tokio_postgres::types::Json;

use crate::support::content::{by_id, someone};
use crate::support::database::{Database, on_every_version};
use crate::support::turns::{begun, chunk, ending, rules, shown, submit};

/// A stream and what the SDK makes of it.
#[derive(Deserialize)]
struct Case {
    name: String,
    frames: Vec<Value>,
    parts: Value,
    metadata: Value,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("parts.json")).unwrap()
}

on_every_version!(
    parts_are_those_that_the_sdk_makes,
    where_a_stream_is_cut_into_chunks_makes_no_difference,
    what_no_front_end_would_take_spoils_nothing,
    sources_are_kept_whole_and_embeddings_apart,
    a_long_answer_takes_time_in_proportion,
    an_answer_that_no_page_could_show_is_cut_down
);

async fn parts_are_those_that_the_sdk_makes(database: Database) {
    let app = database.app().await;
    for case in cases() {
        let frames: Vec<Json<&Value>> = case.frames.iter().map(Json).collect();
        let made = app.query_one("select parts, closing, metadata from message_parts($1)", &[&frames]).await.unwrap();
        assert_eq!(made.get::<_, Value>(0), case.parts, "{}", case.name);
        assert_eq!(made.get::<_, Value>(1), json!([]), "{}: nothing is open", case.name);
        let shown: Value = made.get(2);
        let mut own = case.metadata;
        // What is made from the message's columns isn't kept twice.
        for name in ["createdAt", "status", "parentId", "usage", "model"] {
            own.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(shown, own, "{}", case.name);
    }
}

async fn where_a_stream_is_cut_into_chunks_makes_no_difference(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let frames: Vec<Value> = cases().into_iter().flat_map(|case| case.frames).collect();
    let mut random = 88_172_645_463_325_252_u64;
    let mut made: Option<(String, String)> = None;
    for round in 0..25 {
        let mut chunks: Vec<RunChunk> = Vec::new();
        for frame in &frames {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Whole in the first round, every frame for itself in the second, cut anywhere in the others.
            let cut = round > 0 && (round == 1 || random.is_multiple_of(round));
            let n = i32::try_from(chunks.len()).unwrap();
            match chunks.last_mut() {
                Some(last) if !cut => last.frames.push(frame.clone()),
                _ => chunks.push(chunk(n, [frame.clone()])),
            }
        }
        let started = begun(user.start_turn(&submit("c", &format!("q{round}"), "?"), &rules()).await);
        // Some beside the stream, the others with its end; some twice.
        let (beside, rest) = chunks.split_at(chunks.len() / 2);
        for batch in beside.chunks(3) {
            user.append_chunks(started.run, batch, rules().lease).await.unwrap();
        }
        let rest = beside.last().into_iter().chain(rest).cloned().collect();
        user.end_run(started.run, &ending(Status::Complete, rest)).await.unwrap();
        let message = shown(user, "c").await.pop().unwrap();
        let now = (message.parts.get().to_owned(), message.content);
        assert_eq!(*made.get_or_insert_with(|| now.clone()), now, "in {} chunks", chunks.len());
    }
}

async fn what_no_front_end_would_take_spoils_nothing(database: Database) {
    let app = database.app().await;
    let frames = json!([
        {"type": "text-delta", "id": "t", "delta": "nobody began it"}, {"type": "text-end", "id": "t"}, {"type": "new"},
        {"type": "tool-output-available", "toolCallId": "c", "output": 1}, {"type": "tool-input-delta", "toolCallId": "c"},
        {"type": "text-start", "id": "t"}, {"type": "text-delta", "id": "t"}, {}, 7, null, {"type": "data-x"},
        {"type": "text-delta", "id": "t", "delta": "Hi"}, {"type": "reasoning-start", "id": "a:b"},
        {"type": "tool-input-start", "toolCallId": "c", "toolName": "n"},
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "{\"a"},
    ]);
    let frames: Vec<Json<&Value>> = frames.as_array().unwrap().iter().map(Json).collect();
    let made = app.query_one("select parts, closing from message_parts($1)", &[&frames]).await.unwrap();
    let parts = json!([
        {"type": "text", "text": "Hi", "state": "streaming"}, {"type": "data-x"},
        {"type": "reasoning", "id": "a:b", "text": "", "state": "streaming"},
        {"type": "tool-n", "toolCallId": "c", "state": "input-streaming", "rawInput": "{\"a"},
    ]);
    assert_eq!(made.get::<_, Value>(0), parts);
    // In their order: whoever ends a run sends these.
    assert_eq!(
        made.get::<_, Value>(1),
        json!([{"type": "text-end", "id": "t"}, {"type": "reasoning-end", "id": "a:b"}])
    );
}

async fn sources_are_kept_whole_and_embeddings_apart(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let started = begun(user.start_turn(&submit("c", "q", "?"), &rules()).await);
    let source =
        |id: &str| json!({"id": id, "type": "url", "url": "https://example.com", "score": 0.5, "x": {"y": null}});
    let mut embedded = source("s2");
    embedded["embedding"] = json!([0.5, 1.5]);
    let chunks = [source("s1"), embedded.clone()].into_iter().zip(0..).map(|(source, n)| {
        let frames = vec![json!({"type": "source-url", "sourceId": source["id"], "url": "https://example.com"})];
        RunChunk { n, frames, sources: vec![source.as_object().unwrap().clone()] }
    });
    let chunks: Vec<RunChunk> = chunks.collect();
    user.append_chunks(started.run, &chunks[..1], rules().lease).await.unwrap();
    let page = user.read_run(started.run, -1).await.unwrap().unwrap();
    assert_eq!(page.chunks, chunks[..1], "as they were");
    user.end_run(started.run, &ending(Status::Complete, chunks[1..].to_vec())).await.unwrap();

    let id = by_id(started.conversation);
    for (embeddings, second) in [(false, source("s2")), (true, embedded)] {
        let stored = user.get_message(&id, &started.message.into(), embeddings).await.unwrap().unwrap();
        let sources: Value = serde_json::from_str(stored.sources.get()).unwrap();
        assert_eq!(sources, json!([source("s1"), second]));
    }
    let sizes = "select size, embeddings_size from messages where id = $1";
    let sizes = database.superuser().await.query_one(sizes, &[&started.message.uuid()]).await.unwrap();
    assert!(sizes.get::<_, i32>(0) > 800 && sizes.get::<_, i32>(1) > 24, "{sizes:?}");
}

async fn a_long_answer_takes_time_in_proportion(database: Database) {
    let app = database.app().await;
    // One megabyte in 20,000 pieces, as nobody should store it.
    let text = "select array_agg(f) from (
            select jsonb_build_object('type', 'text-start', 'id', 't') as f
            union all
            select jsonb_build_object('type', 'text-delta', 'id', 't', 'delta', repeat('x', 50)) from generate_series(1, $1)) f";
    let mut took = Vec::new();
    for pieces in [2_000, 20_000] {
        let made = format!(
            "explain (analyze, format json) select length(text_of_parts(m.parts)) from message_parts(({text})) m"
        );
        let made: Value = app.query_one(&made, &[&pieces]).await.unwrap().get(0);
        took.push(made[0]["Execution Time"].as_f64().unwrap());
        let length = format!("select length(text_of_parts(m.parts)) from message_parts(({text})) m");
        assert_eq!(app.query_one(&length, &[&pieces]).await.unwrap().get::<_, i32>(0), pieces * 50);
    }
    // Ten times as much: were it quadratic, a hundred times as long.
    assert!(took[1] < 40.0 * took[0], "{took:?} ms");
}

/// What a run has stored must never keep it from ending.
async fn an_answer_that_no_page_could_show_is_cut_down(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let started = begun(user.start_turn(&submit("c", "q", "?"), &rules()).await);
    let text = "\u{1}".repeat(200_000);
    user.append_chunks(started.run, &[chunk(0, [json!({"type": "text-start", "id": "t"})])], rules().lease)
        .await
        .unwrap();
    for n in 1..5 {
        let delta = chunk(n, [json!({"type": "text-delta", "id": "t", "delta": text})]);
        user.append_chunks(started.run, &[delta], rules().lease).await.unwrap();
    }
    let finish = chunk(5, [json!({"type": "finish", "messageMetadata": {"x": "y".repeat(20_000)}})]);
    let ended = user.end_run(started.run, &ending(Status::Incomplete, vec![finish])).await.unwrap().unwrap();
    assert!(ended.by_this);
    let stored = shown(user, "c").await.pop().unwrap();
    assert_eq!((stored.status, stored.content.len(), stored.metadata.get()), (Status::Incomplete, 300_000, "{}"));
}

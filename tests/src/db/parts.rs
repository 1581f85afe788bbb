//! What is stored of an answer: its parts, sources and embeddings, whoever puts them together, and what it may take.

use std::time::Duration;

use serde_json::{Value, json};
use shared::db::UserDb;
use shared::id::{ConversationRef, RunId};
use shared::model::{PageSize, RunChunk, Status};

use crate::support::content::{by_id, someone};
use crate::support::database::{Database, on_every_version};
use crate::support::turns::{begun, chunk, ending, rules, shown, submit};

on_every_version!(
    where_a_stream_is_cut_into_chunks_makes_no_difference,
    sources_are_kept_whole_and_embeddings_apart,
    ending_many_parts_costs_the_database_next_to_nothing,
    the_size_of_an_answer_is_what_the_database_counts,
    an_answer_that_no_page_could_show_is_cut_down
);

/// Lets a run's function die, and loads the chat: whoever does puts the answer together.
async fn dies(user: UserDb<'_>, run: RunId) {
    assert!(user.append_chunks(run, &[], Duration::ZERO).await.unwrap().live);
    user.chat_page(&ConversationRef::parse("c"), PageSize::default(), None).await.unwrap().unwrap();
}

async fn where_a_stream_is_cut_into_chunks_makes_no_difference(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../shared/src/ui_stream/assembler/parts.json")).unwrap();
    let frames: Vec<Value> = cases.iter().flat_map(|case| case["frames"].as_array().unwrap().clone()).collect();
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
        for batch in chunks.chunks(3) {
            // Twice: an answer was lost.
            for _ in 0..2 {
                user.append_chunks(started.run, batch, rules().lease).await.unwrap();
            }
        }
        dies(user, started.run).await;
        let message = shown(user, "c").await.pop().unwrap();
        assert_eq!((message.id, message.status), (started.message, Status::Incomplete));
        let now = (message.parts.get().to_owned(), message.content);
        assert_eq!(*made.get_or_insert_with(|| now.clone()), now, "in {} chunks", chunks.len());
    }
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
    user.end_run(started.run, &ending(Status::Complete, chunks)).await.unwrap();

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

async fn ending_many_parts_costs_the_database_next_to_nothing(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let superuser = database.superuser().await;
    let mut read = Vec::new();
    for (n, count) in [10_000, 20_000].into_iter().enumerate() {
        let started = begun(user.start_turn(&submit("c", &format!("q{n}"), "?"), &rules()).await);
        let frames = (0..count).map(|i| json!({"type": "data-p", "id": i.to_string(), "data": i}));
        let end = ending(Status::Complete, vec![chunk(0, frames)]);
        // Statements are counted, and the pages that they touch: no clock.
        let pages = "select blks_hit + blks_read from pg_stat_database where datname = current_database()";
        superuser.execute("select pg_stat_clear_snapshot()", &[]).await.unwrap();
        let before: i64 = superuser.query_one(pages, &[]).await.unwrap().get(0);
        assert!(user.end_run(started.run, &end).await.unwrap().unwrap().by_this);
        superuser.execute("select pg_stat_clear_snapshot()", &[]).await.unwrap();
        read.push(superuser.query_one(pages, &[]).await.unwrap().get::<_, i64>(0) - before);
        let stored = shown(user, "c").await.pop().unwrap();
        let parts: Vec<Value> = serde_json::from_str(stored.parts.get()).unwrap();
        assert_eq!(parts.len(), count);
    }
    assert!(read[1] < 3 * read[0].max(2_000), "{read:?} pages");
}

async fn the_size_of_an_answer_is_what_the_database_counts(database: Database) {
    let (db, caller) = (database.db(), someone());
    let user = db.as_user(&caller);
    let frames = json!([
        {"type": "text-start", "id": "t"},
        {"type": "text-delta", "id": "t", "delta": "Ünï\"cödé\\ \n\t\u{1}\u{7f} 語😀"},
        {"type": "data-x", "data": {"a": [1, -2.5, 0.1, true, null, {"b": {}}], "ключ": []}},
        {"type": "finish", "messageMetadata": {"theme": "dark", "n": [1, 2]}},
    ]);
    let started = begun(user.start_turn(&submit("c", "q", "?"), &rules()).await);
    let source =
        json!({"id": "s1", "type": "url", "url": "https://x.example/?a=\"", "score": 0.83, "embedding": [0.5, 1.5]});
    let frames: Vec<Value> = frames.as_array().unwrap().clone();
    let chunk = RunChunk { n: 0, frames, sources: vec![source.as_object().unwrap().clone()] };
    user.end_run(started.run, &ending(Status::Complete, vec![chunk])).await.unwrap().unwrap();
    let sizes = "select size, embeddings_size, message_size(parts, content, sources, metadata, null, model, usage),
            embeddings_size(source_embeddings) from messages where id = $1";
    let sizes = database.superuser().await.query_one(sizes, &[&started.message.uuid()]).await.unwrap();
    assert_eq!(sizes.get::<_, i32>(0), sizes.get::<_, i32>(2));
    assert_eq!(sizes.get::<_, i32>(1), sizes.get::<_, i32>(3));
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
    user.append_chunks(started.run, &[finish], rules().lease).await.unwrap();
    dies(user, started.run).await;
    let stored = shown(user, "c").await.pop().unwrap();
    assert_eq!((stored.status, stored.content.len(), stored.metadata.get()), (Status::Incomplete, 300_000, "{}"));
}

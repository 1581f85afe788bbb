//! What of a conversation a turn reads for its prompt: as much as the prompt has room for, and no more.

use serde_json::{Value, json};
use shared::db::UserDb;
use shared::model::{HistoryMessage, Role, Status, TurnRules, limits};

use crate::support::content::{conversation, read, someone};
use crate::support::database::{Database, on_every_version};
use crate::support::outage::behind_a_proxy;
use crate::support::proxy::Proxy;
use crate::support::turns::{asks, begun, ending, regenerate, rules, submit};

on_every_version!(
    sources_that_a_prompt_has_no_room_for_are_not_read,
    files_of_earlier_questions_are_read_within_their_room,
    files_of_text_are_words_and_names_are_texts,
    a_questions_own_files_are_not_sent_back,
    an_answer_of_thoughts_alone_says_nothing
);

fn picture(bytes: usize) -> Value {
    let url = format!("data:image/png;base64,{}", "A".repeat(bytes));
    json!({"type": "file", "mediaType": "image/png", "filename": "e.png", "url": url})
}

/// What a turn reads for its prompt, and how many bytes come from the database.
async fn history(
    proxy: &Proxy,
    user: UserDb<'_>,
    turn: &shared::model::Turn,
    rules: &TurnRules,
) -> (Vec<HistoryMessage>, usize) {
    let before = proxy.answered_bytes();
    let started = begun(user.start_turn(turn, rules).await);
    let read = proxy.answered_bytes() - before;
    user.end_run(started.run, &ending(Status::Stopped, vec![])).await.unwrap();
    (started.history, read)
}

async fn sources_that_a_prompt_has_no_room_for_are_not_read(database: Database) {
    let (proxy, db) = behind_a_proxy(&database).await;
    let caller = someone();
    let user = db.as_user(&caller);
    let source = |i| {
        json!({
            "id": format!("s{i}"), "title": "T".repeat(1000), "snippet": format!("{i} {}", "é".repeat(4000)),
            "url": format!("https://example.com/{}", "x".repeat(if i == 2 { 5000 } else { 10 })), "page": {"any": "thing"},
        })
    };
    let sources: Vec<Value> = (1..=40).map(source).collect();
    let answer = json!({"role": "assistant", "content": "Twenty [1].", "sources": sources});
    let question = json!({"role": "user", "content": "How many?"});
    for n in 0..2 {
        let messages: Vec<_> = (0..5).flat_map(|_| [question.clone(), answer.clone()]).collect();
        if n == 0 {
            user.create_conversation(conversation(json!({"clientId": "c", "messages": messages}))).await.unwrap();
        } else {
            let more = crate::support::content::messages(messages);
            user.append_messages(&shared::id::ConversationRef::parse("c"), more).await.unwrap().unwrap();
        }
    }
    let (history, read) = history(&proxy, user, &submit("c", "q", "And?"), &rules()).await;
    assert_eq!(history.len(), 20, "ten answers, all but the first question");
    assert!(read < 64 * 1024, "{read} bytes for {} that are used", limits::PROMPT_SOURCES_BYTES);
    let told: Vec<usize> = history.iter().map(|message| message.sources.len()).collect();
    assert_eq!((told[18], told[0]), (limits::PROMPT_SOURCES, 0), "the last answers come first: {told:?}");
    let of_last = &history[18].sources;
    assert_eq!((&of_last[0]["id"], &of_last[0]["type"]), (&json!("s1"), &json!("url")));
    assert!(of_last[0]["snippet"].as_str().unwrap().chars().count() <= limits::PROMPT_SNIPPET_CHARS + 1);
    assert!(!of_last[0].contains_key("page"));
    let cut = (of_last[1].get("url"), of_last[1]["type"].as_str());
    assert_eq!(cut, (None, Some("document")), "a link is whole or left out");
}

async fn files_of_earlier_questions_are_read_within_their_room(database: Database) {
    let (proxy, db) = behind_a_proxy(&database).await;
    let caller = someone();
    let user = db.as_user(&caller);
    let asked = |bytes, text: &str| json!({"role": "user", "parts": [picture(bytes), {"type": "text", "text": text}]});
    let answer = json!({"role": "assistant", "content": "A cat."});
    let unnamed = json!({"role": "user", "parts": [{"type": "file", "mediaType": "application/pdf", "url": "https://example.com/a"}]});
    let first = json!({"clientId": "c", "messages": [
        asked(600_000, "large"), answer, asked(300_000, "small"), answer, unnamed, answer,
    ]});
    user.create_conversation(conversation(first)).await.unwrap();
    let with = |bytes| TurnRules { history_file_bytes: bytes, ..rules() };

    let (all, read) = history(&proxy, user, &submit("c", "q1", "all?"), &with(1_000_000)).await;
    assert!(read > 900_000 && all[0].parts.len() == 2 && all[2].parts.len() == 2, "{read}");
    let (some, read) = history(&proxy, user, &submit("c", "q2", "some?"), &with(400_000)).await;
    assert!(read < 400_000, "{read}");
    assert_eq!((some[0].parts.len(), some[0].files_left_out.as_slice()), (0, &["e.png".to_owned()][..]));
    assert_eq!((some[0].content.as_str(), some[2].parts.len()), ("large", 2));
    assert_eq!((some[4].role, some[4].parts.len()), (Role::User, 1), "a file alone is a question");
    let (none, read) = history(&proxy, user, &submit("c", "q3", "none?"), &with(0)).await;
    assert!(read < 20_000 && none.iter().all(|message| message.parts.is_empty()), "{read}");
    assert_eq!(none[4].files_left_out, ["application/pdf"]);
}

async fn files_of_text_are_words_and_names_are_texts(database: Database) {
    let (proxy, db) = behind_a_proxy(&database).await;
    let caller = someone();
    let user = db.as_user(&caller);
    let answer = json!({"role": "assistant", "content": "Yes."});
    let notes = |bytes: usize| {
        let url = format!("data:text/plain;base64,{}", "AAAA".repeat(bytes / 3));
        json!({"role": "user", "parts": [{"type": "file", "mediaType": "text/plain", "filename": "notes.txt", "url": url}]})
    };
    let odd = |filename: Value| {
        let file =
            json!({"type": "file", "mediaType": "image/png", "filename": filename, "url": "https://example.com/e"});
        json!({"role": "user", "parts": [file]})
    };
    let first = json!({"clientId": "c", "messages": [
        notes(30_000), answer, notes(12_000), answer, notes(9_000), answer, odd(json!({"a": 1})), answer,
    ]});
    user.create_conversation(conversation(first)).await.unwrap();
    let (told, read) = history(&proxy, user, &submit("c", "q1", "And?"), &rules()).await;
    let whole: Vec<bool> = told.iter().step_by(2).map(|message| !message.parts.is_empty()).collect();
    assert_eq!(whole, [false, true, true, true, false], "as far as 24,000 characters reach");
    assert!(read < 40_000, "{read}");
    let no_room = TurnRules { history_file_bytes: 0, ..rules() };
    let (told, _) = history(&proxy, user, &submit("c", "q2", "And?"), &no_room).await;
    let names: Vec<&str> = told.iter().flat_map(|message| &message.files_left_out).map(String::as_str).collect();
    assert_eq!(names, ["notes.txt", "notes.txt", "notes.txt", "image/png"]);
}

async fn a_questions_own_files_are_not_sent_back(database: Database) {
    let (proxy, db) = behind_a_proxy(&database).await;
    let caller = someone();
    let user = db.as_user(&caller);
    let mut message = asks("q", "What is it?");
    message["parts"].as_array_mut().unwrap().insert(0, picture(500_000));
    let parts = message["parts"].as_array().unwrap().clone();
    let (first, read) = history(&proxy, user, &read(json!({"id": "c", "message": message})), &rules()).await;
    assert_eq!(first.last().map(|question| &question.parts), Some(&parts));
    assert!(read < 20_000, "{read} bytes");
    // Another answer to it: only the database has it.
    let no_room = TurnRules { history_file_bytes: 0, ..rules() };
    let (again, _) = history(&proxy, user, &regenerate("c", Some("q")), &no_room).await;
    assert_eq!(again.last().map(|question| &question.parts), Some(&parts), "a question's own files are always sent");
}

async fn an_answer_of_thoughts_alone_says_nothing(database: Database) {
    let (proxy, db) = behind_a_proxy(&database).await;
    let caller = someone();
    let user = db.as_user(&caller);
    let first = json!({"clientId": "c", "messages": [
        {"role": "user", "content": "One"},
        {"role": "assistant", "parts": [{"type": "reasoning", "text": "secret"}]},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "parts": [{"type": "reasoning", "text": "secret"}, {"type": "text", "text": "Yes."}]},
    ]});
    user.create_conversation(conversation(first)).await.unwrap();
    let (history, _) = history(&proxy, user, &submit("c", "q", "Three"), &rules()).await;
    let said: Vec<&str> = history.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(said, ["One", "Two", "Yes.", "Three"]);
    assert!(!format!("{history:?}").contains("secret"));
}

//! Every request is one network round trip: the proxy keeps all answers until COMMIT was sent, so a request that needs
//! one of them before it can send the rest never ends.

use std::time::Duration;

use serde_json::json;
use shared::db::{Db, UserDb};
use shared::id::{ConversationRef, MessageRef};
use shared::model::{ConversationFilter, IfMatch, MessageFilter, Order, PageSize, Status, Title};

use crate::support::content::{by_id, conversation, messages, patch, read, says, someone};
use crate::support::database::{Database, Kind, on};
use crate::support::outage::behind_a_proxy;
use crate::support::proxy::Weather;
use crate::support::turns::{begun, chunk, dead, ending, frames, rules, submit};

async fn every_request_is_one_round_trip(database: Database) {
    let (proxy, db) = behind_a_proxy(&database).await;
    db.warm().await;
    assert_eq!(proxy.opened(), 1);
    proxy.turn(Weather::AnswersAfterCommit);

    let caller = someone();
    let user = db.as_user(&caller);
    db.health().await.unwrap();
    let rows: Vec<_> = (0..30).map(|n| says(&format!("{n}{}", "x".repeat(20_000)))).collect();
    let made = user.create_conversation(conversation(json!({"clientId": "c", "messages": rows}))).await.unwrap();
    let id = by_id(made.conversation.id);
    user.append_messages(&id, messages([says("a")])).await.unwrap().unwrap();
    let asc = MessageFilter { embeddings: true, ..Default::default() };
    let desc = MessageFilter { order: Order::Desc, ..Default::default() };
    for filter in [asc, desc] {
        user.list_messages(&id, &filter, PageSize::default(), None).await.unwrap().unwrap();
    }
    let name = MessageRef::from(made.messages[0].id);
    user.get_message(&id, &name, true).await.unwrap().unwrap();
    user.list_conversations(&ConversationFilter::default(), PageSize::default(), None).await.unwrap();
    user.get_conversation(&id).await.unwrap().unwrap();
    user.update_conversation(&id, patch(json!({"title": "b"})), &IfMatch::Any).await.unwrap().unwrap();
    user.create_conversation(conversation(json!({"clientId": "c"}))).await.unwrap_err();
    a_turn(&db, user, &id).await;
    assert!(user.delete_conversation(&id, &IfMatch::Any).await.unwrap());
    assert_eq!(proxy.opened(), 1, "all on one connection");
}

/// All that a turn asks of the database, also where a request has to end a run whose function died.
async fn a_turn(db: &Db, user: UserDb<'_>, id: &ConversationRef) {
    begun(user.start_turn(&submit("c", "q", "?"), &dead()).await);
    let started = begun(user.start_turn(&submit("c", "q2", "?"), &rules()).await);
    user.append_chunks(started.run, &[chunk(0, frames("Yes."))], rules().lease).await.unwrap();
    user.find_run(id, rules().lease).await.unwrap().unwrap();
    user.read_run(started.run, -1).await.unwrap().unwrap();
    user.request_stop(id).await.unwrap().unwrap().unwrap();
    let call = json!({"type": "tool-input-available", "toolCallId": "c1", "toolName": "a", "input": {}});
    user.end_run(started.run, &ending(Status::Stopped, vec![chunk(1, [call])])).await.unwrap().unwrap();
    let answered = json!({"toolCallId": "c1", "state": "output-available", "output": 1});
    let message = json!({"id": started.message, "role": "assistant", "parts": [answered]});
    let again = begun(user.start_turn(&read(json!({"id": "c", "message": message})), &rules()).await);
    user.end_run(again.run, &ending(Status::Stopped, vec![])).await.unwrap().unwrap();
    user.chat_page(id, PageSize::default(), None).await.unwrap().unwrap();
    user.chat_branches(id, PageSize::default(), None).await.unwrap().unwrap();
    user.activate_message(id, &started.question.into()).await.unwrap().unwrap();
    let title = Title::try_from("a".to_owned()).unwrap();
    assert!(!user.set_generated_title(started.conversation, &title).await.unwrap(), "the user has changed it");
    db.sweep(10, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn on_one_thread() {
    on(Kind::Postgres18, every_request_is_one_round_trip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_several_threads() {
    on(Kind::Postgres15, every_request_is_one_round_trip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_pooler() {
    on(Kind::PgBouncer, every_request_is_one_round_trip).await;
}

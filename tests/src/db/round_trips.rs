//! Every request is one network round trip: the proxy keeps all answers until COMMIT was sent, so a request that needs
//! one of them before it can send the rest never ends.

use serde_json::json;
use shared::id::MessageRef;
use shared::model::{ConversationFilter, IfMatch, MessageFilter, Order, PageSize};

use crate::support::content::{by_id, conversation, messages, patch, says, someone};
use crate::support::database::{Database, Kind, on};
use crate::support::outage::behind_a_proxy;
use crate::support::proxy::Weather;

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
    assert!(user.delete_conversation(&id, &IfMatch::Any).await.unwrap());
    assert_eq!(proxy.opened(), 1, "all on one connection");
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

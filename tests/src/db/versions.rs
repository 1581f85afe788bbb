//! A conversation with ten versions of each answer: what a page of it reads.
//!
//! The index on `(conversation_id, seq)` serves every page, and inactive messages on the way are read and thrown away.
//! A partial index on active messages would spare that and cost every append; here is why there is none.

use serde_json::{Value, json};

use crate::support::content::{conversation, someone};
use crate::support::database::{Database, on_every_version};

/// A question and ten answers to it, a thousand times; only the last answer is active.
const STORE: &str = "
    insert into messages (conversation_id, user_id, seq, active, role, parts, content, origin, size, created_at)
    select c.id, c.user_id, n, n % 11 in (0, 1), case when n % 11 = 1 then 'user' else 'assistant' end,
        jsonb_build_array(jsonb_build_object('type', 'text', 'text', repeat('word ' || n || ' ', 40))),
        repeat('word ' || n || ' ', 40), 'client', 1000, now()
    from conversations c, generate_series(1, 11000) n";

fn blocks(plan: &Value) -> u64 {
    plan["Shared Hit Blocks"].as_u64().unwrap() + plan["Shared Read Blocks"].as_u64().unwrap()
}

on_every_version!(a_page_reads_little_more_than_its_messages);

async fn a_page_reads_little_more_than_its_messages(database: Database) {
    let db = database.db();
    let caller = someone();
    let id = db.as_user(&caller).create_conversation(conversation(json!({}))).await.unwrap().conversation.id;
    let superuser = database.superuser().await;
    superuser.batch_execute(STORE).await.unwrap();
    superuser.batch_execute("vacuum analyze messages").await.unwrap();
    for (order, list) in [
        ("asc", include_str!("../../../shared/src/db/messages/list_asc.sql")),
        ("desc", include_str!("../../../shared/src/db/messages/list_desc.sql")),
    ] {
        for cursor in ["null", "5500"] {
            let user = caller.user_id();
            let values = [
                format!("'{user}'"),
                format!("'{id}'"),
                "null".into(),
                "false".into(),
                "null".into(),
                "null".into(),
                "null".into(),
                cursor.into(),
                "50".into(),
                "false".into(),
                "5242880".into(),
            ];
            // From the last: $1 begins $10 and $11, too.
            let list = values
                .iter()
                .enumerate()
                .rev()
                .fold(list.to_owned(), |list, (n, value)| list.replace(&format!("${}", n + 1), value));
            let app = database.app().await;
            app.batch_execute(&format!("set app.user_id = '{user}'")).await.unwrap();
            let explain = format!("explain (analyze, buffers, format json) {list}");
            // The first time, it also reads what it takes to plan.
            app.query_one(&explain, &[]).await.unwrap();
            let plan = app.query_one(&explain, &[]).await.unwrap();
            let plan = &plan.get::<_, Value>(0)[0]["Plan"];
            // 51 active messages lie among 276, six to a block: 50 blocks, once for their sizes and once for what they
            // hold, and the index's.
            assert!(blocks(plan) < 120, "{order} from {cursor}: {} blocks", blocks(plan));
            assert_eq!(plan["Actual Rows"].as_f64(), Some(50.0));
        }
    }
}

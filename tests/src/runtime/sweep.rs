//! The function `sweep`, invoked by a schedule.

use http::StatusCode;
use serde_json::json;

use crate::support::api::Api;
use crate::support::chat::question;
use crate::support::eventually;
use crate::support::function::Function;

#[tokio::test]
async fn sweep_ends_what_died_and_drops_what_nobody_resumes() {
    let api = Api::new().await;
    let user = api.user().await;
    user.chat(&question("old", "q", "How?", "")).await.rest().await;
    let mut dying = user.chat(&question("dying", "q", "How?", "silent@2")).await;
    dying.until("text-delta").await;
    let superuser = api.database.superuser().await;
    let sweep = Function::for_database("sweep", &api.database.app_url).await;
    let mut chunks = 0;
    // The run's own function may renew its lease once more before it is found expired.
    eventually("the end of what died", async || {
        let later = "update runs set ended_at = ended_at - interval '2 min' where outcome = 'complete';
            update runs set lease_until = clock_timestamp() - interval '1 s' where outcome is null";
        superuser.batch_execute(later).await.expect("later");
        let swept = sweep.invoke(&json!({"source": "aws.events"})).await.answer;
        chunks += swept["chunks"].as_u64().expect("a count");
        (swept["runs"] == 1).then_some(())
    })
    .await;
    assert!(chunks > 0);
    user.resume("old").await.expect(StatusCode::NO_CONTENT);
    let status = user.get("/v1/conversations/dying/messages").await.texts("/data", "/status");
    assert_eq!(status, ["complete", "incomplete"]);
    // And again: there is nothing left to do.
    assert_eq!(sweep.invoke(&json!({})).await.answer, json!({"runs": 0, "chunks": 0, "pruned": 0}));
}

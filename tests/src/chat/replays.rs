//! What dies on the way, and what is left of it.

use http::StatusCode;

use crate::support::api::{Api, User};
use crate::support::chat::{asked, behind_a_proxy, expire, held, question, release, reply_settings, unique};
use crate::support::eventually;
use crate::support::function::{Function, rest_event};
use crate::support::outage::end_sessions;
use crate::support::proxy::Weather;

async fn function(api: &Api) -> Function {
    let settings = [&reply_settings(&api.database.app_url)[..], &[("CHUNK_MILLIS", "20")]].concat();
    Function::start("reply-chat", &settings).await
}

fn event(user: &User, body: &serde_json::Value) -> serde_json::Value {
    let headers =
        serde_json::json!({"authorization": format!("Bearer {}", user.token), "content-type": "application/json"});
    rest_event("POST", "/v1/chat", &headers, Some(&body.to_string()))
}

/// A function is killed with 0 to 19 words behind it: what was asked is stored once, what was stored of the answer stays,
/// the reader is told, nobody pays again, and the conversation goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_killed_at_any_word_leaves_good_books() {
    let api = Api::new().await;
    let user = api.user().await;
    let superuser = api.database.superuser().await;
    for words in 0..20 {
        let (chat, text) = (format!("c{words}"), unique("killed"));
        let hold = text.replace(' ', "-");
        let body = question(&chat, "q", &text, &format!("bytes=2000 hold@{words}={hold}"));
        let mut function = function(&api).await;
        let invocation = {
            let event = event(&user, &body);
            let (url, http) = (function.invocation_url(), crate::support::http_client());
            tokio::spawn(async move { http.post(url).body(event.to_string()).send().await.map(drop) })
        };
        eventually("the agent's hold", async || (asked(&text).await == 1).then_some(())).await;
        eventually("a stored chunk", async || {
            let chunks = "select count(*) from run_chunks k join runs r on r.id = k.run_id where r.outcome is null";
            (api.count(chunks).await > 0).then_some(())
        })
        .await;
        function.process.kill().await.expect("killed");
        invocation.abort();
        // Nobody may begin before the lease is over.
        let busy = user.post("/v1/chat", &question(&chat, "q2", "Next?", "")).await;
        busy.expect_problem(StatusCode::CONFLICT, "turn_running");
        let reader = user.resume(&chat).await.expect(StatusCode::OK);
        expire(&superuser).await;
        let reader = reader.rest().await;
        assert_eq!(reader.terminal()["type"], "error", "{words}");
        // What the function left open, its reader is told the end of.
        let of_a_text =
            |kind: &str| reader.frames.iter().filter(|frame| frame["type"] == format!("text-{kind}")).count();
        assert_eq!(of_a_text("start"), of_a_text("end"), "{words}");
        let page = user.get(&format!("/v1/conversations/{chat}/messages")).await;
        assert_eq!(page.texts("/data", "/status"), ["complete", "incomplete"], "{words}");
        assert_eq!(page.texts("/data", "/content")[1], reader.text(), "{words}");
        // The same again is the same again.
        let again = user.chat(&body).await.rest().await;
        assert_eq!((again.message(), again.text()), (reader.message(), reader.text()));
        assert_eq!(asked(&text).await, 1, "{words}");
        release(&hold).await;
        let next = user.chat(&question(&chat, "q2", "Next?", "")).await.rest().await;
        assert_eq!(next.terminal()["type"], "finish", "{words}");
    }
    assert_eq!(api.count("select count(*) from messages").await, 80);
    assert_eq!(api.count("select count(*) from messages where status = 'in_progress'").await, 0);
    assert_eq!(api.count("select count(*) from runs where outcome is null").await, 0);
}

/// Killed while its first or its last transaction waits for a lock: PostgreSQL has been told all of it and nobody hears what
/// became of it. Either way the books are good, and the conversation goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_killed_in_its_first_or_last_transaction_leaves_good_books() {
    let api = Api::new().await;
    let user = api.user().await;
    let superuser = api.database.superuser().await;
    for (chat, lock) in [("first", "select from conversations for update"), ("last", "select from messages for update")]
    {
        let created = user.post("/v1/conversations", &serde_json::json!({"clientId": chat})).await;
        created.expect(StatusCode::CREATED);
        let text = unique(chat);
        let hold = text.replace(' ', "-");
        let mut function = function(&api).await;
        let locker = api.database.superuser().await;
        let is_first = chat == "first";
        if is_first {
            locker.batch_execute(&format!("begin; {lock}")).await.expect("locked");
        }
        let body = question(chat, "q", &text, &format!("hold@3={hold}"));
        let invocation = {
            let event = event(&user, &body);
            let (url, http) = (function.invocation_url(), crate::support::http_client());
            tokio::spawn(async move { http.post(url).body(event.to_string()).send().await.map(drop) })
        };
        if !is_first {
            eventually("the agent's hold", async || (asked(&text).await == 1).then_some(())).await;
            locker.batch_execute(&format!("begin; {lock}")).await.expect("locked");
            release(&hold).await;
        }
        eventually("a session that waits for the lock", async || {
            let waiting = "select count(*) from pg_stat_activity
                where datname = current_database() and usename = 'colloquy_app' and wait_event_type = 'Lock'";
            (api.count(waiting).await > 0).then_some(())
        })
        .await;
        function.process.kill().await.expect("killed");
        invocation.abort();
        locker.batch_execute("rollback").await.expect("unlocked");
        eventually("the session's end", async || {
            let busy = "select count(*) from pg_stat_activity
                where datname = current_database() and usename = 'colloquy_app' and state <> 'idle'";
            (api.count(busy).await == 0).then_some(())
        })
        .await;
        expire(&superuser).await;
        // The same again: whatever was stored of it is what it gets, and nobody pays twice.
        let again = user.chat(&body).await.expect(StatusCode::OK);
        release(&hold).await;
        again.rest().await;
        assert!(asked(&text).await <= 1, "{chat}");
        let next = user.chat(&question(chat, "q2", "Next?", "")).await.rest().await;
        assert_eq!(next.terminal()["type"], "finish", "{chat}");
        let roles = user.get(&format!("/v1/conversations/{chat}/messages")).await.texts("/data", "/role");
        assert_eq!(roles, ["user", "assistant", "user", "assistant"], "{chat}");
    }
    assert_eq!(api.count("select count(*) from messages where status = 'in_progress'").await, 0);
}

/// A function that was stopped for longer than its lease finds its run ended, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_slept_through_its_lease_changes_nothing() {
    let api = Api::new().await;
    let user = api.user().await;
    let superuser = api.database.superuser().await;
    let text = unique("asleep");
    let hold = text.replace(' ', "-");
    let function = function(&api).await;
    let signal = |signal: &str| {
        let id = function.process.id().expect("a process").to_string();
        std::process::Command::new("kill").args([signal, &id]).status().expect("kill")
    };
    let invocation = {
        let event = event(&user, &question("c", "q", &text, &format!("bytes=2000 hold@3={hold}")));
        let (url, http) = (function.invocation_url(), crate::support::http_client());
        tokio::spawn(async move { http.post(url).body(event.to_string()).send().await?.text().await })
    };
    eventually("a stored chunk", async || (api.count("select count(*) from run_chunks").await > 0).then_some(())).await;
    assert!(signal("-STOP").success());
    expire(&superuser).await;
    let reader = user.resume("c").await.rest().await;
    assert_eq!(reader.terminal()["type"], "error");
    release(&hold).await;
    let before = user.get("/v1/conversations/c/messages").await.body;
    assert!(signal("-CONT").success());
    let streamed = invocation.await.expect("a task").expect("an answer");
    assert!(streamed.contains("ended elsewhere") && streamed.contains("[DONE]"), "{streamed}");
    assert_eq!(user.get("/v1/conversations/c/messages").await.body, before);
}

#[tokio::test]
async fn words_come_while_the_database_is_away_and_are_stored_when_it_is_back() {
    for weather in [Weather::BlackHole, Weather::Refusing] {
        let api = Api::new().await;
        let user = api.user().await;
        let (proxy, instance) = behind_a_proxy(&api, &user, |_| {}).await;
        let hold = unique("away").replace(' ', "-");
        let mut stream = held(&instance, &hold).await;
        proxy.turn(weather);
        proxy.cut();
        release(&hold).await;
        stream.until("text-end").await;
        assert!(stream.text().len() >= 4000);
        assert_eq!(api.count("select count(*) from messages where status = 'in_progress'").await, 1);
        proxy.turn(Weather::Fair);
        let stream = stream.rest().await;
        assert_eq!(stream.terminal()["type"], "finish", "{weather:?}");
        let page = user.get("/v1/conversations/c/messages").await;
        assert_eq!(page.texts("/data", "/content")[1], stream.text(), "{weather:?}");
        assert_eq!(page.texts("/data", "/status")[1], "complete");
    }
}

#[tokio::test]
async fn an_ending_whose_commit_was_lost_is_repeated_and_counts_once() {
    let api = Api::new().await;
    let user = api.user().await;
    let (proxy, instance) = behind_a_proxy(&api, &user, |_| {}).await;
    let hold = unique("lost").replace(' ', "-");
    let stream = held(&instance, &hold).await;
    proxy.turn(Weather::CutAfterCommit);
    release(&hold).await;
    let stream = stream.rest().await;
    assert_eq!(stream.terminal()["type"], "finish");
    let page = user.get("/v1/conversations/c/messages").await;
    assert_eq!(page.texts("/data", "/content")[1], stream.text());
    let resumed = user.resume("c").await.rest().await;
    assert_eq!((resumed.text(), resumed.terminal()), (stream.text(), stream.terminal()));
}

#[tokio::test]
async fn sessions_that_are_ended_cost_an_answer_nothing() {
    let api = Api::new().await;
    let user = api.user().await;
    let superuser = api.database.superuser().await;
    let hold = unique("sessions").replace(' ', "-");
    let stream = held(&user, &hold).await;
    let reader = user.resume("c").await;
    end_sessions(&superuser).await;
    release(&hold).await;
    let (stream, reader) = tokio::join!(stream.rest(), reader.rest());
    assert_eq!(stream.terminal()["type"], "finish");
    assert_eq!((reader.text(), reader.terminal()), (stream.text(), stream.terminal()));
}

#[tokio::test]
async fn a_conversation_deleted_meanwhile_ends_its_answer() {
    let api = Api::new().await;
    let user = api.user().await;
    let hold = unique("deleted").replace(' ', "-");
    let stream = held(&user, &hold).await;
    let reader = user.resume("c").await;
    user.delete("/v1/conversations/c").await.expect(StatusCode::NO_CONTENT);
    let (stream, reader) = tokio::join!(stream.rest(), reader.rest());
    release(&hold).await;
    assert_eq!((&stream.terminal()["type"], &reader.terminal()["type"]), (&"error".into(), &"error".into()));
    assert_eq!(api.count("select count(*) from messages").await, 0);
}

/// The last frame tells that the answer is stored: until it is, there is none, and the reader is kept waiting.
#[tokio::test]
async fn the_last_frame_waits_until_the_answer_is_stored() {
    let api = Api::new().await;
    let user = api.user().await;
    let keep_alive = std::time::Duration::from_millis(100);
    let (proxy, instance) = behind_a_proxy(&api, &user, |config| config.chat.keep_alive = keep_alive).await;
    let hold = unique("last").replace(' ', "-");
    let mut stream = held(&instance, &hold).await;
    proxy.turn(Weather::Refusing);
    proxy.cut();
    release(&hold).await;
    stream.until("text-end").await;
    let refused = proxy.refused();
    eventually("the end's first attempts", async || (proxy.refused() > refused + 2).then_some(())).await;
    eventually("a keep-alive", async || stream.is_kept_alive().await.then_some(())).await;
    assert_eq!(api.count("select count(*) from messages where status = 'in_progress'").await, 1);
    proxy.turn(Weather::Fair);
    let stream = stream.rest().await;
    let is_terminal =
        |frame: &&serde_json::Value| ["finish", "abort", "error"].iter().any(|kind| frame["type"] == *kind);
    assert_eq!(stream.frames.iter().filter(is_terminal).count(), 1, "{:?}", stream.frames.last());
    assert_eq!(stream.terminal()["type"], "finish");
}

/// A run that others took for dead ends for its own function, too, whatever its agent still has to say.
#[tokio::test]
async fn a_run_that_was_ended_elsewhere_ends_here() {
    let api = Api::with(|config| {
        let agent = config.agent.as_mut().expect("an agent");
        agent.idle_timeout = std::time::Duration::from_mins(10);
    })
    .await;
    let user = api.user().await;
    let hold = unique("elsewhere").replace(' ', "-");
    let stream = held(&user, &hold).await;
    let superuser = api.database.superuser().await;
    // Its function may renew the lease before anybody meets it.
    eventually("the end of the run", async || {
        expire(&superuser).await;
        user.get("/v1/chat/c").await.expect(StatusCode::OK);
        (api.count("select count(*) from runs where outcome = 'incomplete'").await == 1).then_some(())
    })
    .await;
    let stream = stream.rest().await;
    let told = stream.terminal()["errorText"].as_str().expect("a text");
    assert!(told.contains("ended elsewhere"), "{told}");
    release(&hold).await;
}

//! Every wait has an end, and says which it was.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use shared::agent::{AgentEvent, AgentFailure, AnswerStream, FailureKind};
use shared::config::AgentConfig;
use tokio::time::Instant;

use super::agent_server::Gate;
use super::{DONE, Scene, Step, finished, frame, rest, text, words};
use crate::support::eventually;

fn limits(config: &mut AgentConfig) {
    config.first_byte_timeout = Duration::from_mins(1);
    config.idle_timeout = Duration::from_secs(30);
}

fn total(config: &mut AgentConfig) {
    limits(config);
    config.total_timeout = Some(Duration::from_secs(100));
}

/// From here on time passes whenever nothing else happens.
fn let_time_fly() -> Instant {
    tokio::time::pause();
    Instant::now()
}

/// The failure of a wait, and that it lasted as long as the limit says.
fn ended(failure: &AgentFailure, kind: &FailureKind, since: Instant, after: u64) {
    assert_eq!(failure.kind(), kind, "{failure}");
    let waited = since.elapsed();
    // What passed before time flew counts too.
    let limit = Duration::from_secs(after);
    assert!(
        waited <= limit + Duration::from_secs(1) && waited + Duration::from_secs(5) >= limit,
        "{kind:?}: {waited:?}"
    );
}

/// A listener whose queue is full lets nobody in, and sends nobody away.
#[tokio::test]
async fn an_agent_that_takes_no_connection() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling: Vec<_> = (0..8).map(|_| Box::pin(tokio::net::TcpStream::connect(address))).collect();
    for connecting in &mut filling {
        let _ = connecting.as_mut().now_or_never();
    }
    let agent = super::agent(format!("http://{address}"), limits);
    let since = let_time_fly();
    let history = [super::said(shared::model::Role::User, "x")];
    let failure = agent.ask(super::prompt(&history)).await.expect_err("nobody is let in");
    ended(&failure, &FailureKind::Unreachable, since, 5);
}

#[tokio::test]
async fn an_agent_that_never_says_a_word() {
    let scene = Scene::with([Step::Silence], limits).await;
    let asking = tokio::spawn({
        let agent = scene.agent.clone();
        async move { agent.ask(super::prompt(&[super::said(shared::model::Role::User, "x")])).await.map(drop) }
    });
    eventually("the question", async || (scene.server.asked() == 1).then_some(())).await;
    let since = let_time_fly();
    let failure = asking.await.unwrap().expect_err("a failure");
    ended(&failure, &FailureKind::FirstByteTimeout, since, 60);
    assert!(failure.gave_nothing());
}

#[tokio::test]
async fn an_agent_that_sends_no_more_than_a_head() {
    let scene = Scene::with([Step::head(), Step::Silence], limits).await;
    let stream = scene.ask().await.unwrap();
    let since = let_time_fly();
    let failure = rest(stream).await.1.unwrap();
    ended(&failure, &FailureKind::FirstByteTimeout, since, 60);
}

#[tokio::test]
async fn an_agent_that_falls_silent() {
    let scene = Scene::with([Step::head(), Step::send(words("Twenty")), Step::Silence], limits).await;
    let mut stream = scene.ask().await.unwrap();
    let told = until_words(&mut stream).await;
    let since = let_time_fly();
    let failure = rest(stream).await.1.unwrap();
    assert_eq!(text(&told), "Twenty");
    ended(&failure, &FailureKind::IdleTimeout, since, 30);
    assert!(!failure.gave_nothing());
    tokio::time::resume();
    eventually("the end of the connection", async || (scene.server.open() == 0).then_some(())).await;
}

/// Each byte comes in time, and the last never does.
#[tokio::test]
async fn an_agent_that_never_ends() {
    for drip in [words("x"), ": keep-alive\n\n".to_owned()] {
        let drip = Step::Drip(drip.as_bytes().into(), Duration::from_secs(20));
        let scene = Scene::with([Step::head(), Step::send(words("Twenty")), drip], total).await;
        let mut stream = scene.ask().await.unwrap();
        until_words(&mut stream).await;
        let since = let_time_fly();
        let failure = rest(stream).await.1.unwrap();
        ended(&failure, &FailureKind::TotalTimeout, since, 100);
        tokio::time::resume();
    }
    let scene = Scene::with([Step::Silence], |config| config.total_timeout = Some(Duration::from_millis(50))).await;
    assert_eq!(*scene.failure().await.kind(), FailureKind::TotalTimeout, "before the first byte as well");
}

/// It has said why it ended. A few seconds are enough for what may follow, whatever else comes meanwhile.
#[tokio::test]
async fn an_agent_that_keeps_the_connection_after_the_end() {
    let drip = Step::Drip((*b": keep-alive\n\n").into(), Duration::from_secs(1));
    for after in [Step::Silence, drip] {
        let steps = [Step::head(), Step::send(words("Twenty")), Step::send(finished("stop")), after];
        let scene = Scene::with(steps, limits).await;
        let mut stream = scene.ask().await.unwrap();
        until_words(&mut stream).await;
        let since = let_time_fly();
        let (events, failure) = rest(stream).await;
        assert_eq!(failure, None);
        assert!(matches!(events.last(), Some(AgentEvent::Finish(_))), "{events:?}");
        assert!(since.elapsed() <= Duration::from_secs(6), "{:?}", since.elapsed());
        tokio::time::resume();
    }
}

/// Some services give a reason to end with every word.
#[tokio::test]
async fn an_agent_that_goes_on_after_each_reason_to_end() {
    let word = json!({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]});
    let drip = Step::Drip(frame(&word).as_bytes().into(), Duration::from_secs(4));
    let scene = Scene::with([Step::head(), drip], total).await;
    let mut stream = scene.ask().await.unwrap();
    until_words(&mut stream).await;
    let since = let_time_fly();
    let (events, failure) = rest(stream).await;
    assert_eq!(failure, None);
    assert!(since.elapsed() >= Duration::from_secs(90) && text(&events).len() > 20, "{:?}", since.elapsed());
}

/// Tools take their time after the model has called them, and then it goes on.
#[tokio::test]
async fn an_agent_that_runs_a_tool_is_waited_for() {
    let call = json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "search", "arguments": "{}"}}]}, "finish_reason": "tool_calls"}]});
    let gate = Gate::closed();
    let steps = [
        Step::head(),
        Step::send(frame(&call)),
        Step::Held(gate.clone()),
        Step::send(words("Twenty")),
        Step::send(finished("stop")),
        Step::send(DONE),
    ];
    let scene = Scene::with(steps, limits).await;
    let mut stream = scene.ask().await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    tokio::time::pause();
    // Well beyond what an ended answer gets, and short of what an idle one does.
    tokio::time::advance(Duration::from_secs(20)).await;
    tokio::time::resume();
    gate.open();
    let (events, failure) = rest(stream).await;
    assert_eq!((text(&events).as_str(), failure), ("Twenty", None));
}

/// The relay asks beside other things, and drops the question whenever one of those comes first.
#[tokio::test]
async fn a_dropped_question_loses_nothing_and_no_wait_begins_anew() {
    let (first, second) = (Gate::closed(), Gate::closed());
    let whole = words("Twenty 🌴");
    let (one, two) = whole.as_bytes().split_at(whole.len() - 12);
    let steps = [
        Step::head(),
        Step::send(one),
        Step::Held(first.clone()),
        Step::send(two),
        Step::Held(second.clone()),
        Step::send(words(" days")),
        Step::send(DONE),
    ];
    let scene = Scene::with(steps, limits).await;
    let mut stream = scene.ask().await.unwrap();
    let mut events = Vec::new();
    for gate in [first, second] {
        for _ in 0..1000 {
            if let Some(event) = stream.next().now_or_never() {
                events.extend(event.unwrap());
            }
            tokio::task::yield_now().await;
        }
        gate.open();
    }
    // From now on a timer drops it all the time.
    loop {
        match tokio::time::timeout(Duration::from_micros(1), stream.next()).await {
            Err(_) => {}
            Ok(Ok(Some(event))) => events.push(event),
            Ok(Ok(None)) => break,
            Ok(Err(failure)) => panic!("{failure}"),
        }
    }
    assert_eq!(text(&events), "Twenty 🌴 days");

    let scene = Scene::with([Step::head(), Step::send(words("Twenty")), Step::Silence], limits).await;
    let mut stream = scene.ask().await.unwrap();
    until_words(&mut stream).await;
    let since = let_time_fly();
    let failure = loop {
        // Half of the limit: were each wait a new one, none would ever end.
        match tokio::time::timeout(Duration::from_secs(15), stream.next()).await {
            Err(_) => assert!(since.elapsed() < Duration::from_mins(1), "no end in sight"),
            // The end of the text that came.
            Ok(Ok(Some(AgentEvent::Chunk(_)))) => {}
            Ok(event) => break event.expect_err("silence"),
        }
    };
    ended(&failure, &FailureKind::IdleTimeout, since, 30);
}

/// The events up to the first words.
async fn until_words(stream: &mut AnswerStream) -> Vec<AgentEvent> {
    let mut events = Vec::new();
    while text(&events).is_empty() {
        events.extend(stream.next().await.unwrap());
    }
    events
}

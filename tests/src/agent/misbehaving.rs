//! Whatever but a good answer ends in one failure, which says what it is and shows nothing of what was said.

use serde_json::json;
use shared::agent::{AgentFailure, FailureKind};
use shared::config::AgentConfig;

use super::{DONE, KEY, QUESTION, Scene, Step, TOKEN, agent, finished, frame, prompt, said, speaks_ui, text, words};

/// The answer begins, with two frames' words.
fn begun() -> Vec<Step> {
    vec![Step::head(), Step::send(words("Twenty")), Step::send(words(" days"))]
}

fn nothing_is_shown(failure: &AgentFailure) {
    for shown in [format!("{failure}"), format!("{failure:?}"), failure.text().into_owned()] {
        for secret in ["canary", KEY, TOKEN, QUESTION, "127.0.0.1:"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    assert!(failure.text().ends_with('.') && failure.text().contains("agent"), "{}", failure.text());
}

#[tokio::test]
async fn a_refusal_keeps_its_status_and_not_its_body() {
    for status in
        ["400 Bad Request", "401 Unauthorized", "404 Not Found", "429 Too Many Requests", "500 Oops", "503 Away"]
    {
        let scene = Scene::answering([Step::answer(status, "", "{\"error\":\"canary-body\"}")]).await;
        let failure = scene.failure().await;
        let code: u16 = status[..3].parse().unwrap();
        assert_eq!(*failure.kind(), FailureKind::Refused(code));
        assert!(failure.to_string().contains(&status[..3]) && failure.gave_nothing());
        nothing_is_shown(&failure);
        assert_eq!(scene.server.asked(), 1, "{status}: nobody asks again");
    }
}

/// The key and the conversation go where the settings say. They would lead to the same server, which counts.
#[tokio::test]
async fn redirects_are_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let scene = Scene::answering([Step::answer(status, "location: /v1/chat/completions\r\n", "")]).await;
        assert_eq!(*scene.failure().await.kind(), FailureKind::Refused(status[..3].parse().unwrap()));
        assert_eq!(scene.server.asked(), 1, "{status}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let mut scene = Scene::answering([]).await;
    scene.server.stop().await;
    let failure = scene.failure().await;
    assert_eq!(*failure.kind(), FailureKind::Unreachable);
    assert!(failure.gave_nothing());
    nothing_is_shown(&failure);
}

/// No connection comes about, so that nothing was sent: that alone is tried again, once.
#[tokio::test]
async fn only_a_question_that_was_not_sent_is_sent_again() {
    let scene = Scene::answering([]).await;
    let https = agent(scene.server.url().replace("http://", "https://"), |_| {});
    let failure = https.ask(prompt(&[said(shared::model::Role::User, QUESTION)])).await.expect_err("no TLS");
    assert_eq!(*failure.kind(), FailureKind::Unreachable);
    assert_eq!((scene.server.opened(), scene.server.asked()), (2, 0));

    let half_a_head = Step::send("HTTP/1.1 200 O");
    for steps in [vec![], vec![Step::Reset], vec![half_a_head.clone()], vec![half_a_head, Step::Reset]] {
        let scene = Scene::answering(steps).await;
        let failure = scene.failure().await;
        assert_eq!(*failure.kind(), FailureKind::Cut, "{failure}");
        assert!(failure.gave_nothing());
        nothing_is_shown(&failure);
        assert_eq!((scene.server.opened(), scene.server.asked()), (1, 1), "it is paid for");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\nFFFF\r\n";
    for end in [vec![], vec![Step::Reset], vec![Step::send("data: {\"choices\":[{\"delta\":{")]] {
        let name = end.len();
        let scene = Scene::answering([begun(), end].concat()).await;
        let (events, failure) = scene.answer().await;
        let failure = failure.expect("a failure");
        // Half a frame at the end is no frame.
        assert_eq!(*failure.kind(), FailureKind::Cut, "{name}: {failure}");
        assert!(!failure.gave_nothing());
        nothing_is_shown(&failure);
        assert_eq!(text(&events), "Twenty days", "{name}: what came before counts");
        assert_eq!(scene.server.asked(), 1);
    }
    let scene = Scene::answering([Step::send(chunked), Step::send(words("Twenty"))]).await;
    let (events, failure) = scene.answer().await;
    assert_eq!((text(&events).as_str(), failure.unwrap().kind()), ("Twenty", &FailureKind::Cut));
}

/// All that may follow is what it cost. The words are whole.
#[tokio::test]
async fn what_breaks_after_the_end_breaks_nothing() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFFFF\r\n";
    let error = frame(&json!({"error": {"message": "canary", "code": 500}}));
    let ends = ["data: nonsense\n\n", error.as_str(), "data: {\"choices\""].map(|odd| vec![Step::send(odd)]);
    for end in [vec![], vec![Step::Reset]].into_iter().chain(ends) {
        let steps = [Step::send(chunked), Step::send(words("Twenty")), Step::send(finished("stop"))];
        let scene = Scene::answering([steps.to_vec(), end].concat()).await;
        let (events, failure) = scene.answer().await;
        assert_eq!((text(&events).as_str(), failure), ("Twenty", None));
    }
}

#[tokio::test]
async fn what_is_no_answer_is_malformed() {
    let page = "<!doctype html><title>canary-page</title>";
    for (name, steps) in [
        ("a page", vec![Step::answer("200 OK", "content-type: text/html\r\n", page)]),
        ("no frame", vec![Step::head(), Step::send("data: canary {\n\n")]),
        ("not UTF-8", vec![Step::head(), Step::send(b"data: {\"canary\":\"\xff\"\n\n")]),
        ("other JSON", vec![Step::answer("200 OK", "content-type: application/json\r\n", "{\"canary\":1}")]),
        ("half a document", vec![Step::answer("200 OK", "content-type: application/json\r\n", "{\"canary\":1")]),
    ] {
        let scene = Scene::answering(steps).await;
        let failure = scene.failure().await;
        assert_eq!(*failure.kind(), FailureKind::Malformed, "{name}");
        assert!(failure.gave_nothing(), "{name}");
        nothing_is_shown(&failure);
    }
}

#[tokio::test]
async fn what_the_agent_reports_is_its_failure() {
    let error = json!({"error": {"message": "canary-message", "code": "rate_limit_exceeded"}});
    let answers = [
        vec![Step::head(), Step::send(frame(&error)), Step::Silence],
        vec![Step::answer("200 OK", "content-type: application/json\r\n", &error.to_string())],
    ];
    for steps in answers {
        let failure = Scene::answering(steps).await.failure().await;
        assert_eq!(*failure.kind(), FailureKind::Reported(None));
        assert!(failure.gave_nothing() && failure.to_string().contains("rate_limit_exceeded"));
        nothing_is_shown(&failure);
    }
    let failure = Scene::answering([begun(), vec![Step::send(frame(&error))]].concat()).await.failure().await;
    assert!(!failure.gave_nothing());

    // An agent that speaks the AI SDK's protocol writes for the reader.
    let error = frame(&json!({"type": "error", "errorText": "The index is being rebuilt."}));
    let failure = Scene::with([Step::head(), Step::send(error), Step::Silence], speaks_ui).await.failure().await;
    assert_eq!(failure.text(), "The index is being rebuilt.");
    assert!(!failure.to_string().contains("index"), "it may repeat a message's text: {failure}");
}

#[tokio::test]
async fn more_than_can_be_kept_is_too_large() {
    let megabyte = "x".repeat(1024 * 1024);
    let piece = words(&megabyte[..64 * 1024]);
    let endless = Step::Drip(piece.as_bytes().into(), std::time::Duration::ZERO);
    let ui = frame(&json!({"type": "data-x", "data": megabyte}));
    let speaks_openai = |_: &mut AgentConfig| {};
    for (name, steps, change) in [
        ("words", vec![Step::head(), endless], speaks_openai as fn(&mut AgentConfig)),
        (
            "a frame",
            vec![Step::head(), Step::send("data: "), Step::Drip(megabyte.as_bytes().into(), std::time::Duration::ZERO)],
            speaks_openai,
        ),
        (
            "a document",
            vec![
                Step::send("HTTP/1.1 200 OK\r\n\r\n{\""),
                Step::Drip(megabyte.as_bytes().into(), std::time::Duration::ZERO),
            ],
            speaks_openai,
        ),
        ("data", vec![Step::head(), Step::send(ui), Step::Silence], speaks_ui),
    ] {
        let scene = Scene::with(steps, change).await;
        let failure = scene.failure().await;
        assert_eq!(*failure.kind(), FailureKind::TooLarge, "{name}");
        nothing_is_shown(&failure);
    }
}

/// What a stream names is shown, never fetched: the links lead to the server, which counts.
#[tokio::test]
async fn nothing_that_an_answer_names_is_fetched() {
    let gate = super::agent_server::Gate::closed();
    let scene =
        Scene::answering([Step::head(), Step::Held(gate.clone()), Step::send(words("x")), Step::send(DONE)]).await;
    gate.open();
    assert!(scene.answer().await.1.is_none());
    let link = format!("{}/secret", scene.server.url());
    let results = frame(&json!({"choices": [], "search_results": [{"url": link}], "citations": [link]}));
    let other = Scene::answering([Step::head(), Step::send(words("x")), Step::send(results), Step::send(DONE)]).await;
    let (events, failure) = other.answer().await;
    assert!(failure.is_none() && format!("{events:?}").contains(&link));
    assert_eq!((scene.server.opened(), scene.server.asked()), (1, 1));
}

//! What an agent is sent, by each setting, and the answers that are none of a stream.

use http::HeaderValue;
use serde_json::{Value, json};
use shared::agent::AgentEvent;
use shared::config::{AgentConfig, SendUser};
use shared::id::UserId;
use shared::model::Role;

use super::{
    CONVERSATION, DONE, KEY, QUESTION, RUN, Scene, Step, TOKEN, USER, agent, finished, frame, prompt, said, speaks_ui,
    text, words,
};

fn good() -> Vec<Step> {
    vec![Step::head(), Step::send(words("Twenty")), Step::send(finished("stop")), Step::send(DONE)]
}

#[tokio::test]
async fn an_openai_compatible_agent() {
    let scene = Scene::answering(good()).await;
    let (events, failure) = scene.answer().await;
    assert_eq!((text(&events).as_str(), failure), ("Twenty", None));
    let request = scene.server.request();
    assert!(request.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.headers("authorization"), [format!("Bearer {KEY}")]);
    assert_eq!(request.headers("idempotency-key"), [RUN]);
    assert_eq!(request.headers("content-type"), ["application/json"]);
    assert_eq!(request.headers("accept"), ["text/event-stream, application/json"]);
    assert!(request.headers("accept-encoding").is_empty(), "compression holds words back");
    assert_eq!(
        request.body,
        json!({
            "messages": [{"role": "user", "content": QUESTION}],
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
    let whole = format!("{}{}", request.head, request.body);
    for private in [USER, TOKEN, CONVERSATION] {
        assert!(!whole.contains(private), "nobody said that the agent may know {private}");
    }
}

#[tokio::test]
async fn each_setting_changes_what_is_sent() {
    let change = |config: &mut AgentConfig| {
        config.url = format!("{}/?api-version=2024-10-21", config.url);
        config.model = Some("m-1".to_owned());
        config.system_prompt = Some("Be brief.".to_owned());
        let authorization = ("authorization".parse().unwrap(), HeaderValue::from_static("Basic eA=="));
        config.headers = vec![("api-key".parse().unwrap(), HeaderValue::from_static("k")), authorization];
        config.body = json!({"extra_body": {"reference": true}, "stream_options": null}).as_object().unwrap().clone();
        config.send_user = SendUser::Id;
    };
    let scene = Scene::with(good(), change).await;
    assert!(scene.answer().await.1.is_none());
    let request = scene.server.request();
    assert!(request.head.starts_with("POST /v1/chat/completions?api-version=2024-10-21 HTTP/1.1"), "{}", request.head);
    assert_eq!(request.headers("authorization"), ["Basic eA=="], "the operator's word is the last, and the only one");
    assert_eq!(request.headers("api-key"), ["k"]);
    assert_eq!(request.headers("x-colloquy-user"), [USER]);
    assert!(!request.head.contains(TOKEN));
    assert_eq!(
        request.body,
        json!({
            "model": "m-1",
            "user": USER,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}],
            "stream": true,
            "extra_body": {"reference": true},
        })
    );
}

#[tokio::test]
async fn the_callers_token_only_where_a_setting_says_so() {
    let scene = Scene::with(good(), |config| config.send_user = SendUser::Token).await;
    assert!(scene.answer().await.1.is_none());
    let request = scene.server.request();
    assert_eq!(request.headers("authorization"), [format!("Bearer {KEY}")]);
    assert_eq!(request.headers("x-colloquy-user-token"), [TOKEN]);
    assert!(!request.body.to_string().contains(USER) && !request.head.contains(USER));

    // Without a key of its own the agent reads the token where every service does.
    let keyless = |config: &mut AgentConfig| (config.send_user, config.api_key) = (SendUser::Token, None);
    let scene = Scene::with(good(), keyless).await;
    assert!(scene.answer().await.1.is_none());
    assert_eq!(scene.server.request().headers("authorization"), [format!("Bearer {TOKEN}")]);
}

#[tokio::test]
async fn an_agent_that_speaks_the_sdks_protocol() {
    let frames = [
        json!({"type": "start", "messageId": "theirs"}),
        json!({"type": "data-conversation", "data": {"id": "theirs"}, "transient": true}),
        json!({"type": "text-start", "id": "t"}),
        json!({"type": "text-delta", "id": "t", "delta": "Twenty"}),
        json!({"type": "text-end", "id": "t"}),
        json!({"type": "finish", "finishReason": "stop"}),
    ];
    let steps =
        [vec![Step::head()], frames.iter().map(|it| Step::send(frame(it))).collect(), vec![Step::Silence]].concat();
    let scene = Scene::with(steps, speaks_ui).await;
    let mut answer = said(Role::Assistant, "Five.");
    let source =
        json!({"id": "s1", "type": "url", "url": "https://example.com/", "title": "T", "snippet": "not theirs"});
    answer.sources = vec![source.as_object().unwrap().clone()];
    let history = [said(Role::User, "Sick days?"), answer, said(Role::User, QUESTION)];
    let (events, failure) = super::rest(scene.agent.ask(prompt(&history)).await.unwrap()).await;
    assert_eq!((text(&events).as_str(), failure), ("Twenty", None));
    assert!(!format!("{events:?}").contains("theirs"), "the answer's id is ours");
    let request = scene.server.request();
    assert!(request.head.starts_with("POST /v1 HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.headers("idempotency-key"), [RUN]);
    assert_eq!(
        request.body,
        json!({
            "id": CONVERSATION,
            "trigger": "submit-message",
            "messages": [
                {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Sick days?"}]},
                {"id": "m2", "role": "assistant", "parts": [
                    {"type": "text", "text": "Five."},
                    {"type": "source-url", "sourceId": "s1", "url": "https://example.com/", "title": "T"}]},
                {"id": "m3", "role": "user", "parts": [{"type": "text", "text": QUESTION}]},
            ],
        })
    );
}

#[tokio::test]
async fn an_answer_in_one_piece() {
    let body = json!({
        "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Twenty"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    });
    for kind in ["content-type: application/json\r\n", "content-type: text/event-stream\r\n", ""] {
        let scene = Scene::answering([Step::answer("200 OK", kind, &body.to_string())]).await;
        let (events, failure) = scene.answer().await;
        assert_eq!((text(&events).as_str(), failure), ("Twenty", None), "{kind}");
        let told = format!("{events:?}");
        assert!(told.contains("Length") && told.contains("\"totalTokens\": Number(3)"), "{told}");
        assert!(events.iter().any(|event| matches!(event, AgentEvent::Model(model) if model == "m-1")));
    }
}

fn titled(content: &Value) -> Step {
    Step::answer(
        "200 OK",
        "",
        &json!({"choices": [{"message": {"role": "assistant", "content": content}}]}).to_string(),
    )
}

/// Who asks.
fn asker() -> UserId {
    UserId::from(USER.parse::<uuid::Uuid>().unwrap())
}

#[tokio::test]
async fn a_title() {
    let scene =
        Scene::with([titled(&json!("\"Leave policy.\"\n"))], |config| config.model = Some("m-1".to_owned())).await;
    let title = scene.agent.title(&"How many days? ".repeat(1000), asker(), None).await.expect("a title");
    assert_eq!(title.as_str(), "Leave policy");
    let body = scene.server.request().body;
    assert_eq!((&body["stream"], &body["model"]), (&json!(false), &json!("m-1")));
    assert_eq!(body["messages"][1]["role"], "user");
    assert!(body["messages"][1]["content"].as_str().unwrap().len() < 5000, "a title needs no more");

    for step in [titled(&json!(null)), titled(&json!("  ")), Step::answer("500 Oops", "", ""), Step::send("HTTP/1.1 2")]
    {
        let scene = Scene::answering([step]).await;
        assert_eq!(scene.agent.title(QUESTION, asker(), None).await, None);
    }
    let scene = Scene::with(good(), speaks_ui).await;
    assert_eq!((scene.agent.title(QUESTION, asker(), None).await, scene.server.asked()), (None, 0));

    // It learns of who asks what an answer's request tells.
    for (send_user, header, told) in
        [(SendUser::Id, "x-colloquy-user", USER), (SendUser::Token, "x-colloquy-user-token", TOKEN)]
    {
        let scene = Scene::with([titled(&json!("Leave"))], |config| config.send_user = send_user).await;
        assert!(scene.agent.title(QUESTION, asker(), Some(TOKEN)).await.is_some());
        assert_eq!(scene.server.request().headers(header), [told]);
    }

    // A title is worth ten seconds, whatever answers are worth.
    let patient = |config: &mut AgentConfig| config.first_byte_timeout = std::time::Duration::from_mins(10);
    let scene = Scene::with([Step::Silence], patient).await;
    let asking = tokio::spawn({
        let agent = scene.agent.clone();
        async move { agent.title("x", asker(), None).await }
    });
    crate::support::eventually("the question", async || (scene.server.asked() == 1).then_some(())).await;
    tokio::time::pause();
    let since = tokio::time::Instant::now();
    assert_eq!(asking.await.unwrap(), None);
    assert!(since.elapsed() <= std::time::Duration::from_secs(11), "{:?}", since.elapsed());
}

#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let secrets = |config: &mut AgentConfig| {
        config.url = format!("{}?key=canary-query", config.url);
        config.headers = vec![("x-secret".parse().unwrap(), HeaderValue::from_static("canary-header"))];
        config.body = json!({"key": "canary-body"}).as_object().unwrap().clone();
        config.system_prompt = Some("canary-prompt".to_owned());
    };
    let scene = Scene::with(good(), secrets).await;
    let history = [said(Role::User, QUESTION)];
    let asked = prompt(&history);
    let stream = scene.agent.ask(asked).await.unwrap();
    let mut config = AgentConfig { api_key: Some(KEY.into()), ..AgentConfig::at("http://127.0.0.1:1/?canary") };
    secrets(&mut config);
    let mut away = scene;
    away.server.stop().await;
    let failure = away.agent.ask(asked).await.expect_err("nobody is there");
    let agent = agent("http://127.0.0.1:1".to_owned(), secrets);
    let printed = format!("{agent:?} {config:?} {asked:?} {stream:?} {failure:?} {failure}");
    for secret in ["canary", KEY, TOKEN] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

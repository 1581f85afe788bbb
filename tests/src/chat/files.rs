//! Files of questions: each reaches the agent in its protocol's form, or is refused before anything is stored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};
use shared::config::{AgentConfig, AgentFiles, AgentProtocol};

use crate::agent::agent_server::{AgentServer, Step};
use crate::support::api::{Api, User};

/// An agent that answers every question, and the functions that ask it.
struct Scene {
    agent: AgentServer,
    api: Api,
    user: User,
}

impl Scene {
    async fn new(protocol: AgentProtocol, files: &str) -> Self {
        Self::with(protocol, |config| config.files = AgentFiles::parse(files).expect("a setting")).await
    }

    async fn with(protocol: AgentProtocol, change: impl FnOnce(&mut AgentConfig)) -> Self {
        let answer = match protocol {
            AgentProtocol::OpenAi => vec![
                json!({"choices": [{"index": 0, "delta": {"content": "A cat."}, "finish_reason": null}]}),
                json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            ],
            AgentProtocol::UiMessageStream => vec![
                json!({"type": "start"}),
                json!({"type": "text-start", "id": "t"}),
                json!({"type": "text-delta", "id": "t", "delta": "A cat."}),
                json!({"type": "text-end", "id": "t"}),
                json!({"type": "finish"}),
            ],
        };
        let frames = answer.iter().map(|frame| Step::send(format!("data: {frame}\n\n")));
        let steps = [Step::head()].into_iter().chain(frames).chain([Step::send("data: [DONE]\n\n")]);
        let agent = AgentServer::start(steps.collect()).await;
        let mut config = AgentConfig { protocol, ..AgentConfig::at(agent.url()) };
        change(&mut config);
        let api = Api::with(|settings| settings.agent = Some(config)).await;
        let user = api.user().await;
        Self { agent, api, user }
    }

    /// Asks, and answers what the agent was asked.
    async fn ask(&self, id: &str, parts: &[Value]) -> Vec<Value> {
        let answer = self.user.chat(&question(id, parts)).await.expect(StatusCode::OK).rest().await;
        assert_eq!((answer.terminal()["type"].as_str(), answer.text().as_str()), (Some("finish"), "A cat."));
        self.agent.request().body["messages"].as_array().expect("messages").clone()
    }

    /// The parts of the messages that a page shows after a reload.
    async fn shown(&self) -> Vec<Value> {
        let page = self.user.get("/v1/chat/c").await;
        page.body["data"].as_array().expect("messages").iter().map(|message| message["parts"].clone()).collect()
    }
}

fn question(id: &str, parts: &[Value]) -> Value {
    json!({"id": "c", "messages": [{"id": id, "role": "user", "parts": parts}]})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn file(media_type: &str, name: &str, url: &str) -> Value {
    json!({"type": "file", "mediaType": media_type, "filename": name, "url": url})
}

/// A file as a browser's `FileList` becomes one.
fn data(media_type: &str, name: &str, bytes: &[u8]) -> Value {
    file(media_type, name, &format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
}

fn picture() -> Value {
    file("image/png", "e.png", "data:image/png;base64,iVBORw0KGgo=")
}

const LEAVE: &str = "https://files.example/leave.pdf";

#[tokio::test]
async fn a_picture_reaches_the_agent_and_is_shown_after_a_reload() {
    let scene = Scene::with(AgentProtocol::OpenAi, |_| {}).await;
    let asked = [picture(), text("What does it say?")];
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let content = json!([image, text("What does it say?")]);
    assert_eq!(scene.ask("q1", &asked).await, [json!({"role": "user", "content": content})]);
    assert_eq!(scene.shown().await[0], json!(asked));
    // The next question is about it, too.
    let next = scene.ask("q2", &[text("And below?")]).await;
    assert_eq!((&next[0]["content"], &next[2]["content"]), (&content, &json!("And below?")), "a lone text is a string");
    // The same again pays nothing, and a new answer sees the picture.
    scene.user.chat(&question("q1", &asked)).await.expect(StatusCode::OK).rest().await;
    assert_eq!(scene.agent.asked(), 2);
    let again = json!({"id": "c", "trigger": "regenerate-message", "messageId": "q1"});
    scene.user.chat(&again).await.expect(StatusCode::OK).rest().await;
    assert_eq!(scene.agent.request().body["messages"], json!([{"role": "user", "content": content}]));
}

#[tokio::test]
async fn each_file_has_its_form_for_an_openai_agent() {
    let scene = Scene::new(AgentProtocol::OpenAi, "all").await;
    let pdf = b"%PDF-1.7";
    let encoded = STANDARD.encode(pdf);
    let link = "https://files.example/e.png";
    for (i, (part, form)) in [
        (file("image/png", "e.png", link), json!({"type": "image_url", "image_url": {"url": link}})),
        // Whatever form the data have, services take base64 alone.
        (
            file("image/svg+xml", "e.svg", "data:image/svg+xml,%3Csvg/%3E"),
            json!({"type": "image_url", "image_url": {"url": format!("data:image/svg+xml;base64,{}", STANDARD.encode("<svg/>"))}}),
        ),
        (
            data("application/pdf", "leave.pdf", pdf),
            json!({"type": "file", "file": {"filename": "leave.pdf", "file_data": format!("data:application/pdf;base64,{encoded}")}}),
        ),
        (
            data("audio/wav", "a.wav", pdf),
            json!({"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}}),
        ),
        (
            data("audio/mpeg", "a.mp3", pdf),
            json!({"type": "input_audio", "input_audio": {"data": encoded, "format": "mp3"}}),
        ),
        (data("text/markdown", "a.md", "# Ä".as_bytes()), text("# Ä")),
        (data("application/json", "a.json", b"{}"), text("{}")),
        (
            file("video/mp4", "a.mp4", "https://files.example/a.mp4"),
            json!({"type": "video_url", "video_url": {"url": "https://files.example/a.mp4"}}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = question("q", &[part, text("What is it?")]);
        body["id"] = json!(format!("c{i}"));
        scene.user.chat(&body).await.expect(StatusCode::OK).rest().await;
        let sent = &scene.agent.request().body["messages"];
        assert_eq!(sent, &json!([{"role": "user", "content": [form, text("What is it?")]}]), "{i}");
    }
}

#[tokio::test]
async fn an_agent_of_the_sdks_protocol_gets_files_as_they_are() {
    let scene = Scene::new(AgentProtocol::UiMessageStream, "all").await;
    let alone = [file("application/pdf", "leave.pdf", LEAVE)];
    assert_eq!(scene.ask("q1", &alone).await, [json!({"id": "m1", "role": "user", "parts": alone})]);
    assert_eq!(scene.user.get("/v1/conversations/c").await.text("/title"), "leave.pdf");
    assert_eq!(scene.shown().await[0], json!(alone));
    let next = scene.ask("q2", &[picture()]).await;
    let roles: Vec<&str> = next.iter().filter_map(|message| message["role"].as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"], "a file alone is a question, in later prompts, too");
    assert_eq!((&next[0]["parts"], &next[2]["parts"]), (&json!(alone), &json!([picture()])));
}

#[tokio::test]
async fn what_the_agent_cannot_be_given_is_refused_and_nothing_is_stored() {
    use AgentProtocol::{OpenAi, UiMessageStream};
    let pdf = || data("application/pdf", "leave.pdf", b"%PDF");
    for (protocol, files, part, member, says) in [
        (OpenAi, "none", picture(), "", "takes none"),
        (UiMessageStream, "none", picture(), "", "takes none"),
        (OpenAi, "images", pdf(), "/mediaType", "image/png, image/jpeg, image/gif, image/webp"),
        (UiMessageStream, "images", pdf(), "/mediaType", "image/png"),
        (OpenAi, "images", file("image/svg+xml", "e.svg", "https://files.example/e.svg"), "/mediaType", "image/png"),
        (OpenAi, "all", file("application/pdf", "leave.pdf", LEAVE), "/url", "link"),
        (OpenAi, "all", file("audio/wav", "a.wav", "https://files.example/a.wav"), "/url", "link"),
        (OpenAi, "all", file("text/plain", "a.txt", "https://files.example/a.txt"), "/url", "link"),
        (OpenAi, "all", data("text/plain", "a.txt", b"\xff\xfe"), "/url", "UTF-8"),
        (OpenAi, "all", data("application/zip", "a.zip", b"PK"), "/mediaType", "no form"),
        (OpenAi, "all", data("audio/ogg", "a.ogg", b"OggS"), "/mediaType", "no form"),
        (OpenAi, "*/*", file("", "README", "https://files.example/README"), "/mediaType", "kind"),
        (OpenAi, "images", file("image/png", "e.png", "javascript:alert(1)"), "/url", "an http or https link"),
        (
            UiMessageStream,
            "all",
            file("image/png", "e.png", "blob:https://a.example/1"),
            "/url",
            "an http or https link",
        ),
        (UiMessageStream, "all", file("image/png", "e.png", "data:image/png;base64,%"), "/url", "data: URL"),
        (OpenAi, "images", data("image/png", "large.png", &[0; 1001]), "/url", "1001 bytes"),
        (UiMessageStream, "all", data("application/pdf", "large.pdf", &[0; 1001]), "/url", "1000"),
    ] {
        let scene = Scene::with(protocol, |config| {
            config.files = AgentFiles::parse(files).expect("a setting");
            config.file_bytes = 1000;
        })
        .await;
        let refused = scene.user.post("/v1/chat", &question("q1", &[text("Read it."), part.clone()])).await;
        assert_eq!(refused.faults(), [format!("body:/messages/0/parts/1{member}")], "{files}: {part}");
        assert!(refused.body.to_string().contains(says), "{}", refused.body);
        assert_eq!(scene.api.count("select count(*) from conversations").await, 0);
        assert_eq!(scene.agent.asked(), 0);
        // The page goes on.
        scene.ask("q2", &[text("Then without.")]).await;
    }
}

#[tokio::test]
async fn a_file_of_the_history_that_the_agent_does_not_take_is_named() {
    for protocol in [AgentProtocol::OpenAi, AgentProtocol::UiMessageStream] {
        let scene = Scene::with(protocol, |_| {}).await;
        let conversation = json!({"clientId": "c", "messages": [
            {"role": "user", "parts": [file("application/pdf", "leave.pdf", LEAVE), text("Read it.")]},
            {"role": "assistant", "content": "I have."},
        ]});
        scene.user.post("/v1/conversations", &conversation).await.expect(StatusCode::CREATED);
        let sent = scene.ask("q1", &[text("And?")]).await[0].to_string();
        assert!(sent.contains("[File: leave.pdf]") && sent.contains("Read it.") && !sent.contains(LEAVE), "{sent}");
    }
}

#[tokio::test]
async fn a_question_has_ten_files_and_every_fault_is_told() {
    let scene = Scene::with(AgentProtocol::OpenAi, |_| {}).await;
    let ten: Vec<Value> = (0..10).map(|_| picture()).collect();
    let sent = scene.ask("q1", &ten).await;
    assert_eq!(sent[0]["content"].as_array().map(Vec::len), Some(10));
    let eleven: Vec<Value> = (0..11).map(|_| picture()).collect();
    let body = json!({"id": "d", "message": {"id": "q", "role": "user", "parts": eleven}});
    assert_eq!(scene.user.post("/v1/chat", &body).await.faults(), ["body:/message/parts/10"]);
    let pdf = data("application/pdf", "leave.pdf", b"%PDF");
    let body = json!({"id": "d", "message": {"id": "q", "role": "user", "parts": [pdf, picture(), pdf]}});
    let faults = scene.user.post("/v1/chat", &body).await.faults();
    assert_eq!(faults, ["body:/message/parts/0/mediaType", "body:/message/parts/2/mediaType"]);
}

#[tokio::test]
async fn a_question_of_four_megabytes_is_sent_once() {
    let scene = Scene::with(AgentProtocol::OpenAi, |_| {}).await;
    let photo = data("image/jpeg", "photo.jpg", &vec![7; 2_990_000]);
    let first = scene.ask("q1", &[photo.clone(), text("Where is it?")]).await;
    assert_eq!(first[0]["content"][0]["image_url"]["url"], photo["url"]);
    assert_eq!(scene.shown().await[0][0], photo, "the page shows it after a reload");
    let next = scene.ask("q2", &[text("And who?")]).await;
    assert_eq!(next[0], json!({"role": "user", "content": "[File: photo.jpg]\n\nWhere is it?"}));
    assert_eq!(next.len(), 3);
}

#[tokio::test]
async fn every_prompt_begins_with_a_question_from_the_first_turn_to_the_thirteenth() {
    for protocol in [AgentProtocol::OpenAi, AgentProtocol::UiMessageStream] {
        let scene = Scene::with(protocol, |_| {}).await;
        for n in 0..13 {
            let sent = scene.ask(&format!("q{n}"), &[text(&format!("Question {n}?"))]).await;
            let roles = sent.iter().map(|message| message["role"].as_str().expect("a role"));
            assert!(roles.eq(["user", "assistant"].into_iter().cycle().take(sent.len())), "{n}: {sent:?}");
            assert_eq!(sent.len() % 2, 1, "{n}: the question is the last");
        }
    }
}

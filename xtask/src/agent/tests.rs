//! The agent through HTTP, as functions and tests reach it.

use super::*;

/// Listens on a port of its own, and answers its address.
async fn serve(scripted: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let agent = Agent::new(&Options { port: 0, pace: 0, scripted }, &base).unwrap();
    tokio::spawn(async move { axum::serve(listener, agent.router()).await });
    base
}

async fn ask(base: &str, key: &str, question: &str, stream: bool) -> reqwest::Response {
    let body = json!({"model": "m", "stream": stream, "stream_options": {"include_usage": true},
                      "messages": [{"role": "user", "content": question}]});
    let client = http::client(Duration::from_secs(30)).unwrap();
    let request = client.post(format!("{base}/v1/chat/completions")).header("idempotency-key", key);
    request.json(&body).send().await.unwrap()
}

async fn events(response: reqwest::Response) -> Vec<Value> {
    let text = response.text().await.unwrap();
    let events: Vec<&str> = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!(events.last(), Some(&"[DONE]"));
    events[..events.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

async fn json_of(url: &str) -> Value {
    http::client(Duration::from_secs(30)).unwrap().get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_streamed_answer_is_the_whole_one_with_its_sources() {
    let base = serve(false).await;
    let question = "How many bytes may a token have at most?";
    let whole: Value = ask(&base, "a", question, false).await.json().await.unwrap();
    let message = &whole["choices"][0]["message"];
    let content = message["content"].as_str().unwrap();
    assert!(content.contains("8 KiB") && content.contains("[1]"), "{content}");

    let events = events(ask(&base, "b", question, true).await).await;
    let deltas: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    let streamed: String = deltas.iter().filter_map(|delta| delta["content"].as_str()).collect();
    assert_eq!(streamed, content);
    let annotations: Vec<&Value> =
        deltas.iter().filter_map(|delta| delta["annotations"].as_array()).flatten().collect();
    assert_eq!(annotations, message["annotations"].as_array().unwrap().iter().collect::<Vec<_>>());
    for (n, annotation) in annotations.iter().enumerate() {
        let citation = &annotation["url_citation"];
        let place = |name: &str| usize::try_from(citation[name].as_u64().unwrap()).unwrap();
        let mark: String = content.chars().take(place("end_index")).skip(place("start_index")).collect();
        assert_eq!(mark, format!("[{}]", n + 1));
        let document = http::client(Duration::from_secs(30)).unwrap().get(citation["url"].as_str().unwrap());
        assert_eq!(document.send().await.unwrap().status(), 200);
    }
    let [.., finish, usage] = &events[..] else { panic!("{events:?}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &whole["usage"]));
}

#[tokio::test]
async fn a_key_that_is_sent_again_is_the_same_completion() {
    let base = serve(true).await;
    let first: Value = ask(&base, "a", "tokens", false).await.json().await.unwrap();
    let again: Value = ask(&base, "a", "tokens", false).await.json().await.unwrap();
    assert_eq!((&first["id"], &first["choices"]), (&again["id"], &again["choices"]));
    assert_eq!(ask(&base, "a", "users", false).await.status(), 422);
    let requests = json_of(&format!("{base}/requests/tokens")).await;
    assert_eq!(requests.as_array().unwrap().len(), 1);
    assert_eq!((&requests[0]["times"], &requests[0]["outcome"]), (&json!(2), &json!("complete")));
    assert_eq!(requests[0]["headers"]["idempotency-key"], "a");
}

#[tokio::test]
async fn without_the_option_nobody_can_script_it() {
    let base = serve(false).await;
    assert_eq!(ask(&base, "a", "tokens\nagent: status=503", false).await.status(), 200);
    let client = http::client(Duration::from_secs(30)).unwrap();
    assert_eq!(http::status(&client, "GET", &format!("{base}/requests/tokens")).await, Some(404));
}

#[tokio::test]
async fn a_script_is_obeyed() {
    let base = serve(true).await;
    assert_eq!(ask(&base, "a", "tokens\nagent: status=429", true).await.status(), 429);
    assert_eq!(ask(&base, "b", "tokens\nagent: explode", true).await.status(), 400);
    let cut = ask(&base, "c", "tokens\nagent: cut@3", true).await;
    assert!(cut.status() == 200 && cut.text().await.is_err());
    let ended = ask(&base, "d", "tokens\nagent: garbage@1 end@3", true).await.text().await.unwrap();
    assert!(ended.matches("\"content\"").count() == 4 && !ended.contains("[DONE]"), "{ended}");
    let error = ask(&base, "e", "tokens\nagent: error@0", true).await.text().await.unwrap();
    assert!(error.contains("overloaded") && !error.contains("[DONE]"), "{error}");
    let long = events(ask(&base, "f", "tokens\nagent: bytes=40000 finish=length reasoning", true).await).await;
    let text: String = long.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert!((40_000..40_100).contains(&text.len()), "{}", text.len());
    assert!(long.iter().any(|event| event["choices"][0]["delta"]["reasoning_content"].is_string()));
    assert_eq!(long[long.len() - 2]["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn a_held_answer_goes_on_when_it_is_released() {
    let base = serve(true).await;
    let mut held = ask(&base, "a", "tokens\nagent: hold@2=here", true).await;
    let mut read = String::new();
    while read.matches("\"content\"").count() < 3 {
        read += &String::from_utf8_lossy(&held.chunk().await.unwrap().unwrap());
    }
    assert_eq!(json_of(&format!("{base}/requests/tokens")).await[0]["outcome"], "running");
    let client = http::client(Duration::from_secs(30)).unwrap();
    assert_eq!(http::status(&client, "POST", &format!("{base}/release/here")).await, Some(204));
    while let Some(chunk) = held.chunk().await.unwrap() {
        read += &String::from_utf8_lossy(&chunk);
    }
    assert!(read.ends_with("data: [DONE]\n\n"));

    let silent = ask(&base, "b", "silence\nagent: silent@0", true).await;
    drop(silent);
    let left = async || json_of(&format!("{base}/requests/silence")).await[0]["outcome"] == "left";
    while !left().await {
        sleep(crate::process::LOOK).await;
    }
}

//! `cargo xtask agent`: the development agent, for a first look without a paid model.
//!
//! An OpenAI-compatible server that really retrieves (BM25) from real documents, the project's own, and answers with the
//! sentences that it finds, each with its source. It is no language model. With `--scripted` it is the suite's agent, too:
//! then a question's last line may say how to answer it (`script`), and it tells what it was asked.

mod answer;
mod completion;
mod corpus;
mod index;
mod script;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use shared::clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use self::answer::{Library, Piece, pieces_of};
use self::completion::{Log, Outcome, Request};
use self::script::Script;
use self::stream::Answer;
use crate::process::Process;
use crate::program::Program;
use crate::progress::say;
use crate::{http, workspace};

/// The name of its only model.
pub(crate) const MODEL: &str = "development-agent";
/// For it to read its documents and to listen.
const START: Duration = Duration::from_mins(1);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where it listens, on loopback
    #[arg(long, default_value_t = 9003)]
    port: u16,
    /// Milliseconds between two words
    #[arg(long, default_value_t = 20)]
    pace: u64,
    /// Obey the last line of a question, and tell what was asked: for tests
    #[arg(long)]
    scripted: bool,
}

/// Runs it in the foreground.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await.context("couldn't listen")?;
    let agent = Agent::new(options, &format!("http://{}", listener.local_addr()?))?;
    say(&format!("the development agent: AGENT_URL={}", url(options.port)));
    axum::serve(listener, agent.router()).await.context("the server ended")?;
    Ok(ExitCode::SUCCESS)
}

/// Starts it in the background, and waits until it answers.
pub(crate) async fn start(port: u16, scripted: bool, log: &FilePath) -> Result<Process> {
    let this = std::env::current_exe().context("this program's own path is unknown")?;
    let mut program = Program::new("the development agent", vec![this.display().to_string(), "agent".to_owned()])
        .args(["--port".to_owned(), port.to_string()]);
    if scripted {
        program = program.args(["--scripted", "--pace=0"]);
    }
    let mut process = program.start(log)?;
    let (client, models) = (http::client(Duration::from_secs(10))?, format!("{}/models", url(port)));
    process.wait_until(START, async || http::status(&client, "GET", &models).await == Some(200)).await?;
    Ok(process)
}

/// What `AGENT_URL` is for it.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/v1")
}

/// The server.
struct Agent {
    library: Library,
    /// Where its documents can be read.
    base: String,
    pace: Duration,
    scripted: bool,
    clock: Clock,
    log: Log,
    released: watch::Sender<BTreeSet<String>>,
}

impl Agent {
    fn new(options: &Options, base: &str) -> Result<Self> {
        Ok(Self {
            library: Library::new(corpus::read(workspace::root())?),
            base: base.to_owned(),
            pace: Duration::from_millis(options.pace),
            scripted: options.scripted,
            clock: Clock::system(),
            // Enough for a suite; and for a developer, whose server runs for weeks, enough for retries.
            log: Log::new(if options.scripted { 5000 } else { 100 }),
            released: watch::Sender::default(),
        })
    }

    fn router(self) -> Router {
        let scripted = Router::new().route("/requests/{text}", get(requests)).route("/release/{name}", post(release));
        Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/models", get(models))
            .route("/documents/{*path}", get(document))
            .merge(if self.scripted { scripted } else { Router::new() })
            // Prompts have files in them.
            .layer(DefaultBodyLimit::max(16 * 1024 * 1024))
            .with_state(Arc::new(self))
    }

    /// The answer to a request, without the script's line.
    fn answer(&self, request: &Request, number: u64) -> Result<Answer, String> {
        let mut script = Script::default();
        let mut questions: Vec<&str> = request.questions.iter().map(String::as_str).collect();
        if self.scripted {
            for question in &mut questions {
                (*question, script) = Script::of(question)?;
            }
        }
        script.call = script.call.filter(|_| !request.has_results);
        let mut pieces = self.library.answer(&questions);
        lengthen(&mut pieces, script.bytes);
        let cut = request.max_tokens.is_some_and(|most| most < pieces.len());
        pieces.truncate(request.max_tokens.unwrap_or(usize::MAX));
        let finish = script.finish.clone().unwrap_or_else(|| if cut { "length" } else { "stop" }.to_owned());
        Ok(Answer {
            id: format!("chatcmpl-{number}"),
            model: request.model.clone(),
            created: self.clock.unix_seconds(),
            pieces,
            finish,
            prompt_tokens: request.prompt_words,
            include_usage: request.include_usage,
            base: self.base.clone(),
            pace: script.pace.unwrap_or(self.pace),
            script,
            released: self.released.subscribe(),
        })
    }
}

/// Goes on with the same words until there is so much text.
fn lengthen(pieces: &mut Vec<Piece>, bytes: usize) {
    let text: String = pieces.iter().map(Piece::text).collect();
    let words = pieces_of(&format!("\n\n{text}"));
    let mut length = text.len();
    for word in words.iter().cycle() {
        if length >= bytes {
            return;
        }
        length += word.text().len();
        pieces.push(word.clone());
    }
}

async fn complete(State(agent): State<Arc<Agent>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let request = match Request::parse(&body) {
        Ok(request) => request,
        Err(what) => return refusal(StatusCode::BAD_REQUEST, &what),
    };
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let seen: Value = headers.iter().map(|(name, value)| (name.to_string(), Value::from(text(value)))).collect();
    let ticket = match agent.log.ask(headers.get("idempotency-key").map(text), seen, body) {
        Ok(ticket) => ticket,
        Err(what) => return refusal(StatusCode::UNPROCESSABLE_ENTITY, what),
    };
    let answer = match agent.answer(&request, ticket.number) {
        Ok(answer) => answer,
        Err(what) => return refusal(StatusCode::BAD_REQUEST, &what),
    };
    sleep(answer.script.delay).await;
    if let Some(status) = answer.script.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        ticket.end(Outcome::Broken);
        return refusal(status, "The script wants it so.");
    }
    if !request.stream {
        ticket.end(Outcome::Complete);
        return Json(answer.document()).into_response();
    }
    let (out, body) = stream::body();
    tokio::spawn(async move {
        if let Ok(outcome) = answer.write(&out).await {
            ticket.end(outcome);
        }
    });
    ([("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")], body).into_response()
}

async fn models() -> Json<Value> {
    Json(json!({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "colloquy"}]}))
}

/// A document, for whoever follows a citation.
async fn document(State(agent): State<Arc<Agent>>, Path(path): Path<String>) -> Response {
    let found = agent.library.documents.iter().find(|document| document.path == path);
    let Some(document) = found else { return StatusCode::NOT_FOUND.into_response() };
    ([("content-type", "text/plain; charset=utf-8")], Body::from(document.text.clone())).into_response()
}

/// The completions whose last question has a text in it.
async fn requests(State(agent): State<Arc<Agent>>, Path(text): Path<String>) -> Json<Value> {
    Json(agent.log.containing(&text))
}

/// Lets go on what a script holds under a name, now or later.
async fn release(State(agent): State<Arc<Agent>>, Path(name): Path<String>) -> StatusCode {
    agent.released.send_modify(|released| {
        released.insert(name);
    });
    StatusCode::NO_CONTENT
}

/// An error in the form that such services have.
fn refusal(status: StatusCode, message: &str) -> Response {
    let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": null});
    (status, Json(json!({ "error": error }))).into_response()
}

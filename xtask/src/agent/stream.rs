//! An answer on its way: events as OpenAI-compatible services send them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::answer::{Piece, pieces_of};
use super::completion::Outcome;
use super::script::{Event, Script};

/// What it says before an answer where the script wants reasoning.
const REASONING: &str = "I look through the documents.";

/// All that an answer is.
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: i64,
    pub(super) pieces: Vec<Piece>,
    pub(super) finish: String,
    pub(super) prompt_tokens: usize,
    pub(super) include_usage: bool,
    /// Where the documents can be read.
    pub(super) base: String,
    pub(super) pace: Duration,
    pub(super) script: Script,
    /// The holds that were released.
    pub(super) released: watch::Receiver<BTreeSet<String>>,
}

/// Whoever asked has left.
pub(super) struct Left;

/// The writing end of a body.
pub(super) struct Out(mpsc::Sender<io::Result<String>>);

/// A body, and its writing end.
pub(super) fn body() -> (Out, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let next = |mut receiver: mpsc::Receiver<_>| async move { receiver.recv().await.map(|item| (item, receiver)) };
    (Out(sender), Body::from_stream(futures_util::stream::unfold(receiver, next)))
}

impl Out {
    async fn send(&self, item: io::Result<String>) -> Result<(), Left> {
        self.0.send(item).await.map_err(|_| Left)
    }

    async fn event(&self, event: &Value) -> Result<(), Left> {
        self.send(Ok(format!("data: {event}\n\n"))).await
    }

    /// Does something that takes a while, unless whoever asked leaves meanwhile.
    async fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T, Left> {
        tokio::select! {
            done = what => Ok(done),
            () = self.0.closed() => Err(Left),
        }
    }
}

impl Answer {
    /// The whole answer as one document.
    pub(super) fn document(&self) -> Value {
        let content: String = self.pieces.iter().map(Piece::text).collect();
        let annotations: Vec<Value> = self.annotations().into_iter().flatten().collect();
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [{"index": 0, "finish_reason": self.finish,
                         "message": {"role": "assistant", "content": content, "annotations": annotations}}],
            "usage": self.usage(),
        })
    }

    /// Writes it word by word, and what the script wants in between.
    pub(super) async fn write(&self, out: &Out) -> Result<Outcome, Left> {
        out.event(&self.delta(&json!({"role": "assistant", "content": ""}))).await?;
        if let Some(tool) = &self.script.call {
            let function = json!({"name": tool, "arguments": "{}"});
            let call = json!({"index": 0, "id": format!("call_{}", self.id), "type": "function", "function": function});
            out.event(&self.delta(&json!({ "tool_calls": [call] }))).await?;
            out.event(&self.chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]))).await?;
            out.send(Ok("data: [DONE]\n\n".to_owned())).await?;
            return Ok(Outcome::Complete);
        }
        if self.script.reasoning {
            for piece in pieces_of(REASONING) {
                out.event(&self.delta(&json!({"reasoning_content": piece.text()}))).await?;
            }
        }
        for (n, (piece, annotation)) in self.pieces.iter().zip(self.annotations()).enumerate() {
            if self.broken(n..n + 1, out).await? {
                return Ok(Outcome::Broken);
            }
            out.event(&self.delta(&json!({"content": piece.text()}))).await?;
            if let Some(annotation) = annotation {
                out.event(&self.delta(&json!({"annotations": [annotation]}))).await?;
            }
            if !self.pace.is_zero() {
                out.wait(sleep(self.pace)).await?;
            }
        }
        if self.broken(self.pieces.len()..usize::MAX, out).await? {
            return Ok(Outcome::Broken);
        }
        out.event(&self.chunk(&json!([{"index": 0, "delta": {}, "finish_reason": self.finish}]))).await?;
        if self.include_usage {
            let mut last = self.chunk(&json!([]));
            last["usage"] = self.usage();
            out.event(&last).await?;
        }
        out.send(Ok("data: [DONE]\n\n".to_owned())).await?;
        Ok(Outcome::Complete)
    }

    /// Lets happen what the script has after so many deltas; answers whether that was the end.
    async fn broken(&self, after: Range<usize>, out: &Out) -> Result<bool, Left> {
        for (_, event) in self.script.events.iter().filter(|(n, _)| after.contains(n)) {
            match event {
                Event::Hold(name) => {
                    let mut released = self.released.clone();
                    // An error says that the server ends, and so does this.
                    let _ = out.wait(released.wait_for(|released| released.contains(name))).await?;
                }
                Event::Silent => {
                    let silence: Infallible = out.wait(std::future::pending()).await?;
                    match silence {}
                }
                Event::Garbage => out.send(Ok("data: {\"choices\":[\n\n".to_owned())).await?,
                Event::End => return Ok(true),
                Event::Cut => {
                    out.send(Err(io::ErrorKind::ConnectionReset.into())).await?;
                    return Ok(true);
                }
                Event::Error => {
                    let error = json!({"message": "The model is overloaded.", "type": "server_error", "code": null});
                    out.event(&json!({ "error": error })).await?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Beside each piece its annotation, if it cites.
    fn annotations(&self) -> Vec<Option<Value>> {
        let mut chars = 0;
        let annotation = |piece: &Piece| {
            let start = chars;
            chars += piece.text().chars().count();
            match piece {
                Piece::Text(_) => None,
                // The space before the mark isn't part of it.
                Piece::Citation(_, source) => Some(source.annotation(&self.base, start + 1..chars)),
            }
        };
        self.pieces.iter().map(annotation).collect()
    }

    fn delta(&self, delta: &Value) -> Value {
        self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": null}]))
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
               "choices": choices})
    }

    fn usage(&self) -> Value {
        let completion = self.pieces.len();
        json!({"prompt_tokens": self.prompt_tokens, "completion_tokens": completion,
               "total_tokens": self.prompt_tokens + completion})
    }
}

//! An agent that costs next to nothing: it answers every question at once, with as many words as the question says. It
//! stands in for a model, whose own time would be all that one sees.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::wire;

/// What a question asks of it: so many deltas of so many bytes, so far apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) deltas: usize,
    pub(crate) bytes: usize,
    pub(crate) pace: Duration,
}

impl Answer {
    /// The question that is answered so.
    pub(crate) fn question(self) -> String {
        format!("bench {} {} {}", self.deltas, self.bytes, self.pace.as_micros())
    }

    fn asked(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let question = body["messages"].as_array()?.last()?["content"].as_str()?;
        let mut words = question.strip_prefix("bench ")?.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (deltas, bytes, pace) = (number()?, number()?, number()?);
        Some(Self {
            deltas: usize::try_from(deltas).ok()?,
            bytes: usize::try_from(bytes).ok()?,
            pace: Duration::from_micros(pace),
        })
    }
}

/// Starts it; the setting `AGENT_URL`.
pub(crate) fn start() -> Result<String> {
    let port = wire::listen_http(|mut connection| {
        let Some(request) = connection.read()? else { return Ok(()) };
        let answer = Answer::asked(&request.body).context("a question that isn't the benchmark's")?;
        // The body ends with the connection.
        connection.begin("200 OK", "content-type: text/event-stream\r\nconnection: close\r\n")?;
        let word = "x".repeat(answer.bytes);
        let delta = event(&json!({"choices": [{"index": 0, "delta": {"content": word}}]}));
        for _ in 0..answer.deltas {
            connection.send(&delta)?;
            if !answer.pace.is_zero() {
                thread::sleep(answer.pace);
            }
        }
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        connection.send(&event(&end))?;
        connection.send(b"data: [DONE]\n\n")
    })?;
    Ok(format!("http://127.0.0.1:{port}/v1"))
}

/// Asks it without anything in between: how long its first word takes by itself.
pub(crate) fn first_word(url: &str, answer: Answer) -> Result<Duration> {
    let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).context("an odd URL")?;
    let body = json!({"messages": [{"role": "user", "content": answer.question()}]}).to_string();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", body.len());
    let begun = Instant::now();
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
    let word = b"\"content\"";
    while !seen.windows(word.len()).any(|window| window == word) {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "an agent without a word");
        seen.extend_from_slice(&chunk[..read]);
    }
    Ok(begun.elapsed())
}

fn event(chunk: &Value) -> Vec<u8> {
    format!("data: {chunk}\n\n").into_bytes()
}

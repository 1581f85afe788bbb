//! What the agent is asked, and what it was asked before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

/// A chat completion, as the clients of such services ask for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) max_tokens: Option<usize>,
    /// What the user said, oldest first; never empty.
    pub(super) questions: Vec<String>,
    /// Whether the client's tools have answered.
    pub(super) has_results: bool,
    /// The words of the whole prompt.
    pub(super) prompt_words: usize,
}

impl Request {
    pub(super) fn parse(body: &Value) -> Result<Self, String> {
        let messages = body["messages"].as_array().ok_or("messages must be an array")?;
        let texts: Vec<(&str, String)> = messages
            .iter()
            .map(|message| (message["role"].as_str().unwrap_or(""), text(&message["content"])))
            .collect();
        let questions: Vec<String> =
            texts.iter().filter(|(role, _)| *role == "user").map(|(_, text)| text.clone()).collect();
        if questions.is_empty() {
            return Err("messages has no message of the user's".to_owned());
        }
        let max_tokens = body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64());
        Ok(Self {
            model: body["model"].as_str().unwrap_or(super::MODEL).to_owned(),
            stream: body["stream"].as_bool().unwrap_or(false),
            include_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
            max_tokens: max_tokens.and_then(|tokens| usize::try_from(tokens).ok()),
            questions,
            has_results: texts.last().is_some_and(|(role, _)| *role == "tool"),
            prompt_words: texts.iter().map(|(_, text)| text.split_whitespace().count()).sum(),
        })
    }
}

/// The text of a message's content, which is a text or parts.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// The completions that were asked for.
#[derive(Clone, Debug)]
pub(super) struct Log(Arc<Mutex<Entries>>);

#[derive(Debug)]
struct Entries {
    /// So many are remembered.
    most: usize,
    asked: u64,
    last: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    key: Option<String>,
    headers: Value,
    body: Value,
    /// How often it was asked for: more than once with one `Idempotency-Key`.
    times: u32,
    outcome: Outcome,
}

/// What became of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Running,
    Complete,
    /// Not as a model should end; so the script had it.
    Broken,
    /// Whoever asked has left before the end.
    Left,
}

/// A completion that is under way. Dropped before its end, it is one whose asker has left.
#[derive(Debug)]
pub(super) struct Ticket {
    log: Log,
    pub(super) number: u64,
}

impl Log {
    /// Remembers the last `most` of them.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Entries { most, asked: 0, last: VecDeque::new() })))
    }

    /// Notes that a completion is asked for. The same key again is the same completion; with another body it is refused.
    pub(super) fn ask(&self, key: Option<String>, headers: Value, body: Value) -> Result<Ticket, &'static str> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = log.last.iter_mut().find(|entry| key.is_some() && entry.key == key) {
            if entry.body != body {
                return Err("this Idempotency-Key was sent with another body");
            }
            entry.times += 1;
            entry.outcome = Outcome::Running;
            return Ok(Ticket { log: self.clone(), number: entry.number });
        }
        log.asked += 1;
        let number = log.asked;
        if log.last.len() >= log.most {
            log.last.pop_front();
        }
        log.last.push_back(Entry { number, key, headers, body, times: 1, outcome: Outcome::Running });
        Ok(Ticket { log: self.clone(), number })
    }

    /// The completions whose last question has this text in it.
    pub(super) fn containing(&self, text: &str) -> Value {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = |entry: &&Entry| {
            Request::parse(&entry.body)
                .is_ok_and(|request| request.questions.last().is_some_and(|question| question.contains(text)))
        };
        log.last.iter().filter(asked).map(Entry::to_json).collect()
    }

    fn end(&self, number: u64, outcome: Outcome) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = log.last.iter_mut().find(|entry| entry.number == number);
        if let Some(entry) = entry.filter(|entry| entry.outcome == Outcome::Running) {
            entry.outcome = outcome;
        }
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let outcome = match self.outcome {
            Outcome::Running => "running",
            Outcome::Complete => "complete",
            Outcome::Broken => "broken",
            Outcome::Left => "left",
        };
        json!({"headers": self.headers, "body": self.body, "times": self.times, "outcome": outcome})
    }
}

impl Ticket {
    pub(super) fn end(self, outcome: Outcome) {
        self.log.end(self.number, outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.log.end(self.number, Outcome::Left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(question: &str) -> Value {
        json!({"model": "m", "messages": [{"role": "system", "content": "Be kind."},
                                          {"role": "user", "content": [{"type": "text", "text": question}]}]})
    }

    #[test]
    fn a_key_names_one_completion() {
        let log = Log::new(100);
        let ask = |key: Option<&str>, question: &str| log.ask(key.map(str::to_owned), Value::Null, body(question));
        let first = ask(Some("k"), "How?").unwrap();
        let number = first.number;
        first.end(Outcome::Complete);
        assert_eq!(ask(Some("k"), "How?").unwrap().number, number);
        assert!(ask(Some("k"), "Why?").is_err());
        drop((ask(None, "How?").unwrap(), ask(None, "Why?").unwrap()));
        let asked = log.containing("How");
        let told: Vec<_> =
            asked.as_array().unwrap().iter().map(|it| (it["times"].clone(), it["outcome"].clone())).collect();
        assert_eq!(told, [(json!(2), json!("left")), (json!(1), json!("left"))]);
    }

    #[test]
    fn a_request_has_a_question() {
        let request = Request::parse(&body("How many days?")).unwrap();
        assert_eq!((request.questions, request.prompt_words), (vec!["How many days?".to_owned()], 5));
        assert!(!request.stream && !request.include_usage);
        assert!(Request::parse(&json!({"model": "m", "messages": [{"role": "system", "content": "x"}]})).is_err());
        assert_eq!(
            Request::parse(&json!({"messages": [{"role": "user", "content": "x"}]})).unwrap().model,
            "development-agent"
        );
        assert!(Request::parse(&json!({"messages": []})).is_err() && Request::parse(&json!(1)).is_err());
    }
}

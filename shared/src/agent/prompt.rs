//! What an agent is told: the history, and what earlier answers rested on, as data.
//!
//! Whatever a history holds, a prompt begins with a question, its speakers take turns, and it ends with the question that
//! is asked, or with the answer that goes on. The chat templates of many models refuse all else: a history which was cut at a
//! number of messages, or holds a question whose answer failed, would never be answered again.

mod calls;
mod openai;
#[cfg(test)]
mod tests;
mod ui;

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::files::FileRules;
use crate::model::{HistoryMessage, Role, cut, limits};

pub(super) use openai::messages;
pub(super) use ui::ui_messages;

type Object = Map<String, Value>;

/// What one speaker says until the other does.
struct Speech<'a> {
    role: Role,
    /// The place of its first message in the history.
    first: usize,
    pieces: Vec<Piece<'a>>,
}

/// A piece of what is said.
enum Piece<'a> {
    Text(Cow<'a, str>),
    /// A part of the type `file`, of a kind that the agent takes.
    File(&'a Object),
    /// What the words before it rest on.
    Sources(Vec<Object>),
    /// A call of a tool, with its end.
    Call(Object),
    /// Another step begins: what follows was said once the calls before had come to their ends.
    Step,
}

/// What is said in turn: messages of one speaker that follow each other become one, what comes before the first question is
/// left out, and so is what says nothing.
///
/// `own_calls`: also the calls that the agent's own service ran.
fn speeches<'a>(history: &'a [HistoryMessage], files: &FileRules, own_calls: bool) -> Vec<Speech<'a>> {
    let sources = sources_of(history);
    let mut speeches: Vec<Speech<'a>> = Vec::with_capacity(history.len());
    for (i, (message, sources)) in history.iter().zip(sources).enumerate() {
        let is_last = i + 1 == history.len();
        // Instructions are the settings' alone, and the result of a tool means nothing without its call.
        if !matches!(message.role, Role::User | Role::Assistant) {
            continue;
        }
        let mut pieces = said(message, files, is_last);
        pieces.retain(|piece| own_calls || !matches!(piece, Piece::Call(call) if calls::is_the_agents(call)));
        if !pieces.iter().any(|piece| matches!(piece, Piece::Call(_))) {
            pieces.retain(|piece| !matches!(piece, Piece::Step));
        }
        // A question is a question, however little it says.
        if pieces.is_empty() && !is_last {
            continue;
        }
        if let Some(sources) = sources {
            // Nothing may stand between calls and what follows them.
            let words = pieces.iter().rposition(|piece| matches!(piece, Piece::Text(_) | Piece::File(_)));
            pieces.insert(words.map_or(0, |place| place + 1), Piece::Sources(sources));
        }
        match speeches.last_mut() {
            None if message.role == Role::Assistant => {}
            Some(last) if last.role == message.role => last.pieces.extend(pieces),
            _ => speeches.push(Speech { role: message.role, first: i, pieces }),
        }
    }
    speeches
}

/// What a message says, its thoughts left out. The last of a history is the question, or the answer that goes on.
fn said<'a>(message: &'a HistoryMessage, files: &FileRules, is_last: bool) -> Vec<Piece<'a>> {
    let text = |text: &'a str| {
        let text = if message.role == Role::Assistant { without_thoughts(text) } else { text };
        (!text.trim().is_empty()).then(|| Piece::Text(text.into()))
    };
    if message.parts.is_empty() {
        let names = message.files_left_out.iter().map(|name| Piece::Text(named(name)));
        return names.chain(text(&message.content)).collect();
    }
    let piece = |part: &'a Value| match part["type"].as_str()? {
        "text" => text(part["text"].as_str()?),
        "file" => {
            let file = part.as_object()?;
            Some(if files.takes(file) { Piece::File(file) } else { Piece::Text(named(name_of(file))) })
        }
        _ if message.role == Role::User => None,
        "step-start" => Some(Piece::Step),
        _ => {
            let call = part.as_object().filter(|part| part.contains_key("toolCallId"))?;
            calls::settled(call, is_last).map(Piece::Call)
        }
    };
    message.parts.iter().filter_map(piece).collect()
}

/// What is told in place of a file that isn't sent.
fn named<'a>(name: &str) -> Cow<'a, str> {
    const CHARS: usize = 200;
    let name: Vec<&str> =
        name.split(|c: char| c.is_whitespace() || c.is_control()).filter(|it| !it.is_empty()).collect();
    let name = if name.is_empty() { "unnamed".to_owned() } else { cut(&name.join(" "), CHARS) };
    format!("[File: {name}]").into()
}

fn name_of(file: &Object) -> &str {
    let text = |name: &str| file.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("filename").or_else(|| text("mediaType")).unwrap_or("unnamed")
}

/// What is left of an answer that was stored with its thoughts among its words: thoughts that are told again cost tokens and
/// lead models astray, and their makers say to leave them out.
fn without_thoughts(text: &str) -> &str {
    const TAGS: [(&str, &str); 3] =
        [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>")];
    let mut left = text;
    loop {
        let begun = TAGS.iter().find_map(|(open, close)| Some((left.trim_start().strip_prefix(open)?, close)));
        let Some((thought, close)) = begun else { return left };
        left = thought.split_once(close).map_or("", |(_, rest)| rest.trim_start());
    }
}

/// The sources that each message's words rest on, until a prompt's room for them is used up: those of the last answers
/// first.
fn sources_of(history: &[HistoryMessage]) -> Vec<Option<Vec<Object>>> {
    let mut room = limits::PROMPT_SOURCES_BYTES;
    let mut all: Vec<Option<Vec<Object>>> = Vec::with_capacity(history.len());
    for message in history.iter().rev() {
        let sources = message.sources.iter().take(limits::PROMPT_SOURCES).map(shown).collect::<Vec<_>>();
        let size = data_of(&sources).len();
        let fits = message.role == Role::Assistant && !sources.is_empty() && size <= room;
        room -= if fits { size } else { 0 };
        all.push(fits.then_some(sources));
    }
    all.reverse();
    all
}

/// What a prompt repeats of a source.
fn shown(source: &Object) -> Object {
    let members = ["id", "type", "mediaType", "title", "url", "filename", "snippet"].into_iter().filter_map(|name| {
        let text = source.get(name)?.as_str()?;
        let text = match name {
            "url" => text.to_owned(),
            "snippet" => cut(text, limits::PROMPT_SNIPPET_CHARS),
            _ => cut(text, limits::SOURCE_TITLE_CHARS),
        };
        Some((name.to_owned(), text.into()))
    });
    members.collect()
}

/// Sources as data that can't end the block it stands in: in JSON every angle bracket of it is written as an escape. A
/// random delimiter would do the same, and spoil the provider's cache of what a prompt begins with.
fn data_of(sources: &[Object]) -> String {
    let told = |source: &Object| {
        let mut source = source.clone();
        source.retain(|name, _| !matches!(name.as_str(), "type" | "mediaType"));
        Value::from(source)
    };
    let data: Value = sources.iter().map(told).collect();
    data.to_string().replace('<', "\\u003c").replace('>', "\\u003e")
}

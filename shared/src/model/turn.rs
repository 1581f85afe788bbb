//! What a turn is made of once it has begun: the run of its answer, and what is stored of it beside the stream.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{ConversationId, MessageId, RunId};
use crate::model::{FinishedAnswer, Message, Role, Status};

/// How a turn is to be begun.
#[derive(Clone, Debug)]
pub struct TurnRules {
    /// How long a run may be silent towards the database before others take it for dead.
    pub lease: Duration,
    /// The most messages of the history that the agent is given.
    pub history_messages: u32,
    /// The most characters of that history.
    pub history_chars: u32,
    /// The most bytes of earlier questions that are read for their files.
    pub history_file_bytes: u32,
    /// What a user may use.
    pub quota: Quota,
    /// Whether a conversation's title is the agent's to word.
    pub title_from_agent: bool,
}

/// What a user may use in a window of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quota {
    /// Answers that are begun; none is no limit.
    pub messages: Option<u64>,
    /// Tokens, as the agent counts them; none is no limit.
    pub tokens: Option<u64>,
    /// Answers that run at a time; none is no limit.
    pub running: Option<u32>,
    /// The window's length. Windows follow each other since 1970.
    pub window: Duration,
}

impl Quota {
    /// The headers that tell a client of its limits and of what is left.
    /// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>
    #[must_use]
    pub fn headers(&self, state: &QuotaState) -> Vec<(&'static str, String)> {
        let limits = [("messages", self.messages, state.messages_left), ("tokens", self.tokens, state.tokens_left)];
        let limits = limits.into_iter().filter_map(|(name, limit, left)| Some((name, limit?, left?)));
        let (window, reset) = (self.window.as_secs(), state.resets_in.as_secs_f64().ceil());
        let (policies, states): (Vec<_>, Vec<_>) = limits
            .map(|(name, limit, left)| {
                (format!("\"{name}\";q={limit};w={window}"), format!("\"{name}\";r={left};t={reset}"))
            })
            .unzip();
        vec![("ratelimit-policy", policies.join(", ")), ("ratelimit", states.join(", "))]
    }
}

/// What a user has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaState {
    /// Of the messages, where they are limited.
    pub messages_left: Option<u64>,
    /// Of the tokens, where they are limited.
    pub tokens_left: Option<u64>,
    /// Until the next window.
    pub resets_in: Duration,
}

/// What became of the request to begin a turn.
#[derive(Debug)]
pub enum TurnStart {
    /// It has begun: the caller runs it.
    Started(Box<StartedTurn>),
    /// An earlier request began it, and its stream is stored or still being stored: follow that.
    Joined(FoundRun),
    /// An earlier request began it and it ended; only the answer is left of its stream. Of an answer that went on, its reader
    /// has as many parts as this says.
    Finished(Box<ChatMessage>, usize),
}

/// A turn that has begun.
#[derive(Debug)]
pub struct StartedTurn {
    /// The run of its answer.
    pub run: RunId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether this turn made it.
    pub conversation_made: bool,
    /// The conversation's title.
    pub title: Option<String>,
    /// The question that its agent is to be asked a title for, where one is wanted.
    pub title_question: Option<String>,
    /// The answer.
    pub message: MessageId,
    /// The question.
    pub question: MessageId,
    /// When the answer was begun.
    pub created_at: Timestamp,
    /// The message that a reader saw last and sees no more, where the turn began another branch.
    pub left: Option<MessageId>,
    /// The answer among the other answers to its question.
    pub siblings: Option<Siblings>,
    /// The question among those that have its parent.
    pub question_siblings: Option<Siblings>,
    /// What the agent is given: oldest first, the question last, or the answer that goes on.
    pub history: Vec<HistoryMessage>,
    /// The ids of the conversation's calls, which no further call may have.
    pub call_ids: HashSet<String>,
    /// The answer so far, where it goes on.
    pub base: Option<BaseAnswer>,
    /// What the user has left, where there is a quota.
    pub quota: Option<QuotaState>,
}

/// An answer that goes on, as it was before.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseAnswer {
    /// Its parts, with the reader's answers to the calls that waited.
    pub parts: Vec<Map<String, Value>>,
    /// What was said of it, but for why it ended.
    pub metadata: Map<String, Value>,
    /// What it rests on so far, without embeddings.
    pub sources: Vec<Map<String, Value>>,
    /// The sources' embeddings, by their ids.
    pub source_embeddings: Option<Map<String, Value>>,
    /// What it has cost so far.
    pub usage: Option<Map<String, Value>>,
    /// The model that wrote it.
    pub model: Option<String>,
}

impl BaseAnswer {
    /// What it rests on so far, each with its embedding.
    #[must_use]
    pub fn embedded_sources(&self) -> Vec<Map<String, Value>> {
        let embeddings = self.source_embeddings.as_ref();
        let embedding = |source: &Map<String, Value>| Some(embeddings?.get(source.get("id")?.as_str()?)?.clone());
        let mut sources = self.sources.clone();
        for source in &mut sources {
            source.extend(embedding(source).map(|embedding| ("embedding".to_owned(), embedding)));
        }
        sources
    }
}

/// Messages that have one parent, and which of them this is: the branches between which a reader can choose.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Siblings {
    /// Their ids, in order; at most 50 before this one and 50 behind it.
    pub ids: Vec<String>,
    /// The place of this one in `ids`.
    pub index: usize,
}

/// A message as the chat shows it.
#[derive(Debug)]
pub struct ChatMessage {
    /// The message.
    pub message: Message,
    /// Where it isn't the only one with its parent.
    pub siblings: Option<Siblings>,
}

/// A message among all branches, under a name that no other has.
#[derive(Debug)]
pub struct NamedMessage {
    /// The message.
    pub shown: ChatMessage,
    /// The client's name of it where that means this one, else our id.
    pub name: String,
    /// Its parent's; none for a first message.
    pub parent: Option<String>,
}

/// A page of all of a conversation's branches.
#[derive(Debug)]
pub struct ChatBranches {
    /// The name of the last message that a reader sees.
    pub head: Option<String>,
    /// The messages, each behind its parent.
    pub messages: Vec<NamedMessage>,
    /// Leads to later messages.
    pub next_cursor: Option<String>,
}

/// A message as the agent is given it. It has no reasoning: thoughts are never told again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryMessage {
    /// Who spoke.
    pub role: Role,
    /// The text of all its text parts.
    pub content: String,
    /// Its parts in their order, where they say more than the text. Empty where the text is all.
    #[serde(default)]
    pub parts: Vec<Value>,
    /// What its files are called, where they aren't among the parts: there was no room for them.
    #[serde(default)]
    pub files_left_out: Vec<String>,
    /// What an answer rested on, cut to what a prompt repeats.
    #[serde(default)]
    pub sources: Vec<Map<String, Value>>,
}

impl HistoryMessage {
    /// A message that is its text.
    pub fn text(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), parts: Vec::new(), files_left_out: Vec::new(), sources: Vec::new() }
    }
}

/// A run whose stream can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundRun {
    /// The run.
    pub run: RunId,
    /// Its answer.
    pub message: MessageId,
    /// Whether its reader has the parts that the answer had before this run.
    pub has_base: bool,
}

/// Frames of a running answer's stream, as they are stored beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunChunk {
    /// Its place, from 0.
    pub n: i32,
    /// Frames of the UI message stream.
    pub frames: Vec<Value>,
    /// The sources that came with them, whole: their frames show what a front end's types know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Map<String, Value>>,
}

/// What a run learns when it stores a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunState {
    /// Whether it may go on: nobody has ended it meanwhile.
    pub live: bool,
    /// Whether the user wants it to stop.
    pub stop_requested: bool,
}

/// How a run ends.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The chunks that aren't stored yet, the terminal frame in the last of them.
    pub chunks: Vec<RunChunk>,
    /// How far the answer has come; never `in_progress`.
    pub status: Status,
    /// What is stored of it.
    pub answer: FinishedAnswer,
    /// What it cost, as the agent says.
    pub usage: Option<Map<String, Value>>,
    /// The tokens that count towards the quota.
    pub tokens: u64,
    /// The model that wrote it.
    pub model: Option<String>,
    /// Whether the turn doesn't count towards the quota: the agent refused it.
    pub give_back: bool,
}

/// How a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What is stored.
    pub status: Status,
    /// Whether this ending did that, or the same one sent before; otherwise somebody had ended it already.
    pub by_this: bool,
}

/// What has been stored of a run since a reader last looked.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPage {
    /// The parts that its answer had before the run; only with its first chunk.
    pub base: Vec<Map<String, Value>>,
    /// Its chunks, in order.
    pub chunks: Vec<RunChunk>,
    /// How it has ended, if it has.
    pub ended: Option<Status>,
}

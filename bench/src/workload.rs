//! The requests that are measured, and what they become on their way.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use shared::model::{ConversationCursor, Cursor, MessageCursor};

use crate::client::BareClient;
use crate::event::Call;
use crate::fill::{self, Conversation, Lister};
use crate::frontend::{self, Sent};
use crate::function::Program;
use crate::issuer::Issuer;
use crate::proxy::Proxy;

/// Different requests of a kind: so many conversations or users, taken in turn.
const DIFFERENT: i64 = 64;
/// Stands for a message's `clientId` in an event; each invocation has its own of this length.
const CLIENT_ID: &str = "bench-000000000000";

/// Requests of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// What people call it.
    pub(crate) title: &'static str,
    /// The function that answers it.
    pub(crate) function: &'static str,
    events: Vec<Vec<u8>>,
}

/// The same requests as they reach PostgreSQL, and one of the answers.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    statements: Vec<Vec<Sent>>,
    pub(crate) answer: Vec<u8>,
}

/// A name that no other invocation has.
fn client_id(number: u64) -> String {
    format!("bench-{number:012}")
}

impl Workload {
    fn of(title: &'static str, function: &'static str, calls: impl IntoIterator<Item = Call>) -> Result<Self> {
        let events: Vec<Vec<u8>> = calls.into_iter().map(|call| call.event()).collect();
        anyhow::ensure!(!events.is_empty(), "{title}: the database holds nothing of the kind");
        Ok(Self { title, function, events })
    }

    /// The event of the invocation `number`, which is never used twice.
    pub(crate) fn event(&self, number: u64) -> Vec<u8> {
        let mut event = self.events[index(number, self.events.len())].clone();
        if let Some(at) = event.windows(CLIENT_ID.len()).position(|window| window == CLIENT_ID.as_bytes()) {
            event[at..at + CLIENT_ID.len()].copy_from_slice(client_id(number).as_bytes());
        }
        event
    }

    /// Looks on while the function answers each of the events once.
    pub(crate) fn observe(&self, program: &Program, proxy: &Proxy, first: u64) -> Result<Seen> {
        let mut environment = program.start(None)?;
        environment.invoke(self.event(first))?;
        let mut seen = Seen { statements: Vec::new(), answer: Vec::new() };
        for number in (1..).take(self.events.len()) {
            proxy.take();
            let answer = environment.invoke(self.event(first + number))?;
            let sent = frontend::parse(&proxy.take().sent).context(self.function)?;
            seen.statements.push(frontend::renamed(&sent, &client_id(first + number), CLIENT_ID));
            seen.answer = answer.body;
        }
        Ok(seen)
    }
}

impl Seen {
    /// Whether the requests reach PostgreSQL at all.
    pub(crate) fn has_statements(&self) -> bool {
        self.statements.iter().any(|statements| !statements.is_empty())
    }

    /// Sends the statements of one request; how long that took.
    pub(crate) fn send(&self, client: &BareClient, number: u64) -> Result<Duration> {
        let statements = &self.statements[index(number, self.statements.len())];
        client.send(&frontend::renamed(statements, CLIENT_ID, &client_id(number)))
    }
}

fn index(number: u64, length: usize) -> usize {
    usize::try_from(number).unwrap_or_default() % length
}

/// The requests of one database.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    pub(crate) list: Workload,
    pub(crate) append: Workload,
    pub(crate) list_conversations: Workload,
    pub(crate) me: Workload,
    pub(crate) deep: Workload,
    pub(crate) deep_conversations: Workload,
}

impl Requests {
    /// Chooses what to ask for in a filled database.
    pub(crate) fn choose(superuser: &BareClient, issuer: &Issuer) -> Result<Self> {
        let paged = superuser.ask(async |client| fill::conversations(client, fill::PAGED, DIFFERENT).await)?;
        let deep = superuser.ask(async |client| fill::conversations(client, fill::DEEP, DIFFERENT).await)?;
        let listers = superuser.ask(async |client| fill::listers(client, DIFFERENT).await)?;
        let path = |conversation: &Conversation| format!("/v1/conversations/{}/messages", conversation.id);
        let list = |conversation: &Conversation, after: Option<i64>| {
            let mut call = Call::get(path(conversation), &issuer.token(&conversation.subject));
            call.query.push(("limit", "50".to_owned()));
            call.query.extend(after.map(|seq| ("cursor", MessageCursor(seq).encode())));
            call
        };
        let append = |conversation: &Conversation| {
            let mut call = Call::get(path(conversation), &issuer.token(&conversation.subject));
            call.method = "POST";
            call.body = Some(json!({"messages": [answer()]}));
            call
        };
        let list_conversations = |lister: &Lister, is_deep: bool| {
            let mut call = Call::get("/v1/conversations", &issuer.token(&lister.subject));
            call.query.push(("limit", "50".to_owned()));
            if is_deep {
                let cursor = ConversationCursor { activity_at: lister.activity_at, id: lister.id.into() };
                call.query.push(("cursor", cursor.encode()));
            }
            call
        };
        // Places all over the second half of a deep conversation, some in each of several.
        let places = deep.iter().cycle().zip(0..DIFFERENT).map(|(conversation, n)| {
            let half = conversation.last_seq / 2;
            list(conversation, Some(half + n * (half - 100) / DIFFERENT))
        });
        Ok(Self {
            list: Workload::of("list 50 messages", "list-messages", paged.iter().map(|c| list(c, None)))?,
            append: Workload::of("append one", "append-messages", paged.iter().map(append))?,
            list_conversations: Workload::of(
                "list conversations",
                "list-conversations",
                listers.iter().map(|l| list_conversations(l, false)),
            )?,
            me: Workload::of("get me", "me", listers.iter().map(|l| Call::get("/v1/me", &issuer.token(&l.subject))))?,
            deep: Workload::of("messages, deep", "list-messages", places)?,
            deep_conversations: Workload::of(
                "conversations, deep",
                "list-conversations",
                listers.iter().map(|l| list_conversations(l, true)),
            )?,
        })
    }
}

/// A message to append: an agent's answer of 500 characters, with a source.
fn answer() -> serde_json::Value {
    let text =
        "Annual leave that wasn't taken may be carried over until March of the next year where the manager agreed. "
            .repeat(5);
    let text = &text[..500];
    json!({
        "clientId": CLIENT_ID, "role": "assistant", "parts": [{"type": "text", "text": text, "state": "done"}],
        "sources": [{
            "id": "s1", "type": "url", "url": "https://intranet.example.com/handbook/leave#section-0012",
            "title": "Employee handbook, annual leave", "snippet": &text[..120], "score": 0.8371,
            "documentId": "handbook-2026",
        }],
        "model": "gpt-5", "usage": {"inputTokens": 912, "outputTokens": 118},
    })
}

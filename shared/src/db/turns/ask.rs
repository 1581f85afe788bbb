//! What a turn asks for, as the database's function takes it.

use serde::Serialize;
use serde_json::Value;

use crate::id::{ClientId, MessageId, MessageRef};
use crate::model::{Ask, Metadata, Place, Question, ToolOutcome, Turn, TurnRules};

/// What is asked for, as the database's function takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AskRow<'a> {
    kind: &'static str,
    target_id: Option<MessageId>,
    target_client_id: Option<&'a str>,
    question: Option<QuestionRow<'a>>,
    key: Option<&'a ClientId>,
    /// Whether the agent words the title of a conversation that this turn makes.
    title_from_agent: bool,
    /// Empty where the question is to be the first.
    parent: Option<NameRow<'a>>,
    earlier: Vec<NameRow<'a>>,
    /// What the calls of the answer that goes on are answered.
    outcomes: &'a [ToolOutcome],
}

/// A message as a client names it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct NameRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
}

impl<'a> NameRow<'a> {
    /// A text that can name nothing is looked up as an empty one: left out, it would pass for no name at all.
    fn new(name: &'a MessageRef) -> Self {
        Self { id: name.id, client_id: Some(name.client_id.as_ref().map_or("", ClientId::as_str)) }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QuestionRow<'a> {
    /// The client's id, where it is one of ours: what was stored without a client's id is shown under it.
    id: Option<MessageId>,
    /// Whether it has the form of our ids: nothing is stored under such a name.
    is_ours: bool,
    client_id: Option<&'a ClientId>,
    parts: &'a [Value],
    content: &'a str,
    metadata: &'a Metadata,
    request_hash: String,
}

impl<'a> AskRow<'a> {
    pub(super) fn new(turn: &'a Turn, rules: &TurnRules) -> Self {
        let (kind, target) = match &turn.ask {
            Ask::Submit(_) => ("submit", None),
            Ask::Edit { target, .. } => ("edit", Some(target)),
            Ask::Regenerate { target, .. } => ("regenerate", target.as_ref()),
            Ask::Continue { target, .. } => ("continue", Some(target)),
        };
        let target = target.map(NameRow::new).unwrap_or_default();
        let name_of = |question: &Question| question.client_id.as_ref().map(|id| MessageRef::parse(id.as_str()));
        let question = turn.ask.question().map(|question| QuestionRow {
            id: name_of(question).and_then(|name| name.id),
            is_ours: name_of(question).is_some_and(|name| name.is_ours()),
            client_id: question.client_id.as_ref(),
            parts: &question.parts,
            content: &question.content,
            metadata: &question.metadata,
            request_hash: question.request_hash(),
        });
        Self {
            kind,
            target_id: target.id,
            target_client_id: target.client_id,
            question,
            key: turn.key.as_ref(),
            title_from_agent: rules.title_from_agent,
            parent: match &turn.place {
                Place::Root => Some(NameRow::default()),
                Place::Behind(name) => Some(NameRow::new(name)),
                Place::Shown(_) => None,
            },
            earlier: match &turn.place {
                Place::Shown(names) => names.iter().map(NameRow::new).collect(),
                Place::Root | Place::Behind(_) => Vec::new(),
            },
            outcomes: match &turn.ask {
                Ask::Continue { outcomes, .. } => outcomes,
                _ => &[],
            },
        }
    }
}

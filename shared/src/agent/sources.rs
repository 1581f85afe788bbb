//! The sources of one answer: numbered as its agent numbers them, capped, and never fetched.

mod candidate;
mod links;
mod open_webui;
mod shapes;
mod told;
mod web;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::events::Events;
use crate::model::{BaseAnswer, NewSources, cut, limits};
use candidate::Candidate;
use shapes::{Entry, Kind};
use told::{Key, Told};
use web::Web;

pub(super) use candidate::size_of;
pub(super) use links::is_good as is_good_link;

type Object = Map<String, Value>;

/// Collects the sources of an answer as they arrive.
///
/// The n-th source told is the n-th stored, since that is what `[n]` means. What was told already is told by lists, not
/// by pages: two passages of one page are two sources.
#[derive(Debug, Default)]
pub(super) struct Sources {
    told: HashMap<Kind, Told>,
    /// Which kind of list was the first to tell of a page or document, and how often more than the others.
    places: HashMap<u64, (Kind, usize)>,
    /// The files of Open WebUI, and the parts of the AI SDK.
    seen: HashSet<String>,
    ids: HashSet<String>,
    number: usize,
    bytes: usize,
    left_out: usize,
    step: Step,
    /// Links and results that are kept back until it is clear that nothing richer comes.
    web: Web,
}

/// What the parts of the AI SDK have told in the current step, which may be taken back.
#[derive(Debug, Default)]
struct Step {
    seen: Vec<String>,
    ids: Vec<String>,
    /// What was counted when it began.
    number: usize,
    bytes: usize,
    left_out: usize,
}

impl Sources {
    /// A step of the AI SDK begins.
    pub(super) fn begin_step(&mut self) {
        let Self { number, bytes, left_out, .. } = *self;
        self.step = Step { number, bytes, left_out, ..Step::default() };
    }

    /// What was told since the step began was never told.
    pub(super) fn take_back(&mut self, events: &mut Events) {
        for key in std::mem::take(&mut self.step.seen) {
            self.seen.remove(&key);
        }
        for id in std::mem::take(&mut self.step.ids) {
            self.ids.remove(&id);
        }
        (self.number, self.bytes) = (self.step.number, self.step.bytes);
        if self.left_out != self.step.left_out {
            self.left_out = self.step.left_out;
            events.sources_left_out(self.left_out);
        }
    }

    /// Behind those of the answer before it went on: these keep their ids and places.
    pub(super) fn behind(base: Option<&BaseAnswer>) -> Self {
        let mut sources = Self::default();
        let Some(base) = base else { return sources };
        for source in &base.sources {
            let text = |name: &str| source.get(name).and_then(Value::as_str).unwrap_or_default();
            sources.ids.insert(text("id").to_owned());
            sources.seen.insert(key_of_part(text("id"), text("url"), text("title")));
            sources.bytes += size_of(source);
        }
        let left_out = base.metadata.get("sourcesLeftOut").and_then(Value::as_u64).unwrap_or_default();
        sources.left_out = usize::try_from(left_out).unwrap_or_default();
        sources
    }

    /// Tells the new sources in a frame of an OpenAI-compatible stream; whether it speaks of any.
    pub(super) fn of_completion(&mut self, frame: &Object, choice: Option<&Object>, events: &mut Events) -> bool {
        let places = shapes::places(frame, choice);
        let mut lists = shapes::lists(&places);
        self.web.read(&places, &mut lists);
        let any = !lists.is_empty() || !self.web.is_empty();
        for (kind, entries) in lists {
            self.list(kind, entries, events);
        }
        any
    }

    /// Tells the new ones among annotations, as OpenAI's Responses send them one by one, and whole at the end.
    pub(super) fn of_annotations<'a>(&mut self, annotations: impl Iterator<Item = &'a Value>, events: &mut Events) {
        self.list(Kind::Annotations, shapes::annotations(annotations), events);
    }

    /// Tells the source of a part of the AI SDK, which keeps its id.
    pub(super) fn of_part(&mut self, part: &Object, events: &mut Events) {
        let mut source = NewSources::from_parts(std::slice::from_ref(part)).sources().first().cloned();
        let Some(source) = source.as_mut() else { return };
        source.retain(|_, value| !value.is_null());
        let text = |source: &Object, name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
        let url = text(source, "url").filter(|url| links::is_good(url));
        if url.is_none() {
            source.remove("url");
            source.insert("type".into(), "document".into());
        }
        links::remove_running(source);
        let id = text(source, "id").filter(|id| (1..=200).contains(&id.chars().count()));
        let title = text(source, "title").or_else(|| text(source, "filename")).filter(|title| !title.is_empty());
        let content = || Value::Object(source.clone()).to_string();
        let text_of = |text: &Option<String>| text.clone().unwrap_or_default();
        let key = id.as_ref().map_or_else(content, |id| key_of_part(id, &text_of(&url), &text_of(&title)));
        if !self.seen.insert(key.clone()) {
            return;
        }
        self.step.seen.push(key);
        let id = id.filter(|id| !self.ids.contains(id)).unwrap_or_else(|| self.next_id());
        let title = title.or_else(|| url.as_deref().and_then(links::host)).unwrap_or_else(|| self.unnamed());
        source.insert("title".into(), cut(&title, limits::SOURCE_TITLE_CHARS).into());
        source.insert("id".into(), id.into());
        self.keep(std::mem::take(source), events);
    }

    /// Tells what is only known to be all at the end: links that nothing said more of, results that no link names.
    pub(super) fn rest(&mut self, events: &mut Events) {
        for (kind, entries) in self.web.rest() {
            self.list(kind, entries, events);
        }
    }

    /// Tells what of a list is new.
    fn list(&mut self, kind: Kind, entries: Vec<Entry>, events: &mut Events) {
        let keys: Vec<Key> = entries.iter().map(|entry| Key::of(&entry.candidate)).collect();
        let new = self.told.entry(kind).or_default().new_from(&keys);
        for (entry, key) in entries.into_iter().zip(keys).skip(new) {
            let is_known = match entry.file {
                Some(file) => !self.seen.insert(file),
                None => self.is_copy(kind, key),
            };
            if !is_known {
                self.add(entry.candidate, events);
            }
        }
    }

    /// Whether another kind of list has told of this: services repeat their sources under several names.
    fn is_copy(&mut self, kind: Kind, key: Key) -> bool {
        let Some(place) = key.place else { return false };
        let (first, times) = self.places.entry(place).or_insert((kind, 0));
        if *first == kind {
            *times += 1;
            return false;
        }
        let is_copy = !kind.has_passages() || *times > 0;
        *times = times.saturating_sub(1);
        is_copy
    }

    fn add(&mut self, candidate: Candidate, events: &mut Events) {
        let mut candidate = candidate.without_bad_links();
        let title = candidate.title.take().or_else(|| candidate.file_title());
        let title = title.or_else(|| candidate.url.as_deref().and_then(links::host)).unwrap_or_else(|| self.unnamed());
        let id = self.next_id();
        self.keep(candidate.into_source(id, &title), events);
    }

    /// Keeps a source if there is room, if need be without what else was said of it: its place is worth more. Behind one
    /// that is left out none is kept, or it would take a number that isn't its own.
    fn keep(&mut self, mut source: Object, events: &mut Events) {
        let whole = limits::ANSWER_SOURCES_BYTES - limits::ANSWER_PLACES_BYTES;
        if self.bytes + size_of(&source) > whole {
            source.retain(|name, _| candidate::is_known(name));
        }
        if self.bytes + size_of(&source) > whole {
            source.remove("snippet");
        }
        let size = size_of(&source);
        if self.left_out > 0
            || self.ids.len() >= limits::ANSWER_SOURCES
            || self.bytes + size > limits::ANSWER_SOURCES_BYTES
        {
            events.odd("a source for which an answer has no room");
            self.left_out += 1;
            return events.sources_left_out(self.left_out);
        }
        self.bytes += size;
        if let Some(id) = source.get("id").and_then(Value::as_str) {
            self.ids.insert(id.to_owned());
            self.step.ids.push(id.to_owned());
        }
        events.source(source);
    }

    fn next_id(&mut self) -> String {
        loop {
            self.number += 1;
            let id = format!("s{}", self.number);
            if !self.ids.contains(&id) {
                return id;
            }
        }
    }

    fn unnamed(&self) -> String {
        format!("Source {}", self.ids.len() + 1)
    }
}

/// What tells a source of the AI SDK's from others: agents give two of them one id.
fn key_of_part(id: &str, url: &str, title: &str) -> String {
    format!("{id}\0{}", if url.is_empty() { title } else { url })
}

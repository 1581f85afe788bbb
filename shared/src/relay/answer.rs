//! What an answer has become so far: its parts, what it rests on and what it cost, behind what it was before where it goes on.

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::answering::{is_content, is_word};
use super::call_ids::CallIds;
use super::outcome::Outcome;
use crate::clock::Clock;
use crate::model::{Ending, NewSources, RunChunk, StartedTurn};
use crate::ui_stream::{self, Assembler, Chunk, FinishReason, OpenParts, StepCalls};

/// An answer while it is written.
pub(super) struct Answer {
    open: OpenParts,
    /// What is stored of it in the end.
    assembler: Assembler,
    call_ids: CallIds,
    /// Whether it went on.
    goes_on: bool,
    /// What it had cost by then.
    usage_before: Option<Map<String, Value>>,
    /// Whether a step must begin before it says anything more. A front end takes the calls of the last step for what it has to
    /// answer: without another step, it sends the same answers again and again.
    step_due: bool,
    sources: Vec<Map<String, Value>>,
    /// How many of its sources were left out.
    pub(super) sources_left_out: usize,
    /// What it has cost since it began, or went on.
    pub(super) usage: Option<Map<String, Value>>,
    /// The model that writes it.
    pub(super) model: Option<String>,
    /// Why its agent ended it.
    pub(super) finish: Option<FinishReason>,
    /// When its first word came.
    pub(super) first_word: Option<Instant>,
    has_content: bool,
}

impl Answer {
    pub(super) fn new(started: &StartedTurn) -> Self {
        let base = started.base.clone().unwrap_or_default();
        Self {
            open: OpenParts::default(),
            call_ids: CallIds::new(started.call_ids.clone(), &base.parts),
            goes_on: started.base.is_some(),
            step_due: started.base.is_some(),
            sources: base.embedded_sources(),
            sources_left_out: 0,
            assembler: Assembler::going_on(base.parts, base.metadata),
            usage: None,
            usage_before: base.usage,
            model: base.model,
            finish: None,
            first_word: None,
            has_content: false,
        }
    }

    /// The frames that a frame of the agent's makes.
    pub(super) fn frames_of(&mut self, mut chunk: Chunk) -> impl Iterator<Item = Chunk> + use<> {
        let mut step = (self.step_due && begins_content(&chunk)).then_some(Chunk::StartStep);
        if let Some(step) = &mut step {
            self.call_ids.rename(step);
        }
        self.step_due &= step.is_none() && !matches!(chunk, Chunk::StartStep);
        self.call_ids.rename(&mut chunk);
        self.has_content |= is_content(&chunk);
        if is_word(&chunk) {
            self.first_word.get_or_insert_with(Instant::now);
        }
        step.into_iter().chain([chunk])
    }

    /// The frames that a source makes, which has its number.
    pub(super) fn frames_of_source(
        &mut self,
        source: &Map<String, Value>,
        chunk: Chunk,
    ) -> impl Iterator<Item = Chunk> + use<> {
        self.sources.push(source.clone());
        let shown = Chunk::parse(NewSources::nth_part_of(source, self.sources.len()));
        self.frames_of(shown.unwrap_or(chunk))
    }

    /// Takes note of a frame that is sent.
    pub(super) fn push(&mut self, chunk: &Chunk) {
        // The agent's side has judged the order already.
        let _ = self.open.observe(chunk);
        self.assembler.push(chunk);
        if matches!(chunk, Chunk::ResetStep) {
            // The sources of a step that was taken back are gone with it.
            self.sources.truncate(self.assembler.sources());
        }
    }

    /// The frames that end what is open.
    pub(super) fn close(&mut self) -> Vec<Chunk> {
        self.open.close()
    }

    /// How it has ended, once nothing is open: one whose calls wait for the reader says so. The frame, where there is one, keeps
    /// a front end from sending ended calls back as if the agent had stopped for them.
    pub(super) fn settle(&mut self, outcome: Outcome) -> (Outcome, Option<Chunk>) {
        let calls = self.assembler.calls();
        let outcome = match outcome {
            Outcome::Finished(FinishReason::Stop | FinishReason::Other) if calls == StepCalls::Wait => {
                Outcome::Finished(FinishReason::ToolCalls)
            }
            outcome => outcome,
        };
        let stops_for_calls = matches!(outcome, Outcome::Finished(FinishReason::ToolCalls));
        let step = self.step_due || calls == StepCalls::Ended && !stops_for_calls;
        (outcome, step.then_some(Chunk::StartStep))
    }

    /// What the frame that ends it tells of it.
    pub(super) fn end_metadata(&self, outcome: &Outcome) -> Map<String, Value> {
        let usage = self.whole_usage();
        let mut metadata = ui_stream::finish_metadata(outcome.status(), usage.as_ref(), self.model.as_deref());
        ui_stream::note_sources_left_out(&mut metadata, self.sources_left_out);
        ui_stream::note_completed(&mut metadata, Clock::system().now());
        match outcome {
            Outcome::Finished(reason) if self.goes_on || *reason != FinishReason::Stop => {
                ui_stream::note_finish_reason(&mut metadata, *reason);
            }
            // A page that has the answer from before would go on to show why it ended then.
            _ if self.goes_on => ui_stream::note_finish_reason(&mut metadata, FinishReason::Other),
            _ => {}
        }
        metadata
    }

    /// What is stored in the end, these chunks with it.
    pub(super) fn ending(&mut self, outcome: &Outcome, chunks: Vec<RunChunk>) -> Ending {
        let (usage, model) = (self.whole_usage(), self.model.clone());
        let beside = [model.clone().into(), usage.clone().into()];
        let assembled = std::mem::take(&mut self.assembler).finish();
        let tokens = self.usage.as_ref().and_then(|usage| usage.get("totalTokens")?.as_u64());
        Ending {
            chunks,
            status: outcome.status(),
            answer: assembled.into_answer(std::mem::take(&mut self.sources), &beside),
            usage,
            tokens: tokens.unwrap_or_default(),
            model,
            // An answer without a word is none.
            give_back: !self.has_content,
        }
    }

    /// What it has cost in all.
    fn whole_usage(&self) -> Option<Map<String, Value>> {
        let Some(mut sum) = self.usage_before.clone() else { return self.usage.clone() };
        for (name, count) in self.usage.iter().flatten() {
            let before = sum.get(name).and_then(Value::as_u64);
            let both = before.zip(count.as_u64()).map(|(before, count)| before.saturating_add(count).into());
            sum.insert(name.clone(), both.unwrap_or_else(|| count.clone()));
        }
        Some(sum)
    }
}

/// Whether a frame begins something that is a part of its own.
fn begins_content(chunk: &Chunk) -> bool {
    matches!(
        chunk,
        Chunk::TextStart { .. }
            | Chunk::ReasoningStart { .. }
            | Chunk::ToolInputStart { .. }
            | Chunk::ToolInputAvailable { .. }
            | Chunk::ToolInputError { .. }
            | Chunk::SourceUrl { .. }
            | Chunk::SourceDocument { .. }
            | Chunk::File { .. }
            | Chunk::ReasoningFile { .. }
            | Chunk::Custom { .. }
            | Chunk::Data { transient: false, .. }
    )
}

//! What a run has to tell; as JSON it is just this.

use serde::Serialize;

use crate::bodies::Body;
use crate::chat::Chat;
use crate::fill::Filled;
use crate::goals::Judged;
use crate::peer::Beside;
use crate::round_trips::RoundTrips;
use crate::scale::Scale;
use crate::sizes::Size;
use crate::start::StartFigures;
use crate::warm::Warm;

/// Every figure.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) conditions: Conditions,
    pub(crate) workloads: Vec<Workload>,
    /// Beside the peer.
    pub(crate) beside: Vec<Beside>,
    pub(crate) pages: Vec<Scale>,
    pub(crate) round_trips: Vec<RoundTrips>,
    pub(crate) chat: Chat,
    /// Milliseconds of CPU and bytes of memory.
    pub(crate) bodies: Vec<Body>,
    pub(crate) goals: Vec<Judged>,
}

/// Under which conditions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conditions {
    pub(crate) machine: String,
    /// The load average when the measuring began, and when it had ended.
    pub(crate) load: [String; 2],
    pub(crate) postgres: String,
    pub(crate) server_settings: Vec<String>,
    pub(crate) small: Filled,
    pub(crate) large: Filled,
    pub(crate) runs: usize,
    /// How long filling and measuring took.
    pub(crate) seconds: u64,
}

/// All figures of one kind of request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Workload {
    pub(crate) title: &'static str,
    pub(crate) function: &'static str,
    /// The bytes of an event, and of its answer as the Runtime API takes it.
    pub(crate) event_bytes: usize,
    pub(crate) answer_bytes: usize,
    /// Milliseconds.
    pub(crate) start: StartFigures,
    /// Microseconds and bytes.
    pub(crate) warm: Warm,
    pub(crate) size: Size,
}

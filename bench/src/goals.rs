//! What the figures are held against.

use serde::Serialize;

use crate::bodies::{self, Body};
use crate::report::{Report, Workload};
use crate::round_trips;
use crate::stats::Figure;
use crate::warm::as_f64;

/// What is said of a figure of each workload.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    figure: &'static str,
    pub(crate) text: &'static str,
    /// The most, by the workload's function.
    limits: &'static [(&'static str, f64)],
    value: fn(&Workload) -> Option<f64>,
}

const EVERY: [&str; 4] = ["list-messages", "append-messages", "list-conversations", "me"];

const fn every(most: f64) -> [(&'static str, f64); 4] {
    [(EVERY[0], most), (EVERY[1], most), (EVERY[2], most), (EVERY[3], most)]
}

pub(crate) const START: Goal = Goal {
    figure: "exec → first answer, ms",
    text: "≤ 15",
    limits: &every(15.0),
    value: |workload| Some(workload.start.total.median),
};
pub(crate) const BY_FLOOR: Goal = Goal {
    figure: "warm p50 ÷ floors",
    text: "≤ 1.3 list, append",
    limits: &[(EVERY[0], 1.3), (EVERY[1], 1.3)],
    value: |workload| workload.warm.by_floor.median,
};
pub(crate) const CPU: Goal = Goal {
    figure: "CPU per request, µs",
    text: "≤ 300 list, ≤ 250 append",
    limits: &[(EVERY[0], 300.0), (EVERY[1], 250.0)],
    value: |workload| Some(workload.warm.cpu.median),
};
pub(crate) const RSS: Goal = Goal {
    figure: "maximum RSS, MB",
    text: "≤ 10",
    limits: &every(10.0),
    value: |workload| Some(workload.warm.max_rss.median / 1e6),
};
pub(crate) const ZIP: Goal = Goal {
    figure: "zip, MB",
    text: "≤ 4.5",
    limits: &every(4.5),
    value: |workload| Some(as_f64(workload.size.zip) / 1e6),
};
/// The most that a large database may make of a page's time.
const PAGE: f64 = 1.2;
pub(crate) const PAGE_TEXT: &str = "≤ 1.2";
/// The most network round trips of a request.
const ROUND_TRIPS: u64 = 1;
pub(crate) const ROUND_TRIPS_TEXT: &str = "≤ 1";

/// The most milliseconds that relaying adds to an agent's first word, beside the database's round trip.
const ADDED: f64 = 2.0;
pub(crate) const ADDED_TEXT: &str = "≤ 2";

/// The most that a body may cost, whatever is in it: milliseconds of CPU, and bytes of memory.
const BODY_CPU: f64 = 300.0;
const BODY_MEMORY: f64 = 64e6;
pub(crate) const BODY_TEXT: &str = "≤ 300 ms, ≤ 64 MB";

/// What became of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// The runs disagree, so that there is no figure.
    Unknown,
}

impl Verdict {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Unknown => "unknown",
        }
    }

    /// Of a value that may be `most` at most.
    pub(crate) fn of(value: Option<f64>, most: f64) -> Self {
        match value {
            Some(value) if value <= most => Self::Met,
            Some(_) => Self::Missed,
            None => Self::Unknown,
        }
    }

    /// Of several together.
    fn all(verdicts: &(impl Iterator<Item = Self> + Clone)) -> Self {
        let any = |wanted| verdicts.clone().any(|verdict| verdict == wanted);
        if any(Self::Missed) {
            Self::Missed
        } else if any(Self::Unknown) {
            Self::Unknown
        } else {
            Self::Met
        }
    }
}

/// A goal with its verdict, for machines.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    figure: &'static str,
    goal: &'static str,
    verdict: Verdict,
}

impl Goal {
    /// Whether all workloads of which something is asked reach it; `None` where of none.
    pub(crate) fn verdict(&self, workloads: &[Workload]) -> Option<Verdict> {
        let of = |(function, most): &(&str, f64)| {
            let workload = workloads.iter().find(|workload| workload.function == *function);
            Verdict::of(workload.and_then(self.value), *most)
        };
        (!self.limits.is_empty()).then(|| Verdict::all(&self.limits.iter().map(of)))
    }
}

/// Whether a page of this ratio reaches its goal.
pub(crate) fn page(ratio: Option<f64>) -> Verdict {
    Verdict::of(ratio, PAGE)
}

/// Whether relaying adds little enough.
pub(crate) fn added(figure: &Figure) -> Verdict {
    Verdict::of(Some(figure.median), ADDED)
}

/// Whether no body costs too much.
pub(crate) fn bodies(bodies: &[Body]) -> Verdict {
    let most = |figure: fn(&Body) -> f64| bodies::worst(bodies, figure).map(figure);
    let verdicts =
        [Verdict::of(most(|body| body.cpu_ms), BODY_CPU), Verdict::of(most(|body| body.memory), BODY_MEMORY)];
    Verdict::all(&verdicts.into_iter())
}

/// Whether every request keeps to one round trip.
pub(crate) fn round_trips(report: &Report) -> Verdict {
    if round_trips::most(&report.round_trips) <= ROUND_TRIPS { Verdict::Met } else { Verdict::Missed }
}

/// Every goal.
pub(crate) fn judge(report: &Report) -> Vec<Judged> {
    let judged = |goal: &Goal| {
        let verdict = goal.verdict(&report.workloads)?;
        Some(Judged { figure: goal.figure, goal: goal.text, verdict })
    };
    let mut all: Vec<Judged> = [START, BY_FLOOR, CPU, RSS, ZIP].iter().filter_map(judged).collect();
    all.push(Judged {
        figure: "network round trips per request",
        goal: ROUND_TRIPS_TEXT,
        verdict: round_trips(report),
    });
    let pages = report.pages.iter().map(|page| self::page(page.large_by_small.median));
    all.push(Judged { figure: "added to the first word, ms", goal: ADDED_TEXT, verdict: added(&report.chat.added) });
    all.push(Judged { figure: "the worst bodies", goal: BODY_TEXT, verdict: bodies(&report.bodies) });
    let beside = report.beside.iter().flat_map(|of| &of.figures).map(|compared| compared.verdict);
    all.push(Judged { figure: "beside the peer", goal: "each its own", verdict: Verdict::all(&beside) });
    all.push(Judged { figure: "page of 50, large ÷ small", goal: PAGE_TEXT, verdict: Verdict::all(&pages) });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_miss_is_a_miss_and_no_figure_is_no_success() {
        assert_eq!(Verdict::of(Some(1.2), 1.2), Verdict::Met);
        assert_eq!(Verdict::of(Some(1.21), 1.2), Verdict::Missed);
        assert_eq!(Verdict::of(None, 1.2), Verdict::Unknown);
        let all = |verdicts: &[Verdict]| Verdict::all(&verdicts.iter().copied());
        assert_eq!(all(&[Verdict::Met, Verdict::Met]), Verdict::Met);
        assert_eq!(all(&[Verdict::Met, Verdict::Unknown]), Verdict::Unknown);
        assert_eq!(all(&[Verdict::Unknown, Verdict::Missed]), Verdict::Missed);
    }
}

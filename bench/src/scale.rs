//! Whether a page costs the same in a large database as in a small one.

use anyhow::Result;
use serde::Serialize;

use crate::function::Program;
use crate::numbers::Numbers;
use crate::stats::{Figure, Ratio, percentile};
use crate::warm::invoke;
use crate::workload::Workload;

/// How often small and large take turns in a run, and the invocations of a turn.
const TURNS: usize = 10;
const TURN: usize = 64;

/// The runs of one kind of page.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    small: Vec<f64>,
    large: Vec<f64>,
}

/// A page's p50 in both databases, in microseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scale {
    pub(crate) title: &'static str,
    pub(crate) small: Figure,
    pub(crate) large: Figure,
    pub(crate) large_by_small: Ratio,
}

impl Runs {
    /// Makes one more run: small and large in turn.
    pub(crate) fn add(&mut self, sides: [(&Workload, &Program); 2], numbers: &mut Numbers) -> Result<()> {
        let mut environments = [sides[0].1.start(None)?, sides[1].1.start(None)?];
        let mut times: [Vec<f64>; 2] = Default::default();
        for turn in 0..=TURNS {
            for ((environment, (workload, _)), times) in environments.iter_mut().zip(sides).zip(&mut times) {
                let took = invoke(environment, workload, TURN, numbers)?;
                // The first turn reads every page once.
                if turn > 0 {
                    times.extend(took);
                }
            }
        }
        self.small.extend(percentile(&mut times[0], 50.0));
        self.large.extend(percentile(&mut times[1], 50.0));
        Ok(())
    }

    /// The figures of all runs.
    pub(crate) fn figures(&self, title: &'static str) -> Option<Scale> {
        let (small, large) = (Figure::of(&self.small)?, Figure::of(&self.large)?);
        Some(Scale { title, large_by_small: Ratio::of(&large, &small)?, small, large })
    }
}

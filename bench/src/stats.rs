//! Figures: percentiles of what was measured, medians of runs, and when runs disagree too much to be compared.

use serde::Serialize;

/// Ratios are told only where those of the single runs lie this close together: the largest at most so many times the
/// smallest. Beyond it the machine was measured, not the program.
pub(crate) const AGREEMENT: f64 = 1.20;

/// The value that `percent` of the values don't exceed (nearest rank). `values` is sorted by this.
pub(crate) fn percentile(values: &mut [f64], percent: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rank")]
    let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
    values.get(rank.clamp(1, values.len().max(1)) - 1).copied()
}

/// One figure: its median over the runs, and between which values the runs lay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
    /// The value of each run, in the order in which they were made.
    pub(crate) runs: Vec<f64>,
}

impl Figure {
    /// The figure of these runs; `None` where there are none.
    pub(crate) fn of(runs: &[f64]) -> Option<Self> {
        let mut sorted = runs.to_vec();
        let median = median(&mut sorted)?;
        Some(Self { min: *sorted.first()?, median, max: *sorted.last()?, runs: runs.to_vec() })
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let lower = if values.len().is_multiple_of(2) { *values.get(middle - 1)? } else { upper };
    Some(f64::midpoint(lower, upper))
}

/// A ratio of two figures, run by run: what disturbs a run disturbs both.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ratio {
    /// The median of the runs' ratios; absent where they disagree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) median: Option<f64>,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) runs: Vec<f64>,
}

impl Ratio {
    /// The ratio of two figures that were measured side by side in the same runs.
    pub(crate) fn of(value: &Figure, floor: &Figure) -> Option<Self> {
        if value.runs.len() != floor.runs.len() || floor.runs.iter().any(|floor| *floor <= 0.0) {
            return None;
        }
        let ratios: Vec<f64> = value.runs.iter().zip(&floor.runs).map(|(value, floor)| value / floor).collect();
        let Figure { min, median, max, runs } = Figure::of(&ratios)?;
        Some(Self { median: (max <= min * AGREEMENT).then_some(median), min, max, runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 50.0), Some(100.0));
        assert_eq!(percentile(&mut values, 99.0), Some(198.0));
        assert_eq!(percentile(&mut values, 100.0), Some(200.0));
        assert_eq!(percentile(&mut values, 0.0), Some(1.0));
        assert_eq!(percentile(&mut [7.0], 99.0), Some(7.0));
        assert_eq!(percentile(&mut [], 50.0), None);
    }

    #[test]
    fn a_figure_keeps_every_run() {
        let figure = Figure::of(&[3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!((figure.min, figure.median, figure.max), (1.0, 2.5, 10.0));
        assert_eq!(figure.runs, [3.0, 1.0, 2.0, 10.0]);
        assert_eq!(Figure::of(&[]), None);
    }

    #[test]
    fn ratios_are_made_run_by_run() {
        let (value, floor) = (Figure::of(&[20.0, 40.0, 60.0]).unwrap(), Figure::of(&[10.0, 20.0, 30.0]).unwrap());
        assert_eq!(Ratio::of(&value, &floor).unwrap().median, Some(2.0), "the machine's drift hits both");
        assert_eq!(Ratio::of(&value, &Figure::of(&[1.0, 1.0]).unwrap()), None, "a run without a floor");
        assert_eq!(Ratio::of(&value, &Figure::of(&[1.0, 1.0, 0.0]).unwrap()), None, "a floor of nothing");
    }

    #[test]
    fn runs_that_disagree_have_no_ratio() {
        let floor = Figure::of(&[1.0; 3]).unwrap();
        let ratio = |runs: &[f64]| Ratio::of(&Figure::of(runs).unwrap(), &floor).unwrap();
        assert_eq!(ratio(&[1.0, 1.1, 1.2]).median, Some(1.1));
        let apart = ratio(&[1.0, 1.1, 1.21]);
        assert_eq!((apart.median, apart.min, apart.max), (None, 1.0, 1.21));
    }
}

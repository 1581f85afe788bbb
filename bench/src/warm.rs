//! Warm requests: the function, the function that does nothing, and the bare client, in turn, so that what disturbs one
//! disturbs all.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::client::BareClient;
use crate::function::{Environment, Program};
use crate::numbers::Numbers;
use crate::stats::{Figure, Ratio, percentile};
use crate::workload::{Seen, Workload};

/// Invocations before any is counted.
const WARM_UP: usize = 100;
/// How often function and floors take turns in a run, and the invocations of a turn.
const TURNS: usize = 20;
const TURN: usize = 50;

/// What the runs of a workload showed. Times in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    function: Side,
    floor: Side,
    statements: Side,
    both: Side,
    rss: Vec<f64>,
    floor_rss: Vec<f64>,
}

#[derive(Debug, Default)]
struct Side {
    p50: Vec<f64>,
    p99: Vec<f64>,
    cpu: Vec<f64>,
}

/// The figures of a workload. Times in microseconds, memory in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Warm {
    pub(crate) p50: Figure,
    pub(crate) p99: Figure,
    pub(crate) floor_p50: Figure,
    pub(crate) floor_p99: Figure,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statements_p50: Option<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statements_p99: Option<Figure>,
    /// Both floors one after the other.
    pub(crate) both_p50: Figure,
    pub(crate) both_p99: Figure,
    /// p50 by that of both floors.
    pub(crate) by_floor: Ratio,
    pub(crate) cpu: Figure,
    pub(crate) floor_cpu: Figure,
    pub(crate) max_rss: Figure,
    pub(crate) floor_max_rss: Figure,
}

impl Runs {
    /// Makes one more run, in fresh environments.
    pub(crate) fn add(
        &mut self,
        workload: &Workload,
        seen: &Seen,
        programs: [&Program; 2],
        database_url: &str,
        numbers: &mut Numbers,
    ) -> Result<()> {
        let [mut function, mut floor] = [programs[0].start(None)?, programs[1].start(None)?];
        let client = BareClient::connect(database_url)?;
        let mut cpu = [0, 0];
        let mut times: [Vec<f64>; 4] = Default::default();
        for turn in 0..=TURNS {
            let invocations = if turn == 0 { WARM_UP } else { TURN };
            let before = [function.cpu_nanos()?, floor.cpu_nanos()?];
            let whole = invoke(&mut function, workload, invocations, numbers)?;
            // Both floors one after the other, as the function does both in a request. In a loop of its own each would
            // find caches and cores as it left them itself.
            let mut took: [Vec<f64>; 3] = Default::default();
            for _ in 0..invocations {
                let nothing = micros(floor.invoke(workload.event(numbers.next()))?.took);
                let statements = if seen.has_statements() { micros(seen.send(&client, numbers.next())?) } else { 0.0 };
                took.iter_mut().zip([nothing, statements, nothing + statements]).for_each(|(all, one)| all.push(one));
            }
            // The first turn is for warming up.
            if turn > 0 {
                let after = [function.cpu_nanos()?, floor.cpu_nanos()?];
                cpu.iter_mut().zip(before).zip(after).for_each(|((cpu, before), after)| *cpu += after - before);
                let took = [whole].into_iter().chain(took);
                times.iter_mut().zip(took).for_each(|(times, took)| times.extend(took));
            }
        }
        let [whole, nothing, statements, both] = &mut times;
        self.function.add(whole, Some(cpu[0]));
        self.floor.add(nothing, Some(cpu[1]));
        self.both.add(both, None);
        if seen.has_statements() {
            self.statements.add(statements, None);
        }
        self.rss.push(as_f64(function.max_rss()?));
        self.floor_rss.push(as_f64(floor.max_rss()?));
        Ok(())
    }

    /// The figures of all runs.
    pub(crate) fn figures(&self) -> Option<Warm> {
        let (p50, both_p50) = (Figure::of(&self.function.p50)?, Figure::of(&self.both.p50)?);
        Some(Warm {
            by_floor: Ratio::of(&p50, &both_p50)?,
            p99: Figure::of(&self.function.p99)?,
            floor_p99: Figure::of(&self.floor.p99)?,
            statements_p99: Figure::of(&self.statements.p99),
            cpu: Figure::of(&self.function.cpu)?,
            floor_cpu: Figure::of(&self.floor.cpu)?,
            max_rss: Figure::of(&self.rss)?,
            floor_max_rss: Figure::of(&self.floor_rss)?,
            floor_p50: Figure::of(&self.floor.p50)?,
            statements_p50: Figure::of(&self.statements.p50),
            both_p99: Figure::of(&self.both.p99)?,
            both_p50,
            p50,
        })
    }
}

impl Side {
    fn add(&mut self, times: &mut [f64], cpu_nanos: Option<u64>) {
        self.p50.extend(percentile(times, 50.0));
        self.p99.extend(percentile(times, 99.0));
        self.cpu.extend(cpu_nanos.map(|nanos| as_f64(nanos) / 1000.0 / as_f64(times.len() as u64)));
    }
}

/// Invokes an environment so many times; what each took, in microseconds.
pub(crate) fn invoke(
    environment: &mut Environment,
    workload: &Workload,
    invocations: usize,
    numbers: &mut Numbers,
) -> Result<Vec<f64>> {
    (0..invocations).map(|_| Ok(micros(environment.invoke(workload.event(numbers.next()))?.took))).collect()
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

#[allow(clippy::cast_precision_loss, reason = "figures of a measurement")]
pub(crate) fn as_f64(value: u64) -> f64 {
    value as f64
}

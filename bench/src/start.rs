//! New environments: from before the process is made to the first answer, and the stages in between.

use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::function::Program;
use crate::issuer::Issuer;
use crate::numbers::Numbers;
use crate::proxy::Proxy;
use crate::stats::Figure;
use crate::workload::Workload;

/// How many environments of each kind a run starts.
const STARTS: usize = 10;

/// What all starts of a function took, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    total: Vec<f64>,
    floor: Vec<f64>,
    secret: Vec<f64>,
    observed: Vec<f64>,
    stages: Vec<Stages>,
}

/// Where the time of one start went, in milliseconds. Keys and connection are had side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stages {
    exec: f64,
    settings: f64,
    keys: f64,
    connection: f64,
    first_poll: f64,
    first_answer: f64,
}

/// The figures of a function's starts, in milliseconds; each "run" is one start.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartFigures {
    /// Straight to the database.
    pub(crate) total: Figure,
    pub(crate) floor: Figure,
    /// With the database's URL in Secrets Manager.
    pub(crate) secret: Figure,
    /// Through a proxy to the database, which the stages are seen from.
    pub(crate) observed: Figure,
    /// To have the process, with the program in it.
    pub(crate) exec: Figure,
    /// Until the first connection: loading, settings, log, TLS configuration.
    pub(crate) settings: Figure,
    /// From the connection to the issuer to its answer.
    pub(crate) keys: Figure,
    /// From the connection to the database until it is ready for the first request.
    pub(crate) connection: Figure,
    /// From both of these to the first poll.
    pub(crate) first_poll: Figure,
    /// From the first poll to the last byte of the first answer.
    pub(crate) first_answer: Figure,
}

/// What a start is made of.
pub(crate) struct Parts<'a> {
    /// The function, straight to the database.
    pub(crate) direct: &'a Program,
    /// The function, through the proxy.
    pub(crate) observed: &'a Program,
    pub(crate) floor: &'a Program,
    /// The function, with the database's URL in Secrets Manager.
    pub(crate) secret: &'a Program,
    pub(crate) proxy: &'a Proxy,
    pub(crate) issuer: &'a Issuer,
}

impl Starts {
    /// Makes one more run: the four kinds in turn.
    pub(crate) fn add(&mut self, workload: &Workload, parts: &Parts<'_>, numbers: &mut Numbers) -> Result<()> {
        for _ in 0..STARTS {
            self.total.push(start(parts.direct, workload.event(numbers.next()))?);
            self.floor.push(start(parts.floor, workload.event(numbers.next()))?);
            self.secret.push(start(parts.secret, workload.event(numbers.next()))?);
            let (observed, stages) = observe(parts, workload.event(numbers.next())).context(workload.function)?;
            self.observed.push(observed);
            self.stages.push(stages);
        }
        Ok(())
    }

    /// The figures of all starts.
    pub(crate) fn figures(&self) -> Option<StartFigures> {
        let stage = |of: fn(&Stages) -> f64| Figure::of(&self.stages.iter().map(of).collect::<Vec<_>>());
        Some(StartFigures {
            total: Figure::of(&self.total)?,
            floor: Figure::of(&self.floor)?,
            secret: Figure::of(&self.secret)?,
            observed: Figure::of(&self.observed)?,
            exec: stage(|stages| stages.exec)?,
            settings: stage(|stages| stages.settings)?,
            keys: stage(|stages| stages.keys)?,
            connection: stage(|stages| stages.connection)?,
            first_poll: stage(|stages| stages.first_poll)?,
            first_answer: stage(|stages| stages.first_answer)?,
        })
    }
}

fn start(program: &Program, event: Vec<u8>) -> Result<f64> {
    let mut environment = program.start(Some(event))?;
    let answer = environment.first_answer()?;
    Ok(millis(environment.begun, answer.at))
}

fn observe(parts: &Parts<'_>, event: Vec<u8>) -> Result<(f64, Stages)> {
    parts.proxy.take();
    parts.issuer.take_fetch();
    let mut environment = parts.observed.start(Some(event))?;
    let answer = environment.first_answer()?;
    let polled = environment.api.first_poll().context("an answer without a poll")?;
    let fetch = parts.issuer.take_fetch();
    let seen = parts.proxy.take();
    let ready = seen.ready.iter().copied().filter(|ready| *ready <= polled).max();
    let first = [fetch.map(|fetch| fetch.begun), seen.accepted].into_iter().flatten().filter(|at| *at <= polled).min();
    let last = [fetch.map(|fetch| fetch.ended), ready].into_iter().flatten().filter(|at| *at <= polled).max();
    let stages = Stages {
        exec: millis(environment.begun, environment.executed),
        settings: millis(environment.executed, first.unwrap_or(polled)),
        keys: fetch.map_or(0.0, |fetch| millis(fetch.begun, fetch.ended)),
        connection: seen.accepted.zip(ready).map_or(0.0, |(accepted, ready)| millis(accepted, ready)),
        first_poll: last.map_or(0.0, |last| millis(last, polled)),
        first_answer: millis(polled, answer.at),
    };
    Ok((millis(environment.begun, answer.at), stages))
}

fn millis(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}

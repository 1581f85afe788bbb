//! Beside a peer: the same requests, answered by two endpoints as a good team would write them in Rust in a day (`bench/peer`).
//! Function and peer take turns, so that what disturbs one disturbs both.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::client::BareClient;
use crate::function::Program;
use crate::goals::Verdict;
use crate::numbers::Numbers;
use crate::plan::Database;
use crate::proc;
use crate::stats::{Figure, Ratio, percentile};
use crate::warm::{as_f64, invoke};
use crate::workload::Workload;

/// Invocations before any is counted.
const WARM_UP: usize = 100;
/// How often the two take turns in a run, and the invocations of a turn.
const TURNS: usize = 20;
const TURN: usize = 50;
/// How many environments of each a run starts.
const STARTS: usize = 10;

/// What is asked of a workload: at most so many times the peer's.
#[derive(Clone, Copy, Debug)]
struct Goals {
    p50: f64,
    cpu: f64,
    database: f64,
    start: f64,
}

const LIST: Goals = Goals { p50: 1.1, cpu: 0.9, database: 1.5, start: 1.2 };
const APPEND: Goals = Goals { p50: 1.2, cpu: 1.0, database: 1.6, start: 1.2 };

/// The runs of a workload.
#[derive(Debug, Default)]
pub(crate) struct Runs([Side; 2]);

#[derive(Debug, Default)]
struct Side {
    p50: Vec<f64>,
    cpu: Vec<f64>,
    database: Vec<f64>,
    start: Vec<f64>,
    bytes: usize,
}

/// A workload beside the peer's: microseconds, and milliseconds of a start.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Beside {
    pub(crate) title: &'static str,
    pub(crate) figures: Vec<Compared>,
    /// The bytes of an answer: the function's and the peer's.
    pub(crate) bytes: [usize; 2],
}

/// One figure of both.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Compared {
    pub(crate) title: &'static str,
    pub(crate) function: Figure,
    pub(crate) peer: Figure,
    pub(crate) ratio: Ratio,
    /// At most so many times the peer's.
    pub(crate) goal: f64,
    pub(crate) verdict: Verdict,
}

/// Copies what the peer reads into a plain schema of its own.
pub(crate) fn fill(database: &Database) -> Result<()> {
    BareClient::connect(&database.superuser_url)?.ask(async |client| {
        client.batch_execute(include_str!("../sql/peer.sql")).await?;
        client.batch_execute("vacuum (freeze, analyze) peer.messages").await?;
        client.batch_execute("vacuum (freeze, analyze) peer.conversations").await?;
        Ok(client.batch_execute("checkpoint").await?)
    })
}

/// The peer, in the place of a function.
pub(crate) fn program(of: &Program, binary: &Path) -> Program {
    // What routes by the path doesn't know of stages.
    Program { binary: binary.to_owned(), ..of.clone() }.with("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true")
}

impl Runs {
    /// Makes one more run, in fresh environments: the function and the peer.
    pub(crate) fn add(
        &mut self,
        workload: &Workload,
        programs: [&Program; 2],
        superuser: &BareClient,
        numbers: &mut Numbers,
    ) -> Result<()> {
        for _ in 0..STARTS {
            for (side, program) in self.0.iter_mut().zip(programs) {
                let mut environment = program.start(Some(workload.event(numbers.next())))?;
                let answer = environment.first_answer()?;
                side.start.push(answer.at.saturating_duration_since(environment.begun).as_secs_f64() * 1e3);
            }
        }
        let mut environments = Vec::new();
        for program in programs {
            let before = backends(superuser)?;
            let mut environment = program.start(None)?;
            invoke(&mut environment, workload, WARM_UP, numbers)?;
            let own: Vec<u32> = backends(superuser)?.difference(&before).copied().collect();
            anyhow::ensure!(!own.is_empty(), "{}: no connection to the database", workload.title);
            environments.push((environment, own));
        }
        let mut times: [Vec<f64>; 2] = Default::default();
        let mut spent = [[0, 0]; 2];
        for _ in 0..TURNS {
            for (side, (environment, backends)) in environments.iter_mut().enumerate() {
                let before = [environment.cpu_nanos()?, cpu_of(backends)?];
                times[side].extend(invoke(environment, workload, TURN, numbers)?);
                let after = [environment.cpu_nanos()?, cpu_of(backends)?];
                spent[side].iter_mut().zip(before).zip(after).for_each(|((sum, before), after)| *sum += after - before);
            }
        }
        for (n, (side, times)) in self.0.iter_mut().zip(&mut times).enumerate() {
            side.bytes = environments[n].0.invoke(workload.event(numbers.next()))?.body.len();
            side.p50.extend(percentile(times, 50.0));
            let each = |nanos: u64| as_f64(nanos) / 1000.0 / as_f64(times.len() as u64);
            side.cpu.push(each(spent[n][0]));
            side.database.push(each(spent[n][1]));
        }
        Ok(())
    }

    /// The figures of all runs.
    pub(crate) fn figures(&self, workload: &Workload) -> Result<Beside> {
        let goals = if workload.function == "append-messages" { APPEND } else { LIST };
        let [function, peer] = &self.0;
        let compared = |title, of: fn(&Side) -> &Vec<f64>, goal| {
            let figures = [function, peer].map(|side| Figure::of(of(side)));
            let [Some(function), Some(peer)] = figures else { return None };
            let ratio = Ratio::of(&function, &peer)?;
            let verdict = Verdict::of(ratio.median, goal);
            Some(Compared { title, function, peer, ratio, goal, verdict })
        };
        let figures = [
            compared("p50, µs", |side| &side.p50, goals.p50),
            compared("CPU, µs", |side| &side.cpu, goals.cpu),
            compared("PostgreSQL's CPU, µs", |side| &side.database, goals.database),
            compared("exec → first answer, ms", |side| &side.start, goals.start),
        ];
        let figures =
            figures.into_iter().collect::<Option<Vec<_>>>().context("nothing was measured beside the peer")?;
        Ok(Beside { title: workload.title, figures, bytes: [function.bytes, peer.bytes] })
    }
}

/// The processes of the server that serve a connection.
fn backends(superuser: &BareClient) -> Result<HashSet<u32>> {
    superuser.ask(async |client| {
        let sql = "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
        let rows = client.query(sql, &[]).await?;
        rows.iter().map(|row| Ok(u32::try_from(row.try_get::<_, i32>(0)?)?)).collect()
    })
}

fn cpu_of(processes: &[u32]) -> Result<u64> {
    processes.iter().map(|process| proc::cpu_nanos(*process)).sum()
}

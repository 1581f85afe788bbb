//! The chat: what relaying adds to an agent's answer, what it costs, and what it writes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::json;

use crate::agent::Answer;
use crate::client::BareClient;
use crate::event::Call;
use crate::frontend::{self, Sent};
use crate::function::{Environment, Program};
use crate::numbers::Numbers;
use crate::proxy::Proxy;
use crate::stats::{Figure, percentile};
use crate::warm::as_f64;

/// Stands for the conversation's and the question's id; each turn has its own of this length.
const NAME: &str = "chat-000000000000";
/// Turns of a run whose first word is waited for, and those before them.
const TURNS: usize = 50;
const WARM_UP: usize = 10;
/// The deltas whose cost is measured, of a token's length.
const DELTAS: usize = 10_000;
const TOKEN: usize = 4;
/// As a model writes: so many bytes, so far apart.
const PACED: [(usize, &str); 2] = [(4096, "4 KB"), (40_960, "40 KB")];
const DELTA: usize = 16;
const PACE: Duration = Duration::from_millis(2);
/// How long a resumed stream is looked at.
const LOOK: Duration = Duration::from_secs(3);

const WAL: &str = "select (pg_current_wal_insert_lsn() - '0/0')::bigint";
const CHUNKS: &str = "select count(*) from run_chunks";

/// What the runs showed.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    first_word: Vec<f64>,
    start: Vec<f64>,
    added: Vec<f64>,
    cpu: Vec<f64>,
    rss: Vec<f64>,
}

/// The figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chat {
    /// Milliseconds from the event to the first word, of an agent that answers at once.
    pub(crate) first_word: Figure,
    /// Milliseconds of the bare statement that starts a turn, and its round trip.
    pub(crate) start: Figure,
    /// The one less the other.
    pub(crate) added: Figure,
    /// Milliseconds of CPU for 1,000 deltas.
    pub(crate) cpu: Figure,
    /// The most memory of an environment, which on Lambda has one stream; bytes.
    pub(crate) max_rss: Figure,
    /// What answers of different lengths write.
    pub(crate) answers: Vec<Written>,
    /// Questions to the database of a resumed stream, each second: while nothing comes, and while words do.
    pub(crate) polls_silent: f64,
    pub(crate) polls_busy: f64,
}

/// What one answer writes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    pub(crate) title: &'static str,
    pub(crate) seconds: f64,
    /// Network round trips of the whole turn.
    pub(crate) round_trips: u64,
    pub(crate) chunks: i64,
    pub(crate) wal_bytes: i64,
}

/// What the chat is measured with.
pub(crate) struct Parts<'a> {
    pub(crate) direct: Program,
    pub(crate) observed: Program,
    pub(crate) resume: Program,
    /// In front of `observed`, and of `resume`.
    pub(crate) proxies: [&'a Proxy; 2],
    pub(crate) superuser: &'a BareClient,
    pub(crate) database_url: &'a str,
    pub(crate) token: String,
}

impl Parts<'_> {
    fn event(&self, name: &str, answer: Answer) -> Vec<u8> {
        let parts = json!([{"type": "text", "text": answer.question()}]);
        let message = json!({"id": name, "role": "user", "parts": parts});
        let body = json!({"id": name, "trigger": "submit-message", "message": message});
        Call { method: "POST", body: Some(body), ..Call::get("/v1/chat", &self.token) }.event()
    }

    /// The statements that start a turn, as the function sends them.
    fn start_statements(&self, numbers: &mut Numbers) -> Result<Vec<Sent>> {
        let mut environment = self.observed.start(None)?;
        let at_once = Answer { deltas: 1, bytes: TOKEN, pace: Duration::ZERO };
        environment.invoke(self.event(&name(numbers), at_once))?;
        self.proxies[0].take();
        let name = name(numbers);
        environment.invoke(self.event(&name, at_once))?;
        let sent = frontend::parse(&self.proxies[0].take().sent)?;
        let end = sent.iter().position(|sent| matches!(sent, Sent::Simple(sql) if sql == "COMMIT"));
        let start = &sent[..=end.context("a turn without a COMMIT")?];
        Ok(frontend::renamed(start, &name, NAME))
    }
}

fn name(numbers: &mut Numbers) -> String {
    format!("chat-{:012}", numbers.next())
}

impl Runs {
    /// Makes one more run, in fresh environments.
    pub(crate) fn add(&mut self, parts: &Parts<'_>, numbers: &mut Numbers) -> Result<()> {
        let statements = parts.start_statements(numbers)?;
        let client = BareClient::connect(parts.database_url)?;
        let mut environment = parts.direct.start(None)?;
        let at_once = Answer { deltas: 1, bytes: TOKEN, pace: Duration::ZERO };
        let (mut words, mut starts) = (Vec::new(), Vec::new());
        for turn in 0..WARM_UP + TURNS {
            let answer = environment.invoke(parts.event(&name(numbers), at_once))?;
            let first = answer.until("\"text-delta\"").context("an answer without a word")?;
            let start = client.send(&frontend::renamed(&statements, NAME, &name(numbers)))?;
            if turn >= WARM_UP {
                words.push(millis(first));
                starts.push(millis(start));
            }
        }
        let (word, start) = (percentile(&mut words, 50.0), percentile(&mut starts, 50.0));
        let (word, start) = word.zip(start).context("no turn was measured")?;
        self.first_word.push(word);
        self.start.push(start);
        self.added.push(word - start);

        let mut cost = |deltas: usize| -> Result<f64> {
            let before = environment.cpu_nanos()?;
            let many = Answer { deltas, bytes: TOKEN, pace: Duration::ZERO };
            let answer = environment.invoke(parts.event(&name(numbers), many))?;
            ensure!(answer.body.ends_with(b"[DONE]\n\n"), "an answer that isn't whole");
            Ok(as_f64(environment.cpu_nanos()? - before) / 1e6)
        };
        let (one, all) = (cost(1)?, cost(DELTAS)?);
        self.cpu.push((all - one) / (as_f64(DELTAS as u64) / 1000.0));
        self.rss.push(as_f64(environment.max_rss()?));
        Ok(())
    }

    /// All figures; what an answer writes is counted once.
    pub(crate) fn figures(&self, parts: &Parts<'_>, numbers: &mut Numbers) -> Result<Chat> {
        let figure = |runs: &[f64]| Figure::of(runs).context("no run");
        let written = PACED.map(|(bytes, title)| written(parts, bytes, title, numbers));
        let [polls_silent, polls_busy] = polls(parts, numbers)?;
        Ok(Chat {
            first_word: figure(&self.first_word)?,
            start: figure(&self.start)?,
            added: figure(&self.added)?,
            cpu: figure(&self.cpu)?,
            max_rss: figure(&self.rss)?,
            answers: written.into_iter().collect::<Result<_>>()?,
            polls_silent,
            polls_busy,
        })
    }
}

/// What one paced answer writes, and how often it asks.
fn written(parts: &Parts<'_>, bytes: usize, title: &'static str, numbers: &mut Numbers) -> Result<Written> {
    let count = |sql: &'static str| {
        parts.superuser.ask(async |client| Ok(client.query_one(sql, &[]).await?.try_get::<_, i64>(0)?))
    };
    let mut environment = parts.observed.start(None)?;
    let at_once = Answer { deltas: 1, bytes: TOKEN, pace: Duration::ZERO };
    environment.invoke(parts.event(&name(numbers), at_once))?;
    let (wal, chunks) = (count(WAL)?, count(CHUNKS)?);
    parts.proxies[0].take();
    let paced = Answer { deltas: bytes / DELTA, bytes: DELTA, pace: PACE };
    let answer = environment.invoke(parts.event(&name(numbers), paced))?;
    let round_trips = parts.proxies[0].take().round_trips;
    Ok(Written {
        title,
        seconds: answer.took.as_secs_f64(),
        round_trips,
        chunks: count(CHUNKS)? - chunks,
        wal_bytes: count(WAL)? - wal,
    })
}

/// How often a resumed stream asks the database in a second: of an agent that is silent, and of one that writes.
fn polls(parts: &Parts<'_>, numbers: &mut Numbers) -> Result<[f64; 2]> {
    let mut look = |pace: Duration| -> Result<f64> {
        let name = name(numbers);
        let writer = parts.direct.start(None)?;
        writer.api.offer(parts.event(&name, Answer { deltas: 1_000_000, bytes: TOKEN, pace }));
        wait_for_a_chunk(parts, &name)?;
        let reader: Environment = parts.resume.start(None)?;
        reader.api.offer(Call::get(format!("/v1/chat/{name}/stream"), &parts.token).event());
        // What it takes to begin is over by then.
        thread::sleep(LOOK / 3);
        parts.proxies[1].take();
        let begun = Instant::now();
        thread::sleep(LOOK);
        Ok(as_f64(parts.proxies[1].take().round_trips) / begun.elapsed().as_secs_f64())
    };
    Ok([look(LOOK * 10)?, look(Duration::from_millis(20))?])
}

fn wait_for_a_chunk(parts: &Parts<'_>, name: &str) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < LOOK {
        let there = parts.superuser.ask(async |client| {
            let sql = "select exists (select from run_chunks k join runs r on r.id = k.run_id
                join conversations c on c.id = r.conversation_id where c.client_id = $1)";
            Ok(client.query_one(sql, &[&name]).await?.try_get::<_, bool>(0)?)
        })?;
        if there {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    anyhow::bail!("a running answer isn't stored")
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

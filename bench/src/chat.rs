//! The chat: what relaying adds to an agent's answer, what it costs, and what it writes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::json;

use crate::agent::{self, Answer};
use crate::client::BareClient;
use crate::event::Call;
use crate::frontend::{self, Sent};
use crate::function::{Environment, Program};
use crate::numbers::Numbers;
use crate::proxy::Proxy;
use crate::runtime_api;
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
/// The same as a model writes them, each by itself: 100 a second.
const SINGLE: usize = 300;
const SINGLE_PACE: Duration = Duration::from_millis(10);
/// The streams of one environment whose memory is compared with that of one.
const STREAMS: usize = 50;
const STREAM_PACE: Duration = Duration::from_millis(100);
/// As a model writes: so many bytes, so far apart.
const PACED: [(usize, &str); 2] = [(4096, "4 KB"), (40_960, "40 KB")];
const DELTA: usize = 16;
const PACE: Duration = Duration::from_millis(2);
/// How long a resumed stream is looked at.
const LOOK: Duration = Duration::from_secs(3);

const WAL: &str = "select (pg_current_wal_insert_lsn() - '0/0')::bigint";
/// Of the answers that were streamed, and of their chunks.
const STORED: &str = "select ((select coalesce(sum(pg_column_size(k.*)), 0) from run_chunks k)
    + (select coalesce(sum(pg_column_size(m.*)), 0) from messages m join runs r on r.conversation_id = m.conversation_id
       where m.role = 'assistant'))::bigint";
const CHUNKS: &str = "select count(*) from run_chunks";
/// What each answer ends with that came to its end; a failed one ends with another frame, and a cut one, too.
const FINISH: &str = "\"type\":\"finish\"";

/// What the runs showed.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    first_word: Vec<f64>,
    start: Vec<f64>,
    added: Vec<f64>,
    agent: Vec<f64>,
    cpu: Vec<f64>,
    cpu_single: Vec<f64>,
    rss: Vec<f64>,
    rss_stream: Vec<f64>,
    written: [Vec<Written>; 2],
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
    /// Milliseconds of that agent's own first word, asked directly; it is in `first_word` and in `added`.
    pub(crate) agent: Figure,
    /// Milliseconds of CPU for 1,000 deltas that come as fast as they can, many in one read.
    pub(crate) cpu: Figure,
    /// The same for deltas that come one by one, 100 a second.
    pub(crate) cpu_single: Figure,
    /// The most memory of an environment, which on Lambda has one stream; bytes.
    pub(crate) max_rss: Figure,
    /// By how much each further stream of one environment lets it grow; bytes.
    pub(crate) rss_stream: Figure,
    /// What answers of different lengths write, in every run.
    pub(crate) answers: Vec<Answers>,
    /// Questions to the database of a resumed stream, each second: while nothing comes, and while words do.
    pub(crate) polls_silent: f64,
    pub(crate) polls_busy: f64,
}

/// Answers of one length.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answers {
    pub(crate) title: &'static str,
    pub(crate) runs: Vec<Written>,
}

/// What one answer writes.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    pub(crate) seconds: f64,
    /// Network round trips of the whole turn.
    pub(crate) round_trips: u64,
    pub(crate) chunks: i64,
    /// What the chunks' rows take, and the answer's own.
    pub(crate) stored_bytes: i64,
    pub(crate) wal_bytes: i64,
    /// What the function sent towards the reader.
    pub(crate) stream_bytes: usize,
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
    pub(crate) agent_url: &'a str,
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
        let (mut words, mut starts, mut agents) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..WARM_UP + TURNS {
            let answer = whole(environment.invoke(parts.event(&name(numbers), at_once))?)?;
            let first = answer.until("\"text-delta\"").context("an answer without a word")?;
            let start = client.send(&frontend::renamed(&statements, NAME, &name(numbers)))?;
            let alone = agent::first_word(parts.agent_url, at_once)?;
            if turn >= WARM_UP {
                agents.push(millis(alone));
                words.push(millis(first));
                starts.push(millis(start));
            }
        }
        let (word, start) = (percentile(&mut words, 50.0), percentile(&mut starts, 50.0));
        let (word, start) = word.zip(start).context("no turn was measured")?;
        self.first_word.push(word);
        self.start.push(start);
        self.added.push(word - start);
        self.agent.extend(percentile(&mut agents, 50.0));

        let mut cost = |deltas: usize, pace: Duration| -> Result<f64> {
            let before = environment.cpu_nanos()?;
            let many = Answer { deltas, bytes: TOKEN, pace };
            whole(environment.invoke(parts.event(&name(numbers), many))?)?;
            Ok(as_f64(environment.cpu_nanos()? - before) / 1e6)
        };
        let one = cost(1, Duration::ZERO)?;
        let (all, single) = (cost(DELTAS, Duration::ZERO)?, cost(SINGLE, SINGLE_PACE)?);
        let thousands = |deltas: usize| as_f64(deltas as u64) / 1000.0;
        self.cpu.push((all - one) / thousands(DELTAS));
        self.cpu_single.push((single - one) / thousands(SINGLE));
        self.rss.push(as_f64(environment.max_rss()?));
        self.rss_stream.push(rss_of_a_stream(parts, numbers)?);
        for (written, (bytes, _)) in self.written.iter_mut().zip(PACED) {
            written.push(self::written(parts, bytes, numbers)?);
        }
        Ok(())
    }

    /// All figures; how often a reader asks is counted once.
    pub(crate) fn figures(&self, parts: &Parts<'_>, numbers: &mut Numbers) -> Result<Chat> {
        let figure = |runs: &[f64]| Figure::of(runs).context("no run");
        let answers = PACED.iter().zip(&self.written);
        let answers = answers.map(|((_, title), runs)| Answers { title, runs: runs.clone() }).collect();
        let [polls_silent, polls_busy] = polls(parts, numbers)?;
        Ok(Chat {
            first_word: figure(&self.first_word)?,
            start: figure(&self.start)?,
            added: figure(&self.added)?,
            agent: figure(&self.agent)?,
            cpu: figure(&self.cpu)?,
            cpu_single: figure(&self.cpu_single)?,
            max_rss: figure(&self.rss)?,
            rss_stream: figure(&self.rss_stream)?,
            answers,
            polls_silent,
            polls_busy,
        })
    }
}

/// An answer that came to its end; `[DONE]` stands at the end of a failed one as well.
fn whole(answer: runtime_api::Answer) -> Result<runtime_api::Answer> {
    let end = &answer.body[answer.body.len().saturating_sub(1000)..];
    let is_whole = end.windows(FINISH.len()).any(|window| window == FINISH.as_bytes());
    ensure!(is_whole && end.ends_with(b"[DONE]\n\n"), "not a whole answer: {}", String::from_utf8_lossy(end));
    Ok(answer)
}

/// By how much each of many streams lets an environment grow: one that Lambda lets serve several at a time.
fn rss_of_a_stream(parts: &Parts<'_>, numbers: &mut Numbers) -> Result<f64> {
    let streams = STREAMS.to_string();
    let environment = parts.direct.clone().with("AWS_LAMBDA_MAX_CONCURRENCY", &streams).start(None)?;
    let mut begin = |streams: usize| -> Result<f64> {
        let names: Vec<String> = (0..streams).map(|_| name(numbers)).collect();
        for name in &names {
            let endless = Answer { deltas: 1_000_000, bytes: TOKEN, pace: STREAM_PACE };
            environment.api.offer(parts.event(name, endless));
        }
        names.iter().try_for_each(|name| wait_for_a_chunk(parts, name))?;
        Ok(as_f64(environment.rss()?))
    };
    let (one, all) = (begin(1)?, begin(STREAMS - 1)?);
    Ok((all - one) / as_f64(STREAMS as u64 - 1))
}

/// What one paced answer writes, and how often it asks.
fn written(parts: &Parts<'_>, bytes: usize, numbers: &mut Numbers) -> Result<Written> {
    let count = |sql: &'static str| {
        parts.superuser.ask(async |client| Ok(client.query_one(sql, &[]).await?.try_get::<_, i64>(0)?))
    };
    let mut environment = parts.observed.start(None)?;
    let at_once = Answer { deltas: 1, bytes: TOKEN, pace: Duration::ZERO };
    whole(environment.invoke(parts.event(&name(numbers), at_once))?)?;
    let (stored, wal, chunks) = (count(STORED)?, count(WAL)?, count(CHUNKS)?);
    parts.proxies[0].take();
    let paced = Answer { deltas: bytes / DELTA, bytes: DELTA, pace: PACE };
    let answer = whole(environment.invoke(parts.event(&name(numbers), paced))?)?;
    let round_trips = parts.proxies[0].take().round_trips;
    Ok(Written {
        seconds: answer.took.as_secs_f64(),
        round_trips,
        wal_bytes: count(WAL)? - wal,
        chunks: count(CHUNKS)? - chunks,
        stored_bytes: count(STORED)? - stored,
        stream_bytes: answer.body.len(),
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

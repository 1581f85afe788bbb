//! The whole measurement, in order.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::client::BareClient;
use crate::fill::{self, fill};
use crate::function::Program;
use crate::issuer::Issuer;
use crate::numbers::Numbers;
use crate::plan::Plan;
use crate::proxy::Proxy;
use crate::report::{Conditions, Report};
use crate::start::{Parts, Starts};
use crate::workload::{Requests, Seen, Workload};
use crate::{agent, bodies, chat, goals, peer, proc, report, round_trips, scale, secrets_manager, sizes, warm};

/// A workload with all that measuring it needs.
struct Subject {
    workload: Workload,
    direct: Program,
    observed: Program,
    secret: Program,
    floor: Program,
    seen: Seen,
    starts: Starts,
    warm: warm::Runs,
    /// Of those that the peer has as well.
    beside: Option<(Program, peer::Runs)>,
}

/// Measures everything.
pub(crate) fn measure(plan: &Plan) -> Result<Report> {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    say(&format!("filling a database with {} messages, and one with {}", fill::UNIT, plan.rows));
    let small_filled = runtime.block_on(fill(&plan.small, fill::UNIT))?;
    let large_filled = runtime.block_on(fill(&plan.large, plan.rows))?;
    peer::fill(&plan.large).context("the peer's tables")?;

    let issuer = Issuer::start()?;
    let mut numbers = Numbers::default();
    let proxy = Proxy::start(port(&plan.large.app_url)?, Duration::ZERO)?;
    let load = load();
    let function = |name: &'static str, folder: &Path, database: String| {
        Program::function(name, folder, &plan.scratch, database, issuer.auth_url())
    };
    let superuser = BareClient::connect(&plan.large.superuser_url)?;
    let large = Requests::choose(&superuser, &issuer)?;
    let superuser_of_small = BareClient::connect(&plan.small.superuser_url)?;
    let small = Requests::choose(&superuser_of_small, &issuer)?;

    let secrets_url = secrets_manager::start(&plan.large.app_url)?;
    let mut subjects = Vec::new();
    for workload in [&large.list, &large.append, &large.list_conversations, &large.me] {
        let observed = function(workload.function, &plan.release, through(&plan.large.app_url, proxy.port)?);
        let direct = function(workload.function, &plan.release, plan.large.app_url.clone());
        let seen = workload.observe(&observed, &proxy, numbers.many(1000))?;
        let has_peer = ["list-messages", "append-messages"].contains(&workload.function);
        let beside = has_peer.then(|| (peer::program(&direct, &plan.peer), peer::Runs::default()));
        subjects.push(Subject {
            workload: workload.clone(),
            beside,
            secret: secrets_manager::in_its_place(&direct, &secrets_url),
            direct,
            observed,
            floor: Program::floor(&plan.floor, &plan.scratch, workload.function, &seen.answer)?,
            seen,
            starts: Starts::default(),
            warm: warm::Runs::default(),
        });
    }
    let mut pages = [
        ("first page of messages", &small.list, &large.list, scale::Runs::default()),
        ("deep page of messages", &small.deep, &large.deep, scale::Runs::default()),
        ("conversations, first page", &small.list_conversations, &large.list_conversations, scale::Runs::default()),
        ("conversations, deep page", &small.deep_conversations, &large.deep_conversations, scale::Runs::default()),
    ];
    let agent_url = agent::start()?;
    let of_readers = Proxy::start(port(&plan.small.app_url)?, Duration::ZERO)?;
    let of_writers = Proxy::start(port(&plan.small.app_url)?, Duration::ZERO)?;
    let writer = |database: String| {
        let program = function("reply-chat", &plan.release, database);
        // One user has all the streams of an environment.
        program.with("AGENT_URL", &agent_url).with("AGENT_MODEL", "bench").with("QUOTA_RUNNING", "1000")
    };
    let chat_parts = chat::Parts {
        direct: writer(plan.small.app_url.clone()),
        observed: writer(through(&plan.small.app_url, of_writers.port)?),
        resume: function("resume-chat", &plan.release, through(&plan.small.app_url, of_readers.port)?),
        proxies: [&of_writers, &of_readers],
        superuser: &superuser_of_small,
        database_url: &plan.small.app_url,
        agent_url: &agent_url,
        token: issuer.token("chat-user"),
    };
    let mut chat = chat::Runs::default();
    for run in 1..=plan.runs {
        say(&format!("run {run} of {}", plan.runs));
        for Subject { workload, direct, observed, secret, floor, seen, starts, warm, beside } in &mut subjects {
            let parts = Parts { direct, observed, floor, secret, proxy: &proxy, issuer: &issuer };
            starts.add(workload, &parts, &mut numbers)?;
            warm.add(workload, seen, [direct, floor], &plan.large.app_url, &mut numbers)?;
            if let Some((peer, runs)) = beside {
                runs.add(workload, [direct, peer], &superuser, &mut numbers).context("the peer")?;
            }
        }
        for (_, small, large, runs) in &mut pages {
            let of_small = function(small.function, &plan.release, plan.small.app_url.clone());
            let of_large = function(large.function, &plan.release, plan.large.app_url.clone());
            runs.add([(small, &of_small), (large, &of_large)], &mut numbers)?;
        }
        chat.add(&chat_parts, &mut numbers).context("the chat")?;
    }

    let chat = chat.figures(&chat_parts, &mut numbers).context("the chat")?;
    let (bodies, round_trips) = odds(plan, &issuer, &superuser_of_small, &chat_parts, &mut numbers)?;
    let conditions = Conditions {
        machine: proc::machine(),
        load: [load, self::load()],
        postgres: version(&superuser)?,
        server_settings: plan.server_settings.clone(),
        small: small_filled,
        large: large_filled,
        runs: plan.runs,
        seconds: begun.elapsed().as_secs(),
    };
    let beside = subjects.iter().filter_map(|subject| Some(subject.beside.as_ref()?.1.figures(&subject.workload)));
    let beside = beside.collect::<Result<_>>()?;
    let workloads = subjects.into_iter().map(|subject| subject.report(plan, &mut numbers)).collect::<Result<_>>()?;
    let pages = pages.iter().filter_map(|(title, .., runs)| runs.figures(title)).collect();
    let mut report = Report { conditions, workloads, beside, pages, round_trips, chat, bodies, goals: Vec::new() };
    report.goals = goals::judge(&report);
    Ok(report)
}

/// What is measured once: the worst bodies, and the round trips of every function.
fn odds(
    plan: &Plan,
    issuer: &Issuer,
    superuser: &BareClient,
    chat: &chat::Parts<'_>,
    numbers: &mut Numbers,
) -> Result<(Vec<bodies::Body>, Vec<round_trips::RoundTrips>)> {
    let function = |name: &'static str, folder: &Path, database: String| {
        Program::function(name, folder, &plan.scratch, database, issuer.auth_url())
    };
    say("sending the worst bodies");
    let conversation = superuser.ask(async |client| fill::conversations(client, fill::PAGED, 1).await)?;
    let conversation = conversation.first().context("no conversation in the small database")?;
    let bodies = bodies::Parts {
        append: function("append-messages", &plan.release, plan.small.app_url.clone()),
        chat: chat.direct.clone(),
        path: format!("/v1/conversations/{}/messages", conversation.id),
        owner: issuer.token(&conversation.subject),
        token: &chat.token,
    };
    let bodies = bodies::measure(&bodies, numbers).context("the worst bodies")?;
    say("counting round trips");
    let round_trips = round_trips::count(
        conversation,
        &issuer.token(&conversation.subject),
        port(&plan.small.app_url)?,
        |name, port| function(name, &plan.dev, through(&plan.small.app_url, port).unwrap_or_default()),
        numbers,
    )?;
    Ok((bodies, round_trips))
}

impl Subject {
    fn report(self, plan: &Plan, numbers: &mut Numbers) -> Result<report::Workload> {
        let Workload { title, function, .. } = self.workload;
        Ok(report::Workload {
            title,
            function,
            event_bytes: self.workload.event(numbers.next()).len(),
            answer_bytes: self.seen.answer.len(),
            start: self.starts.figures().context("nothing was started")?,
            warm: self.warm.figures().context("nothing was invoked")?,
            size: sizes::of(function, &plan.release.join(function), &plan.scratch)?,
        })
    }
}

/// PostgreSQL's version.
fn version(superuser: &BareClient) -> Result<String> {
    superuser.ask(async |client| {
        let row = client.query_one("select current_setting('server_version')", &[]).await?;
        Ok(row.try_get::<_, String>(0)?)
    })
}

/// The first number of the load average: how many programs wanted a processor in the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// The port of a URL of loopback.
fn port(url: &str) -> Result<u16> {
    let (_, rest) = url.rsplit_once("@127.0.0.1:").context("a database that isn't on this machine")?;
    Ok(rest.split('/').next().unwrap_or_default().parse()?)
}

/// The URL of the same database by another port.
fn through(url: &str, other: u16) -> Result<String> {
    let port = port(url)?;
    Ok(url.replace(&format!("@127.0.0.1:{port}/"), &format!("@127.0.0.1:{other}/")))
}

fn say(what: &str) {
    eprintln!("\x1b[1m==>\x1b[0m {what}");
}

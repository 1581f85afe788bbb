//! The table: figures, floors, goals and the peer's, side by side.

use std::fmt::Write;

use crate::bodies::{self, Body};
use crate::chat::{Chat, Written};
use crate::goals::{self, Goal, Verdict};
use crate::peer::Beside;
use crate::report::{Report, Workload};
use crate::round_trips::{self, RoundTrips};
use crate::start::StartFigures;
use crate::stats::{AGREEMENT, Figure, Ratio};
use crate::warm::as_f64;

/// The report as a person reads it.
pub(crate) fn text(report: &Report) -> String {
    let mut rows = vec![Row::header(report)];
    let stage = |of: fn(&StartFigures) -> &Figure| move |workload: &Workload| figure(of(&workload.start), 2);
    let mut row = |title: &str, goal: Option<&Goal>, cell: &dyn Fn(&Workload) -> String| {
        rows.push(Row::new(title, goal, cell, report));
    };
    row("exec → first answer, ms", Some(&goals::START), &stage(|start| &start.total));
    row("  floor: does nothing", None, &stage(|start| &start.floor));
    row("  its secret in Secrets Manager", None, &stage(|start| &start.secret));
    row("  the same through a proxy", None, &stage(|start| &start.observed));
    row("    exec", None, &stage(|start| &start.exec));
    row("    settings", None, &stage(|start| &start.settings));
    row("    keys            (both at", None, &stage(|start| &start.keys));
    row("    connection      a time)", None, &stage(|start| &start.connection));
    row("    first poll", None, &stage(|start| &start.first_poll));
    row("    first answer", None, &stage(|start| &start.first_answer));
    row("warm p50, µs", None, &|workload| figure(&workload.warm.p50, 0));
    row("  floor: does nothing", None, &|workload| figure(&workload.warm.floor_p50, 0));
    row("  floor: bare statements", None, &|workload| optional(workload.warm.statements_p50.as_ref()));
    row("  floor: both in turn", None, &|workload| figure(&workload.warm.both_p50, 0));
    row("  p50 ÷ both floors", Some(&goals::BY_FLOOR), &|workload| ratio(&workload.warm.by_floor));
    row("warm p99, µs", None, &|workload| figure(&workload.warm.p99, 0));
    row("  floor: does nothing", None, &|workload| figure(&workload.warm.floor_p99, 0));
    row("  floor: bare statements", None, &|workload| optional(workload.warm.statements_p99.as_ref()));
    row("  floor: both in turn", None, &|workload| figure(&workload.warm.both_p99, 0));
    row("CPU per request, µs", Some(&goals::CPU), &|workload| figure(&workload.warm.cpu, 0));
    row("  floor: does nothing", None, &|workload| figure(&workload.warm.floor_cpu, 0));
    row("maximum RSS, MB", Some(&goals::RSS), &|workload| figure(&megabytes(&workload.warm.max_rss), 1));
    row("  floor: does nothing", None, &|workload| figure(&megabytes(&workload.warm.floor_max_rss), 1));
    row("binary, MB", None, &|workload| format!("{:.2}", as_f64(workload.size.binary) / 1e6));
    row("zip, MB", Some(&goals::ZIP), &|workload| format!("{:.2}", as_f64(workload.size.zip) / 1e6));
    row("event → answer, bytes", None, &|workload| format!("{} → {}", workload.event_bytes, workload.answer_bytes));

    let mut text = conditions(report);
    text.push_str(&aligned(&rows));
    text.push_str(&beside(&report.beside));
    text.push_str(&pages(report));
    text.push_str(&trips(report));
    text.push_str(&chat(&report.chat));
    text.push_str(&bodies(&report.bodies));
    text
}

struct Row {
    cells: Vec<String>,
}

impl Row {
    fn header(report: &Report) -> Self {
        let titles = report.workloads.iter().map(|workload| workload.title);
        let titles = [""].into_iter().chain(titles).chain(["goal"]);
        Self { cells: titles.map(str::to_owned).collect() }
    }

    fn new(title: &str, goal: Option<&Goal>, cell: &dyn Fn(&Workload) -> String, report: &Report) -> Self {
        let mut cells = vec![title.to_owned()];
        cells.extend(report.workloads.iter().map(cell));
        if let Some(goal) = goal {
            let verdict = goal.verdict(&report.workloads);
            cells.push(verdict.map(|verdict| judged(goal.text, verdict)).unwrap_or_default());
        }
        Self { cells }
    }
}

fn conditions(report: &Report) -> String {
    let conditions = &report.conditions;
    let (small, large) = (&conditions.small, &conditions.large);
    format!(
        "{machine}; load {before} before, {after} after; PostgreSQL {postgres} on loopback with {settings}
{large_messages} messages in {large_conversations} conversations, {large_size:.1} GB (filled in {fill} s); the small database has {small_messages}
{runs} runs in {seconds} s. Figures are medians of the runs, and [least–most]; starts are single ones. A ratio is the median of the
runs' ratios, and is not told where their largest is more than {agreement} times their smallest.

",
        machine = conditions.machine,
        before = conditions.load[0],
        after = conditions.load[1],
        postgres = conditions.postgres,
        settings = conditions.server_settings.join(", "),
        large_messages = large.messages,
        large_conversations = large.conversations,
        large_size = as_f64(large.bytes.unsigned_abs()) / 1e9,
        fill = large.seconds,
        small_messages = small.messages,
        runs = conditions.runs,
        seconds = conditions.seconds,
        agreement = AGREEMENT,
    )
}

/// The function beside the peer.
fn beside(all: &[Beside]) -> String {
    let header = ["beside a peer in Rust (axum, sqlx)", "Colloquy", "peer", "Colloquy ÷ peer", "goal"];
    let mut rows = vec![Row { cells: header.map(str::to_owned).to_vec() }];
    for Beside { title, figures, bytes } in all {
        rows.extend(figures.iter().map(|compared| {
            let digits = usize::from(compared.title.ends_with("ms"));
            let cells = [
                format!("{title}: {}", compared.title),
                figure(&compared.function, digits),
                figure(&compared.peer, digits),
                ratio(&compared.ratio),
                judged(&format!("≤ {}", compared.goal), compared.verdict),
            ];
            Row { cells: cells.to_vec() }
        }));
        rows.push(Row { cells: vec![format!("{title}: answer, bytes"), bytes[0].to_string(), bytes[1].to_string()] });
    }
    format!("\n{}", aligned(&rows))
}

fn pages(report: &Report) -> String {
    let mut rows = vec![Row {
        cells: ["page of 50, p50, µs", "small", "large", "large ÷ small", "goal"].map(str::to_owned).to_vec(),
    }];
    for page in &report.pages {
        rows.push(Row {
            cells: vec![
                page.title.to_owned(),
                figure(&page.small, 0),
                figure(&page.large, 0),
                ratio(&page.large_by_small),
                judged(goals::PAGE_TEXT, goals::page(page.large_by_small.median)),
            ],
        });
    }
    format!("\n{}", aligned(&rows))
}

fn trips(report: &Report) -> String {
    let all: &[RoundTrips] = &report.round_trips;
    let delay = round_trips::DELAY.as_millis();
    let header = [
        "network round trips per request".to_owned(),
        "counted".to_owned(),
        format!("with {delay} ms delay"),
        "the delay adds, ms".to_owned(),
    ];
    let mut rows = vec![Row { cells: header.to_vec() }];
    for trips in all {
        rows.push(Row {
            cells: vec![
                trips.endpoint.to_owned(),
                range(&trips.counted),
                range(&trips.counted_delayed),
                format!("{:.1}", trips.added_ms),
            ],
        });
    }
    let goal = judged(goals::ROUND_TRIPS_TEXT, goals::round_trips(report));
    format!("\n{}most: {}; goal: {goal}\n", aligned(&rows), round_trips::most(all))
}

fn chat(chat: &Chat) -> String {
    let row = |title: &str, cells: &[String]| Row { cells: [&[title.to_owned()], cells].concat() };
    let rows = [
        row("the chat, with an agent that answers at once", &[]),
        row("event → first word, ms", &[figure(&chat.first_word, 2)]),
        row("  bare start of a turn, with its round trip", &[figure(&chat.start, 2)]),
        row("  added", &[figure(&chat.added, 2), judged(goals::ADDED_TEXT, goals::added(&chat.added))]),
        row("  the agent's own first word, in both", &[figure(&chat.agent, 2)]),
        row("CPU for 1,000 deltas, ms, many in a read", &[figure(&chat.cpu, 2)]),
        row("  one by one, 100 a second", &[figure(&chat.cpu_single, 1)]),
        row("maximum RSS, one stream, MB", &[figure(&megabytes(&chat.max_rss), 1)]),
        row("  each further one of 50, KB", &[figure(&scaled(&chat.rss_stream, 1e3), 0)]),
        row("a reader's questions to the database, 1/s", &[format!("{:.1}", chat.polls_busy)]),
        row("  while nothing comes", &[format!("{:.1}", chat.polls_silent)]),
    ];
    let titles = ["s", "round trips", "chunks", "stored, KB", "WAL, KB", "stream, KB"];
    let mut answers = vec![row("an answer of", &titles.map(str::to_owned))];
    answers.extend(chat.answers.iter().map(|of| {
        let cell = |value: &dyn Fn(&Written) -> f64, digits| {
            let runs: Vec<f64> = of.runs.iter().map(value).collect();
            Figure::of(&runs).map_or_else(String::new, |of| figure(&of, digits))
        };
        let kilo = |bytes: i64| as_f64(bytes.unsigned_abs()) / 1e3;
        let cells = [
            cell(&|written| written.seconds, 1),
            cell(&|written| as_f64(written.round_trips), 0),
            cell(&|written| as_f64(written.chunks.unsigned_abs()), 0),
            cell(&|written| kilo(written.stored_bytes), 0),
            cell(&|written| kilo(written.wal_bytes), 0),
            cell(&|written| as_f64(written.stream_bytes as u64) / 1e3, 0),
        ];
        row(of.title, &cells)
    }));
    format!("\n{}\n{}", aligned(&rows), aligned(&answers))
}

/// What costs most, and what a text costs that is as long.
fn bodies(bodies: &[Body]) -> String {
    let row = |title: &str, cells: &[String]| Row { cells: [&[title.to_owned()], cells].concat() };
    let goal = judged(goals::BODY_TEXT, goals::bodies(bodies));
    let mut rows =
        vec![row("what one body, or one event, adds", &["CPU, ms".to_owned(), "memory, MB".to_owned(), goal])];
    let mut tell = |title: &str, body: Option<&Body>| {
        rows.extend(body.map(|body| {
            let cells = [format!("{:.0}", body.cpu_ms), format!("{:.1}", body.memory / 1e6)];
            row(&format!("{title}: {} in {}", body.shape, body.place), &cells)
        }));
    };
    tell("most CPU", bodies::worst(bodies, |body| body.cpu_ms));
    tell("most memory", bodies::worst(bodies, |body| body.memory));
    let texts: Vec<Body> = bodies.iter().filter(|body| body.shape == bodies::TEXT).cloned().collect();
    tell("for comparison", bodies::worst(&texts, |body| body.memory));
    format!("\n{}", aligned(&rows))
}

fn judged(goal: &str, verdict: Verdict) -> String {
    format!("{goal}: {}", verdict.as_str())
}

/// Rows as columns of one width, the first to the left, the others to the right.
fn aligned(rows: &[Row]) -> String {
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.cells.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.cells.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn figure(figure: &Figure, digits: usize) -> String {
    format!("{:.digits$} [{:.digits$}–{:.digits$}]", figure.median, figure.min, figure.max)
}

fn optional(value: Option<&Figure>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| figure(value, 0))
}

fn ratio(ratio: &Ratio) -> String {
    match ratio.median {
        Some(median) => format!("{median:.2} [{:.2}–{:.2}]", ratio.min, ratio.max),
        None => format!("runs disagree [{:.2}–{:.2}]", ratio.min, ratio.max),
    }
}

fn megabytes(figure: &Figure) -> Figure {
    scaled(figure, 1e6)
}

fn scaled(figure: &Figure, by: f64) -> Figure {
    Figure {
        min: figure.min / by,
        median: figure.median / by,
        max: figure.max / by,
        runs: figure.runs.iter().map(|value| value / by).collect(),
    }
}

fn range(counts: &[u64]) -> String {
    let (least, most) =
        (counts.iter().min().copied().unwrap_or_default(), counts.iter().max().copied().unwrap_or_default());
    if least == most { format!("{least}") } else { format!("{least}–{most}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_one_width() {
        let row = |cells: &[&str]| Row { cells: cells.iter().map(|cell| (*cell).to_owned()).collect() };
        let rows = [row(&["a", "µs", "x"]), row(&["long", "1.00", ""]), row(&["b"])];
        assert_eq!(aligned(&rows), "a       µs  x\nlong  1.00\nb\n");
    }

    #[test]
    fn a_ratio_of_disagreeing_runs_is_not_told() {
        let floor = Figure::of(&[1.0, 1.0]).unwrap();
        let told = |runs: &[f64]| ratio(&Ratio::of(&Figure::of(runs).unwrap(), &floor).unwrap());
        assert_eq!(told(&[1.0, 1.1]), "1.05 [1.00–1.10]");
        assert_eq!(told(&[1.0, 2.0]), "runs disagree [1.00–2.00]");
    }
}

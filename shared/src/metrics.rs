//! What is counted, in CloudWatch's embedded metric format: a line on stdout, from which CloudWatch Logs takes the values.
//! Nothing is called for it, and nothing is written where `METRICS_STACK` isn't set.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Lambda passes a line of JSON on as it is, with the log format JSON, too: it "doesn't double-encode any logs that are
//! already JSON encoded".
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html>
//! A line without a level counts as INFO there, so that a function's `ApplicationLogLevel` above INFO would drop these.
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::model::Status;

const NAMESPACE: &str = "Colloquy";

/// Whose metrics these are. A process is one function of one stack, so that nobody has to hand this down.
static STACK: OnceLock<String> = OnceLock::new();

/// Something that is counted.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The key set was fetched.
    JwksFetched,
    /// A fetch of the key set failed.
    JwksFetchFailed,
    /// A connection had died while it was idle, and another is opened instead.
    DatabaseReconnected,
    /// No connection could be opened.
    DatabaseRefused,
    /// An answer has ended, by this function.
    RunEnded {
        /// As it is stored.
        status: Status,
        /// Whether the agent, the time or the database cut it short.
        failed: bool,
        /// From the turn's beginning to the agent's first word.
        first_word: Option<Duration>,
    },
    /// A quota was used up.
    QuotaRefused,
    /// So many runs were ended whose functions had died.
    RunsSwept(u64),
}

/// From now on events are written as this stack's. Without a stack nothing is.
pub fn record_for(stack: Option<String>) {
    if let Some(stack) = stack {
        // A process has one start.
        let _ = STACK.set(stack);
    }
}

/// Writes an event's line.
pub fn record(event: Event) {
    let Some(stack) = STACK.get() else { return };
    let mut line = line(stack, event, Clock::system().now().as_millisecond());
    line.push('\n');
    // In one piece and under the lock that the log takes for each of its lines. Who can't be told can't be told so either.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

/// An event as a document of the format.
fn line(stack: &str, event: Event, millis: i64) -> String {
    const STACK_ALONE: &[&[&str]] = &[&["Stack"]];
    let mut document = json!({"Stack": stack});
    let mut directives = Vec::new();
    let mut put = |dimensions: &[&[&str]], values: &[(&str, &str, Value)]| {
        let metrics = values.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect::<Vec<_>>();
        if !metrics.is_empty() {
            directives.push(json!({"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}));
        }
        for (name, _, value) in values {
            document[*name] = value.clone();
        }
    };
    let one = |name: &'static str| (name, "Count", json!(1));
    match event {
        Event::JwksFetched => put(STACK_ALONE, &[one("JwksFetches")]),
        Event::JwksFetchFailed => put(STACK_ALONE, &[one("JwksFetches"), one("JwksFetchFailures")]),
        Event::DatabaseReconnected => put(STACK_ALONE, &[one("DatabaseReconnects")]),
        Event::DatabaseRefused => put(STACK_ALONE, &[one("DatabaseRefusals")]),
        Event::QuotaRefused => put(STACK_ALONE, &[one("QuotaRefusals")]),
        Event::RunsSwept(runs) => put(STACK_ALONE, &[("RunsSwept", "Count", json!(runs))]),
        Event::RunEnded { status, failed, first_word } => {
            put(&[&["Stack"], &["Stack", "Status"]], &[one("Runs")]);
            let millis = |time: Duration| time.as_secs_f64() * 1000.0;
            let first_word = first_word.map(|time| ("TimeToFirstToken", "Milliseconds", json!(millis(time))));
            let failed = failed.then(|| one("FailedRuns"));
            put(STACK_ALONE, &failed.into_iter().chain(first_word).collect::<Vec<_>>());
            document["Status"] = status.as_str().into();
        }
    }
    document["_aws"] = json!({"Timestamp": millis, "CloudWatchMetrics": directives});
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_the_stack_is_called() {
        for stack in ["colloquy-prod", "a \"b\"\n{}"] {
            let line = line(stack, Event::DatabaseRefused, 7);
            assert!(!line.contains('\n'), "{line}");
            let metric = json!([{"Name": "DatabaseRefusals", "Unit": "Count"}]);
            let directive = json!({"Namespace": "Colloquy", "Dimensions": [["Stack"]], "Metrics": metric});
            assert_eq!(
                serde_json::from_str::<Value>(&line).expect("JSON"),
                json!({"_aws": {"Timestamp": 7, "CloudWatchMetrics": [directive]}, "Stack": stack, "DatabaseRefusals": 1})
            );
        }
    }

    #[test]
    fn a_run_has_its_status_as_a_dimension_and_names_nothing_that_was_not() {
        let run = |failed, first_word| {
            let event = Event::RunEnded { status: Status::Incomplete, failed, first_word };
            serde_json::from_str::<Value>(&line("s", event, 7)).expect("JSON")
        };
        let plain = run(false, None);
        assert_eq!((&plain["Status"], &plain["Runs"]), (&json!("incomplete"), &json!(1)));
        let directives = plain["_aws"]["CloudWatchMetrics"].as_array().expect("directives");
        assert_eq!(directives.len(), 1);
        assert_eq!(directives[0]["Dimensions"], json!([["Stack"], ["Stack", "Status"]]));
        assert!(plain.get("FailedRuns").is_none() && plain.get("TimeToFirstToken").is_none());
        let failed = run(true, Some(Duration::from_micros(1500)));
        assert_eq!((&failed["FailedRuns"], &failed["TimeToFirstToken"]), (&json!(1), &json!(1.5)));
        let names = failed["_aws"]["CloudWatchMetrics"][1]["Metrics"].clone();
        let time = json!({"Name": "TimeToFirstToken", "Unit": "Milliseconds"});
        assert_eq!(names, json!([{"Name": "FailedRuns", "Unit": "Count"}, time]));
    }
}

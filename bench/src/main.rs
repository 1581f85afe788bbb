//! Measures Colloquy's functions as they are deployed, each figure beside its floor; `cargo xtask bench` runs this.
#![allow(clippy::disallowed_methods, reason = "durations are measured with the monotonic clock, which no test moves")]

mod agent;
mod bodies;
mod chat;
mod client;
mod event;
mod fill;
mod frontend;
mod function;
mod goals;
mod issuer;
mod measure;
mod numbers;
mod peer;
mod plan;
mod proc;
mod proxy;
mod report;
mod round_trips;
mod runtime_api;
mod scale;
mod secrets_manager;
mod sizes;
mod start;
mod stats;
mod table;
mod warm;
mod wire;
mod workload;

use std::process::ExitCode;

use anyhow::Result;

use crate::plan::Plan;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let plan = Plan::read()?;
    let report = measure::measure(&plan)?;
    if plan.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", table::text(&report));
    }
    Ok(())
}

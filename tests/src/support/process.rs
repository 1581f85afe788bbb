//! A function's process: started with what Lambda sets and its settings, what it logs, and what Linux does with it and tells of it.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

#[cfg(target_os = "linux")]
pub(crate) use self::linux::{freeze, id, rss, thaw};

/// What a process has written so far, line by line.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("lines").join("\n")
    }

    /// Waits for a line that holds `text`.
    pub(crate) async fn with(&self, text: &str) -> String {
        super::eventually(&format!("a log line with {text}"), async || {
            self.0.lock().expect("lines").iter().find(|line| line.contains(text)).cloned()
        })
        .await
    }

    /// The lines so far, each of which must be JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let read = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.0.lock().expect("lines").iter().map(read).collect()
    }

    fn collect(&self, from: impl AsyncRead + Unpin + Send + 'static) {
        let to = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                to.lock().expect("lines").push(line);
            }
        });
    }
}

/// `program` as the function `name` with these settings and no others. It is killed when it is dropped.
pub(crate) fn command(program: &Path, name: &str, runtime_api: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .envs(settings.iter().copied())
        .kill_on_drop(true);
    command
}

/// Starts it, and collects what it writes.
pub(crate) fn start(program: &Path, name: &str, runtime_api: &str, settings: &[(&str, &str)]) -> (Child, Lines) {
    let mut process = command(program, name, runtime_api, settings)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let lines = Lines::default();
    lines.collect(process.stdout.take().expect("stdout"));
    lines.collect(process.stderr.take().expect("stderr"));
    (process, lines)
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::process::{Pid, Signal, kill_process};
    use tokio::process::Child;

    /// The process's id.
    pub(crate) fn id(process: &Child) -> Pid {
        let id = process.id().and_then(|id| i32::try_from(id).ok()).expect("a process that runs");
        Pid::from_raw(id).expect("an id")
    }

    /// Stops a process as Lambda freezes one: it gets no time any more, and doesn't notice. Waits until it is so.
    pub(crate) async fn freeze(process: &Child) {
        kill_process(id(process), Signal::STOP).expect("stopped");
        crate::support::eventually("the process to stand still", async || {
            (status(process, "State:") == "T (stopped)").then_some(())
        })
        .await;
    }

    /// Lets it go on.
    pub(crate) fn thaw(process: &Child) {
        kill_process(id(process), Signal::CONT).expect("continued");
    }

    /// The memory that it holds, in kB.
    pub(crate) fn rss(process: &Child) -> u64 {
        status(process, "VmRSS:").strip_suffix(" kB").and_then(|kilobytes| kilobytes.parse().ok()).expect("a size")
    }

    /// A line of what Linux tells of a process.
    fn status(process: &Child, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", id(process))).expect("a process that runs");
        status.lines().find_map(|line| line.strip_prefix(name)).expect("the line").trim().to_owned()
    }
}

//! Child processes, logged to a file, and gone when we are.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::program::Program;
use crate::progress::warn;

/// How long a process may take to end when asked to.
const PATIENCE: Duration = Duration::from_secs(15);
/// A program that ended was started at least so long ago when it is started again.
const RESTART: Duration = Duration::from_secs(5);
/// Between two looks at what is waited for.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
/// How much of a log is shown when its process failed.
const LAST_LINES: usize = 12;

/// A process and whatever it started. Dropped, they are killed: an early return or a panic leaves nothing running.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) child: Child,
    id: Pid,
    ended: bool,
}

impl Group {
    pub(crate) fn new(child: Child) -> Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, id: id.context("a child without an id")?, ended: false })
    }

    pub(crate) async fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.kill();
        Ok(status)
    }

    fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.kill();
        }
        Ok(status)
    }

    /// Kills what is left of the group: once, for afterwards its number may be somebody else's.
    fn kill(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            let _ = kill_process_group(self.id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that runs in the background.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    group: Group,
    log: PathBuf,
    started: Instant,
    pub(crate) restarted: bool,
}

impl Process {
    pub(crate) fn new(program: Program, group: Group, log: PathBuf) -> Self {
        Self { program, group, log, started: Instant::now(), restarted: false }
    }

    pub(crate) fn name(&self) -> &str {
        &self.program.name
    }

    /// The same, to be started again whenever it ends.
    pub(crate) fn restarted(self) -> Self {
        Self { restarted: true, ..self }
    }

    /// Starts the same program again once it ended, though not again and again in no time.
    pub(crate) fn restart_if_ended(&mut self) -> Result<()> {
        if self.started.elapsed() > RESTART && self.group.try_wait()?.is_some() {
            warn(&format!("{} ended and is started again: see {}", self.name(), self.log.display()));
            *self = self.program.start(&self.log)?.restarted();
        }
        Ok(())
    }

    /// Fails if it ended, with its last words.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        match self.group.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                bail!(
                    "{} ended by itself ({status}). Its last words, from {}:\n{}",
                    self.name(),
                    self.log.display(),
                    last_lines(&said)
                )
            }
        }
    }

    /// Waits until `ready` says so, the process ends or the time is up.
    pub(crate) async fn wait_until(&mut self, limit: Duration, mut ready: impl AsyncFnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            self.still_runs()?;
            if let Ok(true) = timeout_at(deadline, ready()).await {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("{} wasn't ready after {} seconds: see {}", self.name(), limit.as_secs(), self.log.display());
            }
            sleep(LOOK).await;
        }
    }

    /// Asks it to end, waits, and kills what is left.
    pub(crate) async fn stop(mut self) {
        if matches!(self.group.try_wait(), Ok(None)) {
            // The leader alone: it ends its own children in its own way.
            let _ = kill_process(self.group.id, self.program.stop);
            let _ = timeout(PATIENCE, self.group.wait()).await;
        }
    }
}

/// The end of a log, to be shown below a message.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().fold(String::new(), |said, line| said + "  " + line + "\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::program::Program;

    fn shell(script: &str) -> Program {
        Program::new("a script", vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()])
    }

    /// A log of its own for each test.
    fn log(name: &str) -> PathBuf {
        let file = std::env::temp_dir().join(format!("xtask-{name}-{}.log", std::process::id()));
        let _ = fs::remove_file(&file);
        file
    }

    async fn lines(file: &Path, count: usize) -> Vec<String> {
        timeout(Duration::from_secs(30), async {
            loop {
                let said = fs::read_to_string(file).unwrap_or_default();
                if said.lines().count() >= count {
                    return said.lines().map(str::to_owned).collect();
                }
                sleep(LOOK).await;
            }
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_dropped_process_takes_its_children_along() {
        let log = log("drop");
        let process = shell("sleep 300 & echo $!; wait").start(&log).unwrap();
        let child = lines(&log, 1).await.remove(0);
        // A killed child that nobody waited for yet is a zombie.
        let lives = || {
            let ps = std::process::Command::new("ps").args(["-o", "stat=", "-p", &child]).output().unwrap();
            let state = String::from_utf8_lossy(&ps.stdout).trim().to_owned();
            !state.is_empty() && !state.starts_with('Z')
        };
        assert!(lives());
        drop(process);
        timeout(Duration::from_secs(30), async {
            while lives() {
                sleep(LOOK).await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_stopped_process_may_end_in_its_own_way() {
        let log = log("stop");
        let process = shell("trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done").start(&log).unwrap();
        lines(&log, 1).await;
        process.stop().await;
        assert_eq!(lines(&log, 2).await, ["up", "bye"]);
    }

    #[tokio::test]
    async fn a_process_that_ends_says_why() {
        let log = log("end");
        let mut process = shell("echo 'no such database' >&2; exit 3").start(&log).unwrap();
        let error = process.wait_until(Duration::from_secs(30), async || false).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such database"), "{error}");
    }

    #[test]
    fn last_words_are_few() {
        let text = (0..100).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        assert_eq!(last_lines(&text).lines().count(), LAST_LINES);
        assert!(last_lines(&text).ends_with("  line 99\n"));
        assert_eq!(last_lines(""), "");
    }
}

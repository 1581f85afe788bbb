//! All that runs in the background.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use rustix::process::{Pid, test_kill_process};
use tokio::time::{sleep, timeout};

use crate::process::{LOOK, Process};
use crate::user::User;
use crate::workspace;

/// Everything that runs in the background, in the order in which it was started.
#[derive(Debug, Default)]
pub(crate) struct Running {
    processes: Vec<Process>,
    scratch: Vec<PathBuf>,
}

impl Running {
    pub(crate) fn add(&mut self, process: Process) {
        self.processes.push(process);
    }

    /// Creates a folder for servers, which is removed once nothing runs that could write into it.
    pub(crate) fn scratch(&mut self, user: &User, what: &str) -> Result<PathBuf> {
        let parent = workspace::database_state(user)?;
        for entry in fs::read_dir(&parent)?.flatten() {
            if left_over(&entry.file_name().to_string_lossy(), what) {
                workspace::remove_folder(&entry.path())?;
            }
        }
        let folder = parent.join(format!("{what}-{}", std::process::id()));
        user.create_folder(&folder)?;
        self.scratch.push(folder.clone());
        Ok(folder)
    }

    /// Does some work, unless a process ends meanwhile.
    pub(crate) async fn while_running<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        tokio::pin!(work);
        loop {
            for process in &mut self.processes {
                process.still_runs()?;
            }
            if let Ok(done) = timeout(LOOK, &mut work).await {
                return Ok(done);
            }
        }
    }

    /// Starts again what ends, for ever; fails once something ends that can't just be started again.
    pub(crate) async fn keep(&mut self) -> Result<Infallible> {
        loop {
            for process in &mut self.processes {
                if process.restarted {
                    process.restart_if_ended()?;
                } else {
                    process.still_runs()?;
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Ends everything, what was started last first.
    pub(crate) async fn stop(&mut self) {
        while let Some(process) = self.processes.pop() {
            process.stop().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.processes.clear();
        for folder in &self.scratch {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Whether a folder of this name was left by a run that was killed.
fn left_over(name: &str, what: &str) -> bool {
    let process = name.strip_prefix(what).and_then(|name| name.strip_prefix('-')).and_then(|id| id.parse().ok());
    process.and_then(Pid::from_raw).is_some_and(|process| test_kill_process(process).is_err())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::program::Program;

    #[test]
    fn what_a_running_process_needs_is_not_left_over() {
        assert!(!left_over(&format!("test-{}", std::process::id()), "test"));
        assert!(!left_over("development", "test"));
        // Greater than any process's number.
        assert!(left_over(&format!("test-{}", i32::MAX), "test"));
        assert!(!left_over(&format!("test-{}", i32::MAX), "check"));
    }

    #[tokio::test]
    async fn work_doesnt_wait_for_the_dead() {
        let log = std::env::temp_dir().join(format!("xtask-work-{}.log", std::process::id()));
        let mut running = Running::default();
        running.add(Program::new("exit", ["sh", "-c", "exit 3"].map(str::to_owned).to_vec()).start(&log).unwrap());
        let outcome = timeout(Duration::from_secs(30), running.while_running(std::future::pending::<()>())).await;
        assert!(outcome.unwrap().is_err());
    }
}

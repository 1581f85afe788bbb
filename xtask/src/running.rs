//! All that runs in the background.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use tokio::time::{sleep, timeout};

use crate::process::{LOOK, Process};

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

    /// A folder to be removed once nothing runs that could write into it.
    pub(crate) fn remove_afterwards(&mut self, folder: PathBuf) {
        self.scratch.push(folder);
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
                match process.still_runs() {
                    Err(_) if process.restarted => process.restart()?,
                    other => other?,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::program::Program;

    #[tokio::test]
    async fn work_doesnt_wait_for_the_dead() {
        let log = std::env::temp_dir().join(format!("xtask-work-{}.log", std::process::id()));
        let mut running = Running::default();
        running.add(Program::new("exit", ["sh", "-c", "exit 3"].map(str::to_owned).to_vec()).start(&log).unwrap());
        let outcome = timeout(Duration::from_secs(30), running.while_running(std::future::pending::<()>())).await;
        assert!(outcome.unwrap().is_err());
    }
}

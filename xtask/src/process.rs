//! Child processes: each in a process group of its own, logged to a file, and gone when we are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a process may take to end when asked to.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at what is waited for.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
/// How much of a log is shown when its process failed.
const LAST_LINES: usize = 12;

/// How to start a program; may be started several times.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: String,
    command_line: Vec<String>,
    variables: Vec<(String, String)>,
    removed: Vec<String>,
    folder: Option<PathBuf>,
    stop: Signal,
}

impl Program {
    /// A program by its name for people and its command line.
    pub(crate) fn new(name: impl Into<String>, command_line: Vec<String>) -> Self {
        Self {
            name: name.into(),
            command_line,
            variables: Vec::new(),
            removed: Vec::new(),
            folder: None,
            stop: Signal::TERM,
        }
    }

    pub(crate) fn arg(mut self, argument: impl Into<String>) -> Self {
        self.command_line.push(argument.into());
        self
    }

    pub(crate) fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command_line.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable.
    pub(crate) fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Leaves out an environment variable of our own.
    pub(crate) fn without_env(mut self, name: impl Into<String>) -> Self {
        self.removed.push(name.into());
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// The signal that asks it to end, where that isn't SIGTERM.
    pub(crate) fn stopped_by(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    fn command(&self) -> Result<Command> {
        let (program, arguments) = self.command_line.split_first().context("an empty command line")?;
        let mut command = if cfg!(target_os = "linux") && crate::tools::on_path("setpriv").is_some() {
            // Should we be killed outright, the kernel ends it for us.
            let mut command = Command::new("setpriv");
            command
                .arg("--pdeathsig")
                .arg(if self.stop == Signal::INT { "INT" } else { "TERM" })
                .arg("--")
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).stdin(Stdio::null()).process_group(0);
        for name in &self.removed {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        Ok(command)
    }

    fn spawn(&self, mut command: Command) -> Result<Group> {
        let child = command
            .spawn()
            .with_context(|| format!("couldn't start {} ({})", self.name, self.command_line.join(" ")))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Group { child, id: id.context("a child without an id")?, ended: false })
    }

    /// Starts it in the background. What it says goes to `log`.
    pub(crate) fn start(&self, log: &Path) -> Result<Process> {
        let open = || File::options().create(true).append(true).open(log);
        let file = open().with_context(|| format!("couldn't write {}", log.display()))?;
        let mut command = self.command()?;
        command.stderr(file.try_clone()?).stdout(file);
        Ok(Process { program: self.clone(), group: self.spawn(command)?, log: log.to_owned() })
    }

    /// Runs it to its end; what it says goes where our own words go.
    pub(crate) async fn run(&self) -> Result<ExitStatus> {
        self.spawn(self.command()?)?.wait().await
    }

    /// Runs it to its end without a word, unless it fails: then with its last ones.
    pub(crate) async fn run_quietly(&self, limit: Duration) -> Result<String> {
        let mut command = self.command()?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = self.spawn(command)?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
        let ended = timeout(limit, async {
            tokio::try_join!(read(stdout, &mut out), read(stderr, &mut err))?;
            group.wait().await
        });
        let Ok(status) = ended.await else {
            bail!("{} took longer than {} minutes and was ended", self.name, limit.as_secs() / 60);
        };
        let status = status?;
        if !status.success() {
            let said = [String::from_utf8_lossy(&out), String::from_utf8_lossy(&err)].concat();
            bail!("{} failed ({status}):\n{}", self.name, last_lines(&said));
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>, into: &mut Vec<u8>) -> std::io::Result<()> {
    use tokio::io::AsyncReadExt;
    match pipe {
        Some(mut pipe) => pipe.read_to_end(into).await.map(drop),
        None => Ok(()),
    }
}

/// A process and whatever it started. Dropped, they are killed: an early return or a panic leaves nothing running.
#[derive(Debug)]
struct Group {
    child: Child,
    id: Pid,
    ended: bool,
}

impl Group {
    async fn wait(&mut self) -> Result<ExitStatus> {
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
}

impl Process {
    pub(crate) fn name(&self) -> &str {
        &self.program.name
    }

    /// Starts the same program again.
    pub(crate) fn restart(&mut self) -> Result<()> {
        *self = self.program.start(&self.log)?;
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

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.processes.iter_mut()
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

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_few() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        assert_eq!(last_lines(&text).lines().count(), LAST_LINES);
        assert!(last_lines(&text).ends_with("  line 99\n"));
        assert_eq!(last_lines(""), "");
    }
}

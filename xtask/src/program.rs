//! How programs are started: each in a process group of its own, without our standard input.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::{Group, Process, last_lines};
use crate::user::User;

/// How to start a program; may be started several times.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    command_line: Vec<String>,
    variables: Vec<(String, String)>,
    removed: Vec<String>,
    folder: Option<PathBuf>,
    user: User,
    pub(crate) stop: Signal,
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
            user: User::Same,
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

    /// Runs it as another user.
    pub(crate) fn run_by(mut self, user: &User) -> Self {
        self.user = user.clone();
        self
    }

    /// The signal that asks it to end, where that isn't SIGTERM.
    pub(crate) fn stopped_by(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    fn command(&self) -> Result<Command> {
        let options = self.options();
        let mut line = self.command_line.iter();
        let program = line.next().context("an empty command line")?;
        let mut command = Command::new(if options.is_empty() { program } else { "setpriv" });
        if !options.is_empty() {
            command.args(options).arg("--").arg(program);
        }
        command.args(line).stdin(Stdio::null()).process_group(0);
        for name in &self.removed {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        Ok(command)
    }

    /// The options of setpriv, which makes of itself what we may not without unsafe code.
    fn options(&self) -> Vec<String> {
        let mut options = self.user.options();
        if cfg!(target_os = "linux") && crate::tools::on_path("setpriv").is_some() {
            // Should we be killed outright, the kernel ends it for us.
            options.push(format!("--pdeathsig={}", if self.stop == Signal::INT { "INT" } else { "TERM" }));
        }
        options
    }

    fn spawn(&self, mut command: Command) -> Result<Group> {
        let child = command
            .spawn()
            .with_context(|| format!("couldn't start {} ({})", self.name, self.command_line.join(" ")))?;
        Group::new(child)
    }

    /// Starts it in the background. What it says goes to `log`.
    pub(crate) fn start(&self, log: &Path) -> Result<Process> {
        let open = || File::options().create(true).append(true).open(log);
        let file = open().with_context(|| format!("couldn't write {}", log.display()))?;
        let mut command = self.command()?;
        command.stderr(file.try_clone()?).stdout(file);
        Ok(Process::new(self.clone(), self.spawn(command)?, log.to_owned()))
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

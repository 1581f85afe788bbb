//! A function's environment: its process, behind a Runtime API of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::proc;
use crate::runtime_api::{Answer, RuntimeApi};

/// How to start an environment.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    /// What is set beside what Lambda sets.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// What it says goes here; Lambda takes it to CloudWatch.
    pub(crate) log: PathBuf,
}

/// A running environment, ended when it is dropped.
pub(crate) struct Environment {
    pub(crate) api: RuntimeApi,
    process: Child,
    name: &'static str,
    log: PathBuf,
    /// Before the process was made.
    pub(crate) begun: Instant,
    /// Once the program was in it.
    pub(crate) executed: Instant,
}

impl Program {
    /// A function with its settings.
    pub(crate) fn function(name: &'static str, folder: &Path, scratch: &Path, database: String, auth: String) -> Self {
        // The user's id must not hang on the port that the issuer happens to have.
        let settings =
            vec![("DATABASE_URL", database), ("AUTH_URL", auth), ("ISSUER_ID", crate::fill::ISSUER_ID.to_owned())];
        Self { name, binary: folder.join(name), settings, log: scratch.join(format!("{name}.log")) }
    }

    /// With one setting more.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// The function that does nothing but answer with `answer`.
    pub(crate) fn floor(binary: &Path, scratch: &Path, name: &'static str, answer: &[u8]) -> Result<Self> {
        let file = scratch.join(format!("{name}.json"));
        std::fs::write(&file, answer)?;
        let log = scratch.join("floor-function.log");
        Ok(Self { name, binary: binary.to_owned(), settings: vec![("FLOOR_ANSWER", file.display().to_string())], log })
    }

    /// Starts it. With an event it finds that waiting at its first poll.
    pub(crate) fn start(&self, event: Option<Vec<u8>>) -> Result<Environment> {
        let api = RuntimeApi::start()?;
        if let Some(event) = event {
            api.offer(event);
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{}", api.port))
            .env("AWS_LAMBDA_FUNCTION_NAME", self.name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log);
        let begun = Instant::now();
        let process = command.spawn().with_context(|| format!("couldn't start {}", self.binary.display()))?;
        let executed = Instant::now();
        Ok(Environment { api, process, name: self.name, log: self.log.clone(), begun, executed })
    }
}

impl Environment {
    /// The answer to the event that it was started with.
    pub(crate) fn first_answer(&mut self) -> Result<Answer> {
        let answer = self.api.answer();
        self.explain(answer)
    }

    /// An event and its answer, which must have a status below 300.
    pub(crate) fn invoke(&mut self, event: Vec<u8>) -> Result<Answer> {
        let answer = self.api.invoke(event);
        let answer = self.explain(answer)?;
        let begin = &answer.body[..answer.body.len().min(20)];
        if !begin.starts_with(b"{\"statusCode\":2") {
            let said = String::from_utf8_lossy(&answer.body[..answer.body.len().min(2000)]).into_owned();
            bail!("{} answered {said}", self.name);
        }
        Ok(answer)
    }

    fn explain(&mut self, answer: Result<Answer>) -> Result<Answer> {
        answer.with_context(|| {
            let ended = self.process.try_wait().ok().flatten().map(|status| format!(", which ended with {status}"));
            format!("{}{}: see {}", self.name, ended.unwrap_or_default(), self.log.display())
        })
    }

    /// Nanoseconds of CPU so far.
    pub(crate) fn cpu_nanos(&self) -> Result<u64> {
        proc::cpu_nanos(self.process.id())
    }

    /// The memory that it holds, in bytes.
    pub(crate) fn rss(&self) -> Result<u64> {
        proc::rss(self.process.id())
    }

    /// The most memory so far, in bytes.
    pub(crate) fn max_rss(&self) -> Result<u64> {
        proc::max_rss(self.process.id())
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

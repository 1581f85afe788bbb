//! `cargo xtask doctor`, run as an operator runs it, against real servers.

mod database;
mod settings;
mod tokens;

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::setup;

/// What the command said.
pub(crate) struct Said {
    /// Its findings, a line each.
    pub(crate) lines: Vec<String>,
    pub(crate) code: Option<i32>,
}

impl Said {
    /// The first finding with this mark that has all of these words in it.
    pub(crate) fn find(&self, mark: &str, words: &[&str]) -> Option<&str> {
        let found = self
            .lines
            .iter()
            .find(|line| line.starts_with(&format!("{mark} ")) && words.iter().all(|word| line.contains(word)));
        found.map(String::as_str)
    }

    /// Expects such a finding.
    #[track_caller]
    pub(crate) fn expect(&self, mark: &str, words: &[&str]) -> &Self {
        assert!(self.find(mark, words).is_some(), "no {mark} with {words:?}:\n{}", self.lines.join("\n"));
        self
    }

    /// Expects so many that are wrong, and the exit code that goes with it.
    #[track_caller]
    pub(crate) fn expect_wrong(&self, count: usize) -> &Self {
        let wrong = self.lines.iter().filter(|line| line.starts_with('✗')).count();
        assert_eq!((wrong, self.code), (count, Some(i32::from(count > 0))), "{}", self.lines.join("\n"));
        self
    }
}

/// The command, with these settings and no others.
fn command(settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(setup().bin_dir.join("xtask"));
    command.arg("doctor").args(arguments).env_clear().env("LANG", "C.UTF-8");
    command.envs(settings.iter().copied()).kill_on_drop(true);
    command
}

async fn run(mut command: Command, input: &str, secrets: &[&str]) -> Said {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).await.expect("written");
    drop(stdin);
    let output = child.wait_with_output().await.expect("an exit");
    let (said, more) = (String::from_utf8(output.stdout).expect("UTF-8"), String::from_utf8_lossy(&output.stderr));
    for secret in secrets.iter().filter(|secret| secret.len() > 5) {
        assert!(!said.contains(secret) && !more.contains(secret), "a secret is printed:\n{said}{more}");
    }
    assert!(!said.is_empty(), "{more}");
    Said { lines: said.lines().map(str::to_owned).collect(), code: output.status.code() }
}

/// What it finds.
pub(crate) async fn doctor(settings: &[(&str, &str)]) -> Said {
    let secrets = settings.iter().filter_map(|(_, value)| password(value)).collect::<Vec<_>>();
    run(command(settings, &[]), "", &secrets).await
}

/// What it finds with a token, which it must not print, nor its payload.
pub(crate) async fn doctor_with_token(settings: &[(&str, &str)], token: &str) -> Said {
    let payload = token.split('.').nth(1).unwrap_or_default();
    run(command(settings, &["--token", "-"]), &format!("{token}\n"), &[token, payload]).await
}

/// The same with a file of settings.
pub(crate) async fn doctor_with_file(settings: &[(&str, &str)], file: &Path) -> Said {
    run(command(settings, &["--env-file", &file.display().to_string()]), "", &[]).await
}

/// The password of a connection URL.
fn password(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split_once('@')?.0.split_once(':').map(|(_, password)| password).filter(|it| it.len() > 3)
}

/// What a healthy deployment has beside its database.
pub(crate) fn healthy() -> [(&'static str, &'static str); 4] {
    [
        ("AUTH_URL", setup().auth_url.as_str()),
        ("AGENT_URL", setup().text("agentUrl")),
        ("AGENT_MODEL", "development-agent"),
        ("CORS_ORIGINS", "https://app.example.com"),
    ]
}

//! What `cargo xtask dev` says once it runs: to a person, and to a program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::dev::Addresses;
use crate::user::User;

/// Where everything listens, and six lines to try it.
pub(crate) fn text(addresses: &Addresses, logs: &Path) -> String {
    let Addresses { api, auth, agent, .. } = addresses;
    let database = addresses.owner_database.as_ref().unwrap_or(&addresses.database);
    format!(
        "
Colloquy runs. Ctrl-C stops it.

  API          {api}
  Better Auth  {auth}
  Agent        {agent}
  PostgreSQL   {database}
  Logs         {logs}

Try it: sign up, get a token, create a conversation, append a message, list the messages, ask the agent.

{lines}
",
        logs = logs.display(),
        lines = curl_lines(api, auth).join("\n")
    )
}

/// Six lines for any POSIX shell, with nothing but curl and sed. The conversation is called by its client's own id, so
/// nothing has to be picked out of an answer but the two tokens; each paste signs up somebody new.
fn curl_lines(api: &str, auth: &str) -> [String; 6] {
    let json = "-H 'content-type: application/json'";
    let token = r#"sed 's/.*"token":"\([^"]*\)".*/\1/'"#;
    let messages = format!("{api}/v1/conversations/first/messages");
    [
        format!(
            r#"session=$(curl -sS {auth}/sign-up/email {json} -d '{{"name":"Ada","email":"ada.'$(date +%s)'@example.com","password":"correct horse battery"}}' | {token})"#
        ),
        format!(r#"token=$(curl -sS {auth}/token -H "authorization: Bearer $session" | {token})"#),
        format!(
            r#"curl -sS {api}/v1/conversations -H "authorization: Bearer $token" {json} -d '{{"clientId":"first","title":"Leave policy"}}'; echo"#
        ),
        format!(
            r#"curl -sS {messages} -H "authorization: Bearer $token" {json} -d '{{"messages":[{{"role":"user","content":"How many days of leave do I have?"}}]}}'; echo"#
        ),
        format!(r#"curl -sS {messages} -H "authorization: Bearer $token"; echo"#),
        // Unbuffered: word by word.
        format!(
            r#"curl -sSN {api}/v1/chat -H "authorization: Bearer $token" {json} -d '{{"id":"tour","message":{{"role":"user","parts":[{{"type":"text","text":"How long does a token live?"}}]}}}}'"#
        ),
    ]
}

/// A file that is there while everything runs, for a program that waits for that.
pub(crate) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Takes the path, and removes what a killed run left there, so that nobody takes it for this one's.
    pub(crate) fn new(path: PathBuf) -> Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("couldn't remove {}", path.display()))
            }
            _ => Ok(Self(path)),
        }
    }

    /// Writes the addresses: at once, so that nobody reads half of them.
    pub(crate) fn write(&self, addresses: &Addresses) -> Result<()> {
        let ready = json!({
            "apiUrl": addresses.api,
            "authUrl": addresses.auth,
            "agentUrl": addresses.agent,
            "databaseUrl": addresses.database,
            "ownerDatabaseUrl": addresses.owner_database,
        });
        let unfinished = self.unfinished();
        let written = User::Same.write_secret(&unfinished, &ready.to_string());
        written
            .and_then(|()| Ok(fs::rename(&unfinished, &self.0)?))
            .with_context(|| format!("couldn't write {}", self.0.display()))
    }

    fn unfinished(&self) -> PathBuf {
        let mut name = self.0.as_os_str().to_owned();
        name.push(".unfinished");
        PathBuf::from(name)
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_understands_the_lines() {
        let lines = curl_lines("http://127.0.0.1:9000", "http://127.0.0.1:9001/api/auth");
        for line in &lines {
            let parsed = std::process::Command::new("sh").args(["-n", "-c", line]).status().unwrap();
            assert!(parsed.success(), "{line}");
        }
        assert!(lines.iter().all(|line| line.matches("http://").count() == 1));
    }

    #[test]
    fn a_token_is_picked_out_of_either_answer() {
        let [sign_up, token, ..] = curl_lines("http://api", "http://auth");
        let answers = [(sign_up, "session"), (token, "token")];
        for (line, variable) in answers {
            let script = format!(
                r#"curl() {{ printf %s '{{"redirect":false,"token":"ey.j-_w","user":{{"name":"token"}}}}'; }}; {line}; printf %s "${variable}""#
            );
            let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&said.stdout), "ey.j-_w", "{line}");
        }
    }
}

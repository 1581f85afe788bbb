//! Better Auth servers of a test's own: real ones, with the settings that the test is about.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use uuid::Uuid;

use super::database::{Database, Kind};
use super::setup;

/// A Better Auth server, until it is dropped.
pub(crate) struct AuthServer {
    /// Its base URL, with the base path.
    pub(crate) url: String,
    settings: Vec<(String, String)>,
    // Dropped before the database that it is connected to.
    process: Process,
    /// Its database.
    pub(crate) database: Database,
}

impl AuthServer {
    /// Starts a server on a database of its own; `settings` are those of `xtask/better-auth/server.mjs`.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let database = Database::unmigrated(Kind::Postgres18).await.expect("PostgreSQL 18 is always there");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let base_path = if settings.contains(&("NEON", "1")) { "neondb/auth" } else { "api/auth" };
        let settings = [
            ("PORT", port.to_string().as_str()),
            ("DATABASE_URL", &database.superuser_url),
            ("BETTER_AUTH_SECRET", &Uuid::new_v5(&Uuid::NAMESPACE_URL, database.name.as_bytes()).to_string().repeat(2)),
        ]
        .iter()
        .chain(settings)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<Vec<_>>();
        let process = Process::run(&settings).await;
        Self { url: format!("http://127.0.0.1:{port}/{base_path}"), database, settings, process }
    }

    /// The issuer that its tokens name.
    pub(crate) fn origin(&self) -> String {
        self.url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
    }

    /// Stops it: nobody listens on its port any more.
    pub(crate) async fn stop(&mut self) {
        self.process.child.kill().await.unwrap();
    }

    /// Starts it again, with the same port, database and keys.
    pub(crate) async fn start_again(&mut self) {
        self.process = Process::run(&self.settings).await;
    }

    /// Signs a new user up, with these members beside name, e-mail and password.
    pub(crate) async fn sign_up(&self, more: &Value) -> Session {
        let mut user = json!({ "name": "Ada", "email": "ada@example.com", "password": "correct horse battery" });
        for (name, value) in more.as_object().unwrap() {
            user[name] = value.clone();
        }
        self.sign_in("sign-up/email", &user).await
    }

    /// Signs somebody in by that endpoint.
    pub(crate) async fn sign_in(&self, endpoint: &str, body: &Value) -> Session {
        let response = client().post(format!("{}/{endpoint}", self.url)).json(body).send().await.unwrap();
        let status = response.status();
        let cookies = response.headers().get_all("set-cookie").iter();
        let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
        let body: Value = response.json().await.unwrap();
        let token = body["token"].as_str().unwrap_or_else(|| panic!("{endpoint}: {status}, {body}")).to_owned();
        Session { token, user_id: body["user"]["id"].as_str().unwrap().to_owned(), cookies }
    }

    /// A fresh JWT of this session's user.
    pub(crate) async fn token(&self, session: &Session) -> String {
        let request = client().get(format!("{}/token", self.url)).bearer_auth(&session.token);
        let response = request.send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        body["token"].as_str().unwrap_or_else(|| panic!("token: {status}, {body}")).to_owned()
    }
}

/// A user who signed in.
pub(crate) struct Session {
    /// The session's token. It is no JWT, and nobody but Better Auth knows it.
    pub(crate) token: String,
    /// The user's id at Better Auth.
    pub(crate) user_id: String,
    /// What was set, attributes and all.
    pub(crate) cookies: Vec<String>,
}

/// A client that goes through no proxy.
pub(crate) fn client() -> reqwest::Client {
    let tls = shared::tls::client_config(shared::tls::web_roots()).unwrap();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    client.timeout(Duration::from_secs(30)).build().unwrap()
}

/// The server's script, running. What it says is kept, and shown if the test fails.
struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Process {
    /// Runs it, and waits until it says that it listens.
    async fn run(settings: &[(String, String)]) -> Self {
        let script = format!("{}/server.mjs", setup().text("authServerDir"));
        let mut child = Command::new(setup().text("node"))
            .arg(script)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = Arc::default();
        let (ready, mut is_ready) = watch::channel(false);
        tokio::spawn(listen(child.stdout.take().unwrap(), Arc::clone(&said), Some(ready)));
        tokio::spawn(listen(child.stderr.take().unwrap(), Arc::clone(&said), None));
        let process = Self { child, said };
        let waiting = tokio::time::timeout(Duration::from_mins(1), is_ready.wait_for(|ready| *ready)).await;
        waiting.expect("a Better Auth server within a minute").expect("a Better Auth server that stays");
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the Better Auth server said:\n{}", self.said.lock().unwrap());
        }
    }
}

async fn listen(stream: impl AsyncRead + Unpin, said: Arc<Mutex<String>>, ready: Option<watch::Sender<bool>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "ready"
            && let Some(ready) = &ready
        {
            ready.send_replace(true);
        }
        let mut said = said.lock().unwrap();
        said.push_str(&line);
        said.push('\n');
    }
}

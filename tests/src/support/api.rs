//! The whole API in process: the functions' own routers, with a database of its own and users of a real Better Auth.

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use shared::auth::Verifier;
use shared::clock::Clock;
use shared::config::{AllowedOrigin, Config, CorsOrigins};
use shared::db::Db;
use shared::http::{App, bounded};
use shared::relay::Relay;
use tower::ServiceExt;

use super::database::{Database, Kind};
use super::{http_client, setup};

/// The API behind one router, as API Gateway puts it behind one address.
pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) database: Database,
}

/// The settings of a function, for this database and the suite's Better Auth.
pub(crate) fn config(database_url: &str) -> Config {
    let read = |name: &str| match name {
        "AUTH_URL" => Some(setup().auth_url.clone()),
        "DATABASE_URL" => Some(database_url.to_owned()),
        "AGENT_URL" => Some(setup().text("agentUrl").to_owned()),
        "AGENT_MODEL" => Some("development-agent".to_owned()),
        _ => None,
    };
    let mut config = Config::read(&read).expect("the suite's settings are good");
    // Tests send requests side by side; a function serves one at a time.
    config.database.pool_size = 8;
    config
}

impl Api {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
        let mut config = config(&database.app_url);
        change(&mut config);
        Self { router: router(config), database }
    }

    /// With pages of `https://app.example.com` allowed to call.
    pub(crate) async fn with_cors() -> Self {
        Self::with(|config| config.http.cors_origins = CorsOrigins::These(vec![origin("https://app.example.com")]))
            .await
    }

    /// Somebody who just signed in.
    pub(crate) async fn user(&self) -> User {
        User { router: self.router.clone(), token: token().await }
    }

    /// What `sql` counts, seen by the superuser.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database.superuser().await.query_one(sql, &[]).await.expect("a count").get(0)
    }

    /// A request of nobody's.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }
}

/// An origin that may call.
pub(crate) fn origin(text: &str) -> AllowedOrigin {
    AllowedOrigin::parse(text).expect("an origin")
}

/// The functions' routers under these settings, as one environment serves them.
pub(crate) fn router(config: Config) -> Router {
    let verifier = Verifier::new(&config.auth, Clock::system()).expect("a verifier");
    router_with(config, verifier)
}

/// The same, with keys that others fetch, too: Better Auth limits how often that may be.
pub(crate) fn router_with(config: Config, verifier: Verifier) -> Router {
    let clock = Clock::system();
    let db = Db::new(&config.database).expect("a database");
    let relay = Relay::new(db.clone(), config.agent.as_ref(), config.chat).expect("a relay");
    bounded(functions::router(), App { db, relay, verifier, config: config.http, clock })
}

/// A token of a new user, from the suite's Better Auth.
pub(crate) async fn token() -> String {
    sign_in(&setup().auth_url).await
}

/// Signs in anonymously and fetches a JWT.
pub(crate) async fn sign_in(auth_url: &str) -> String {
    jwt(auth_url, "sign-in/anonymous", &json!({})).await
}

/// Signs up by e-mail and fetches a JWT.
pub(crate) async fn sign_up(auth_url: &str, email: &str, name: &str) -> String {
    jwt(auth_url, "sign-up/email", &json!({"email": email, "name": name, "password": "correct horse"})).await
}

async fn jwt(auth_url: &str, way: &str, body: &Value) -> String {
    let http = http_client();
    let session = http.post(format!("{auth_url}/{way}")).json(body).send().await.expect("Better Auth");
    let session: Value = session.error_for_status().expect("a session").json().await.expect("JSON");
    let session = session["token"].as_str().expect("a session token").to_owned();
    let token = http.get(format!("{auth_url}/token")).bearer_auth(session).send().await.expect("Better Auth");
    let token: Value = token.error_for_status().expect("a token").json().await.expect("JSON");
    token["token"].as_str().expect("a JWT").to_owned()
}

/// A signed-in user.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) router: Router,
    pub(crate) token: String,
}

impl User {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, &[], Some(body)).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        self.send_bytes(method, path, headers, body).await
    }

    pub(crate) async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, Vec<u8>)>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.token));
        if let Some((media_type, _)) = body {
            request = request.header("content-type", media_type);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |(_, bytes)| Body::from(bytes));
        send(&self.router, request.body(body).expect("a request")).await
    }

    /// A new conversation's id.
    pub(crate) async fn conversation(&self) -> String {
        let created = self.post("/v1/conversations", &json!({})).await;
        created.expect(StatusCode::CREATED);
        created.text("/id")
    }

    /// Appends texts as one batch, the user's and the assistant's in turn; their ids.
    pub(crate) async fn say(&self, conversation: &str, texts: &[&str]) -> Vec<String> {
        let role = |i: usize| if i.is_multiple_of(2) { "user" } else { "assistant" };
        let messages: Vec<Value> =
            texts.iter().enumerate().map(|(i, text)| json!({"role": role(i), "content": text})).collect();
        let path = format!("/v1/conversations/{conversation}/messages");
        let appended = self.post(&path, &json!({"messages": messages})).await;
        appended.expect(StatusCode::CREATED);
        appended.texts("/data", "/id")
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.expect("a router answers");
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        bytes: bytes.to_vec(),
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> &Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Expects a problem document of this status and code.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: StatusCode, code: &str) -> &Self {
        self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["code"], code, "{}", self.body);
        assert_eq!(self.body["status"], status.as_u16());
        assert_eq!(self.body["requestId"].as_str(), self.header("x-request-id"));
        self
    }

    /// The faults of a 400 as `in:pointer`, sorted.
    #[track_caller]
    pub(crate) fn faults(&self) -> Vec<String> {
        self.expect_problem(StatusCode::BAD_REQUEST, "invalid_request");
        let faults = self.body["errors"].as_array().expect("errors");
        let mut faults: Vec<String> = faults
            .iter()
            .map(|fault| {
                format!("{}:{}", fault["in"].as_str().expect("in"), fault["pointer"].as_str().expect("pointer"))
            })
            .collect();
        faults.sort();
        faults
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of ASCII"))
    }

    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> String {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no text at {pointer}: {}", self.body)).to_owned()
    }

    /// The text at `pointer` of each item of the list at `list`.
    #[track_caller]
    pub(crate) fn texts(&self, list: &str, pointer: &str) -> Vec<String> {
        let items = self.body.pointer(list).and_then(Value::as_array);
        let items = items.unwrap_or_else(|| panic!("no list at {list}: {}", self.body));
        items.iter().map(|item| item.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned()).collect()
    }
}

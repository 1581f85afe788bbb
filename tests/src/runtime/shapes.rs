//! Every function with every shape of event that may reach it, each as AWS documents it, with all its members: the answers
//! don't hang on the shape.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html>
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use shared::http::{Endpoint, Method};

use crate::support::database::{Database, Kind};
use crate::support::issuer::Issuer;
use crate::support::runtime_api::{Answer, Environment, Response};

const REST_API: &str = include_str!("shapes/rest-api.json");
const HTTP_API: &str = include_str!("shapes/http-api.json");
const FUNCTION_URL: &str = include_str!("shapes/function-url.json");
const CONSOLE_TEST: &str = include_str!("shapes/console-test.json");
const SCHEDULED: &str = include_str!("shapes/scheduled.json");

/// Where a custom domain's mapping puts the API.
const BASE_PATH: &str = "/chat-api";

/// A way to a function.
#[derive(Clone, Copy, Debug)]
struct Shape {
    name: &'static str,
    document: &'static str,
    stage: &'static str,
    /// What stands before the path in the event; and in its context, where there are both.
    before: &'static str,
    before_in_context: &'static str,
    domain: Option<&'static str>,
}

const SHAPES: [Shape; 6] = [
    Shape { name: "REST API", document: REST_API, stage: "prod", before: "", before_in_context: "/prod", domain: None },
    Shape {
        name: "REST API, custom domain with a base path",
        document: REST_API,
        stage: "prod",
        before: BASE_PATH,
        before_in_context: BASE_PATH,
        domain: Some("api.example.com"),
    },
    Shape { name: "HTTP API", document: HTTP_API, stage: "$default", before: "", before_in_context: "", domain: None },
    Shape {
        name: "HTTP API, a stage of a name",
        document: HTTP_API,
        stage: "prod",
        before: "/prod",
        before_in_context: "/prod",
        domain: None,
    },
    // Its path is told with the mapping by version 1 alone; should that ever change, it is understood.
    Shape {
        name: "HTTP API, custom domain with a base path",
        document: HTTP_API,
        stage: "$default",
        before: BASE_PATH,
        before_in_context: BASE_PATH,
        domain: Some("api.example.com"),
    },
    Shape {
        name: "Function URL",
        document: FUNCTION_URL,
        stage: "$default",
        before: "",
        before_in_context: "",
        domain: None,
    },
];

/// A request before it is put into an event.
#[derive(Clone, Debug, Default)]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: Vec<(&'a str, &'a str)>,
    body: Option<&'a str>,
    base64: bool,
}

impl Shape {
    fn event(&self, request: &Request<'_>) -> Value {
        let mut event: Value = serde_json::from_str(self.document).expect("JSON");
        let (path, told) =
            (format!("{}{}", self.before, request.path), format!("{}{}", self.before_in_context, request.path));
        let encoded = request.body.map(|body| BASE64_STANDARD.encode(body));
        let mut headers = request.headers.clone();
        if let Some(domain) = self.domain {
            headers.push(("Host", domain));
            event["requestContext"]["domainName"] = domain.into();
        }
        event["body"] = if request.base64 { encoded.into() } else { request.body.into() };
        event["isBase64Encoded"] = request.base64.into();
        event["requestContext"]["stage"] = self.stage.into();
        if event["version"] == "2.0" {
            let mut query = reqwest::Url::parse("http://x/").expect("a URL");
            query.query_pairs_mut().extend_pairs(request.query);
            event["rawQueryString"] = query.query().filter(|query| !query.is_empty()).unwrap_or_default().into();
            if !request.query.is_empty() {
                event["queryStringParameters"] = joined(request.query, ",");
            }
            event["rawPath"] = path.into();
            event["requestContext"]["http"]["method"] = request.method.into();
            event["requestContext"]["http"]["path"] = told.into();
            let lower: Vec<(String, &str)> =
                headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value)).collect();
            let lower: Vec<(&str, &str)> = lower.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            put(&mut event["headers"], joined(&lower, ","));
        } else {
            event["path"] = path.into();
            event["httpMethod"] = request.method.into();
            event["requestContext"]["httpMethod"] = request.method.into();
            event["requestContext"]["path"] = told.into();
            // Of a repeated one only the last stands here, and all of them there.
            put(
                &mut event["headers"],
                headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect(),
            );
            put(&mut event["multiValueHeaders"], lists(&headers));
            if !request.query.is_empty() {
                let last = request.query.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
                event["queryStringParameters"] = last.collect();
                event["multiValueQueryStringParameters"] = lists(request.query);
            }
        }
        event
    }
}

fn lists(pairs: &[(&str, &str)]) -> Value {
    let mut lists = Map::new();
    for (name, value) in pairs {
        let list = lists.entry(*name).or_insert_with(|| json!([]));
        list.as_array_mut().expect("a list").push((*value).into());
    }
    lists.into()
}

fn joined(pairs: &[(&str, &str)], by: &str) -> Value {
    let lists = lists(pairs);
    let lists = lists.as_object().expect("lists").iter();
    let join = |list: &Value| {
        list.as_array().expect("a list").iter().map(|it| it.as_str().expect("a text")).collect::<Vec<_>>().join(by)
    };
    lists.map(|(name, list)| (name.clone(), Value::from(join(list)))).collect()
}

fn put(into: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("no object: {more}") };
    into.as_object_mut().expect("an object").extend(more);
}

/// What of an answer can't hang on the moment.
fn essence(response: &Response) -> (u16, Option<String>, Value) {
    let body = response.json();
    let what = match &body {
        Value::Object(members) if members.contains_key("code") => {
            // Version 1 tells parameters without their order.
            let faults = members.get("errors").and_then(Value::as_array).into_iter().flatten();
            let mut faults: Vec<String> = faults.map(ToString::to_string).collect();
            faults.sort_unstable();
            json!([members["code"], members["detail"], faults])
        }
        Value::Object(members) => members.keys().cloned().collect(),
        other => other.clone(),
    };
    (response.status, response.header("content-type").map(str::to_owned), what)
}

/// Asks with every shape, and answers with what all of them were answered.
async fn ask(function: &Environment, request: &Request<'_>) -> (Response, Answer) {
    let mut first: Option<(Response, Answer)> = None;
    for shape in SHAPES {
        let answer = function.invoke(&shape.event(request)).await;
        let response = answer.response();
        assert_eq!(response.header("x-request-id"), Some(answer.id.as_str()), "{}", shape.name);
        if let Some((first, _)) = &first {
            assert_eq!(essence(&response), essence(first), "{}: {request:?}: {}", shape.name, response.body);
        }
        first.get_or_insert((response, answer));
    }
    first.expect("shapes")
}

#[tokio::test]
async fn every_endpoint_answers_every_shape_alike() {
    let issuer = Issuer::start().await;
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let headers = issuer.headers();
    let authorization = ("Authorization", headers["Authorization"].as_str().expect("a token"));
    let content_type = ("Content-Type", "application/json");
    let headers = vec![authorization, content_type, ("Accept", "application/json"), ("Accept", "text/html")];
    let create = environment("create-conversation", &issuer, &database).await;
    let body = Some(r#"{"clientId": "ours"}"#);
    let new =
        Request { method: "POST", path: "/v1/conversations", headers: headers.clone(), body, ..Request::default() };
    assert_eq!(create.invoke(&SHAPES[0].event(&new)).await.response().status, 201);
    for endpoint in functions::endpoints() {
        let function = environment(endpoint.name, &issuer, &database).await;
        let Endpoint { path, method, .. } = endpoint;
        // What is deleted once isn't there for the next.
        let path = path.replace("{id}", if method == Method::Delete { "nobodys" } else { "ours" });
        let path = path.replace("{messageId}", "m%2F1");
        let anonymous = Request { method: method.as_str(), path: &path, ..Request::default() };
        let (response, _) = ask(&function, &anonymous).await;
        assert_eq!(response.status, if endpoint.public { 200 } else { 401 }, "{}: {}", endpoint.name, response.body);

        let plain = Request { headers: headers.clone(), ..anonymous };
        let query = [("limit", "1"), ("limit", "2"), ("title", "a&b =ü")];
        let bodies = ["{", r#"{"title": "Grüße 👋"}"#, r#"{"messages": [{"role": "user", "content": "Grüße 👋"}]}"#];
        let bodies = bodies.map(|body| Request { body: Some(body), ..plain.clone() });
        for request in [&[plain.clone(), Request { query: &query, ..plain }], &bodies[..]].concat() {
            let (response, answer) = ask(&function, &request).await;
            assert!(response.status < 500 && ![401, 405].contains(&response.status), "{}", response.body);
            let line: Value = serde_json::from_str(&function.lines.with(&answer.id).await).expect("JSON");
            assert_eq!(line["route"], endpoint.path, "{line}");
            let (decoded, _) = ask(&function, &Request { base64: true, ..request.clone() }).await;
            assert_eq!(essence(&decoded), essence(&response), "{}: {request:?} in base64", endpoint.name);
        }
    }
}

#[tokio::test]
async fn the_fallback_answers_every_shape_alike() {
    let issuer = Issuer::start().await;
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let function = environment("fallback", &issuer, &database).await;
    for endpoint in functions::endpoints() {
        let path = endpoint.path.replace("{id}", "ours").replace("{messageId}", "m%2F1");
        let headers = vec![("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "PATCH")];
        let preflight = Request { method: "OPTIONS", path: &path, headers, ..Request::default() };
        let (response, _) = ask(&function, &preflight).await;
        assert_eq!(response.status, 204, "{}", response.body);
        let allowed = response.header("access-control-allow-methods").expect("methods");
        assert!(allowed.contains(endpoint.method.as_str()), "{allowed}");
        let (response, _) = ask(&function, &Request { method: "PUT", path: &path, ..Request::default() }).await;
        assert_eq!((response.status, response.header("allow").is_some()), (405, true));
    }
    for path in ["/", "/nowhere", "/v1"] {
        let (response, _) = ask(&function, &Request { method: "GET", path, ..Request::default() }).await;
        assert_eq!(response.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_consoles_test_event_has_neither_headers_nor_query() {
    let issuer = Issuer::start().await;
    let database = Database::migrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let function = environment("health", &issuer, &database).await;
    let event = serde_json::from_str(CONSOLE_TEST).expect("JSON");
    assert_eq!(function.invoke(&event).await.response().status, 200);
}

#[tokio::test]
async fn what_no_http_reaches_takes_the_schedules_events() {
    let events: Vec<Value> = serde_json::from_str(SCHEDULED).expect("JSON");
    let issuer = Issuer::start().await;
    let database = Database::unmigrated(Kind::Postgres18).await.expect("PostgreSQL 18");
    let migrate = Environment::start("migrate", &[("MIGRATE_DATABASE_URL", &database.owner_url)]).await;
    for (n, event) in events.iter().enumerate() {
        let applied = migrate.invoke(event).await.json();
        assert_eq!(applied["applied"].as_array().map(Vec::is_empty), Some(n > 0), "{applied}");
    }
    let sweep = environment("sweep", &issuer, &database).await;
    for event in &events {
        assert_eq!(sweep.invoke(event).await.json(), json!({"runs": 0, "chunks": 0, "pruned": 0}));
    }
}

async fn environment(name: &str, issuer: &Issuer, database: &Database) -> Environment {
    let settings = [
        ("DATABASE_URL", database.app_url.as_str()),
        ("BASE_PATH", BASE_PATH),
        ("CORS_ORIGINS", "https://app.example.com"),
    ];
    Environment::start(name, &[&settings[..], &issuer.settings()].concat()).await
}

//! The API document, the routers, the local gateway's routes and the template name the same endpoints.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use shared::http::Endpoint;

use crate::deployment::template::{self, Stack};
use crate::support::{http_client, setup};

/// What an endpoint is to all of them: its name, its method and its path.
type Named = (String, String, String);

fn named(endpoints: &[Endpoint]) -> BTreeSet<Named> {
    let each = |endpoint: &Endpoint| {
        let (name, path) = (endpoint.name.to_owned(), endpoint.path.to_owned());
        endpoint.method.answers().iter().map(move |method| (name.clone(), (*method).to_owned(), path.clone()))
    };
    endpoints.iter().flat_map(each).collect()
}

fn workspace(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn document() -> Value {
    functions::openapi::document()
}

#[test]
fn the_api_document_names_every_endpoint() {
    let document = document();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let id = operation["operationId"].as_str().expect("an operationId");
            let id = if method == "head" { id.strip_prefix("head-").expect("its GET's") } else { id }.to_owned();
            documented.insert((id, method.to_uppercase(), path.clone()));
        }
    }
    assert_eq!(documented, named(&functions::endpoints()));
}

#[test]
fn every_endpoint_has_its_binary_and_every_binary_its_endpoint() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let files = fs::read_dir(root.join("functions/src/bin")).expect("the binaries");
    let names =
        files.map(|file| file.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned());
    let mut expected: BTreeSet<String> =
        functions::endpoints().iter().map(|endpoint| endpoint.name.to_owned()).collect();
    expected.extend(["fallback", "migrate", "sweep"].map(str::to_owned));
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
    for endpoint in functions::endpoints() {
        let source = workspace(&format!("functions/src/bin/{}.rs", endpoint.name));
        assert_eq!(source.lines().count(), 4, "{}", endpoint.name);
        assert!(source.contains(&format!("{} {}", endpoint.method, endpoint.path)), "{}", endpoint.name);
    }
}

#[test]
fn the_template_has_every_endpoint_as_a_function() {
    let stack = Stack::new(template::transformed(&template::needed()), &template::needed());
    let mut binaries = BTreeSet::new();
    for (logical_id, function) in stack.of_type("AWS::Lambda::Function") {
        let binary = stack.resources[logical_id]["Metadata"]["BuildProperties"]["Binary"].as_str().expect("a binary");
        assert_eq!(logical_id, pascal_case(binary));
        assert_eq!(function["FunctionName"], format!("{}-{binary}", Stack::NAME));
        binaries.insert(binary.to_owned());
    }
    let mut expected: BTreeSet<String> =
        functions::endpoints().iter().map(|endpoint| endpoint.name.to_owned()).collect();
    expected.extend(["fallback", "migrate", "sweep"].map(str::to_owned));
    assert_eq!(binaries, expected);

    let (rest, declared): (Vec<_>, Vec<_>) =
        template::routes(&stack).into_iter().partition(|route| route.method == "ANY");
    for route in &declared {
        let streams = functions::endpoints().iter().any(|endpoint| endpoint.name == route.function && endpoint.streams);
        assert_eq!(route.streams, Some(streams), "{route:?}");
    }
    let declared: BTreeSet<Named> =
        declared.into_iter().map(|route| (route.function, route.method, route.path)).collect();
    assert_eq!(declared, named(&functions::endpoints()));
    // A REST API answers 403 for a method that a declared path lacks, unless the path sends it somewhere.
    assert!(rest.iter().all(|route| route.function == "fallback"), "{rest:?}");
    let mut paths: BTreeSet<String> = functions::endpoints().iter().map(|endpoint| endpoint.path.to_owned()).collect();
    paths.extend(["/".to_owned(), "/{proxy+}".to_owned()]);
    assert_eq!(rest.into_iter().map(|route| route.path).collect::<BTreeSet<_>>(), paths);
}

fn pascal_case(name: &str) -> String {
    let words = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
    words.collect()
}

#[test]
fn cargo_lambda_watch_routes_every_endpoint_and_its_preflight() {
    let cargo = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let router = metadata["metadata"]["lambda"]["watch"]["router"].as_object().expect("the router's table").clone();
    let mut found = BTreeSet::new();
    for (path, methods) in router {
        let mut preflight = false;
        for method in methods.as_array().expect("methods") {
            let text = |name: &str| method[name].as_str().expect("a text").to_owned();
            if text("method") == "OPTIONS" {
                preflight = text("function") == "fallback";
            } else {
                found.insert((text("function"), text("method"), path.clone()));
            }
        }
        assert!(preflight, "{path} has no preflight");
    }
    assert_eq!(found, named(&functions::endpoints()));
}

#[tokio::test]
async fn the_local_gateway_routes_every_endpoint_and_everything_else() {
    let http = http_client();
    let api = setup().api_url();
    for endpoint in functions::endpoints() {
        let path = endpoint.path.replace("{id}", "unknown").replace("{messageId}", "unknown");
        for method in endpoint.method.answers() {
            let answer = http.request(method.parse().expect("a method"), format!("{api}{path}")).send();
            let answer = answer.await.expect("an answer");
            let expected = if endpoint.public { 200 } else { 401 };
            assert_eq!(answer.status(), expected, "{method} {path}");
            let is_empty = answer.bytes().await.expect("a body").is_empty();
            assert_eq!(is_empty, *method == "HEAD", "{method} {path}");
        }
        let put = http.put(format!("{api}{path}")).send().await.expect("an answer");
        assert_eq!(put.status(), 405, "PUT {path}");
        let preflight = http.request(reqwest::Method::OPTIONS, format!("{api}{path}")).send().await.expect("an answer");
        assert_eq!(preflight.status(), 204, "OPTIONS {path}");
    }
    for unknown in ["/", "/v1", "/nowhere/at/all"] {
        let answer = http.get(format!("{api}{unknown}")).send().await.expect("an answer");
        assert_eq!(answer.status(), 404, "{unknown}");
    }
}

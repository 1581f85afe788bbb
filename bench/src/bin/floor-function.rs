//! The floor of a warm request: a `lambda_http` function that answers every event with the same bytes and does nothing
//! else. The file named by `FLOOR_ANSWER` holds the answer of the function that it stands beside, as Lambda's Runtime
//! API saw it, so that both send the same headers and body.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambda_http::{Body, Error, Request, Response, run, service_fn};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    multi_value_headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    body: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let file = shared::config::environment("FLOOR_ANSWER").ok_or("FLOOR_ANSWER is not set")?;
    let answer: Arc<Answer> = Arc::new(serde_json::from_slice(&std::fs::read(file)?)?);
    run(service_fn(move |_: Request| {
        let answer = Arc::clone(&answer);
        async move {
            let mut response = Response::builder().status(answer.status_code);
            for (name, values) in &answer.multi_value_headers {
                for value in values {
                    response = response.header(name, value);
                }
            }
            response.body(Body::Text(answer.body.clone())).map_err(Error::from)
        }
    }))
    .await
}

//! Settings that are wrong, told to Lambda: whoever invokes the function, or deploys it, then reads what to mend, and not
//! only that a process ended.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror>

use std::time::Duration;

use http::header::CONTENT_TYPE;
use serde_json::json;

use super::StartError;
use crate::config::{BadConfig, environment};
use crate::error::Error;
use crate::tls;

const TIMEOUT: Duration = Duration::from_secs(2);
/// A category and a reason, as the Runtime API asks for. Metrics and logs of Lambda have it.
const TYPE: &str = "Runtime.BadSettings";

/// Tells it, where the settings are what is wrong. Where that can't be done the log has it all the same.
pub(super) async fn tell(error: &StartError) {
    let (Some(bad), Some(api)) = (error.downcast_ref::<BadConfig>(), environment("AWS_LAMBDA_RUNTIME_API")) else {
        return;
    };
    if let Err(error) = post(&api, bad).await {
        let cause = error.cause.as_deref().map(ToString::to_string);
        tracing::warn!(cause, "the Runtime API wasn't told");
    }
}

async fn post(api: &str, bad: &BadConfig) -> Result<(), Error> {
    // Lambda names a host and a port, its emulators a URL.
    let scheme = if api.contains("://") { "" } else { "http://" };
    let client = tls::http_client().map_err(Error::internal)?.timeout(TIMEOUT).build().map_err(Error::internal)?;
    let request = client
        .post(format!("{scheme}{api}/2018-06-01/runtime/init/error"))
        .header("lambda-runtime-function-error-type", TYPE)
        .header(CONTENT_TYPE, "application/json")
        .body(json!({"errorType": TYPE, "errorMessage": bad.to_string(), "stackTrace": []}).to_string());
    request.send().await.and_then(reqwest::Response::error_for_status).map(drop).map_err(Error::internal)
}

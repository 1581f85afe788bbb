//! What the AWS SDK speaks HTTP with: a client as all others of a function are.
//!
//! The SDK's own (`aws-smithy-http-client`) takes certificate authorities as PEM alone or from the system, and would be a
//! second client beside this one. All that the SDK asks of a client is below.

use std::time::Duration;

use aws_sdk_secretsmanager::config::SharedHttpClient;
use aws_sdk_secretsmanager::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::result::ConnectorError;
use reqwest::{Body, Client};

use crate::error::Error;
use crate::tls;

/// To connect, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For one attempt, to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// The most bytes of an answer. A secret has at most 64 KB.
const MAX_BYTES: usize = 256 * 1024;

/// The client; connects to nothing yet.
pub(super) fn client() -> Result<SharedHttpClient, Error> {
    let client = tls::http_client()
        .map_err(Error::internal)?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ATTEMPT_TIMEOUT)
        .build()
        .map_err(Error::internal)?;
    let connector = SharedHttpConnector::new(Connector(client));
    Ok(http_client_fn(move |_, _| connector.clone()))
}

#[derive(Debug)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let (parts, body) =
                request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?.into_parts();
            // A request to AWS that this crate makes is in memory.
            let body = body.bytes().map_or_else(Body::default, |bytes| Body::from(bytes.to_vec()));
            let request = http::Request::from_parts(parts, body);
            let request = request.try_into().map_err(|error: reqwest::Error| ConnectorError::user(error.into()))?;
            let mut response = client.execute(request).await.map_err(failed)?;
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(failed)? {
                if bytes.len() + chunk.len() > MAX_BYTES {
                    return Err(ConnectorError::other("the answer is too large".into(), None));
                }
                bytes.extend_from_slice(&chunk);
            }
            let mut answer = HttpResponse::new(response.status().into(), bytes.into());
            for (name, value) in response.headers() {
                if let Ok(value) = value.to_str() {
                    answer
                        .headers_mut()
                        .try_append(name.as_str().to_owned(), value.to_owned())
                        .map_err(|error| ConnectorError::other(error.into(), None))?;
                }
            }
            Ok(answer)
        })
    }
}

/// How the SDK is told: what timed out or broke off may be tried again.
fn failed(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

//! Lets events in and answers out: in one piece, or as a stream.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, BodyDataStream};
use lambda_http::request::LambdaRequest;
use lambda_http::{Request, RequestExt};
use lambda_runtime::{Diagnostic, FunctionResponse, LambdaEvent, MetadataPrelude, Service, StreamResponse};

use super::answer::{Answer, Version, bad_event, joined};
use super::event::Event;

/// Lets events in: what can't be turned into a request is answered with a 400, and ends nothing.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) router: Router,
    pub(super) base_path: String,
    /// Where answers go.
    pub(super) runtime_api: String,
    /// Whether answers go out as they come.
    pub(super) streams: bool,
}

/// What goes to the Runtime API.
type Outcome = FunctionResponse<Answer, BodyDataStream>;

impl Service<LambdaEvent<Event>> for Door {
    type Response = Outcome;
    type Error = Diagnostic;
    type Future = Pin<Box<dyn Future<Output = Result<Outcome, Diagnostic>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Diagnostic>> {
        Service::<Request>::poll_ready(&mut self.router, cx).map_err(|never| match never {})
    }

    fn call(&mut self, LambdaEvent { payload, context }: LambdaEvent<Event>) -> Self::Future {
        let (streams, request_id) = (self.streams, context.request_id.clone());
        #[cfg(target_os = "linux")]
        if streams {
            // Each time: the client may have made a new connection.
            super::nodelay::send_at_once(&self.runtime_api);
        }
        let (version, request) = match payload.into_request(&self.base_path) {
            Ok(event) => {
                let version = version(&event);
                // `lambda_http` panics on what its own types let through. Everything known is mended before, this is the
                // belt.
                let convert = AssertUnwindSafe(|| Request::from(event).with_lambda_context(context));
                (version, catch_unwind(convert).map_err(|_| "the event couldn't be converted"))
            }
            Err(cause) => (Version::Unknown, Err(cause)),
        };
        let is_head = request.as_ref().is_ok_and(|request| request.method() == http::Method::HEAD);
        let answer = request.map(|request| self.router.call(request));
        Box::pin(async move {
            let mut response = match answer {
                Ok(answer) => answer.await.unwrap_or_else(|never| match never {}),
                Err(cause) => {
                    tracing::info!(requestId = request_id, status = 400, cause, "refused");
                    bad_event(&request_id).map(Body::from)
                }
            };
            if is_head {
                // The length of GET's body, and the gateway gets none: what it tells the client is its own to decide.
                response.headers_mut().remove(http::header::CONTENT_LENGTH);
            }
            if streams { Ok(streamed(response)) } else { buffered(version, response).await }
        })
    }
}

fn version(event: &LambdaRequest) -> Version {
    if matches!(event, LambdaRequest::ApiGatewayV1(_)) { Version::Rest } else { Version::Http }
}

/// A response in one piece.
async fn buffered(version: Version, response: http::Response<Body>) -> Result<Outcome, Diagnostic> {
    let (parts, body) = response.into_parts();
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(cause = %error, "an answer can't be written");
        Diagnostic { error_type: "Answer".to_owned(), error_message: "the answer can't be written".to_owned() }
    };
    // Bodies are made in memory: a stream that is buffered all the same is as long as an answer may be.
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|error| failed(&error))?;
    let answer = Answer::new(version, parts.status, parts.headers, &body).map_err(|error| failed(&error))?;
    Ok(FunctionResponse::BufferedResponse(answer))
}

/// A response whose body goes out as it comes.
fn streamed(response: http::Response<Body>) -> Outcome {
    let (parts, body) = response.into_parts();
    FunctionResponse::StreamingResponse(StreamResponse {
        // This API sets no cookies.
        metadata_prelude: MetadataPrelude {
            // It has no lists for API Gateway, and the client would write one for a repeated header.
            headers: joined(&parts.headers),
            status_code: parts.status,
            cookies: Vec::new(),
        },
        stream: body.into_data_stream(),
    })
}

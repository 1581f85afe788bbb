//! Lets events in and answers out: in one piece, or as a stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, BodyDataStream};
use futures_util::FutureExt;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, RequestExt};
use lambda_runtime::{FunctionResponse, LambdaEvent, MetadataPrelude, Service, StreamResponse};

use super::event::{Answer, Event, bad_event};

/// The router, its answers' bodies in one piece: that is what a buffered function returns, and unlike a body that may
/// still stream it may be shared between threads, which serving several events at a time asks of an answer.
#[derive(Clone)]
pub(super) struct Buffered(Router);

impl Service<lambda_http::Request> for Buffered {
    type Response = http::Response<lambda_http::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<lambda_http::Request>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: lambda_http::Request) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let (parts, body) = answer.await?.into_parts();
            // Bodies of this API are made in memory, so that reading one can't fail; and they are JSON, hence UTF-8.
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            let body = match String::from_utf8(bytes.into()) {
                Ok(text) if text.is_empty() => lambda_http::Body::Empty,
                Ok(text) => lambda_http::Body::Text(text),
                Err(error) => lambda_http::Body::Binary(error.into_bytes()),
            };
            Ok(http::Response::from_parts(parts, body))
        })
    }
}

pub(super) type HttpAdapter = Adapter<'static, http::Response<lambda_http::Body>, Buffered>;
/// What `lambda_http` answers with; the type has no public name.
pub(super) type HttpAnswer = <HttpAdapter as Service<LambdaEvent<LambdaRequest>>>::Response;

/// Lets events in: what can't be turned into a request is answered with a 400, and ends nothing.
#[derive(Clone)]
pub(super) struct Door {
    delivery: Delivery,
    base_path: String,
}

/// How answers go out.
#[derive(Clone)]
enum Delivery {
    Buffered(HttpAdapter),
    Streamed(Router),
}

impl Door {
    pub(super) fn new(router: Router, streams: bool, base_path: String) -> Self {
        let delivery =
            if streams { Delivery::Streamed(router) } else { Delivery::Buffered(Adapter::from(Buffered(router))) };
        Self { delivery, base_path }
    }
}

/// What goes to the Runtime API.
pub(super) type Outcome = FunctionResponse<Answer<HttpAnswer>, BodyDataStream>;

impl Service<LambdaEvent<Event>> for Door {
    type Response = Outcome;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Outcome, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match &mut self.delivery {
            Delivery::Buffered(adapter) => adapter.poll_ready(cx),
            Delivery::Streamed(router) => Service::<lambda_http::Request>::poll_ready(router, cx),
        }
    }

    fn call(&mut self, LambdaEvent { payload, context }: LambdaEvent<Event>) -> Self::Future {
        let request_id = context.request_id.clone();
        let streams = matches!(self.delivery, Delivery::Streamed(_));
        let bad = move |cause: &str| {
            tracing::info!(requestId = request_id, status = 400, cause, "refused");
            let outcome = if streams {
                streamed(bad_event(&request_id).map(Body::from))
            } else {
                FunctionResponse::BufferedResponse(Answer::bad_event(&request_id))
            };
            std::future::ready(Ok(outcome)).boxed()
        };
        let request = match payload.into_request(&self.base_path) {
            Ok(request) => request,
            Err(cause) => return bad(cause),
        };
        // `lambda_http` panics on what its own types let through. Everything known is mended before, this is the belt.
        let call = std::panic::AssertUnwindSafe(|| match &mut self.delivery {
            Delivery::Buffered(adapter) => {
                let answer = adapter.call(LambdaEvent::new(request, context));
                async move { answer.await.map(Answer::Http).map(FunctionResponse::BufferedResponse) }.boxed()
            }
            Delivery::Streamed(router) => {
                let answer = router.call(lambda_http::Request::from(request).with_lambda_context(context));
                async move { answer.await.map(streamed) }.boxed()
            }
        });
        std::panic::catch_unwind(call).unwrap_or_else(|_| bad("the event couldn't be converted"))
    }
}

/// A response whose body goes out as it comes. `lambda_http`'s own adapter does the same, but its types can't be named
/// where a function's answers may be of both kinds.
fn streamed(response: http::Response<Body>) -> Outcome {
    let (parts, body) = response.into_parts();
    FunctionResponse::StreamingResponse(StreamResponse {
        // This API sets no cookies.
        metadata_prelude: MetadataPrelude { headers: parts.headers, status_code: parts.status, cookies: Vec::new() },
        stream: body.into_data_stream(),
    })
}

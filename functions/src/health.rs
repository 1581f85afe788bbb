//! `GET /health`: whether a function reaches what it needs.

use axum::Json;
use axum::extract::State;
use axum::routing::MethodRouter;
use serde::Serialize;
use shared::auth::Verifier;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, Input, Method, Problem};
use utoipa::ToSchema;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("health", Method::Get, "/health").public();

/// What a healthy deployment answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`: what isn't is a 503.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Tells whether the database and the key set can be reached.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "service", security(()),
    responses(
        (status = 200, description = "Both were reached", body = Health),
        (status = 503, description = "One of them wasn't", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn health(
    State(db): State<Db>,
    State(verifier): State<Verifier>,
    _: Input,
) -> Result<Json<Health>, Error> {
    db.health().await?;
    verifier.health().await?;
    Ok(Json(Health { status: "ok" }))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, health)
}

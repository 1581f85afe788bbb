//! `GET /v1/me`: who the token says is asking.

use axum::Json;
use axum::routing::MethodRouter;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::auth::Caller;
use shared::error::Error;
use shared::http::{App, Endpoint, Input, Method};
use shared::id::UserId;
use utoipa::ToSchema;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("me", Method::Get, "/v1/me").without_database();

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The user's id in this API: a UUIDv5 of issuer and subject.
    id: UserId,
    /// Who signed the token.
    #[schema(example = "https://app.example.com")]
    issuer: String,
    /// The user's id in Better Auth.
    subject: String,
    /// Whatever else the token says, such as `name` and `email`. Read from the token, never stored.
    #[schema(value_type = Object, example = json!({"name": "Ada"}))]
    claims: Map<String, Value>,
    /// When the token expires.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Tells who is asking.
#[utoipa::path(get, path = "/v1/me", operation_id = "me", tag = "me", responses((status = 200, body = Me)))]
pub(crate) async fn me(caller: Caller, _: Input) -> Result<Json<Me>, Error> {
    let claims = caller.claims();
    let is_profile = |(name, _): &(&String, &Value)| !REGISTERED.contains(&name.as_str());
    Ok(Json(Me {
        id: caller.user_id(),
        issuer: claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned(),
        subject: caller.subject().to_owned(),
        claims: claims.members().iter().filter(is_profile).map(|(name, value)| (name.clone(), value.clone())).collect(),
        expires_at: claims.expires_at(),
    }))
}

/// The claims that say something of the token and not of its user (RFC 7519, section 4.1).
const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, me)
}

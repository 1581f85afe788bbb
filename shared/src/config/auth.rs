//! Who signs tokens, and how they are checked.

use std::time::Duration;

use super::Reader;

/// Who signs tokens, and how they are checked.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Where the key set is.
    pub jwks_url: String,
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The `aud` that a token must have.
    pub audience: String,
    /// What user ids are made from.
    pub issuer_id: String,
    /// When a key set is fetched again.
    pub jwks_ttl: Duration,
    /// After a failed fetch, and between the look-ups of unknown keys.
    pub jwks_cooldown: Duration,
    /// How long an old key set serves while no new one can be had, counted from its fetch.
    pub jwks_stale: Duration,
    /// How far clocks may differ.
    pub leeway: Duration,
}

impl AuthConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let auth_url = reader.required("AUTH_URL");
        let auth_url = reader.url("AUTH_URL", auth_url);
        let origin =
            reqwest::Url::parse(&auth_url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization());
        let jwks_url = reader.get("JWKS_URL").unwrap_or_else(|| format!("{}/jwks", auth_url.trim_end_matches('/')));
        let issuer = reader.get("JWT_ISSUER").unwrap_or_else(|| origin.clone());
        let jwks_url = if auth_url.is_empty() { jwks_url } else { reader.url("JWKS_URL", jwks_url) };
        let known = reader.faults.len();
        let (ttl, cooldown) = (reader.seconds("JWKS_TTL_SECONDS"), reader.seconds("JWKS_COOLDOWN_SECONDS"));
        let stale = reader.seconds("JWKS_STALE_SECONDS");
        // One that is wrong by itself is told once.
        if reader.faults.len() == known {
            if stale < ttl {
                reader.faults.push("JWKS_STALE_SECONDS must not be less than JWKS_TTL_SECONDS".to_owned());
            }
            if cooldown > ttl {
                reader.faults.push("JWKS_COOLDOWN_SECONDS must not be more than JWKS_TTL_SECONDS".to_owned());
            }
        }
        Self {
            jwks_url,
            audience: reader.get("JWT_AUDIENCE").unwrap_or(origin),
            issuer_id: reader.get("ISSUER_ID").unwrap_or_else(|| issuer.clone()),
            issuer,
            jwks_ttl: ttl,
            jwks_cooldown: cooldown,
            jwks_stale: stale,
            leeway: reader.seconds("JWT_LEEWAY_SECONDS"),
        }
    }
}

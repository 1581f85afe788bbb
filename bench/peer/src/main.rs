//! Two endpoints as a good team would write them in a day: axum on `lambda_http`, sqlx with prepared statements, one statement
//! a request, jsonwebtoken with the key set fetched once. No row-level security, no idempotency, no branches, no limits.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use time::OffsetDateTime;
use uuid::Uuid;

struct App {
    pool: PgPool,
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: Uuid,
    seq: i64,
    role: String,
    content: String,
    sources: sqlx::types::Json<Value>,
    model: Option<String>,
    usage: Option<sqlx::types::Json<Value>>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

#[derive(Deserialize)]
struct Page {
    limit: Option<i64>,
    cursor: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    data: Vec<Message>,
    next_cursor: Option<i64>,
}

#[derive(Deserialize)]
struct NewMessages {
    messages: Vec<NewMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewMessage {
    role: String,
    parts: Vec<Part>,
    #[serde(default)]
    sources: Value,
    model: Option<String>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

type Failure = (StatusCode, String);

fn failed(error: sqlx::Error) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

impl App {
    /// Who asks.
    fn caller(&self, headers: &HeaderMap) -> Result<String, Failure> {
        let refused = || (StatusCode::UNAUTHORIZED, "no".to_owned());
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let token = token.ok_or_else(refused)?;
        let kid = decode_header(token).ok().and_then(|header| header.kid).ok_or_else(refused)?;
        let key = self.keys.get(&kid).ok_or_else(refused)?;
        decode::<Claims>(token, key, &self.validation).map(|token| token.claims.sub).map_err(|_| refused())
    }
}

async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(conversation): Path<Uuid>,
    Query(page): Query<Page>,
) -> Result<Json<Listed>, Failure> {
    let subject = app.caller(&headers)?;
    let limit = page.limit.unwrap_or(50).clamp(1, 100);
    let mut data: Vec<Message> = sqlx::query_as(
        "select m.id, m.seq, m.role, m.content, m.sources, m.model, m.usage, m.created_at
         from peer.messages m join peer.conversations c on c.id = m.conversation_id
         where c.id = $1 and c.subject = $2 and m.seq > $3 order by m.seq limit $4",
    )
    .bind(conversation)
    .bind(subject)
    .bind(page.cursor.unwrap_or_default())
    .bind(limit + 1)
    .fetch_all(&app.pool)
    .await
    .map_err(failed)?;
    let more = data.len() as i64 > limit;
    data.truncate(limit as usize);
    let next_cursor = data.last().map(|message| message.seq).filter(|_| more);
    Ok(Json(Listed { data, next_cursor }))
}

async fn append(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(conversation): Path<Uuid>,
    Json(body): Json<NewMessages>,
) -> Result<(StatusCode, Json<Listed>), Failure> {
    let subject = app.caller(&headers)?;
    let mut data = Vec::new();
    for message in body.messages {
        let stored: Option<Message> = sqlx::query_as(
            "with c as (
                 update peer.conversations set last_seq = last_seq + 1, activity_at = now()
                 where id = $1 and subject = $2 returning id, last_seq)
             insert into peer.messages (id, conversation_id, seq, role, content, sources, model, usage)
             select $3, c.id, c.last_seq, $4, $5, $6, $7, $8 from c
             returning id, seq, role, content, sources, model, usage, created_at",
        )
        .bind(conversation)
        .bind(&subject)
        .bind(Uuid::now_v7())
        .bind(message.role)
        .bind(message.parts.into_iter().map(|part| part.text).collect::<Vec<_>>().join("\n\n"))
        .bind(sqlx::types::Json(message.sources))
        .bind(message.model)
        .bind(message.usage.map(sqlx::types::Json))
        .fetch_optional(&app.pool)
        .await
        .map_err(failed)?;
        data.push(stored.ok_or((StatusCode::NOT_FOUND, "no such conversation".to_owned()))?);
    }
    Ok((StatusCode::CREATED, Json(Listed { data, next_cursor: None })))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let setting = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let (auth, database) = (setting("AUTH_URL")?, setting("DATABASE_URL")?);
    let keys = async { reqwest::get(format!("{auth}/jwks")).await?.json::<JwkSet>().await };
    let pool = PgPoolOptions::new().max_connections(1).connect(&database);
    let (keys, pool) = tokio::join!(keys, pool);
    let keys =
        keys?.keys.into_iter().filter_map(|jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(&jwk).ok()?)));
    let origin = auth.trim_end_matches("/api/auth");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[origin]);
    validation.set_audience(&[origin]);
    let app = Arc::new(App { pool: pool?, keys: keys.collect(), validation });
    let messages = get(list).post(append);
    lambda_http::run(Router::new().route("/v1/conversations/{id}/messages", messages).with_state(app)).await
}

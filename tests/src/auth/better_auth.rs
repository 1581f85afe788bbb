//! Tokens and keys of real Better Auth servers.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::auth::{Caller, Refusal, Verifier};
use shared::clock::Clock;
use shared::config::Config;
use shared::id::UserId;

use super::{COOLDOWN, Outcome, STALE, TTL, bearer, outcome, within};
use crate::support::auth_server::{AuthServer, Session, client};
use crate::support::{eventually, setup};

/// A server, a verifier with the settings that a deployment would have, and a user.
struct Home {
    server: AuthServer,
    verifier: Verifier,
    clock: Clock,
    session: Session,
}

impl Home {
    async fn of(settings: &[(&str, &str)]) -> Self {
        let server = AuthServer::start(settings).await;
        let clock = Clock::system();
        let verifier = verifier(&server.url, None, &clock);
        let session = server.sign_up(&json!({})).await;
        Self { server, verifier, clock, session }
    }

    async fn token(&self) -> String {
        self.server.token(&self.session).await
    }

    async fn admit(&self, token: &str) -> Outcome {
        outcome(&self.verifier, token).await
    }

    async fn caller(&self, token: &str) -> Caller {
        self.verifier.caller(&bearer(token)).await.unwrap()
    }
}

/// A verifier as `AUTH_URL`, and `JWKS_URL` if it is elsewhere, make it.
fn verifier(auth_url: &str, jwks_url: Option<&str>, clock: &Clock) -> Verifier {
    let lookup = |name: &str| match name {
        "AUTH_URL" => Some(auth_url.to_owned()),
        "JWKS_URL" => jwks_url.map(str::to_owned),
        "DATABASE_URL" => Some("postgresql://nobody@127.0.0.1/none".to_owned()),
        _ => None,
    };
    Verifier::new(&Config::read(&lookup).unwrap().auth, clock.clone()).unwrap()
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn every_algorithm_of_better_auths_is_verified() {
    // Its five, and those that jose knows beside them.
    let algorithms =
        ["EdDSA", "ES256", "ES512", "RS256", "PS256", "Ed25519", "ES384", "RS384", "RS512", "PS384", "PS512"];
    // A few at a time: each is a process of its own.
    for some in algorithms.chunks(4) {
        join_all(some.iter().map(async |algorithm| {
            let home = Home::of(&[("JWT_ALG", algorithm)]).await;
            let token = home.token().await;
            let header = part(&token, 0);
            assert_eq!(header["alg"], *algorithm);
            assert_eq!(header.as_object().unwrap().len(), 2, "alg and kid: {header}");
            let caller = home.caller(&token).await;
            assert_eq!(caller.subject(), home.session.user_id);
            assert_eq!(caller.user_id(), UserId::derive(&home.server.origin(), &home.session.user_id));
            // And another's is told apart.
            let changed = format!("{}{}", &token[..token.len() - 8], "AAAAAAAA");
            assert_eq!(home.admit(&changed).await, Outcome::Refused(Refusal::BadSignature), "{algorithm}");
        }))
        .await;
    }
}

/// The server that `cargo xtask` runs for everyone, as `cargo xtask dev` shows it.
#[tokio::test]
async fn the_shared_servers_tokens_are_lean_and_good() {
    let server = &setup().auth_url;
    let http = client();
    let signed_in: Value =
        http.post(format!("{server}/sign-in/anonymous")).json(&json!({})).send().await.unwrap().json().await.unwrap();
    let session = signed_in["token"].as_str().unwrap();
    let request = http.get(format!("{server}/token")).bearer_auth(session);
    let token: Value = request.send().await.unwrap().json().await.unwrap();
    let token = token["token"].as_str().unwrap();
    let verifier = verifier(server, None, &Clock::system());
    verifier.warm().await;
    let caller = verifier.caller(&bearer(token)).now_or_never().unwrap().unwrap();
    assert_eq!(caller.subject(), signed_in["user"]["id"]);
    assert!(token.len() < 1000, "{}", token.len());
    // The session's own token isn't a JWT.
    assert_eq!(outcome(&verifier, session).await, Outcome::Refused(Refusal::NotThreeParts));
}

/// A user without a picture has `image: null`, and nobody else's payload is so full.
#[tokio::test]
async fn a_whole_user_may_be_in_the_token_if_it_fits() {
    let home = Home::of(&[("LEAN_PAYLOAD", "0")]).await;
    let token = home.token().await;
    let caller = home.caller(&token).await;
    assert_eq!(Value::Object(caller.claims().members().clone()), part(&token, 1));
    assert_eq!(caller.claims().get("email"), Some(&json!("ada@example.com")));
    assert_eq!(caller.claims().get("image"), Some(&Value::Null));
    let exp = part(&token, 1)["exp"].as_i64().unwrap();
    assert_eq!(caller.claims().expires_at().as_second(), exp);
    let picture = format!("data:image/png;base64,{}", "A".repeat(20_000));
    let session = home.server.sign_up(&json!({ "email": "large@example.com", "image": picture })).await;
    let token = home.server.token(&session).await;
    assert_eq!(home.admit(&token).await, Outcome::Refused(Refusal::TooLarge));
}

#[tokio::test]
async fn a_token_expires() {
    let home = Home::of(&[("TOKEN_EXPIRY", "2m")]).await;
    let token = home.token().await;
    assert_eq!(home.admit(&token).await, Outcome::Admitted);
    // Two minutes and the leeway.
    home.clock.advance(Duration::from_secs(150));
    assert_eq!(home.admit(&token).await, Outcome::Refused(Refusal::Expired));
}

/// Better Auth makes a new key at the first signing after the old one's time, and publishes it then, not before.
#[tokio::test]
async fn a_key_rotation() {
    let home = Home::of(&[("ROTATION_SECONDS", "1")]).await;
    let old = home.token().await;
    assert_eq!(home.admit(&old).await, Outcome::Admitted);
    let new = eventually("a new key", async || {
        let token = home.token().await;
        (part(&token, 0)["kid"] != part(&old, 0)["kid"]).then_some(token)
    })
    .await;
    assert_eq!(home.admit(&new).await, Outcome::Admitted, "fetched again at once");
    assert_eq!(home.admit(&old).now_or_never(), Some(Outcome::Admitted), "old tokens go on");
    assert_eq!(home.admit(&new).now_or_never(), Some(Outcome::Admitted));
}

#[tokio::test]
async fn a_key_that_is_withdrawn_is_gone_after_the_next_fetch() {
    let home = Home::of(&[("ROTATION_SECONDS", "1"), ("GRACE_SECONDS", "1")]).await;
    let old = home.token().await;
    assert_eq!(home.admit(&old).await, Outcome::Admitted);
    let kid = part(&old, 0)["kid"].clone();
    eventually("the old key to be withdrawn", async || {
        home.token().await;
        let set: Value = client().get(format!("{}/jwks", home.server.url)).send().await.ok()?.json().await.ok()?;
        set["keys"].as_array()?.iter().all(|key| key["kid"] != kid).then_some(())
    })
    .await;
    home.clock.advance(TTL);
    assert_eq!(home.verifier.beside(home.admit(&old)).await, Outcome::Admitted, "the last time");
    assert_eq!(home.admit(&old).await, Outcome::UNKNOWN_KEY);
}

/// A token outlives its server; so long as the stale limit lets it, so does its key.
#[tokio::test]
async fn an_outage() {
    let mut home = Home::of(&[("TOKEN_EXPIRY", "1d")]).await;
    let token = home.token().await;
    assert_eq!(home.admit(&token).await, Outcome::Admitted);
    home.server.stop().await;
    home.clock.advance(TTL);
    assert_eq!(home.verifier.beside(home.admit(&token)).await, Outcome::Admitted);
    home.clock.advance(STALE.saturating_sub(TTL).saturating_sub(Duration::from_mins(1)));
    assert_eq!(home.verifier.beside(home.admit(&token)).await, Outcome::Admitted);
    home.clock.advance(Duration::from_mins(1));
    let unavailable = home.verifier.beside(home.admit(&token)).await;
    assert!(matches!(unavailable, Outcome::Unavailable(1..=30)), "{unavailable:?}");
    assert!(home.verifier.health().await.is_err());
    home.server.start_again().await;
    home.clock.advance(COOLDOWN);
    assert_eq!(home.verifier.beside(home.admit(&token)).await, Outcome::Admitted);
    home.verifier.health().await.unwrap();
}

/// Its rate limiter, on in production, covers the key set and says when to come again in a header of its own.
#[tokio::test]
async fn the_rate_limit() {
    let home = Home::of(&[("RATE_LIMIT", "1")]).await;
    let token = home.token().await;
    let http = client();
    let jwks = format!("{}/jwks", home.server.url);
    eventually("429", async || (http.get(&jwks).send().await.ok()?.status() == 429).then_some(())).await;
    let limited = within("the answer", home.admit(&token)).await;
    // Ten seconds at most; our own cooldown is longer.
    assert!(matches!(limited, Outcome::Unavailable(1..=30)), "{limited:?}");
    // The first request after a failed initialisation may come at once, but not while it is asked to wait.
    let other = verifier(&home.server.url, None, &home.clock);
    other.warm().await;
    let limited = outcome(&other, &token).now_or_never().expect("nobody is asked");
    assert!(matches!(limited, Outcome::Unavailable(1..=10)), "{limited:?}");
}

/// A session-cookie cache is a JWT of the same issuer, signed with the same key; the session's own token is in it.
#[tokio::test]
async fn a_session_cookie_cache_is_no_token() {
    let home = Home::of(&[("SESSION_CACHE", "1")]).await;
    let cookie = home.session.cookies.iter().find_map(|cookie| cookie.strip_prefix("better-auth.session_data="));
    let cached = cookie.expect("a cached session").split(';').next().unwrap();
    assert_eq!(part(cached, 0)["typ"], "better-auth.session-cache+jwt");
    let token = home.token().await;
    assert_eq!(part(cached, 0)["kid"], part(&token, 0)["kid"], "the same key");
    assert_eq!(home.admit(&token).await, Outcome::Admitted);
    assert_eq!(home.admit(cached).await, Outcome::Refused(Refusal::WrongType));
}

/// Another server's user is nobody here, though both are Better Auth with the same settings.
#[tokio::test]
async fn another_issuers_token_is_refused() {
    let (home, other) = futures_util::join!(Home::of(&[]), Home::of(&[]));
    let token = other.token().await;
    assert_eq!(home.admit(&home.token().await).await, Outcome::Admitted);
    assert_eq!(home.admit(&token).await, Outcome::UNKNOWN_KEY);
    // Even if somebody mixes up the settings.
    let jwks = format!("{}/jwks", other.server.url);
    let mixed = verifier(&home.server.url, Some(&jwks), &home.clock);
    assert_eq!(outcome(&mixed, &token).await, Outcome::Refused(Refusal::WrongIssuer));
}

/// Neon Auth is Better Auth as Neon runs it. Neon itself can't be reached from a test; this is a Better Auth server set up
/// the way Neon documents: the key set at `/.well-known/jwks.json`, UUIDs, the claims of the admin plugin.
#[tokio::test]
async fn neon_auth() {
    let server = AuthServer::start(&[("NEON", "1")]).await;
    let clock = Clock::system();
    let jwks = format!("{}/.well-known/jwks.json", server.url);
    let session = server.sign_up(&json!({})).await;
    let verifier = verifier(&server.url, Some(&jwks), &clock);
    let token = server.token(&session).await;
    let caller = verifier.caller(&bearer(&token)).await.unwrap();
    assert!(uuid::Uuid::try_parse(caller.subject()).is_ok());
    let claims = caller.claims();
    assert_eq!(claims.get("role"), Some(&json!("authenticated")));
    assert_eq!(claims.get("iss"), Some(&json!(server.origin())));
    assert_eq!(claims.get("banned"), Some(&json!(false)));

    // A ban is told by the next token, which the sessions that a user has go on to get.
    let database = server.database.superuser().await;
    for (until, expected) in [
        ("null", Outcome::Refused(Refusal::Banned)),
        ("now() + interval '1 day'", Outcome::Refused(Refusal::Banned)),
        ("now() - interval '1 day'", Outcome::Admitted),
    ] {
        let ban = format!(r#"update "user" set banned = true, "banReason" = 'spam', "banExpires" = {until}"#);
        database.batch_execute(&ban).await.unwrap();
        let token = server.token(&session).await;
        assert_eq!(part(&token, 1)["banned"], true);
        assert_eq!(outcome(&verifier, &token).await, expected, "{until}");
        let error = verifier.caller(&bearer(&token)).await.err();
        assert!(error.is_none_or(|error| error.code.status() == 403 && !error.detail.contains("spam")));
    }
}

//! A token: what it says, and what the functions' verifier says to it. Of what it holds, no more is printed than who made
//! it for whom, when, and its subject.

use std::io::Read;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use shared::auth::{Refusal, Verifier};
use shared::clock::Clock;
use shared::config::AuthConfig;
use shared::model::limits::TOKEN_BYTES;

use super::report::{Report, quoted};

/// What API Gateway takes of all headers together.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html>
const HEADERS_BYTES: usize = 10_240;
/// From this on a token is near the limit: a longer name or a picture's address takes it there.
const NEAR: usize = TOKEN_BYTES * 3 / 4;
/// What a claim may take unnoticed.
const LEAN_CLAIM: usize = 200;
/// More than any token has.
const INPUT_BYTES: u64 = 1024 * 1024;

/// The token of the option: itself, or standard input's.
pub(super) fn read(option: &str) -> Result<String> {
    let mut text = option.to_owned();
    if option == "-" {
        text.clear();
        let read = std::io::stdin().lock().take(INPUT_BYTES).read_to_string(&mut text);
        read.context("no token can be read from standard input")?;
    }
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if text.is_empty() {
        bail!("the token is empty");
    }
    Ok(text.to_owned())
}

pub(super) async fn check(
    token: &str,
    auth: Option<&AuthConfig>,
    clock_difference: Option<i64>,
    report: &mut Report,
) -> Result<()> {
    let payload = described(token, auth, report);
    size(token, payload.as_ref(), report);
    let Some(auth) = auth else {
        report.doubtful("whether the token is good can't be told", "mend AUTH_URL first");
        return Ok(());
    };
    let Ok(header) = HeaderValue::from_str(&format!("Bearer {token}")) else {
        report.wrong("the token would be refused: it has characters that no header may have", "copy it once more");
        return Ok(());
    };
    let verifier = Verifier::new(auth, Clock::system())?;
    match verifier.caller(&HeaderMap::from_iter([(AUTHORIZATION, header)])).await {
        Ok(caller) => {
            let left = caller.claims().expires_at().as_second() - Clock::system().unix_seconds();
            report.good(format!("the token is good for another {}; the user's id is {}", span(left), caller.user_id()));
        }
        Err(error) => match error.cause.as_ref().and_then(|cause| cause.downcast_ref::<Refusal>()) {
            Some(refusal) => report.wrong(
                format!("the token would be refused with {}: {refusal}", error.code.status()),
                advice(*refusal, auth, payload.as_ref(), clock_difference),
            ),
            None => report.wrong(
                format!(
                    "the token can't be judged: {}",
                    error.cause.map(|cause| cause.to_string()).unwrap_or_default()
                ),
                "the key set must be there first",
            ),
        },
    }
    Ok(())
}

/// Says what the token says, and answers its payload, unverified, if there is one.
fn described(token: &str, auth: Option<&AuthConfig>, report: &mut Report) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let mut part = || object(parts.next()?);
    let (Some(header), Some(payload)) = (part(), part()) else {
        report.doubtful(
            "what was given is no JWT",
            "a session token of Better Auth's isn't one either: fetch the JWT from AUTH_URL/token with it",
        );
        return None;
    };
    let word = |members: &Map<String, Value>, name: &str| match members.get(name) {
        None => "missing".to_owned(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => quoted(&other.to_string()),
    };
    let now = Clock::system().unix_seconds();
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a time may have a fraction, and none has more seconds than fit"
    )]
    let seconds = |time: &Value| time.as_i64().or_else(|| Some(time.as_f64()?.floor() as i64));
    let time = |name: &str| match payload.get(name).and_then(seconds) {
        None => format!("{name} {}", word(&payload, name)),
        Some(time) if time >= now => format!("{name} in {}", span(time - now)),
        Some(time) => format!("{name} {} ago", span(now - time)),
    };
    let mut said = vec![
        format!("alg {}", word(&header, "alg")),
        format!("kid {}", word(&header, "kid")),
        time("iat"),
        time("exp"),
    ];
    if payload.contains_key("nbf") {
        said.push(time("nbf"));
    }
    said.push(format!("sub {}", word(&payload, "sub")));
    report.good(format!("the token says: {}", said.join(", ")));
    if let Some(auth) = auth {
        for (name, wanted, setting) in [("iss", &auth.issuer, "JWT_ISSUER"), ("aud", &auth.audience, "JWT_AUDIENCE")] {
            let found = word(&payload, name);
            let listed =
                payload.get(name).and_then(Value::as_array).is_some_and(|all| all.iter().any(|it| it == wanted));
            if found == quoted(wanted) || (name == "aud" && listed) {
                report.good(format!("its {name} is {found}, as expected"));
            } else {
                report.wrong(
                    format!("its {name} is {found}, and {} is expected", quoted(wanted)),
                    format!("set {setting} to what Better Auth says, if it is your Better Auth that says it"),
                );
            }
        }
    }
    Some(payload)
}

/// Warns of a token that is, or may become, too large, and names the claims that make it so.
fn size(token: &str, payload: Option<&Map<String, Value>>, report: &mut Report) {
    let mut fat: Vec<(usize, &str)> = payload
        .iter()
        .flat_map(|payload| payload.iter())
        .map(|(name, value)| (value.to_string().len(), name.as_str()))
        .filter(|(bytes, _)| *bytes > LEAN_CLAIM)
        .collect();
    fat.sort_unstable_by(|a, b| b.cmp(a));
    let fat: Vec<String> =
        fat.iter().take(5).map(|(bytes, name)| format!("{} ({bytes} bytes)", quoted(name))).collect();
    let named = if fat.is_empty() { String::new() } else { format!("; the largest claims: {}", fat.join(", ")) };
    let advice =
        "leave claims out with definePayload of Better Auth's jwt plugin: sub, iss, aud, iat and exp are enough";
    let size = token.len();
    if size > TOKEN_BYTES {
        report.wrong(format!("the token has {size} bytes, more than the {TOKEN_BYTES} that are taken{named}"), advice);
    } else if size > NEAR {
        report.doubtful(
            format!("the token has {size} bytes: {TOKEN_BYTES} are taken, and API Gateway takes {HEADERS_BYTES} of all headers{named}"),
            advice,
        );
    } else if !fat.is_empty() {
        report.doubtful(format!("the token has {size} bytes{named}"), advice);
    } else {
        report.good(format!("the token has {size} bytes of at most {TOKEN_BYTES}"));
    }
}

/// What to do about a refusal.
fn advice(
    refusal: Refusal,
    auth: &AuthConfig,
    payload: Option<&Map<String, Value>>,
    clock_difference: Option<i64>,
) -> String {
    let clocks = match clock_difference {
        Some(ahead) if ahead.unsigned_abs() > auth.leeway.as_secs() => {
            format!(
                "; the clocks differ by {} s, and JWT_LEEWAY_SECONDS is {}",
                ahead.unsigned_abs(),
                auth.leeway.as_secs()
            )
        }
        _ => String::new(),
    };
    match refusal {
        Refusal::Expired => format!("fetch a new one from AUTH_URL/token{clocks}"),
        Refusal::NotYetValid | Refusal::IssuedInFuture => format!("set the issuer's clock{clocks}"),
        Refusal::UnknownKey => {
            let issuer = payload.and_then(|it| it.get("iss")).and_then(Value::as_str);
            match issuer {
                Some(issuer) if issuer != auth.issuer => format!("it is of another issuer: {}", quoted(issuer)),
                _ => "its key isn't published at the key set's address: is it of another Better Auth, or of another secret's time?".to_owned(),
            }
        }
        Refusal::WrongIssuer | Refusal::WrongAudience => {
            "the token is of another application, or JWT_ISSUER and JWT_AUDIENCE are of another address than Better Auth's baseURL".to_owned()
        }
        Refusal::WrongType => "it is a session cookie's cache; fetch a JWT from AUTH_URL/token".to_owned(),
        Refusal::TooLarge => "make it lean".to_owned(),
        Refusal::BadKeyId => "its kid is empty or very long, which no Better Auth makes: who signed it?".to_owned(),
        Refusal::ForbiddenAlgorithm | Refusal::OtherAlgorithm => {
            "set jwks.keyPairConfig.alg of Better Auth's jwt plugin to EdDSA, ES256, ES512, RS256 or PS256".to_owned()
        }
        Refusal::BadSubject => "sub must be the user's id: look at getSubject of Better Auth's jwt plugin".to_owned(),
        Refusal::Banned => "the user is banned at Better Auth; lift the ban there".to_owned(),
        _ => "fetch a new one from AUTH_URL/token, and copy all of it".to_owned(),
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// A time in a unit that a person reads.
fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

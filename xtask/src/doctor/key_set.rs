//! Better Auth's key set: whether it is where the settings say, and whether its keys are any good.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION};
use reqwest::{Client, Response, Url};
use shared::auth::{PublishedKey, Verifier, published_keys};
use shared::clock::Clock;
use shared::config::{AuthConfig, is_loopback};

use super::agent::causes;
use super::report::{Report, quoted};

/// Answers by how many seconds the issuer's clock is ahead of this machine's, if it says its time.
pub(super) async fn check(
    auth: &AuthConfig,
    auth_url: Option<&str>,
    client: &Client,
    report: &mut Report,
) -> Result<Option<i64>> {
    let place = without_secrets(&auth.jwks_url);
    let url = Url::parse(&auth.jwks_url)?;
    if url.host_str().is_some_and(is_loopback) {
        report
            .doubtful(format!("{place} is on this machine"), "a deployed function needs an address that it can reach");
    }
    let elsewhere = async || candidate(auth, auth_url, client).await;
    let answer = match client.get(url).header("accept", "application/json").send().await {
        Ok(answer) => answer,
        Err(error) => {
            report.wrong(
                format!("{place} can't be reached: {}", causes(&error)),
                "check AUTH_URL's host; where only another address can be reached, set JWKS_URL",
            );
            return Ok(None);
        }
    };
    let difference = clock_difference(answer.headers(), auth.leeway, report);
    match answer.status().as_u16() {
        200 => {}
        429 => {
            report.wrong(
                format!("{place} answers 429: Better Auth's rate limit covers its key set"),
                "exempt it: rateLimit: {customRules: {\"/jwks\": false}}",
            );
            return Ok(difference);
        }
        300..=399 => {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let to =
                Url::parse(&auth.jwks_url)?.join(to).map_or_else(|_| quoted(to), |to| without_secrets(to.as_str()));
            report.wrong(
                format!("{place} redirects to {to}, and a redirect isn't followed"),
                "set AUTH_URL, or JWKS_URL, to the address itself",
            );
            return Ok(difference);
        }
        status => {
            let hint = if place.splitn(4, '/').nth(3).is_some_and(|path| path.contains("//")) {
                "there is a double slash in the path: take it out of AUTH_URL or JWKS_URL".to_owned()
            } else {
                elsewhere().await
            };
            report.wrong(format!("{place} answers with status {status}"), hint);
            return Ok(difference);
        }
    }
    read(answer, &place, elsewhere, report).await;
    // What the functions themselves make of it: size, time and all.
    let verifier = Verifier::new(auth, Clock::system())?;
    if let Err(error) = verifier.health().await {
        let cause = error.cause.map(|cause| cause.to_string()).unwrap_or_default();
        report.wrong(format!("the functions can't verify a token: {cause}"), "they answer 503 until this is mended");
    }
    if auth_url.is_some_and(|url| Url::parse(url).is_ok_and(|url| url.origin().ascii_serialization() != auth.issuer)) {
        report.good(format!("tokens must have the iss {} (JWT_ISSUER)", quoted(&auth.issuer)));
    }
    Ok(difference)
}

/// The members, each with why it is passed over.
async fn read(answer: Response, place: &str, elsewhere: impl AsyncFnOnce() -> String, report: &mut Report) {
    let media_type = answer.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("none").to_owned();
    let body = match answer.bytes().await {
        Ok(body) => body,
        Err(error) => {
            return report
                .wrong(format!("{place} breaks off: {}", causes(&error)), "look at what stands in front of it");
        }
    };
    let keys = match published_keys(&body) {
        Ok(keys) => keys,
        Err(what) => {
            let what = format!("the document at {place} {what} (content type {})", quoted(&media_type));
            return report.wrong(what, elsewhere().await);
        }
    };
    if !media_type.contains("json") {
        report.doubtful(
            format!("{place} has the content type {}", quoted(&media_type)),
            "it is read all the same; a proxy may have changed it",
        );
    }
    let good = keys.iter().filter(|key| key.passed_over.is_none()).count();
    for key in &keys {
        let PublishedKey { kid, algorithm, passed_over } = key;
        let name = format!(
            "key {} ({})",
            kid.as_deref().map_or_else(|| "without kid".to_owned(), quoted),
            algorithm.as_deref().map_or_else(|| "no alg".to_owned(), |alg| quoted(alg).replace('"', ""))
        );
        match passed_over {
            None => report.good(format!("{name} verifies tokens")),
            Some(why) => {
                report
                    .doubtful(format!("{name} {why}"), "tokens signed with it are refused with 401; the others serve");
            }
        }
    }
    if good == 0 {
        report.wrong(
            format!("{place} has no key that verifies tokens"),
            "fetch one token from Better Auth: it makes its first key then",
        );
    } else {
        report.good(format!("{place} has {} keys, and {good} of them verify tokens", keys.len()));
    }
}

/// Where the key set is instead, in words that say what to set.
async fn candidate(auth: &AuthConfig, auth_url: Option<&str>, client: &Client) -> String {
    let auth_url = auth_url.unwrap_or(&auth.jwks_url).trim().trim_end_matches('/');
    let origin = Url::parse(auth_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let parent = auth_url.strip_suffix("/jwks").unwrap_or(auth_url);
    for (jwks, setting, value) in [
        (format!("{origin}/api/auth/jwks"), "AUTH_URL", format!("{origin}/api/auth")),
        (format!("{parent}/jwks"), "AUTH_URL", parent.to_owned()),
        (auth.jwks_url.trim_end_matches('/').to_owned(), "JWKS_URL", auth.jwks_url.trim_end_matches('/').to_owned()),
        (format!("{parent}/.well-known/jwks.json"), "JWKS_URL", format!("{parent}/.well-known/jwks.json")),
        (format!("{parent}/api/auth/jwks"), "AUTH_URL", format!("{parent}/api/auth")),
    ] {
        if jwks == auth.jwks_url {
            continue;
        }
        let Ok(answer) = client.get(&jwks).send().await else { continue };
        if answer.status().as_u16() == 200
            && let Ok(body) = answer.bytes().await
            && published_keys(&body).is_ok()
        {
            return format!("a key set is at {}: set {setting}={}", without_secrets(&jwks), without_secrets(&value));
        }
    }
    "AUTH_URL is Better Auth's base URL with its base path, such as https://app.example.com/api/auth".to_owned()
}

/// The difference of the clocks, from the answer's `Date`.
fn clock_difference(headers: &HeaderMap, leeway: Duration, report: &mut Report) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", date).ok()?;
    let theirs: Timestamp = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let ahead = theirs.as_second() - Clock::system().unix_seconds();
    if ahead.unsigned_abs() > leeway.as_secs().max(5) {
        report.doubtful(
            format!("this machine's clock and Better Auth's differ by {} s", ahead.unsigned_abs()),
            "set the clock that is wrong; a function's own clock is right",
        );
    }
    Some(ahead)
}

/// A URL without what may be secret in it: credentials and query.
pub(super) fn without_secrets(url: &str) -> String {
    match Url::parse(url) {
        Ok(it) if it.has_host() => format!("{}{}", it.origin().ascii_serialization(), it.path()),
        _ => "what is no URL".to_owned(),
    }
}

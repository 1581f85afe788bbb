//! Whether a token is what it says: signature first, then what it claims.
//!
//! jsonwebtoken checks the signature, by its `crypto::verify`. Its `decode` isn't used: it reads the system's clock, knows
//! neither ES512 nor `Ed25519`, and leaves so much to its user that the rest is written out here, in one place.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::caller::Claims;
use super::key::VerifyingKey;
use super::token::{Token, decode};
use super::{Refusal, json};

/// The most bytes of a `sub`. Better Auth's have 32 characters or are UUIDs.
pub(super) const SUBJECT_BYTES: usize = 255;

/// What a token must say.
#[derive(Debug)]
pub(super) struct Rules {
    /// The `iss`.
    pub(super) issuer: String,
    /// The `aud`, or one of them.
    pub(super) audience: String,
    /// How far clocks may differ.
    pub(super) leeway: Duration,
}

/// Verifies a token with the key that its `kid` names, and returns its `sub` and its claims.
pub(super) fn verify(
    token: &Token<'_>,
    key: &VerifyingKey,
    rules: &Rules,
    now: Timestamp,
) -> Result<(String, Claims), Refusal> {
    if token.algorithm != key.algorithm() {
        return Err(Refusal::OtherAlgorithm);
    }
    if !key.verifies(token.message, token.signature) {
        return Err(Refusal::BadSignature);
    }
    // Nothing of the payload is read before this point.
    let members = decode(token.payload).and_then(|bytes| json::object(&bytes)).ok_or(Refusal::MalformedPayload)?;
    check(members, rules, now)
}

/// Checks the claims of a token whose signature is good.
fn check(members: Map<String, Value>, rules: &Rules, now: Timestamp) -> Result<(String, Claims), Refusal> {
    if members.get("iss").and_then(Value::as_str) != Some(&rules.issuer) {
        return Err(Refusal::WrongIssuer);
    }
    if !names(members.get("aud"), &rules.audience) {
        return Err(Refusal::WrongAudience);
    }
    let leeway = i128::try_from(rules.leeway.as_nanos()).unwrap_or(i128::MAX);
    let (earliest, latest) = (now.as_nanosecond().saturating_sub(leeway), now.as_nanosecond().saturating_add(leeway));
    let expires_at = time(&members, "exp", Refusal::BadExpiry)?.ok_or(Refusal::BadExpiry)?;
    // "On or after" its expiry a token is no longer good (RFC 7519, section 4.1.4).
    if expires_at.as_nanosecond() <= earliest {
        return Err(Refusal::Expired);
    }
    if time(&members, "nbf", Refusal::BadNotBefore)?.is_some_and(|from| from.as_nanosecond() > latest) {
        return Err(Refusal::NotYetValid);
    }
    if time(&members, "iat", Refusal::BadIssuedAt)?.is_some_and(|at| at.as_nanosecond() > latest) {
        return Err(Refusal::IssuedInFuture);
    }
    let subject =
        members.get("sub").and_then(Value::as_str).filter(|sub| is_subject(sub)).ok_or(Refusal::BadSubject)?;
    if is_banned(&members, now) {
        return Err(Refusal::Banned);
    }
    Ok((subject.to_owned(), Claims { expires_at, members }))
}

/// Whether an `aud`, one text or an array of them, names `audience`.
fn names(claim: Option<&Value>, audience: &str) -> bool {
    match claim {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().any(|one| one == audience),
        _ => false,
    }
}

/// A claim that is a time: "A JSON numeric value representing the number of seconds from 1970-01-01T00:00:00Z UTC until the
/// specified UTC date/time, ignoring leap seconds … non-integer values can be represented" (RFC 7519, section 2).
/// Milliseconds lie far above the last second, at the end of the year 9999.
fn time(members: &Map<String, Value>, name: &str, bad: Refusal) -> Result<Option<Timestamp>, Refusal> {
    let read = |value: &Value| {
        let time = match value.as_i64() {
            Some(seconds) => Timestamp::from_second(seconds).ok()?,
            // A fraction is good to a quarter of a microsecond in this century: what a float of today's seconds holds.
            None => Timestamp::from_duration(SignedDuration::try_from_secs_f64(value.as_f64()?).ok()?).ok()?,
        };
        (time >= Timestamp::UNIX_EPOCH).then_some(time)
    };
    members.get(name).map(|value| read(value).ok_or(bad)).transpose()
}

/// Whether a text can be a user's id: the database stores no NUL, and nobody wants control characters in a log.
fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether the issuer has banned the user, told as Better Auth's admin plugin and Neon Auth tell it: `banned`, and
/// `banExpires` where the ban ends by itself.
///
/// That plugin asks whether `banned` is truthy and lifts a ban whose `banExpires` is past. A `banExpires` that isn't
/// readable lifts nothing.
fn is_banned(members: &Map<String, Value>, now: Timestamp) -> bool {
    let banned = match members.get("banned") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let lifted = || {
        let until = members.get("banExpires").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        until.is_some_and(|until| until < now)
    };
    banned && !lifted()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_900_000_000;

    /// What becomes of good claims with these beside them, 30 seconds of leeway, at that second.
    fn checked(more: &Value) -> Option<Refusal> {
        let rules = Rules { issuer: "i".to_owned(), audience: "a".to_owned(), leeway: Duration::from_secs(30) };
        let mut claims = json!({ "iss": "i", "aud": "a", "sub": "s", "exp": NOW + 900 });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let Value::Object(members) = claims else { unreachable!() };
        check(members, &rules, Timestamp::from_second(NOW).unwrap()).err()
    }

    #[test]
    fn times_to_the_second() {
        for (claim, at, expected) in [
            ("exp", NOW - 30, Some(Refusal::Expired)),
            ("exp", NOW - 29, None),
            ("nbf", NOW + 30, None),
            ("nbf", NOW + 31, Some(Refusal::NotYetValid)),
            ("iat", NOW + 30, None),
            ("iat", NOW + 31, Some(Refusal::IssuedInFuture)),
            ("exp", Timestamp::MAX.as_second(), None),
            ("exp", Timestamp::MAX.as_second() + 1, Some(Refusal::BadExpiry)),
            ("nbf", -1, Some(Refusal::BadNotBefore)),
        ] {
            assert_eq!(checked(&json!({ claim: at })), expected, "{claim} {at}");
        }
        #[allow(clippy::cast_precision_loss, reason = "both are far below 2^53")]
        for (claim, after, expected) in [
            ("exp", -30.0, Some(Refusal::Expired)),
            ("exp", -29.5, None),
            ("exp", -30.5, Some(Refusal::Expired)),
            ("nbf", 30.5, Some(Refusal::NotYetValid)),
            ("nbf", 29.5, None),
            ("iat", 30.5, Some(Refusal::IssuedInFuture)),
            ("iat", 0.25, None),
        ] {
            assert_eq!(checked(&json!({ claim: NOW as f64 + after })), expected, "{claim} {after}");
        }
    }

    #[test]
    fn a_ban_to_the_millisecond() {
        let now = Timestamp::from_second(NOW).unwrap();
        for (millis, expected) in [(-1, None), (0, Some(Refusal::Banned)), (1, Some(Refusal::Banned))] {
            let until = now + jiff::SignedDuration::from_millis(millis);
            assert_eq!(checked(&json!({ "banned": true, "banExpires": until.to_string() })), expected, "{until}");
        }
    }
}

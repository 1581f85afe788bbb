//! What a token whose signature is good has to claim.

use serde_json::{Value, json};

use super::{Desk, ISSUER, LEEWAY, Refusal, desk};

/// The refusals of tokens that are good but for one claim.
fn each(name: &str, cases: &[(Value, Option<Refusal>)]) {
    let (desk, signer) = desk();
    for (value, expected) in cases {
        let token = signer.token(&desk.payload_but(&json!({ name: value })));
        assert_eq!(desk.admit(&token).err(), *expected, "{name} {value}");
    }
}

#[test]
fn four_claims_are_required() {
    let null = Value::Null;
    each("exp", &[(null.clone(), Some(Refusal::BadExpiry))]);
    each("iss", &[(null.clone(), Some(Refusal::WrongIssuer))]);
    each("aud", &[(null.clone(), Some(Refusal::WrongAudience))]);
    each("sub", &[(null.clone(), Some(Refusal::BadSubject))]);
    each("iat", &[(null, None)]);
}

/// Null isn't absence: a claim that is there has to be right.
#[test]
fn null_is_no_value() {
    let (desk, signer) = desk();
    for (name, expected) in [
        ("exp", Refusal::BadExpiry),
        ("nbf", Refusal::BadNotBefore),
        ("iat", Refusal::BadIssuedAt),
        ("iss", Refusal::WrongIssuer),
        ("aud", Refusal::WrongAudience),
        ("sub", Refusal::BadSubject),
    ] {
        let mut payload = desk.payload();
        payload[name] = Value::Null;
        assert_eq!(desk.admit(&signer.token(&payload)).err(), Some(expected), "{name}");
    }
}

/// RFC 7519 makes `iss` one text; jsonwebtoken takes an array that holds the right one.
#[test]
fn iss_is_the_issuer_as_plain_text() {
    let wrong = Some(Refusal::WrongIssuer);
    each(
        "iss",
        &[
            (json!(ISSUER), None),
            (json!([ISSUER]), wrong),
            (json!({ ISSUER: 1 }), wrong),
            (json!(1), wrong),
            (json!(""), wrong),
            (json!("https://app.example.com/"), wrong),
            (json!("HTTPS://APP.EXAMPLE.COM"), wrong),
            (json!("https://app.example.com.forger.example"), wrong),
        ],
    );
}

#[test]
fn aud_is_the_audience_or_an_array_with_it() {
    let wrong = Some(Refusal::WrongAudience);
    each(
        "aud",
        &[
            (json!(ISSUER), None),
            (json!([ISSUER]), None),
            (json!(["https://other.example", ISSUER]), None),
            (json!([]), wrong),
            (json!(["https://other.example"]), wrong),
            (json!([ISSUER, 1]), wrong),
            (json!([[ISSUER]]), wrong),
            (json!(1), wrong),
            (json!(""), wrong),
            (json!("better-auth:session-cache"), wrong),
        ],
    );
}

#[test]
fn times_are_seconds_in_a_believable_range() {
    let (desk, _) = desk();
    let bad_times = [
        json!((desk.now + 900) * 1000),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(-1),
        json!(-0.5),
        json!(253_402_300_800.5),
        json!(i64::MIN),
        json!((desk.now + 900).to_string()),
        json!(true),
        json!([]),
        json!("2030-01-01T00:00:00Z"),
    ];
    for (name, bad) in [("exp", Refusal::BadExpiry), ("nbf", Refusal::BadNotBefore), ("iat", Refusal::BadIssuedAt)] {
        let cases: Vec<_> = bad_times.iter().map(|time| (time.clone(), Some(bad))).collect();
        each(name, &cases);
    }
}

/// A `NumericDate` is a number, whatever JSON makes of it (RFC 7519, section 2): issuers that divide milliseconds send fractions.
#[test]
fn times_may_have_a_fraction() {
    let (desk, signer) = desk();
    for exp in ["1.5e10", "15000000000.0", "15000000000.123456789", "15000000000.5"] {
        let payload =
            desk.payload().to_string().replace(&format!("\"exp\":{}", desk.now + 900), &format!("\"exp\":{exp}"));
        assert!(payload.contains(exp), "{payload}");
        let caller = desk.admit(&signer.sign(signer.header().to_string(), payload)).unwrap();
        assert_eq!(caller.claims().expires_at().as_second(), 15_000_000_000, "{exp}");
    }
    #[allow(clippy::cast_precision_loss, reason = "a second of this century")]
    let from_now = |seconds: f64| json!(desk.now as f64 + seconds);
    each("exp", &[(from_now(-900.5), Some(Refusal::Expired)), (from_now(899.75), None)]);
    for (name, early) in [("nbf", Refusal::NotYetValid), ("iat", Refusal::IssuedInFuture)] {
        each(name, &[(json!(0.5), None), (from_now(-1.25), None), (from_now(900.5), Some(early))]);
    }
}

/// Well beside the limits, for the clock goes on; to the second they are tested beside the code.
#[test]
fn clocks_may_differ_by_the_leeway() {
    let (desk, _) = desk();
    let from_now = |seconds: i64| json!(desk.now + seconds);
    each(
        "exp",
        &[
            (json!(0), Some(Refusal::Expired)),
            (from_now(-LEEWAY), Some(Refusal::Expired)),
            (from_now(-LEEWAY + 20), None),
            (json!(253_402_207_200_i64), None),
        ],
    );
    for (name, early) in [("nbf", Refusal::NotYetValid), ("iat", Refusal::IssuedInFuture)] {
        each(name, &[(json!(0), None), (from_now(LEEWAY), None), (from_now(LEEWAY + 20), Some(early))]);
    }
}

/// The clock that is asked is the verifier's own: moved, it ages the token.
#[test]
fn a_token_expires() {
    let (desk, signer) = desk();
    let token = signer.token(&desk.payload());
    assert!(desk.admit(&token).is_ok());
    desk.verifier.clock.advance(std::time::Duration::from_secs(890));
    assert!(desk.admit(&token).is_ok());
    desk.verifier.clock.advance(std::time::Duration::from_secs(45));
    assert_eq!(desk.admit(&token).err(), Some(Refusal::Expired));
}

#[test]
fn sub_can_be_stored() {
    let bad = Some(Refusal::BadSubject);
    each(
        "sub",
        &[
            (json!("1"), None),
            (json!("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), None),
            (json!("auth0|ada@example.com"), None),
            (json!("Адa 🦀"), None),
            (json!("x".repeat(255)), None),
            (json!("x".repeat(256)), bad),
            (json!("é".repeat(128)), bad),
            (json!("x".repeat(4500)), bad),
            (json!(""), bad),
            (json!("a\0b"), bad),
            (json!("a\nb"), bad),
            (json!("a\u{7f}"), bad),
            (json!("a\u{85}"), bad),
            (json!(1), bad),
            (json!(["1"]), bad),
        ],
    );
}

/// Better Auth's admin plugin, and with it Neon Auth, tells a ban by `banned` and its end by `banExpires`.
#[test]
fn the_banned_stay_out_until_their_ban_ends() {
    let (desk, signer) = desk();
    let banned = Some(Refusal::Banned);
    for (claims, expected) in [
        (json!({ "banned": true }), banned),
        (json!({ "banned": false }), None),
        (json!({ "banned": false, "banReason": "spam", "banExpires": "2999-01-01T00:00:00.000Z" }), None),
        (json!({ "banned": true, "banReason": "spam", "banExpires": "2999-01-01T00:00:00.000Z" }), banned),
        (json!({ "banned": true, "banExpires": "2020-01-01T00:00:00.000Z" }), None),
        // Whether it is in seconds or milliseconds can't be told, and seconds read as milliseconds would be long past.
        (json!({ "banned": true, "banExpires": desk.now }), banned),
        (json!({ "banned": true, "banExpires": "soon" }), banned),
        (json!({ "banned": true, "banExpires": "" }), banned),
        // A database without booleans.
        (json!({ "banned": 1 }), banned),
        (json!({ "banned": 0 }), None),
        (json!({ "banned": "" }), None),
        (json!({ "banned": "true" }), banned),
        (json!({ "banned": [] }), banned),
    ] {
        let token = signer.token(&desk.payload_but(&claims));
        assert_eq!(desk.admit(&token).err(), expected, "{claims}");
    }
    for name in ["banned", "banExpires"] {
        let mut payload = desk.payload_but(&json!({ "banned": true }));
        payload[name] = Value::Null;
        let expected = if name == "banned" { None } else { banned };
        assert_eq!(desk.admit(&signer.token(&payload)).err(), expected, "{name} null");
    }
}

/// A ban doesn't open the door to a bad token: whoever is told of it has proved who they are.
#[test]
fn a_bad_token_is_refused_whoever_is_banned() {
    let (desk, signer) = desk();
    let token = signer.token(&desk.payload_but(&json!({ "banned": true, "exp": desk.now - 900 })));
    assert_eq!(desk.admit(&token).err(), Some(Refusal::Expired));
}

#[test]
fn payloads_that_are_no_payload() {
    let (desk, signer) = desk();
    let good = desk.payload().to_string();
    let with = |more: &str| format!("{},{more}}}", good.trim_end_matches('}'));
    let header = signer.header().to_string();
    assert!(desk.admit(&signer.sign(&header, with(r#""x":{"y":[1]}"#))).is_ok());
    for payload in [
        "null".to_owned(),
        "[]".to_owned(),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        good.trim_end_matches('}').to_owned(),
        // Two members of one name: known, unknown, spelled with an escape, and deeper down.
        with(r#""sub":"someone-else""#),
        with(r#""s\u0075b":"someone-else""#),
        with(r#""x":1,"x":1"#),
        with(r#""x":[{"y":1,"y":1}]"#),
        with(r#""x":"\ud800""#),
        with(r#""x":1e400"#),
        with(r#""x":NaN"#),
        with(&format!(r#""x":{}{}"#, "[".repeat(1500), "]".repeat(1500))),
    ] {
        assert_eq!(desk.admit(&signer.sign(&header, &payload)).err(), Some(Refusal::MalformedPayload), "{payload}");
    }
    // Invalid UTF-8 where nobody reads it.
    let mut invalid = with(r#""x":"?""#).into_bytes();
    let at = invalid.iter().position(|byte| *byte == b'?').unwrap();
    invalid[at] = 0xff;
    assert_eq!(desk.admit(&signer.sign(&header, invalid)).err(), Some(Refusal::MalformedPayload));
    let padded =
        signer.sign_text(&format!("{}.{}A", super::signer::base64url(&header), super::signer::base64url("{}x")));
    assert_eq!(desk.admit(&padded).err(), Some(Refusal::MalformedPayload));
}

/// The settings name the issuer, the audience and what ids are made from, each apart.
#[test]
fn issuer_audience_and_issuer_id_are_settings_of_their_own() {
    let (Desk { verifier, now }, signer) = desk();
    let rules = super::super::verify::Rules {
        issuer: "https://new.example.com".to_owned(),
        audience: "chat".to_owned(),
        leeway: std::time::Duration::ZERO,
    };
    let desk = Desk { verifier: super::Verifier { rules: rules.into(), ..verifier }, now };
    let token = signer.token(&desk.payload_but(&json!({ "iss": "https://new.example.com", "aud": ["chat"] })));
    let caller = desk.admit(&token).unwrap();
    assert_eq!(caller.issuer_id(), ISSUER);
    assert_eq!(caller.user_id(), crate::id::UserId::derive(ISSUER, "kB3dPz0Q"));
    assert_eq!(desk.admit(&signer.token(&desk.payload())).err(), Some(Refusal::WrongIssuer));
}

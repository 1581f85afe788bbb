//! Every refusal can be met, and each answers properly.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::signer::Signer;
use super::{Desk, Refusal, bearer, desk, refusal};
use crate::error::Code;

/// What must never be in an answer or a log.
const SUBJECT: &str = "canary-subject";
const EMAIL: &str = "canary@example.com";

/// A request that is refused in this way. A refusal that nothing leads to doesn't compile here.
fn refused(why: Refusal, desk: &Desk, signer: &Signer) -> HeaderMap {
    let now = desk.now;
    let good = desk.payload_but(&json!({ "sub": SUBJECT, "email": EMAIL }));
    let claims = |changes: Value| {
        let mut payload = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            payload[name] = value.clone();
        }
        bearer(signer.token(&payload))
    };
    let header = |changes: Value| {
        let mut header = signer.header();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        bearer(signer.sign(header.to_string(), good.to_string()))
    };
    let authorization = |text: String| HeaderMap::from_iter([(AUTHORIZATION, text.parse().unwrap())]);
    let token = signer.token(&good);
    match why {
        Refusal::NoToken => HeaderMap::new(),
        Refusal::OtherScheme => authorization(format!("Basic {token}")),
        Refusal::RepeatedHeader => {
            let mut headers = bearer(&token);
            headers.append(AUTHORIZATION, headers[AUTHORIZATION].clone());
            headers
        }
        Refusal::EmptyToken => authorization("Bearer ".to_owned()),
        Refusal::TooLarge => claims(json!({ "image": "x".repeat(8000) })),
        Refusal::BadAlphabet => bearer(format!("{token}=")),
        Refusal::NotThreeParts => bearer(token.rsplit_once('.').unwrap().0),
        Refusal::MalformedHeader => bearer(signer.sign("{}", good.to_string())),
        Refusal::UnsupportedHeader => header(json!({ "crit": ["b64"] })),
        Refusal::WrongType => header(json!({ "typ": "better-auth.session-cache+jwt" })),
        Refusal::ForbiddenAlgorithm => header(json!({ "alg": "HS256" })),
        Refusal::NoKeyId => bearer(signer.sign(r#"{"alg":"EdDSA"}"#, good.to_string())),
        Refusal::BadKeyId => header(json!({ "kid": "canary-kid".repeat(300) })),
        Refusal::UnknownKey => header(json!({ "kid": "canary-kid" })),
        Refusal::OtherAlgorithm => header(json!({ "alg": "ES256" })),
        Refusal::BadSignature => bearer(Signer::new("EdDSA", "key-1").token(&good)),
        Refusal::MalformedPayload => bearer(signer.sign(signer.header().to_string(), SUBJECT)),
        Refusal::WrongIssuer => claims(json!({ "iss": "https://canary.example" })),
        Refusal::WrongAudience => claims(json!({ "aud": "https://canary.example" })),
        Refusal::BadExpiry => claims(json!({ "exp": "canary" })),
        Refusal::Expired => claims(json!({ "exp": now - 900 })),
        Refusal::BadNotBefore => claims(json!({ "nbf": "canary" })),
        Refusal::NotYetValid => claims(json!({ "nbf": now + 600 })),
        Refusal::BadIssuedAt => claims(json!({ "iat": "canary" })),
        Refusal::IssuedInFuture => claims(json!({ "iat": now + 600 })),
        Refusal::BadSubject => claims(json!({ "sub": format!("{SUBJECT}\0") })),
        Refusal::Banned => claims(json!({ "banned": true, "banReason": "canary" })),
    }
}

#[test]
fn every_refusal_is_met_and_leaks_nothing() {
    let (desk, signer) = desk();
    for why in Refusal::ALL {
        let headers = refused(*why, &desk, &signer);
        let error = desk.caller(&headers).unwrap_err();
        assert_eq!(refusal(&error), *why);
        let status = if *why == Refusal::Banned { Code::Banned } else { Code::Unauthenticated };
        assert_eq!(error.code, status, "{why:?}");
        let shown = format!("{error} {error:?} {:?} {:?}", error.headers, error.cause);
        for secret in ["canary", SUBJECT, EMAIL, "eyJ"] {
            assert!(!shown.contains(secret), "{why:?}: {shown}");
        }
    }
}

#[test]
fn the_challenge_is_rfc_6750s() {
    let (desk, signer) = desk();
    for why in Refusal::ALL {
        let error = desk.caller(&refused(*why, &desk, &signer)).unwrap_err();
        let challenge =
            error.headers.iter().find(|(name, _)| *name == "www-authenticate").map(|(_, value)| value.as_str());
        match why {
            Refusal::Banned => assert_eq!(challenge, None),
            Refusal::NoToken | Refusal::OtherScheme => assert_eq!(challenge, Some(r#"Bearer realm="colloquy""#)),
            _ => {
                let description =
                    challenge.unwrap().strip_prefix(r#"Bearer error="invalid_token", error_description=""#);
                let description = description.and_then(|rest| rest.strip_suffix('"')).unwrap();
                // The characters that section 3 allows.
                assert!(description.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
                assert!((1..60).contains(&description.len()));
                assert_eq!(error.detail, description);
            }
        }
    }
}

/// A forger isn't told which check stopped them.
#[test]
fn a_forger_learns_nothing() {
    let told = |why: &Refusal| why.told();
    let forgery = [
        Refusal::MalformedHeader,
        Refusal::ForbiddenAlgorithm,
        Refusal::UnknownKey,
        Refusal::OtherAlgorithm,
        Refusal::BadSignature,
        Refusal::WrongIssuer,
        Refusal::WrongAudience,
        Refusal::BadSubject,
    ];
    assert!(forgery.iter().all(|why| told(why) == told(&Refusal::BadSignature)));
}

#[test]
fn nothing_that_holds_a_token_or_claims_prints_them() {
    let (desk, signer) = desk();
    let payload = desk.payload_but(&json!({ "sub": SUBJECT, "email": EMAIL }));
    let token = signer.token(&payload);
    let caller = desk.admit(&token).unwrap();
    let read = super::super::token::Token::read(token.as_bytes()).unwrap();
    let shown = format!("{caller:?} {:?} {:?} {read:?} {caller:#?}", caller.claims(), desk.verifier);
    for secret in ["canary", "eyJ", signer.jwk()["x"].as_str().unwrap()] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains(&caller.user_id().to_string()));
}

//! The form of header and token: checked before anything is decoded, believed or fetched.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};

use super::signer::base64url;
use super::{Refusal, bearer, desk, refusal};
use crate::model::limits::TOKEN_BYTES;

#[test]
fn the_authorization_header() {
    let (desk, signer) = desk();
    let token = signer.token(&desk.payload());
    for (value, expected) in [
        (format!("Bearer {token}"), None),
        (format!("bearer {token}"), None),
        (format!("BEARER   {token}"), None),
        (token.clone(), Some(Refusal::OtherScheme)),
        (String::new(), Some(Refusal::OtherScheme)),
        (format!("Basic {token}"), Some(Refusal::OtherScheme)),
        (format!("Bearer,{token}"), Some(Refusal::OtherScheme)),
        (format!("Bearer\t{token}"), Some(Refusal::OtherScheme)),
        (format!(" Bearer {token}"), Some(Refusal::OtherScheme)),
        ("Bearer".to_owned(), Some(Refusal::EmptyToken)),
        ("Bearer  ".to_owned(), Some(Refusal::EmptyToken)),
        (format!("Bearer {token} "), Some(Refusal::BadAlphabet)),
        // What a gateway makes of two headers.
        (format!("Bearer {token}, Bearer {token}"), Some(Refusal::BadAlphabet)),
        (format!("Bearer {token},Bearer {token}"), Some(Refusal::BadAlphabet)),
        (format!("Bearer \"{token}\""), Some(Refusal::BadAlphabet)),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
        assert_eq!(desk.caller(&headers).err().map(|error| refusal(&error)), expected, "{value}");
    }
}

#[test]
fn two_authorization_headers_are_refused_even_if_they_are_the_same() {
    let (desk, signer) = desk();
    let mut headers = bearer(signer.token(&desk.payload()));
    assert!(desk.caller(&headers).is_ok());
    headers.append(AUTHORIZATION, headers[AUTHORIZATION].clone());
    assert_eq!(refusal(&desk.caller(&headers).unwrap_err()), Refusal::RepeatedHeader);
}

#[test]
fn size_is_checked_before_anything_else() {
    let (desk, signer) = desk();
    let fitting = |length: usize| {
        // The claim is stretched until the whole token has the length; base64 takes three bytes to four characters.
        let mut pad = String::new();
        loop {
            let token = signer.token(&desk.payload_but(&json!({ "pad": pad })));
            if token.len() >= length {
                return token;
            }
            pad.push_str(&"x".repeat(((length - token.len()) / 2).max(1)));
        }
    };
    let token = fitting(TOKEN_BYTES - 1);
    assert!(token.len() <= TOKEN_BYTES, "{}", token.len());
    assert!(desk.admit(&token).is_ok());
    assert_eq!(desk.admit(&fitting(TOKEN_BYTES + 1)).err(), Some(Refusal::TooLarge));
    assert_eq!(desk.admit(&"€".repeat(TOKEN_BYTES)).err(), Some(Refusal::TooLarge), "before the alphabet");
}

#[test]
fn the_alphabet_is_checked_before_anything_is_decoded() {
    let (desk, signer) = desk();
    let token = signer.token(&desk.payload());
    for byte in (0x20..=0x7e).chain(0x80..=0xff).filter(|byte: &u8| !byte.is_ascii_alphanumeric()) {
        if b"-_.".contains(&byte) {
            continue;
        }
        for at in [0, token.len() / 2, token.len()] {
            let bad = [&token.as_bytes()[..at], &[byte], &token.as_bytes()[at..]].concat();
            // More spaces after the scheme belong to the header.
            if byte != b' ' || at > 0 {
                let error = desk.caller(&bearer(&bad)).unwrap_err();
                assert_eq!(refusal(&error), Refusal::BadAlphabet, "{byte:#x} at {at}");
            }
        }
    }
    // The other serialisation of a signed token (RFC 7515, section 7.2).
    assert_eq!(desk.admit(r#"{"payload":"e30"}"#).err(), Some(Refusal::BadAlphabet));
}

#[test]
fn a_token_has_three_parts() {
    let (desk, signer) = desk();
    let token = signer.token(&desk.payload());
    let parts: Vec<&str> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for bad in [
        header.to_owned(),
        format!("{header}.{payload}"),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}."),
        "..".to_owned(),
        format!(".{token}"),
        format!("{token}."),
        // An encrypted token has five.
        format!("{token}.{payload}.{signature}"),
    ] {
        assert_eq!(desk.admit(&bad).err(), Some(Refusal::NotThreeParts), "{bad}");
    }
}

#[test]
fn each_bytes_have_one_spelling() {
    let (desk, signer) = desk();
    let token = signer.token(&desk.payload());
    let (message, signature) = token.rsplit_once('.').unwrap();
    // 64 bytes leave four bits of the last character unused: sixteen characters decode to the same bytes.
    let last = signature.chars().last().unwrap();
    let spellings = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']);
    for other in spellings.filter(|other| *other != last) {
        let bad = format!("{message}.{}{other}", &signature[..signature.len() - 1]);
        assert_eq!(desk.admit(&bad).err(), Some(Refusal::BadSignature), "{other}");
    }
}

#[test]
fn headers_that_are_no_header() {
    let (desk, signer) = desk();
    for header in [
        "",
        "null",
        "[]",
        "\"EdDSA\"",
        "{",
        r#"{"alg":"EdDSA","kid":"key-1"}x"#,
        r#"{"kid":"key-1"}"#,
        r#"{"alg":null,"kid":"key-1"}"#,
        r#"{"alg":["EdDSA"],"kid":"key-1"}"#,
        r#"{"alg":"EdDSA","kid":1}"#,
        r#"{"alg":"EdDSA","kid":null}"#,
        r#"{"alg":"EdDSA","kid":"key-1","typ":1}"#,
        r#"{"alg":"EdDSA","kid":"key-1","typ":null}"#,
        // Two members of one name, however they are spelled and wherever they stand.
        r#"{"alg":"none","alg":"EdDSA","kid":"key-1"}"#,
        r#"{"alg":"EdDSA","kid":"key-1","kid":"key-1"}"#,
        r#"{"alg":"EdDSA","kid":"key-1","k\u0069d":"key-2"}"#,
        r#"{"alg":"EdDSA","kid":"key-1","jwk":{"x":1,"x":2}}"#,
        "\u{feff}{\"alg\":\"EdDSA\",\"kid\":\"key-1\"}",
    ] {
        let token = signer.sign(header, desk.payload().to_string());
        let expected = if header.is_empty() { Refusal::NotThreeParts } else { Refusal::MalformedHeader };
        assert_eq!(desk.admit(&token).err(), Some(expected), "{header}");
    }
    let invalid = signer.sign(b"{\"alg\":\"EdDSA\",\"kid\":\"key-1\",\"a\":\"\xff\"}", desk.payload().to_string());
    assert_eq!(desk.admit(&invalid).err(), Some(Refusal::MalformedHeader));
    let padded = signer.sign_text(&format!("{}A.e30", base64url(signer.header().to_string())));
    assert_eq!(desk.admit(&padded).err(), Some(Refusal::MalformedHeader));
}

/// What changes the meaning of a token isn't skipped over (RFC 7515, section 4.1.11; RFC 7797).
#[test]
fn extensions_are_refused() {
    let (desk, signer) = desk();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", Value::Null),
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("enc", json!("A256GCM")),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        let mut header = signer.header();
        header[name] = value;
        let token = signer.sign(header.to_string(), desk.payload().to_string());
        assert_eq!(desk.admit(&token).err(), Some(Refusal::UnsupportedHeader), "{header}");
    }
}

/// A session-cookie cache is signed with the same key; its `typ` says what it is.
#[test]
fn typ_is_absent_or_jwt_in_any_case() {
    let (desk, signer) = desk();
    for (typ, expected) in [
        ("JWT", None),
        ("jwt", None),
        ("Jwt", None),
        ("JWT ", Some(Refusal::WrongType)),
        ("JWE", Some(Refusal::WrongType)),
        ("at+jwt", Some(Refusal::WrongType)),
        ("application/jwt", Some(Refusal::WrongType)),
        ("better-auth.session-cache+jwt", Some(Refusal::WrongType)),
        ("", Some(Refusal::WrongType)),
    ] {
        let mut header = signer.header();
        header["typ"] = typ.into();
        let token = signer.sign(header.to_string(), desk.payload().to_string());
        assert_eq!(desk.admit(&token).err(), expected, "{typ}");
    }
}

/// A key that a token brings along is not read, and neither is one that it points to.
#[test]
fn keys_come_from_the_issuer_alone() {
    let (desk, signer) = desk();
    let forger = super::signer::Signer::new("EdDSA", "key-1");
    let mut header = forger.header();
    header["jwk"] = forger.jwk();
    header["jku"] = "https://forger.example/jwks".into();
    header["x5u"] = "https://forger.example/x509".into();
    header["x5c"] = json!(["AAAA"]);
    let token = forger.sign(header.to_string(), desk.payload().to_string());
    assert_eq!(desk.admit(&token).err(), Some(Refusal::BadSignature));
    let genuine = signer.sign(header.to_string(), desk.payload().to_string());
    assert!(desk.admit(&genuine).is_ok());
}

#[test]
fn a_kid_is_needed_even_if_there_is_one_key() {
    let (desk, signer) = desk();
    for (header, expected) in [
        (json!({ "alg": "EdDSA" }), Refusal::NoKeyId),
        (json!({ "alg": "EdDSA", "kid": "" }), Refusal::BadKeyId),
        (json!({ "alg": "EdDSA", "kid": "k".repeat(256) }), Refusal::UnknownKey),
        (json!({ "alg": "EdDSA", "kid": "k".repeat(257) }), Refusal::BadKeyId),
        (json!({ "alg": "EdDSA", "kid": "KEY-1" }), Refusal::UnknownKey),
        (json!({ "alg": "EdDSA", "kid": "../../dev/null" }), Refusal::UnknownKey),
    ] {
        let token = signer.sign(header.to_string(), desk.payload().to_string());
        assert_eq!(desk.admit(&token).err(), Some(expected), "{header}");
    }
}

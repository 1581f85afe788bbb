//! Properties: no input panics, and no token that was tampered with is admitted.

use std::sync::LazyLock;

use futures_util::FutureExt;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::signer::{ALGORITHMS, Signer, base64url};
use super::{Desk, desk};

/// A desk that knows a key of each algorithm, and a good token of each.
static TOKENS: LazyLock<(Desk, Vec<String>)> = LazyLock::new(|| {
    let signers: Vec<Signer> = ALGORITHMS.iter().map(|name| Signer::new(name, name)).collect();
    let desk = Desk::holding(&signers.iter().map(Signer::jwk).collect::<Vec<_>>());
    let payload = desk.payload_but(&json!({ "exp": desk.now + 86_400 }));
    let tokens = signers.iter().map(|signer| signer.token(&payload)).collect();
    (desk, tokens)
});

static DESK: LazyLock<(Desk, Signer)> = LazyLock::new(desk);

/// JSON of any shape, with the names and values that mean something in a token or a key more often than chance.
fn any_json() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "EdDSA",
            "ES256",
            "RS256",
            "OKP",
            "EC",
            "RSA",
            "Ed25519",
            "P-256",
            "sig",
            "verify",
            "key-1",
            "https://app.example.com",
            "JWT",
            "AQAB",
            ""
        ])
        .prop_map(str::to_owned),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(base64url),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts.prop_map(Value::from),
    ];
    let names = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "alg",
            "kid",
            "typ",
            "crit",
            "kty",
            "crv",
            "x",
            "y",
            "n",
            "e",
            "use",
            "key_ops",
            "keys",
            "iss",
            "aud",
            "sub",
            "exp",
            "nbf",
            "iat",
            "banned",
            "banExpires"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// One change to a text.
#[derive(Clone, Debug)]
enum Change {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    // Mostly what gets past the check of the alphabet.
    let byte = || prop_oneof![9 => prop::sample::select(b"ABCxyz019-_.".to_vec()), 1 => 0x20_u8..0x7f];
    prop_oneof![
        4 => (index(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        2 => (index(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        2 => index().prop_map(Change::Remove),
        2 => (index(), index()).prop_map(|(one, other)| Change::Swap(one, other)),
        1 => index().prop_map(Change::Cut),
        1 => index().prop_map(Change::Repeat),
    ]
}

fn apply(token: &mut Vec<u8>, change: &Change) {
    if token.is_empty() {
        return;
    }
    match change {
        Change::Replace(at, byte) => *at.get_mut(token) = *byte,
        Change::Insert(at, byte) => token.insert(at.index(token.len()), *byte),
        Change::Remove(at) => drop(token.remove(at.index(token.len()))),
        Change::Swap(one, other) => {
            let (one, other) = (one.index(token.len()), other.index(token.len()));
            token.swap(one, other);
        }
        Change::Cut(at) => token.truncate(at.index(token.len())),
        Change::Repeat(at) => token.extend_from_within(at.index(token.len())..),
    }
}

/// What becomes of a request with this header.
fn is_admitted(desk: &Desk, authorization: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(authorization) else { return false };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    desk.verifier.caller(&headers).now_or_never().expect("nothing to wait for").is_ok()
}

fn is_good(desk: &Desk, token: impl AsRef<[u8]>) -> bool {
    is_admitted(desk, &[b"Bearer ", token.as_ref()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_token_is_never_admitted(which in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..4)) {
        let (desk, tokens) = &*TOKENS;
        let original = which.get(tokens);
        let mut token = original.clone().into_bytes();
        for change in &changes {
            apply(&mut token, change);
        }
        // Some changes undo each other.
        let same = token == original.as_bytes();
        prop_assert_eq!(is_good(desk, &token), same);
    }

    #[test]
    fn parts_of_two_tokens_make_no_third(a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(), cut in 1_usize..3) {
        let (desk, tokens) = &*TOKENS;
        let (first, second) = (a.get(tokens), b.get(tokens));
        prop_assume!(first != second);
        let mixed: Vec<&str> = first.split('.').take(cut).chain(second.split('.').skip(cut)).collect();
        prop_assert!(!is_good(desk, mixed.join(".")));
    }

    #[test]
    fn no_authorization_header_panics(value in prop::collection::vec(any::<u8>(), 0..200), bearer in any::<bool>()) {
        let prefix: &[u8] = if bearer { b"Bearer " } else { b"" };
        prop_assert!(!is_admitted(&DESK.0, &[prefix, value.as_slice()].concat()));
    }

    #[test]
    fn no_token_panics(token in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}") {
        prop_assert!(!is_good(&DESK.0, token));
    }

    /// Signed, so that the payload is reached; the four claims are too much of a coincidence.
    #[test]
    fn no_signed_header_or_payload_panics(header in any_json(), payload in any_json(), usual in any::<bool>()) {
        let (desk, signer) = &*DESK;
        let header = if usual { signer.header() } else { header };
        prop_assert!(!is_good(desk, signer.sign(header.to_string(), payload.to_string())));
    }

    #[test]
    fn no_signed_bytes_panic(header in prop::collection::vec(any::<u8>(), 0..60), payload in prop::collection::vec(any::<u8>(), 0..60)) {
        let (desk, signer) = &*DESK;
        prop_assert!(!is_good(desk, signer.sign(header, payload)));
    }

    /// Whatever else a payload holds.
    #[test]
    fn other_claims_do_not_matter(name in "[a-z]{6,9}", value in any_json()) {
        let (desk, signer) = &*DESK;
        prop_assume!(name != "banned");
        let mut payload = desk.payload_but(&json!({ "exp": desk.now + 86_400 }));
        payload[&name] = value;
        prop_assert!(is_good(desk, signer.token(&payload)));
    }

    #[test]
    fn no_key_set_panics(document in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Desk::holding_document(&document);
    }

    /// A set of odd members is a set, and the good one among them serves.
    #[test]
    fn no_member_spoils_the_set(mut members in prop::collection::vec(any_json(), 0..6), at in any::<prop::sample::Index>()) {
        let signer = &DESK.1;
        let twin = members.iter().any(|member| member["kid"] == "key-1");
        members.insert(at.index(members.len() + 1), signer.jwk());
        members.push(Signer::new("EdDSA", "good").jwk());
        let desk = Desk::holding(&members);
        prop_assert_eq!(desk.admit(&signer.token(&desk.payload())).is_ok(), !twin);
    }
}

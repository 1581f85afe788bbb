//! Which members of a set are keys: one that can't be used costs itself, not the set.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::signer::{ALGORITHMS, Signer, base64url};
use super::{Desk, Refusal};

/// Whether the token of a key is admitted where this member and a good one of another name are published.
fn admitted(signer: &Signer, member: Value) -> Option<Refusal> {
    let good = Signer::new("EdDSA", "good");
    let desk = Desk::holding(&[member, good.jwk()]);
    assert!(desk.admit(&good.token(&desk.payload())).is_ok(), "a bad member costs only itself");
    desk.admit(&signer.token(&desk.payload())).err()
}

/// jsonwebtoken enforces none of `use`, `key_ops` and `crv`.
#[test]
fn purpose_operations_and_curve_are_enforced() {
    let unusable = Some(Refusal::UnknownKey);
    let signer = Signer::new("EdDSA", "key-1");
    for (changes, expected) in [
        (json!({}), None),
        (json!({ "use": "sig" }), None),
        (json!({ "use": "enc" }), unusable),
        (json!({ "use": "" }), unusable),
        (json!({ "use": ["sig"] }), unusable),
        (json!({ "key_ops": ["verify"] }), None),
        (json!({ "key_ops": ["sign", "verify"] }), None),
        (json!({ "key_ops": ["encrypt"] }), unusable),
        (json!({ "key_ops": [] }), unusable),
        (json!({ "key_ops": "verify" }), unusable),
        (json!({ "crv": "Ed448" }), unusable),
        (json!({ "crv": "X25519" }), unusable),
        (json!({ "crv": null }), unusable),
        (json!({ "kty": "EC" }), unusable),
        (json!({ "kty": "oct", "k": "AAAA" }), unusable),
        (json!({ "kty": null }), unusable),
        (json!({ "alg": "ES256" }), unusable),
        (json!({ "alg": "ECDH-ES" }), unusable),
        (json!({ "alg": "HS256" }), unusable),
        (json!({ "alg": "none" }), unusable),
        (json!({ "alg": 1 }), unusable),
        (json!({ "kid": null }), unusable),
        (json!({ "kid": 1 }), unusable),
        // A published private key is nobody's in particular.
        (json!({ "d": "AAAA" }), unusable),
        // Members that mean nothing here.
        (json!({ "ext": true, "iat": 1, "x5c": ["AAAA"], "anything": { "x": 1 } }), None),
    ] {
        assert_eq!(admitted(&signer, signer.jwk_but(&changes)), expected, "{changes}");
    }
    let es256 = Signer::new("ES256", "key-1");
    for (changes, expected) in
        [(json!({}), None), (json!({ "crv": "P-384" }), unusable), (json!({ "alg": "ES384" }), unusable)]
    {
        assert_eq!(admitted(&es256, es256.jwk_but(&changes)), expected, "{changes}");
    }
}

/// `rust_crypto` panicked on a short `x` and truncated a long one; aws-lc would take other encodings of a key.
#[test]
fn coordinates_have_their_curves_length() {
    for algorithm in ALGORITHMS.iter().filter(|name| name.starts_with('E')) {
        let signer = Signer::new(algorithm, "key-1");
        let names: &[&str] = if algorithm.starts_with("Ed") { &["x"] } else { &["x", "y"] };
        for name in names {
            let good = URL_SAFE_NO_PAD.decode(signer.jwk()[name].as_str().unwrap()).unwrap();
            let shorter = base64url(&good[1..]);
            let longer = base64url([good.as_slice(), &[0]].concat());
            let padded = base64url([&[0], good.as_slice()].concat());
            for bad in [json!(shorter), json!(longer), json!(padded), json!(""), json!("!"), json!(1), Value::Null] {
                let refused = admitted(&signer, signer.jwk_but(&json!({ *name: bad })));
                assert_eq!(refused, Some(Refusal::UnknownKey), "{algorithm} {name} {bad}");
            }
        }
    }
}

/// aws-lc takes other encodings of a key than a set may have, so that their form is checked here.
#[test]
fn coordinates_have_one_encoding() {
    let signer = Signer::new("ES256", "key-1");
    let [x, y] = ["x", "y"].map(|name| URL_SAFE_NO_PAD.decode(signer.jwk()[name].as_str().unwrap()).unwrap());
    // The same point, divided elsewhere.
    let shifted = json!({ "x": base64url(&x[..31]), "y": base64url([&x[31..], y.as_slice()].concat()) });
    assert_eq!(admitted(&signer, signer.jwk_but(&shifted)), Some(Refusal::UnknownKey));
    let signer = Signer::new("EdDSA", "key-1");
    // The same key as a SubjectPublicKeyInfo (RFC 8410).
    let prefix = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
    let x = URL_SAFE_NO_PAD.decode(signer.jwk()["x"].as_str().unwrap()).unwrap();
    let info = json!({ "x": base64url([prefix.as_slice(), &x].concat()) });
    assert_eq!(admitted(&signer, signer.jwk_but(&info)), Some(Refusal::UnknownKey));
}

#[test]
fn points_lie_on_their_curve() {
    for algorithm in ["ES256", "ES384", "ES512"] {
        let signer = Signer::new(algorithm, "key-1");
        let swapped = json!({ "x": signer.jwk()["y"], "y": signer.jwk()["x"] });
        assert_eq!(admitted(&signer, signer.jwk_but(&swapped)), Some(Refusal::UnknownKey), "{algorithm}");
    }
}

#[test]
fn rsa_keys_are_strong() {
    let signer = Signer::new("RS256", "key-1");
    let good = URL_SAFE_NO_PAD.decode(signer.jwk()["n"].as_str().unwrap()).unwrap();
    let modulus = |bytes: &[u8]| json!({ "n": base64url(bytes) });
    for changes in [
        json!({ "kty": "EC" }),
        json!({ "kty": "oct" }),
        modulus(&good[..128]),
        modulus(&good[..255]),
        modulus(&[&[0], good.as_slice()].concat()),
        modulus(&[]),
        modulus(&[&[1], [0; 1024].as_slice()].concat()),
        modulus(&[0xff; 1025]),
        json!({ "e": base64url([1]) }),
        json!({ "e": base64url([2]) }),
        json!({ "e": base64url([0, 1, 0, 1]) }),
        json!({ "e": base64url([1, 0, 0, 0, 1]) }),
        json!({ "e": "" }),
        json!({ "e": null }),
        json!({ "n": null }),
    ] {
        assert_eq!(admitted(&signer, signer.jwk_but(&changes)), Some(Refusal::UnknownKey), "{changes}");
    }
    let other = RsaKeyPair::generate(KeySize::Rsa3072).unwrap();
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(other.public_key());
    let stranger = signer.jwk_but(&json!({ "n": base64url(public.n) }));
    assert_eq!(admitted(&signer, stranger), Some(Refusal::BadSignature), "3072 bits are a key");
}

/// jsonwebtoken's `JwkSet::find` takes the first.
#[test]
fn a_kid_of_two_keys_is_no_key() {
    let (signer, forger) = (Signer::new("EdDSA", "key-1"), Signer::new("EdDSA", "key-1"));
    let good = Signer::new("ES256", "good");
    for twin in [
        forger.jwk(),
        Signer::new("ES256", "key-1").jwk(),
        // A member that is no key makes its name ambiguous all the same.
        signer.jwk_but(&json!({ "use": "enc" })),
        json!({ "kid": "key-1" }),
    ] {
        for members in [[signer.jwk(), twin.clone(), good.jwk()], [twin.clone(), good.jwk(), signer.jwk()]] {
            let desk = Desk::holding(&members);
            for key in [&signer, &forger] {
                assert_eq!(desk.admit(&key.token(&desk.payload())).err(), Some(Refusal::UnknownKey), "{twin}");
            }
            assert!(desk.admit(&good.token(&desk.payload())).is_ok());
        }
    }
    let thrice = Desk::holding(&[signer.jwk(), forger.jwk(), signer.jwk(), good.jwk()]);
    assert_eq!(thrice.admit(&signer.token(&thrice.payload())).err(), Some(Refusal::UnknownKey));
}

/// A set that was put together from two holds it twice; both say the same.
#[test]
fn a_key_that_is_told_twice_is_one() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new(algorithm, "key-1");
        let mut reordered: Vec<_> = signer.jwk().as_object().unwrap().clone().into_iter().collect();
        reordered.reverse();
        let reordered: Vec<_> = reordered.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        let annotated = signer.jwk_but(&json!({ "use": "sig", "key_ops": ["verify"], "x5c": ["AAAA"] })).to_string();
        for twin in [signer.jwk().to_string(), format!("{{{}}}", reordered.join(",")), annotated] {
            let desk = Desk::holding_document(format!(r#"{{"keys":[{},{twin},{twin}]}}"#, signer.jwk()).as_bytes());
            assert!(desk.admit(&signer.token(&desk.payload())).is_ok(), "{algorithm}: {twin}");
        }
    }
    // The same numbers for another algorithm are another key.
    let signer = Signer::new("RS256", "key-1");
    let desk =
        Desk::holding(&[signer.jwk(), signer.jwk_but(&json!({ "alg": "PS256" })), Signer::new("EdDSA", "good").jwk()]);
    assert_eq!(desk.admit(&signer.token(&desk.payload())).err(), Some(Refusal::UnknownKey));
}

#[test]
fn a_byte_order_mark_before_a_set_is_passed_over() {
    let signer = Signer::new("EdDSA", "key-1");
    let desk = Desk::holding_document(format!("\u{feff}{}", json!({ "keys": [signer.jwk()] })).as_bytes());
    assert!(desk.admit(&signer.token(&desk.payload())).is_ok());
}

#[test]
fn members_that_are_no_key_at_all() {
    let signer = Signer::new("EdDSA", "key-1");
    let jwk = signer.jwk().to_string();
    let doubled = jwk.replacen('{', r#"{"x":"AAAA","#, 1);
    for odd in
        ["null", "1", "\"key\"", "[]", "{}", "{\"kid\":\"key-2\"}", r#"{"kty":"OKP"}"#, &doubled, "1e999", "[[[[]]]]"]
    {
        let document = format!(r#"{{"more":[1],"keys":[{odd},{}]}}"#, Signer::new("EdDSA", "good").jwk());
        let desk = Desk::holding_document(document.as_bytes());
        assert_eq!(desk.admit(&signer.token(&desk.payload())).err(), Some(Refusal::UnknownKey), "{odd}");
        let document = format!(r#"{{"keys":[{},{}]}}"#, if odd == doubled { "{}" } else { odd }, signer.jwk());
        let desk = Desk::holding_document(document.as_bytes());
        assert!(desk.admit(&signer.token(&desk.payload())).is_ok(), "{odd}");
    }
}

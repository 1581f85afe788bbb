//! A key verifies what its own algorithm signed, and nothing else.

use serde_json::json;

use super::signer::{ALGORITHMS, Signer, base64url};
use super::{Desk, Refusal, desk};

#[test]
fn every_allowed_algorithm_is_verified() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new(algorithm, "key-1");
        let desk = Desk::holding(&[signer.jwk()]);
        assert!(desk.admit(&signer.token(&desk.payload())).is_ok(), "{algorithm}");
        let stranger = Signer::new(algorithm, "key-1");
        let mut token = stranger.token(&desk.payload());
        if algorithm.starts_with(['R', 'P']) {
            // All RSA keys of the tests are one: another message's signature stands in for a stranger's.
            let other = stranger.token(&desk.payload_but(&json!({ "sub": "someone-else" })));
            token.truncate(token.rfind('.').unwrap());
            token.push_str(&other[other.rfind('.').unwrap()..]);
        }
        assert_eq!(desk.admit(&token).err(), Some(Refusal::BadSignature), "{algorithm}");
    }
}

/// RFC 9864 gives `EdDSA` on Ed25519 a second name; either may stand on either side.
#[test]
fn ed25519_has_two_names() {
    let signer = Signer::new("EdDSA", "key-1");
    for published in ["EdDSA", "Ed25519"] {
        let desk = Desk::holding(&[signer.jwk_but(&json!({ "alg": published }))]);
        for named in ["EdDSA", "Ed25519"] {
            let header = json!({ "alg": named, "kid": "key-1" }).to_string();
            assert!(desk.admit(&signer.sign(header, desk.payload().to_string())).is_ok(), "{published} {named}");
        }
    }
}

/// One RSA key can sign by six algorithms. What it verifies is said by the set, never by the token.
#[test]
fn a_key_is_bound_to_one_algorithm() {
    for published in ALGORITHMS {
        let desk = Desk::holding(&[Signer::new(published, "key-1").jwk()]);
        for used in ALGORITHMS {
            if used == published || (used.starts_with("Ed") && published.starts_with("Ed")) {
                continue;
            }
            let token = Signer::new(used, "key-1").token(&desk.payload());
            assert_eq!(desk.admit(&token).err(), Some(Refusal::OtherAlgorithm), "{used} with a key for {published}");
        }
    }
}

/// `alg` is compared exactly, letter by letter; symmetric algorithms, `none` and those for encryption have no name here.
/// The key isn't looked for: an unknown `kid` doesn't matter.
#[test]
fn other_algorithms_are_forbidden_before_a_key_is_looked_for() {
    let (desk, signer) = desk();
    let names = [
        "none",
        "None",
        "NONE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "eddsa",
        "EDDSA",
        "es256",
        "RS1",
        "ES256K",
        "Ed448",
        "ECDH-ES",
        "RSA-OAEP",
        "A128KW",
        "dir",
        " EdDSA",
        "EdDSA\0",
        "ML-DSA-44",
    ];
    for name in names {
        let header = json!({ "alg": name, "kid": "nobody" }).to_string();
        let token = signer.sign(header, desk.payload().to_string());
        assert_eq!(desk.admit(&token).err(), Some(Refusal::ForbiddenAlgorithm), "{name:?}");
    }
}

/// The classic confusion: a token that is signed with HMAC, the public key as its secret.
#[test]
fn a_public_key_is_no_secret() {
    use aws_lc_rs::hmac;
    let signer = Signer::new("RS256", "key-1");
    let desk = Desk::holding(&[signer.jwk()]);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, signer.jwk().to_string().as_bytes());
    let message = format!(
        "{}.{}",
        base64url(json!({ "alg": "HS256", "kid": "key-1" }).to_string()),
        base64url(desk.payload().to_string())
    );
    let token = format!("{message}.{}", base64url(hmac::sign(&secret, message.as_bytes())));
    assert_eq!(desk.admit(&token).err(), Some(Refusal::ForbiddenAlgorithm));
}

/// An older Better Auth leaves `alg` out.
#[test]
fn a_key_without_alg_has_one_algorithm_even_so() {
    for (algorithm, implied) in [
        ("EdDSA", true),
        ("ES256", true),
        ("ES384", true),
        ("ES512", true),
        ("RS256", true),
        ("RS384", false),
        ("RS512", false),
        ("PS256", false),
        ("PS384", false),
        ("PS512", false),
    ] {
        let signer = Signer::new(algorithm, "key-1");
        let desk = Desk::holding(&[signer.jwk_but(&json!({ "alg": null }))]);
        let expected = if implied { None } else { Some(Refusal::OtherAlgorithm) };
        assert_eq!(desk.admit(&signer.token(&desk.payload())).err(), expected, "{algorithm}");
    }
}

/// jsonwebtoken chooses its backend by its features where nobody says which, and panics if there are two. The choice is
/// one for the whole process, so that this looks at a process in which nothing was verified yet.
#[test]
fn the_crypto_library_is_chosen_with_the_first_key() {
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "auth::tests::algorithms::alone"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "needs a process of its own; `the_crypto_library_is_chosen_with_the_first_key` runs it in one"]
fn alone() {
    use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
    let _ = Desk::holding(&[Signer::new("EdDSA", "key-1").jwk()]);
    let chosen = DEFAULT_PROVIDER.install_default().expect_err("chosen already");
    assert!(std::ptr::eq(chosen, &raw const DEFAULT_PROVIDER));
}

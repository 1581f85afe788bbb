//! Keys of every algorithm, to sign test tokens with. Independent of the code under test: aws-lc alone.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Every name of an algorithm that a token may have.
pub(super) const ALGORITHMS: [&str; 11] =
    ["EdDSA", "Ed25519", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/// One RSA key for all: they are slow to make.
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// A key and the algorithm that it signs with.
pub(super) struct Signer {
    algorithm: &'static str,
    kid: &'static str,
    key: Key,
}

enum Key {
    Ed(Box<Ed25519KeyPair>),
    Ec(Box<EcdsaKeyPair>, &'static str),
    Rsa(&'static dyn RsaEncoding),
}

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new key (RSA: the one for all).
    pub(super) fn new(algorithm: &'static str, kid: &'static str) -> Self {
        let ec = |algorithm, curve| Key::Ec(Box::new(EcdsaKeyPair::generate(algorithm).unwrap()), curve);
        let key = match algorithm {
            "EdDSA" | "Ed25519" => Key::Ed(Box::new(Ed25519KeyPair::generate().unwrap())),
            "ES256" => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            "RS256" => Key::Rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => Key::Rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => Key::Rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => Key::Rsa(&signature::RSA_PSS_SHA256),
            "PS384" => Key::Rsa(&signature::RSA_PSS_SHA384),
            "PS512" => Key::Rsa(&signature::RSA_PSS_SHA512),
            other => panic!("{other}"),
        };
        Self { algorithm, kid, key }
    }

    /// The public key as an issuer publishes it.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key()) }),
            Key::Ec(pair, curve) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
            }
            Key::Rsa(_) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(RSA.public_key());
                json!({ "kty": "RSA", "n": base64url(public.n), "e": base64url(public.e) })
            }
        };
        jwk["alg"] = self.algorithm.into();
        jwk["kid"] = self.kid.into();
        jwk
    }

    /// The public key, changed; null takes a member out.
    pub(super) fn jwk_but(&self, changes: &Value) -> Value {
        let mut jwk = self.jwk();
        for (name, value) in changes.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        jwk
    }

    /// The header as Better Auth writes it.
    pub(super) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "kid": self.kid })
    }

    /// A token with this payload.
    pub(super) fn token(&self, payload: &Value) -> String {
        self.sign(self.header().to_string(), payload.to_string())
    }

    /// A token with this header and payload, whatever they are.
    pub(super) fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_text(&format!("{}.{}", base64url(header), base64url(payload)))
    }

    /// Signs what stands before the last dot, whatever it is.
    pub(super) fn sign_text(&self, message: &str) -> String {
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Key::Ec(pair, _) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Key::Rsa(encoding) => {
                let mut signature = vec![0; RSA.public_modulus_len()];
                RSA.sign(*encoding, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{message}.{}", base64url(signature))
    }
}

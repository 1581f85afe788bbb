//! A public key, bound to the one algorithm that it verifies.

mod verified;

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use jsonwebtoken::{Algorithm as Jose, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::verified::{Fingerprint, Verified};
use super::token::decode;

/// The algorithms that a token may be signed with: an allow-list, all asymmetric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Algorithm {
    EdDsa,
    Es256,
    Es384,
    Es512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
}

impl Algorithm {
    /// The algorithm of this exact name. `Ed25519` is what RFC 9864 calls `EdDSA` on that curve, the only one here.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "EdDSA" | "Ed25519" => Self::EdDsa,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            _ => return None,
        })
    }

    /// The algorithm of a key that doesn't name its own, from its type and curve.
    ///
    /// A curve leaves one choice. For RSA it is `RS256`, the only one that RFC 7518 recommends, and what issuers that
    /// leave `alg` out sign with. It is one algorithm even so: the token is never asked.
    fn implied(kty: &str, crv: Option<&str>) -> Option<Self> {
        Some(match (kty, crv) {
            ("OKP", Some("Ed25519")) => Self::EdDsa,
            ("EC", Some("P-256")) => Self::Es256,
            ("EC", Some("P-384")) => Self::Es384,
            ("EC", Some("P-521")) => Self::Es512,
            ("RSA", None) => Self::Rs256,
            _ => return None,
        })
    }
}

/// A member of a key set (RFC 7517, section 4), as far as it is read.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    /// The private part, which nobody should see here.
    d: Option<IgnoredAny>,
}

/// What verifies the signatures.
///
/// jsonwebtoken builds aws-lc's key object anew for each signature. Measured, that is 1 µs of the 13 to 130 that a
/// verification takes, so its own type is kept, and only ES512, which it lacks, goes to aws-lc directly.
enum Material {
    Jose(Jose, DecodingKey),
    Es512(ParsedPublicKey),
}

/// A key that verifies signatures of its one algorithm.
pub(super) struct VerifyingKey {
    algorithm: Algorithm,
    /// Its public numbers as they are published, each of which has one spelling.
    numbers: [Option<String>; 4],
    material: Material,
    verified: Verified,
}

impl VerifyingKey {
    /// The key of a member; `None` where it can't be used here: another type, purpose, operation, curve or algorithm,
    /// a point that isn't on its curve, RSA outside 2048 to 8192 bits, or a private key.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let for_signatures = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !for_signatures || jwk.d.is_some() {
            return None;
        }
        let algorithm = match jwk.alg.as_deref() {
            Some(name) => Algorithm::from_name(name)?,
            None => Algorithm::implied(&jwk.kty, jwk.crv.as_deref())?,
        };
        install_crypto();
        let curve = |kty: &str, crv: &str| (jwk.kty == kty && jwk.crv.as_deref() == Some(crv)).then_some(());
        let rsa = |algorithm: Jose| {
            if jwk.kty != "RSA" {
                return None;
            }
            let (n, e) = (decode(jwk.n.as_ref()?)?, decode(jwk.e.as_ref()?)?);
            is_strong_rsa(&n, &e).then(|| Material::Jose(algorithm, DecodingKey::from_rsa_raw_components(&n, &e)))
        };
        let material = match algorithm {
            Algorithm::EdDsa => {
                curve("OKP", "Ed25519")?;
                let x = coordinate(jwk.x.as_ref(), 32)?;
                parse(&ED25519, &x)?;
                Material::Jose(Jose::EdDSA, DecodingKey::from_ed_der(&x))
            }
            Algorithm::Es256 => {
                curve("EC", "P-256")?;
                let point = point(jwk, 32)?;
                parse(&ECDSA_P256_SHA256_FIXED, &point)?;
                Material::Jose(Jose::ES256, DecodingKey::from_ec_der(&point))
            }
            Algorithm::Es384 => {
                curve("EC", "P-384")?;
                let point = point(jwk, 48)?;
                parse(&ECDSA_P384_SHA384_FIXED, &point)?;
                Material::Jose(Jose::ES384, DecodingKey::from_ec_der(&point))
            }
            Algorithm::Es512 => {
                curve("EC", "P-521")?;
                Material::Es512(parse(&ECDSA_P521_SHA512_FIXED, &point(jwk, 66)?)?)
            }
            Algorithm::Rs256 => rsa(Jose::RS256)?,
            Algorithm::Rs384 => rsa(Jose::RS384)?,
            Algorithm::Rs512 => rsa(Jose::RS512)?,
            Algorithm::Ps256 => rsa(Jose::PS256)?,
            Algorithm::Ps384 => rsa(Jose::PS384)?,
            Algorithm::Ps512 => rsa(Jose::PS512)?,
        };
        let numbers = [&jwk.x, &jwk.y, &jwk.n, &jwk.e].map(Clone::clone);
        Some(Self { algorithm, numbers, material, verified: Verified::default() })
    }

    /// Whether both verify the same signatures.
    pub(super) fn is_same_key(&self, other: &Self) -> bool {
        (self.algorithm, &self.numbers) == (other.algorithm, &other.numbers)
    }

    /// The algorithm that the key is for.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature`, encoded, is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let fingerprint = Fingerprint::of(message, signature);
        if self.verified.holds(fingerprint) {
            return true;
        }
        let verified = self.verify(message, signature);
        if verified {
            self.verified.remember(fingerprint);
        }
        verified
    }

    fn verify(&self, message: &[u8], signature: &str) -> bool {
        match &self.material {
            Material::Jose(algorithm, key) => {
                jsonwebtoken::crypto::verify(signature, message, key, *algorithm).unwrap_or(false)
            }
            Material::Es512(key) => {
                decode(signature).is_some_and(|signature| key.verify_sig(message, &signature).is_ok())
            }
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Makes aws-lc jsonwebtoken's backend. Left to itself the crate chooses by its features, and panics at the first
/// signature where another crate of the build has switched on its second backend.
fn install_crypto() {
    // It fails where it was done before.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// A coordinate of exactly `length` bytes: a padded or shortened one is another encoding of the same key.
fn coordinate(text: Option<&String>, length: usize) -> Option<Vec<u8>> {
    decode(text?).filter(|bytes| bytes.len() == length)
}

/// A point, uncompressed (SEC 1, section 2.3.3).
fn point(jwk: &Jwk, length: usize) -> Option<Vec<u8>> {
    let (x, y) = (coordinate(jwk.x.as_ref(), length)?, coordinate(jwk.y.as_ref(), length)?);
    Some([&[4], x.as_slice(), y.as_slice()].concat())
}

/// Parses a key once, so that one that is no point of its curve is found out when it is fetched.
fn parse(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Option<ParsedPublicKey> {
    ParsedPublicKey::new(algorithm, bytes).ok()
}

/// Whether RSA components make a key of 2048 to 8192 bits with a sane exponent. With the exponent 1 every message is its
/// own signature.
fn is_strong_rsa(n: &[u8], e: &[u8]) -> bool {
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last % 2 == 1);
    (2048..=8192).contains(&bits)
        && odd(n)
        && odd(e)
        && e.len() <= 4
        && e != [1]
        && RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).is_ok()
}

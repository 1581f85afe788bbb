//! A certificate authority of our own, and a certificate of a server on this machine.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// All in PEM.
pub(crate) struct Certificates {
    /// What a client trusts.
    pub(crate) authority: String,
    /// What the server shows.
    pub(crate) certificate: String,
    /// What the server keeps to itself.
    pub(crate) key: String,
}

/// Makes an authority and, signed by it, a certificate for this machine. The authority's key is thrown away.
pub(crate) fn issue() -> Result<Certificates> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Colloquy development");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let key = KeyPair::generate()?;
    let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let certificate = params.signed_by(&key, &authority)?;
    Ok(Certificates { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
}

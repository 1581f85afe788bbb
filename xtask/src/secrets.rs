//! Random passwords.

use std::fmt::Write;

use anyhow::{Context, Result};

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).ok().context("no random numbers can be had")?;
    Ok(bytes)
}

/// A password: hexadecimal, so that it stands in a URL, a shell and an SQL literal as it is.
pub(crate) fn password() -> Result<String> {
    Ok(hex(&random::<24>()?))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

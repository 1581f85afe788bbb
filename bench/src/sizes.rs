//! How large a function is: its binary, and the zip that Lambda is given.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// A function's sizes in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Size {
    pub(crate) function: &'static str,
    pub(crate) binary: u64,
    pub(crate) zip: u64,
}

/// Zips a binary as `bootstrap`, as Lambda wants it. By Python's own zip, since Python is needed anyway and no crate of
/// this tree writes one.
pub(crate) fn of(function: &'static str, binary: &Path, scratch: &Path) -> Result<Size> {
    let folder = scratch.join("zip");
    fs::create_dir_all(&folder)?;
    let (bootstrap, zip) = (folder.join("bootstrap"), folder.join(format!("{function}.zip")));
    fs::copy(binary, &bootstrap).with_context(|| format!("couldn't copy {}", binary.display()))?;
    let output = Command::new("python3")
        .args(["-m", "zipfile", "-c"])
        .args([&zip, &bootstrap])
        .output()
        .context("python3 is missing, which zips")?;
    ensure!(output.status.success(), "python3 -m zipfile: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Size { function, binary: fs::metadata(binary)?.len(), zip: fs::metadata(&zip)?.len() })
}

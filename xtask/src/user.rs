//! Which user servers run as that refuse root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Who runs PostgreSQL and PgBouncer.
#[derive(Clone, Debug)]
pub(crate) enum User {
    /// Whoever runs this program.
    Same,
    /// Somebody without rights, since this program runs as root.
    Other {
        /// The user's number.
        uid: u32,
        /// The number of the user's group.
        gid: u32,
    },
}

impl User {
    /// This program's user or, for root, `nobody`: the one user without rights that every system has.
    pub(crate) fn without_rights() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Same);
        }
        if Command::new("setpriv").arg("--version").output().is_err() {
            bail!(
                "PostgreSQL refuses to run as root, and setpriv, which runs it as another user, is missing: install util-linux, or run this as an ordinary user"
            );
        }
        Ok(Self::Other { uid: number("-u")?, gid: number("-g")? })
    }

    /// The options with which setpriv becomes this user.
    pub(crate) fn options(&self) -> Vec<String> {
        match self {
            Self::Same => Vec::new(),
            Self::Other { uid, gid } => {
                vec![format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]
            }
        }
    }

    /// Creates a folder that only this user may enter. Folders above it are made for everyone.
    pub(crate) fn create_folder(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("couldn't create {}", folder.display()))?;
        self.take(folder, 0o700)
    }

    /// Writes a file that only this user may read.
    pub(crate) fn write_secret(&self, file: &Path, text: &str) -> Result<()> {
        // Made empty and closed to others before the secret is in it.
        fs::write(file, "").with_context(|| format!("couldn't write {}", file.display()))?;
        self.take(file, 0o600)?;
        fs::write(file, text).with_context(|| format!("couldn't write {}", file.display()))
    }

    fn take(&self, path: &Path, mode: u32) -> Result<()> {
        let taken = || -> std::io::Result<()> {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            match self {
                Self::Same => Ok(()),
                Self::Other { uid, gid } => chown(path, Some(*uid), Some(*gid)),
            }
        };
        taken().with_context(|| format!("couldn't set the owner of {}", path.display()))
    }
}

fn number(option: &str) -> Result<u32> {
    let output = Command::new("id").args([option, "nobody"]).output().context("couldn't run id")?;
    String::from_utf8_lossy(&output.stdout).trim().parse().context("there is no user `nobody` to run PostgreSQL as")
}

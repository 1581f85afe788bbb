//! Where things are: the clone, what is installed beside it, and what PostgreSQL writes.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aws_lc_rs::digest;

use crate::secrets::hex;
use crate::user::User;

/// The clone's folder.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where everything is kept that can be made anew; git ignores it.
pub(crate) fn state() -> PathBuf {
    root().join(".colloquy")
}

/// The package of Better Auth's server.
pub(crate) fn better_auth() -> PathBuf {
    root().join("xtask/better-auth")
}

/// The cargo that runs this, or another.
pub(crate) fn cargo() -> String {
    shared::config::environment("CARGO").unwrap_or_else(|| "cargo".to_owned())
}

/// Cargo's target folder, which a setting may have moved.
pub(crate) fn target() -> Result<PathBuf> {
    // target/debug/xtask, or the same below another folder.
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    program.ancestors().nth(2).map(Path::to_owned).context("this program doesn't lie in Cargo's target folder")
}

/// Where PostgreSQL and PgBouncer keep their files.
///
/// They refuse to run as root, and another user can't reach a clone below root's home or a temporary folder. So for
/// root it is a folder outside of the clone, named after it: the data of two clones never meet, and neither is lost
/// with the temporary files.
pub(crate) fn database_state(user: &User) -> Result<PathBuf> {
    let folder = match user {
        User::Same => state().join("databases"),
        User::Other { .. } => outside_clones()?.join(clone_name(root())),
    };
    user.create_folder(&folder)?;
    Ok(folder)
}

/// What root shares between clones, and what other users can reach.
pub(crate) fn outside_clones() -> Result<PathBuf> {
    let folder = PathBuf::from("/var/lib/colloquy-development");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("couldn't create {}", folder.display()))?;
    Ok(folder)
}

/// A folder's name that tells a person which clone it belongs to, and that no other clone has.
fn clone_name(root: &Path) -> String {
    let path = root.to_string_lossy();
    let words: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let end = &words[words.len().saturating_sub(80)..];
    let hash = digest::digest(&digest::SHA256, path.as_bytes());
    format!("{}-{}", end.trim_matches('-'), hex(&hash.as_ref()[..4]))
}

/// The folder for logs, emptied of those of the last run.
pub(crate) fn fresh_logs(name: &str) -> Result<PathBuf> {
    let folder = state().join("logs").join(name);
    remove_folder(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("couldn't create {}", folder.display()))?;
    Ok(folder)
}

/// Keeps others in this clone from what they mustn't do at the same time, until the file is dropped. `None` where
/// another has it.
pub(crate) fn lock(name: &str) -> Result<Option<File>> {
    let folder = state();
    fs::create_dir_all(&folder).with_context(|| format!("couldn't create {}", folder.display()))?;
    let file = File::create(folder.join(format!("{name}.lock")))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Removes a folder that may not be there.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("couldn't remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_clones_share_a_folder() {
        let name = |path: &str| clone_name(Path::new(path));
        assert!(name("/home/ada/colloquy").starts_with("home-ada-colloquy-"));
        assert_ne!(name("/home/ada/colloquy"), name("/home/ada-colloquy"));
        assert!(name(&"/very long".repeat(100)).len() < 100);
        assert_ne!(name(&"/very long".repeat(100)), name(&"/very long".repeat(101)));
    }
}

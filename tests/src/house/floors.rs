//! Imports go down the floors only, and `functions` knows nothing below `Db` and `Caller`.

use std::fs;
use std::path::{Path, PathBuf};

/// The floor of each module of `shared`, the ground floor being 0.
const FLOORS: [(&str, u8); 16] = [
    ("error", 0),
    ("model", 0),
    ("id", 0),
    ("clock", 0),
    ("metrics", 0),
    ("tls", 0),
    ("config", 1),
    ("secrets", 2),
    ("auth", 3),
    ("db", 3),
    ("ui_stream", 3),
    ("agent", 3),
    ("relay", 4),
    ("http", 5),
    ("runtime", 5),
    ("lib", 6),
];

fn floor(module: &str) -> u8 {
    let known = FLOORS.iter().find(|(name, _)| *name == module);
    known.unwrap_or_else(|| panic!("shared::{module} is on no floor: give it one here and in the design")).1
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

/// The modules of `shared` that a file of `shared` names by `crate::`.
fn imports(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let ends = code.flat_map(|line| line.match_indices("crate::").map(move |(at, found)| &line[at + found.len()..]));
    ends.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or_default())
        .filter(|module| !module.is_empty())
        .collect()
}

#[test]
fn imports_go_down_the_floors() {
    let source = root().join("shared/src");
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("below the source").to_owned();
        let first = relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&file).expect("a file");
        // On one floor, modules know each other where the design says so: those of the ground floor, `runtime` which
        // runs what `http` serves, `db` which takes a `Caller` and puts
        // a dead run's frames together, `agent` which gives frames.
        for import in imports(&text) {
            let neighbours = matches!(
                (module.as_str(), import),
                ("runtime", "http") | ("db", "auth" | "ui_stream") | ("agent", "ui_stream")
            );
            let same = import == module || neighbours || (floor(import), floor(&module)) == (0, 0);
            assert!(
                same || floor(import) < floor(&module),
                "{}: imports {import}, which isn't below {module}",
                file.display()
            );
        }
    }
}

#[test]
fn functions_see_neither_driver_nor_http_client() {
    let manifest = fs::read_to_string(root().join("functions/Cargo.toml")).expect("a manifest");
    let dependencies = manifest.split("[dependencies]").nth(1).expect("dependencies");
    for banned in ["tokio-postgres", "deadpool", "reqwest", "rustls", "jsonwebtoken", "lambda"] {
        assert!(!dependencies.contains(banned), "functions depends on {banned}");
    }
}

#[test]
fn no_file_is_over_400_lines() {
    for folder in ["shared/src", "functions/src", "tests/src", "xtask/src", "bench/src"] {
        for file in rust_files(&root().join(folder)) {
            let lines = fs::read_to_string(&file).expect("a file").lines().count();
            assert!(lines <= 400, "{}: {lines} lines", file.display());
        }
    }
}

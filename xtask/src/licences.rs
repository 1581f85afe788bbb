//! Whether we may ship what we depend on.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};

use crate::program::Program;
use crate::progress::say;
use crate::workspace;

/// Licences that ask for no more than their text beside the binary.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// What a licence may be followed by: each gives more rights, not fewer.
const EXCEPTIONS: &[&str] = &["LLVM-exception"];

/// Checks every dependency on every platform, those of tests too.
pub(crate) async fn check() -> Result<()> {
    say("checking licences");
    let metadata = Program::new("cargo metadata", vec![workspace::cargo()])
        .args(["metadata", "--format-version=1", "--locked"])
        .folder(workspace::root())
        .run_quietly(Duration::from_mins(5))
        .await?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let refused: Vec<String> = metadata["packages"].as_array().into_iter().flatten().filter_map(refusal).collect();
    if refused.is_empty() { Ok(()) } else { bail!("{}", refused.join("; ")) }
}

/// Why a package of `cargo metadata` may not be used, if it may not.
fn refusal(package: &Value) -> Option<String> {
    // Ours have no source.
    package["source"].as_str()?;
    let reason = match package["license"].as_str() {
        None => "names no licence".to_owned(),
        // Lax, for the older way to write "or": MIT/Apache-2.0.
        Some(licence) => match Expression::parse_mode(licence, ParseMode::LAX) {
            Ok(expression) if expression.evaluate(is_allowed) => return None,
            Ok(_) => format!("has a licence that is not on our list: {licence}"),
            Err(error) => format!("has a licence that can't be read: {licence} ({})", error.reason),
        },
    };
    let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
    Some(format!("{} {} {reason}", text("name"), text("version")))
}

fn is_allowed(licence: &LicenseReq) -> bool {
    let exception =
        licence.addition.as_ref().is_none_or(|addition| EXCEPTIONS.contains(&addition.to_string().as_str()));
    exception && licence.license.id().is_some_and(|id| ALLOWED.contains(&id.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(licence: &Value) -> Option<String> {
        refusal(&json!({"name": "x", "version": "1.0.0", "source": "registry", "license": licence}))
    }

    #[test]
    fn one_allowed_choice_is_enough() {
        for licence in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR ISC", "(MIT OR GPL-2.0-only) AND Unicode-3.0"] {
            assert_eq!(with(&json!(licence)), None, "{licence}");
        }
        assert_eq!(with(&json!("Apache-2.0 WITH LLVM-exception")), None);
    }

    #[test]
    fn every_required_licence_must_be_allowed() {
        for licence in ["GPL-3.0-only", "MIT AND MPL-2.0", "Apache-2.0 WITH Classpath-exception-2.0", "LicenseRef-own"]
        {
            assert!(with(&json!(licence)).is_some_and(|reason| reason.contains("not on our list")), "{licence}");
        }
        assert!(with(&json!("free for all")).is_some_and(|reason| reason.contains("can't be read")));
        assert_eq!(with(&Value::Null).unwrap(), "x 1.0.0 names no licence");
    }

    #[test]
    fn our_own_packages_need_none() {
        assert_eq!(refusal(&json!({"name": "shared", "version": "0.1.0", "source": null, "license": null})), None);
    }
}

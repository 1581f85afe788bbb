//! Files of settings, as `.env` files are written: `NAME=value`, quoted or not, with comments.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The settings of a file, in its order.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(path).with_context(|| format!("couldn't read {}", path.display()))?;
    let mut settings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match parse(line) {
            Ok(setting) => settings.extend(setting),
            // Without the line: there may be a password in it.
            Err(what) => bail!("{}, line {number}: {what}", path.display()),
        }
    }
    Ok(settings)
}

fn parse(line: &str) -> Result<Option<(String, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("is no NAME=value")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("has no name before its equals sign");
    }
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (quoted, _) = value[1..].split_once(quote).ok_or("has a quote that doesn't end")?;
            quoted
        }
        // A comment begins after a space: a URL may have a # in it.
        _ => value.split_once(" #").map_or(value, |(value, _)| value.trim_end()),
    };
    Ok(Some((name.to_owned(), value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        for (line, expected) in [
            ("", None),
            ("  # DATABASE_URL=x", None),
            ("A=b", Some("b")),
            ("export A = b # said", Some("b")),
            ("A=", Some("")),
            ("A=\"b c\" # said", Some("b c")),
            ("A='b\"c'", Some("b\"c")),
            ("A=https://x/#y?a=b", Some("https://x/#y?a=b")),
        ] {
            let value = parse(line).unwrap().map(|(_, value)| value);
            assert_eq!(value.as_deref(), expected, "{line}");
        }
        for line in ["A", "=b", "A B=c", "A=\"b"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

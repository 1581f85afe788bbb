//! Links that a reader may be led to, and those that may not even be stored.

use serde_json::{Map, Value};

use crate::model::{is_web_url, limits};

/// Whether a link leads to the web. The parser of browsers passes over white space and control characters, so that
/// they hide a scheme: a link that has any is none.
pub(in crate::agent) fn is_good(url: &str) -> bool {
    url.len() <= limits::SOURCE_URL_BYTES
        && is_web_url(url)
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
        && host(url).is_some()
}

pub(super) fn host(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.host_str().map(str::to_owned))?
}

/// Whether a text is a link that runs in the reader's page, read as a browser reads it.
pub(super) fn runs(text: &str) -> bool {
    let mut scheme = String::new();
    for c in text.chars().filter(|c| !c.is_whitespace() && !c.is_control()) {
        match c {
            ':' => return matches!(scheme.as_str(), "javascript" | "vbscript" | "data"),
            c if c.is_ascii_alphabetic() && scheme.len() < 10 => scheme.push(c.to_ascii_lowercase()),
            _ => return false,
        }
    }
    false
}

/// Takes out every such link, however deep.
pub(super) fn remove_running(object: &mut Map<String, Value>) {
    object.retain(|_, value| keep(value));
}

fn keep(value: &mut Value) -> bool {
    match value {
        Value::String(text) => return !runs(text),
        Value::Array(items) => items.retain_mut(keep),
        Value::Object(object) => remove_running(object),
        _ => {}
    }
    true
}

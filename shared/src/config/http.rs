//! Who may call from a browser, and under which path.

use std::fmt;

use super::Reader;

/// Who may call from a browser, and under which path.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// Origins whose pages may call.
    pub cors_origins: CorsOrigins,
    /// The base path of a custom domain's mapping, without a trailing slash; empty where there is none.
    pub base_path: String,
}

/// Whose pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Nobody's.
    #[default]
    None,
    /// Everybody's.
    Any,
    /// Those of these origins.
    These(Vec<AllowedOrigin>),
}

/// An origin whose pages may call, as browsers send it in `Origin`, or a pattern of such origins.
///
/// "If origin is an opaque origin, then return "null". Otherwise, let result be origin's scheme. Append "://" to result. Append
/// origin's host, serialized, to result", and a port that isn't the scheme's own
/// (<https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin>). Web views and extensions have
/// schemes of their own: `capacitor://localhost`, `tauri://localhost`, `chrome-extension://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// This one.
    Exact(String),
    /// Each name one label below a domain: `https://*.example.com`.
    Subdomain {
        /// What stands before the label: `https://`.
        before: String,
        /// What stands behind it: `.example.com`, with the port.
        after: String,
    },
}

/// A scheme whose documents have no origin that a browser would send: it sends `null`, or nothing.
const WITHOUT_ORIGIN: [&str; 9] = ["about", "blob", "data", "file", "filesystem", "ftp", "javascript", "ws", "wss"];

impl AllowedOrigin {
    /// Reads an origin or a pattern. The error says what is wrong, completing "the entry …".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((before, after)) = text.split_once('*') else {
            return exact(text).map(|()| Self::Exact(text.to_owned()));
        };
        if !matches!(before, "https://" | "http://") || !after.starts_with('.') || after.contains('*') {
            return Err("may have one *, as the first label of an https or http origin: https://*.example.com");
        }
        // A label in its place makes an origin of it, or nothing could match.
        exact(&format!("{before}a{after}"))?;
        let domain = after[1..].split(':').next().unwrap_or_default();
        if !domain.contains('.') && domain != "localhost" {
            return Err("must have a domain below the top level behind its *");
        }
        Ok(Self::Subdomain { before: before.to_owned(), after: after.to_owned() })
    }

    /// Whether pages of this origin may call.
    #[must_use]
    pub fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Exact(known) => known.as_bytes() == origin,
            Self::Subdomain { before, after } => {
                let label = origin.strip_prefix(before.as_bytes()).and_then(|rest| rest.strip_suffix(after.as_bytes()));
                label.is_some_and(|label| {
                    let is_name =
                        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(byte);
                    !label.is_empty() && label.iter().all(is_name)
                })
            }
        }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(origin) => f.write_str(origin),
            Self::Subdomain { before, after } => write!(f, "{before}*{after}"),
        }
    }
}

/// Whether a browser could send this. One with a path or in other letters would silently never match.
fn exact(text: &str) -> Result<(), &'static str> {
    const FORM: &str = "must be an origin as browsers send it: scheme://host, in small letters, without path, slash or the \
        scheme's own port";
    if text == "null" {
        return Ok(());
    }
    let (scheme, host) = text.split_once("://").ok_or(FORM)?;
    if matches!(scheme, "https" | "http") {
        let same = reqwest::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text);
        return if same { Ok(()) } else { Err(FORM) };
    }
    if WITHOUT_ORIGIN.contains(&scheme) {
        return Err("is of a scheme whose pages have no origin: browsers send null for them");
    }
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    let is_host =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\\"<>^|%".contains(&byte));
    if is_scheme && is_host { Ok(()) } else { Err(FORM) }
}

impl HttpConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let cors_origins = match reader.get("CORS_ORIGINS").as_deref() {
            None => CorsOrigins::None,
            Some("*") => CorsOrigins::Any,
            Some(list) => {
                let entries = list.split(',').map(str::trim).map(AllowedOrigin::parse).enumerate();
                let mut origins = Vec::new();
                for (at, entry) in entries {
                    match entry {
                        Ok(origin) => origins.push(origin),
                        // The place, not the value: a value of a setting is never told.
                        Err(fault) => reader.faults.push(format!("CORS_ORIGINS has a fault: entry {} {fault}", at + 1)),
                    }
                }
                CorsOrigins::These(origins)
            }
        };
        let base_path = reader.get("BASE_PATH").unwrap_or_default();
        let base_path = base_path.trim_end_matches('/').to_owned();
        if !base_path.is_empty() && !base_path.starts_with('/') {
            reader.faults.push("BASE_PATH must begin with a slash".to_owned());
        }
        Self { cors_origins, base_path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_browser_sends_is_refused() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "http://127.0.0.1:5173",
            "http://[::1]:5173",
            "https://xn--mller-kva.example",
            "https://*.example.com",
            "https://*.example.com:8443",
            "http://*.localhost:3000",
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://obsidian.md",
            "vscode-webview://1a2b",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "moz-extension://f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "null",
        ] {
            assert_eq!(AllowedOrigin::parse(good).map(|it| it.to_string()).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "*",
            "Null",
            "example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://App.example.com",
            "HTTPS://app.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://user@app.example.com",
            "https://müller.example",
            "https://app.example.com https://b.example.com",
            "https://*",
            "https://*.com",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://app-*.example.com",
            "https://*example.com",
            "https://*.example.com/",
            "https://*.Example.com",
            "https://app.example.com:*",
            "*://app.example.com",
            "*.example.com",
            "chrome-extension://*",
            "capacitor://*.localhost",
            "capacitor://localhost/",
            "Capacitor://localhost",
            "capacitor://",
            "://localhost",
            "file://",
            "file:///home",
            "wss://app.example.com",
            "ftp://app.example.com",
            "data:text/html",
        ] {
            assert!(AllowedOrigin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_star_is_one_label() {
        let pattern = AllowedOrigin::parse("https://*.example.com:8443").unwrap();
        for (origin, matches) in [
            ("https://a.example.com:8443", true),
            ("https://pr-17_x.example.com:8443", true),
            ("https://xn--mller-kva.example.com:8443", true),
            ("https://.example.com:8443", false),
            ("https://example.com:8443", false),
            ("https://a.b.example.com:8443", false),
            ("https://a.example.com", false),
            ("http://a.example.com:8443", false),
            ("https://a.example.com:8443.evil.example", false),
            ("https://evil.example/.example.com:8443", false),
            ("https://evil.example?.example.com:8443", false),
            ("https://A.example.com:8443", false),
            ("https://a@b.example.com:8443", false),
            ("null", false),
        ] {
            assert_eq!(pattern.matches(origin.as_bytes()), matches, "{origin}");
        }
    }
}

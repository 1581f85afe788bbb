//! Reads settings, each into what it may be, and collects what is wrong with them.

use std::net::IpAddr;
use std::time::Duration;

use super::{BadConfig, settings};
use crate::tls::is_private;

/// Reads settings by name and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(super) faults: Vec<String>,
}

impl Reader<'_> {
    /// A setting; an empty one counts as not set, since templates can't leave one out.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn required(&mut self, name: &str) -> String {
        self.get(name).unwrap_or_else(|| {
            self.faults.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A setting's text, or that of its default.
    pub(super) fn or_default(&self, name: &str) -> String {
        let default =
            || settings().find(|setting| setting.name == name).map_or("", |setting| setting.default).to_owned();
        self.get(name).unwrap_or_else(default)
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, name: &'static str, least: u64, most: u64) -> u64 {
        let text = self.or_default(name);
        text.parse().ok().filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
            self.faults.push(format!("{name} must be a whole number from {least} to {most}"));
            least
        })
    }

    /// A whole number within bounds, or nothing.
    pub(super) fn optional_number(&mut self, name: &'static str, least: u64, most: u64) -> Option<u64> {
        self.get(name)?;
        Some(self.number(name, least, most))
    }

    /// The place of a setting's word among those that it may be; the first is the default.
    pub(super) fn word<const N: usize>(&mut self, name: &'static str, words: [&str; N]) -> usize {
        let text = self.or_default(name);
        words.iter().position(|word| *word == text).unwrap_or_else(|| {
            self.faults.push(format!("{name} must be one of: {}", words.join(", ")));
            0
        })
    }

    /// A time within the setting's range.
    pub(super) fn seconds(&mut self, name: &'static str) -> Duration {
        let range = settings().find(|setting| setting.name == name).and_then(|setting| setting.range);
        let (least, most) = range.unwrap_or((1, u64::from(u32::MAX)));
        Duration::from_secs(self.number(name, least, most))
    }

    pub(super) fn log_level(&mut self) -> tracing::Level {
        self.get("LOG_LEVEL").as_deref().unwrap_or("info").parse().unwrap_or_else(|_| {
            self.faults.push("LOG_LEVEL must be error, warn, info, debug or trace".to_owned());
            tracing::Level::INFO
        })
    }

    /// A value that CloudWatch takes as a dimension.
    pub(super) fn metrics_stack(&mut self) -> Option<String> {
        let stack = self.get("METRICS_STACK")?;
        if stack.len() > 255 || !stack.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            self.faults.push("METRICS_STACK must be a name of at most 255 printable ASCII characters".to_owned());
        }
        Some(stack)
    }

    pub(super) fn or_faults<T>(self, config: T) -> Result<T, BadConfig> {
        if self.faults.is_empty() { Ok(config) } else { Err(BadConfig(self.faults)) }
    }

    /// Whether a host is this machine: for a function in `sam local`, the one around its container, too.
    fn is_here(&self, host: &str) -> bool {
        let in_sam_local = || self.get("AWS_SAM_LOCAL").is_some_and(|value| value == "true");
        is_loopback(host) || (host == AROUND_THE_CONTAINER && in_sam_local())
    }

    /// A URL: https, or http to this machine.
    pub(super) fn url(&mut self, name: &str, text: String) -> String {
        let fault = match Scheme::of(&text) {
            Scheme::Secure => None,
            Scheme::Plain(host) if self.is_here(&host) => None,
            Scheme::None => Some("is not a URL"),
            Scheme::Plain(_) | Scheme::Other => Some("must be https (http only to this machine)"),
        };
        self.checked_url(name, text, fault)
    }

    /// The same, or http to a private network where the setting `permit` says so. What a name leads to is seen when it is
    /// connected to (`tls::private_network`); an address is seen here.
    pub(super) fn url_or_private(&mut self, name: &str, text: String, permit: &'static str) -> String {
        let permitted = self.word(permit, ["false", "true"]) == 1;
        let fault = match Scheme::of(&text) {
            Scheme::Secure => None,
            Scheme::Plain(host) if self.is_here(&host) => None,
            Scheme::Plain(host) if permitted && address(&host).is_none_or(is_private) => None,
            Scheme::None => Some("is not a URL".to_owned()),
            Scheme::Plain(_) if permitted => {
                Some("must be https (http only to this machine or a private network)".to_owned())
            }
            Scheme::Plain(_) | Scheme::Other => {
                Some(format!("must be https (http only to this machine; to a private network with {permit}=true)"))
            }
        };
        self.checked_url(name, text, fault.as_deref())
    }

    fn checked_url(&mut self, name: &str, text: String, fault: Option<&str>) -> String {
        // One that isn't set is told as such.
        if let Some(fault) = fault.filter(|_| !text.is_empty()) {
            self.faults.push(format!("{name} {fault}"));
        }
        text
    }
}

/// How a URL is spoken to.
enum Scheme {
    Secure,
    /// http, to this host.
    Plain(String),
    Other,
    /// It is no URL.
    None,
}

impl Scheme {
    fn of(text: &str) -> Self {
        match reqwest::Url::parse(text) {
            Err(_) => Self::None,
            Ok(url) => match (url.scheme(), url.host_str()) {
                ("https", Some(_)) => Self::Secure,
                ("http", Some(host)) => Self::Plain(host.to_owned()),
                _ => Self::Other,
            },
        }
    }
}

/// A host that is an address.
fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// What a container of `sam local` calls the machine that it runs on.
const AROUND_THE_CONTAINER: &str = "host.docker.internal";

/// Whether a host name or address is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

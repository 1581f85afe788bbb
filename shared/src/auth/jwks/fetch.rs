//! The fetcher: one bounded GET, and what a failed one says about the next.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reqwest::{Client, Url};

use super::set::{KeySet, NotASet};
use crate::config::AuthConfig;
use crate::error::Error;
use crate::tls;

/// To connect, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For all of a fetch, to the last byte.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of a key set: about 500 RSA keys.
const MAX_BYTES: usize = 256 * 1024;

/// Fetches the set of one URL.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    url: Url,
}

/// A failed fetch.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// How long the endpoint wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// Why a fetch failed.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// No whole answer came.
    Transport(String),
    /// It took longer than the total timeout.
    Slow,
    /// An answer other than 200, redirects included.
    Status(StatusCode),
    /// More bytes than the cap.
    TooLarge,
    /// An answer that is no set of keys.
    NotASet(NotASet),
    /// Nobody waited for it any more.
    Cancelled,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: None }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(cause) => write!(f, "no answer: {cause}"),
            Self::Slow => write!(f, "no answer within {} s", TOTAL_TIMEOUT.as_secs()),
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::TooLarge => write!(f, "more than {MAX_BYTES} bytes"),
            Self::NotASet(NotASet::Malformed) => f.write_str("not a key set"),
            Self::NotASet(NotASet::TooMany) => write!(f, "more than {} keys", super::set::MEMBERS),
            Self::NotASet(NotASet::NoUsableKey) => f.write_str("no usable key"),
            Self::Cancelled => f.write_str("cancelled before it ended"),
        }
    }
}

impl Fetcher {
    /// A fetcher; connects to nothing yet.
    pub(super) fn new(config: &AuthConfig) -> Result<Self, Error> {
        let url = Url::parse(&config.jwks_url).map_err(Error::internal)?;
        let client = tls::http_client()
            .map_err(Error::internal)?
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, url })
    }

    /// Where the set is, for the log: without credentials and query.
    pub(super) fn endpoint(&self) -> String {
        format!("{}{}", self.url.origin().ascii_serialization(), self.url.path())
    }

    /// Fetches and parses the set. Ends within the total timeout.
    pub(super) async fn fetch(&self, now: impl Fn() -> Timestamp) -> Result<KeySet, Failure> {
        tokio::time::timeout(TOTAL_TIMEOUT, self.get(now)).await.unwrap_or_else(|_| Err(Reason::Slow.into()))
    }

    async fn get(&self, now: impl Fn() -> Timestamp) -> Result<KeySet, Failure> {
        let request = self.client.get(self.url.clone()).header(http::header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(transport)?;
        if response.status() != StatusCode::OK {
            let retry_after = retry_after(response.headers(), now());
            return Err(Failure { reason: Reason::Status(response.status()), retry_after });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(Reason::TooLarge.into());
            }
            body.extend_from_slice(&chunk);
        }
        KeySet::parse(&body).map_err(|problem| Reason::NotASet(problem).into())
    }
}

/// An error of the transport with its causes. The URL is logged beside it.
fn transport(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    Reason::Transport(text).into()
}

/// How long an answer asks to be left alone: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), or the
/// `X-Retry-After` of Better Auth's rate limiter.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    ["retry-after", "x-retry-after"].iter().find_map(|name| {
        let text = headers.get(*name)?.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than fit are a long time as well.
            return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
        }
        Some(Duration::try_from(http_date(text)?.duration_since(now)).unwrap_or_default())
    })
}

/// A date in any of the three forms that a recipient must take (RFC 9110, section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"].iter().find_map(|form| {
        let date = DateTime::strptime(form, text).ok()?;
        date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> Option<u64> {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (text, expected) in [
            ("10", Some(10)),
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            // The three forms of RFC 9110.
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Mon, 06 Nov 1994 08:49:37 GMT", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1e3", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(asked(&[("retry-after", text)]), expected, "{text:?}");
        }
    }

    #[test]
    fn better_auths_own_header_counts_too() {
        assert_eq!(asked(&[("x-retry-after", "10")]), Some(10));
        assert_eq!(asked(&[("retry-after", "20"), ("x-retry-after", "10")]), Some(20));
        assert_eq!(asked(&[("retry-after", "soon"), ("x-retry-after", "10")]), Some(10));
        assert_eq!(asked(&[]), None);
    }

    proptest! {
        #[test]
        fn no_retry_after_panics(value in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, value)]);
                let _ = retry_after(&headers, Timestamp::MIN);
                let _ = retry_after(&headers, Timestamp::MAX);
            }
        }
    }
}

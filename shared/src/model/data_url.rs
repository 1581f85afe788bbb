//! `data:` URLs, in which front ends send files.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;

/// Takes what browsers take: padding or none.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A `data:` URL, taken apart and not yet decoded.
/// <https://www.rfc-editor.org/rfc/rfc2397>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataUrl<'a> {
    media_type: &'a str,
    is_base64: bool,
    data: &'a str,
}

impl<'a> DataUrl<'a> {
    /// Takes one apart; `None` where the URL is of another scheme, or has no data.
    #[must_use]
    pub fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_at_checked("data:".len())?;
        let (head, data) = rest.split_once(',').filter(|_| scheme.eq_ignore_ascii_case("data:"))?;
        let mut parameters = head.split(';').map(str::trim);
        let media_type = parameters.next().filter(|media_type| !media_type.is_empty()).unwrap_or("text/plain");
        let is_base64 = parameters.next_back().is_some_and(|last| last.eq_ignore_ascii_case("base64"));
        Some(Self { media_type, is_base64, data })
    }

    /// The media type without its parameters, as it is written.
    #[must_use]
    pub fn media_type(&self) -> &'a str {
        self.media_type
    }

    /// At most how many bytes it holds, known without decoding it.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        if self.is_base64 { self.data.trim_end_matches('=').len() * 3 / 4 } else { self.data.len() }
    }

    /// What it holds; `None` where that isn't in the form that it says.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let bytes: Cow<'_, [u8]> = percent_decode_str(self.data).into();
        if self.is_base64 { BASE64.decode(bytes).ok() } else { Some(bytes.into_owned()) }
    }

    /// What it holds in base64, whichever form it has.
    #[must_use]
    pub fn base64(&self) -> Option<Cow<'a, str>> {
        if self.is_base64 && !self.data.contains('%') {
            return Some(self.data.into());
        }
        Some(BASE64.encode(self.bytes()?).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        for (url, media_type, bytes) in [
            ("data:image/png;base64,iVBORw0KGgo=", "image/png", Some(&b"\x89PNG\r\n\x1a\n"[..])),
            ("data:image/png;base64,iVBORw0KGgo", "image/png", Some(b"\x89PNG\r\n\x1a\n")),
            ("DATA:text/plain;charset=utf-8;BASE64,SGk%3D", "text/plain", Some(b"Hi")),
            ("data:,a%20b", "text/plain", Some(b"a b")),
            ("data:image/svg+xml;utf8,<svg/>", "image/svg+xml", Some(b"<svg/>")),
            ("data:;base64,", "text/plain", Some(b"")),
            ("data:a/b;base64,-_-_", "a/b", None),
            ("data:a/b;base64,x", "a/b", None),
        ] {
            let read = DataUrl::parse(url).expect(url);
            assert_eq!((read.media_type(), read.bytes().as_deref()), (media_type, bytes), "{url}");
            assert!(bytes.is_none_or(|bytes| bytes.len() <= read.most_bytes()), "{url}");
        }
        for other in ["", "data", "dat\u{e4}:,", "data:image/png", "https://example.com/,", " data:,x"] {
            assert_eq!(DataUrl::parse(other), None, "{other}");
        }
    }

    #[test]
    fn whichever_form_it_has_it_can_be_sent_in_base64() {
        let base64 = |url| DataUrl::parse(url).and_then(|url| url.base64());
        assert_eq!(base64("data:image/png;base64,iVBORw0KGgo=").as_deref(), Some("iVBORw0KGgo="));
        assert_eq!(base64("data:text/plain;base64,SGk%3D").as_deref(), Some("SGk="));
        assert_eq!(base64("data:text/plain,H%69").as_deref(), Some("SGk="));
    }
}

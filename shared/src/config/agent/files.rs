//! Which files an agent takes.

use std::fmt;

use crate::config::Reader;

/// The images that all well-known services take.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// The media types that an agent takes: `type/subtype`, `type/*` or `*/*`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFiles(Vec<String>);

impl AgentFiles {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        Self::parse(&reader.or_default("AGENT_FILES")).unwrap_or_else(|| {
            reader.faults.push(
                "AGENT_FILES must be none, images, all or a list of media types such as image/png, application/pdf, text/*"
                    .to_owned(),
            );
            Self(Vec::new())
        })
    }

    /// Reads `none`, `images`, `all` or a list of media types.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let types: Vec<String> = match text.to_ascii_lowercase().as_str() {
            "none" => Vec::new(),
            "images" => IMAGES.map(str::to_owned).to_vec(),
            "all" => vec!["*/*".to_owned()],
            list => list.split(',').map(|media_type| media_type.trim().to_owned()).collect(),
        };
        types.iter().all(|media_type| is_range(media_type)).then_some(Self(types))
    }

    /// Whether it takes no files at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it takes files of this media type, which stands in lower case and without parameters.
    #[must_use]
    pub fn takes(&self, media_type: &str) -> bool {
        let kind = media_type.split('/').next().unwrap_or_default();
        self.0.iter().any(|range| {
            range == media_type || range == "*/*" || range.strip_suffix("/*").is_some_and(|range| range == kind)
        })
    }
}

/// As a fault shows them to a client.
impl fmt::Display for AgentFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// Whether it is a media type, or all of a kind.
/// <https://www.rfc-editor.org/rfc/rfc6838#section-4.2>
fn is_range(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| {
        (kind == "*" && subtype == "*") || (is_name(kind) && (subtype == "*" || is_name(subtype)))
    })
}

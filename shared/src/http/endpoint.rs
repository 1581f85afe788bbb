//! What an endpoint is called and where it answers. The template, the local gateway and the API document name the same.

use std::fmt;

/// The method of an endpoint. Preflights belong to no endpoint: `fallback` answers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "they are HTTP's")]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    /// The method as HTTP writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Method {
    /// The methods that an endpoint of this method answers.
    #[must_use]
    pub const fn answers(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Post => &["POST"],
            Self::Patch => &["PATCH"],
            Self::Delete => &["DELETE"],
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An endpoint.
#[allow(clippy::struct_excessive_bools, reason = "four answers that have nothing to do with each other")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The binary's name, the `operationId`, the end of the function's name: `list-messages`.
    pub name: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces: `/v1/conversations/{id}`.
    pub path: &'static str,
    /// Whether it answers without a token.
    pub public: bool,
    /// Whether it needs the issuer's keys, which are then fetched before its first event.
    pub needs_keys: bool,
    /// Whether it needs the database, which is then reached before its first event. Only then may it read the secret.
    pub needs_database: bool,
    /// Whether its answer is streamed.
    pub streams: bool,
}

impl Endpoint {
    /// An endpoint for signed-in users.
    #[must_use]
    pub const fn new(name: &'static str, method: Method, path: &'static str) -> Self {
        Self { name, method, path, public: false, needs_keys: true, needs_database: true, streams: false }
    }

    /// The same, for everyone.
    #[must_use]
    pub const fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// The same, without keys or database.
    #[must_use]
    pub const fn without_backends(mut self) -> Self {
        (self.needs_keys, self.needs_database) = (false, false);
        self
    }

    /// The same, without the database.
    #[must_use]
    pub const fn without_database(mut self) -> Self {
        self.needs_database = false;
        self
    }

    /// The same, its answer streamed.
    #[must_use]
    pub const fn streaming(mut self) -> Self {
        self.streams = true;
        self
    }

    /// Whether `path` is one of this endpoint's.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let (mut template, mut segments) = (self.path.split('/'), path.split('/'));
        loop {
            match (template.next(), segments.next()) {
                (None, None) => return true,
                (Some(name), Some(segment)) if name.starts_with('{') => {
                    if segment.is_empty() {
                        return false;
                    }
                }
                (Some(name), Some(segment)) if name == segment => {}
                _ => return false,
            }
        }
    }
}

//! Why a request is refused: one closed list.

use std::fmt;

use crate::error::{Code, Error};

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $reason:literal,)*) => {
        /// Why a request is refused. The log gets this reason, the client one of a few sentences ([`Refusal::told`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            /// Every refusal, for documents and tests.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason as the log has it. Holds nothing of the token.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                }
            }
        }
    };
}

refusals! {
    /// There is no `Authorization` header.
    NoToken = "no Authorization header",
    /// The `Authorization` header is of another scheme than `Bearer`.
    OtherScheme = "the Authorization header isn't of the scheme Bearer",
    /// There is more than one `Authorization` header.
    RepeatedHeader = "more than one Authorization header",
    /// The `Authorization` header says `Bearer` and nothing else.
    EmptyToken = "no token after Bearer",
    /// The token is longer than API Gateway and `limits::TOKEN_BYTES` allow.
    TooLarge = "the token is too large",
    /// The token has a character outside base64url and the dot.
    BadAlphabet = "a character that no compact token has",
    /// The token isn't header, payload and signature, each of them there.
    NotThreeParts = "not three parts",
    /// The header isn't a JSON object with unique members and a textual `alg`, `kid` and `typ`.
    MalformedHeader = "the token's header is malformed",
    /// The header has `crit`, `b64`, `enc`, `zip` or `cty`: an extension that isn't understood here, or no plain JWT.
    UnsupportedHeader = "the token's header asks for an extension",
    /// The header's `typ` is there and isn't `JWT`, in any case: a token for another purpose, such as a session-cookie cache.
    WrongType = "typ isn't JWT",
    /// The header's `alg` is none of those that are allowed: `none`, symmetric, for encryption, or unheard of.
    ForbiddenAlgorithm = "alg isn't allowed",
    /// The header has no `kid`.
    NoKeyId = "no kid",
    /// The header's `kid` is empty, or longer than any key's name.
    BadKeyId = "kid can't be a key's name",
    /// No usable key of that `kid` is published, or several are.
    UnknownKey = "no such key",
    /// The key of that `kid` is for another algorithm than the header's.
    OtherAlgorithm = "alg isn't the key's",
    /// The signature isn't this key's over this header and payload.
    BadSignature = "the signature doesn't verify",
    /// The payload isn't a JSON object in UTF-8 with unique members.
    MalformedPayload = "the token's payload is malformed",
    /// `iss` is missing, isn't a plain text, or isn't the issuer.
    WrongIssuer = "iss isn't the issuer",
    /// `aud` is missing, is neither a text nor an array of texts, or doesn't name the audience.
    WrongAudience = "aud isn't the audience",
    /// `exp` is missing, or no number of seconds in a believable range.
    BadExpiry = "exp isn't a time",
    /// `exp` is past.
    Expired = "expired",
    /// `nbf` is there and no number of seconds in a believable range.
    BadNotBefore = "nbf isn't a time",
    /// `nbf` is yet to come.
    NotYetValid = "not valid yet",
    /// `iat` is there and no number of seconds in a believable range.
    BadIssuedAt = "iat isn't a time",
    /// `iat` is yet to come.
    IssuedInFuture = "issued in the future",
    /// `sub` is missing, isn't text, is empty or too long, or has control characters.
    BadSubject = "sub can't be a user's id",
    /// The token is good, and its user is banned at the issuer.
    Banned = "the user is banned",
}

impl Refusal {
    /// The sentence that the client gets. It helps whoever holds a good token that went bad, and tells a forger nothing
    /// about how far they came.
    #[must_use]
    pub const fn told(self) -> &'static str {
        match self {
            Self::NoToken | Self::OtherScheme => "A bearer token is needed.",
            Self::RepeatedHeader | Self::EmptyToken => "The Authorization header is malformed.",
            Self::TooLarge => "The token is too large.",
            Self::Expired => "The token has expired.",
            Self::NotYetValid | Self::IssuedInFuture => "The token isn't valid yet.",
            Self::Banned => "The user is banned.",
            _ => "The token isn't accepted here.",
        }
    }

    /// The challenge of a 401 (RFC 6750, section 3): without an error where no token was sent. There it needs another
    /// parameter, hence the realm.
    fn challenge(self) -> String {
        match self {
            Self::NoToken | Self::OtherScheme => r#"Bearer realm="colloquy""#.to_owned(),
            _ => format!(r#"Bearer error="invalid_token", error_description="{}""#, self.told()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        if refusal == Refusal::Banned {
            return Self::new(Code::Banned, refusal.told()).because(refusal);
        }
        Self::new(Code::Unauthenticated, refusal.told())
            .with_header("www-authenticate", refusal.challenge())
            .because(refusal)
    }
}

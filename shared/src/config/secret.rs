//! Secrets: their text, or where AWS Secrets Manager keeps it.

use std::fmt;

use super::Reader;

/// A secret of the settings.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Its text. Never printed.
    Text(String),
    /// Where it is kept.
    Stored(StoredSecret),
}

/// A secret that Secrets Manager keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// The setting that says where.
    pub setting: &'static str,
    /// Its ARN.
    pub arn: String,
    /// The region of its ARN, which need not be the function's own.
    pub region: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::Stored(stored) => stored.fmt(f),
        }
    }
}

/// An ARN holds an account's number: nothing that a log needs.
impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stored").field(&self.setting).finish()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl StoredSecret {
    /// `arn:aws:secretsmanager:eu-central-1:123456789012:secret:name-AbCdEf`
    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html>
    fn parse(setting: &'static str, arn: String) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(7, ':').collect();
        let [scheme, partition, service, region, account, kind, name] = parts[..] else { return None };
        let is_arn = (scheme, service, kind) == ("arn", "secretsmanager", "secret")
            && ![partition, region, account, name].iter().any(|part| part.is_empty());
        let region = region.to_owned();
        is_arn.then_some(Self { setting, arn, region })
    }
}

impl Reader<'_> {
    /// A secret that must be there: as the setting `text`, or where the setting `arn` says.
    pub(super) fn required_secret(&mut self, text: &'static str, arn: &'static str) -> Secret {
        if self.get(text).is_none() && self.get(arn).is_none() {
            self.faults.push(format!("{text} is not set, nor is {arn}"));
        }
        self.secret(text, arn).unwrap_or_else(|| Secret::from(""))
    }

    /// The same, where it may be left out.
    pub(super) fn secret(&mut self, text: &'static str, arn: &'static str) -> Option<Secret> {
        match (self.get(text), self.get(arn)) {
            (None, None) => None,
            (Some(text), None) => Some(Secret::Text(text)),
            (None, Some(value)) => {
                let stored = StoredSecret::parse(arn, value).map(Secret::Stored);
                if stored.is_none() {
                    self.faults.push(format!("{arn} is not the ARN of a secret"));
                }
                stored
            }
            (Some(_), Some(_)) => {
                self.faults.push(format!("{text} and {arn} are both set, where one would do"));
                None
            }
        }
    }
}

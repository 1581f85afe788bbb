//! Reading a secret from Secrets Manager: one bounded call.

use std::fmt;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Config, Region};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::OnceCell;

use super::http;
use crate::config::StoredSecret;
use crate::error::Error;

/// For all of a read: credentials, a second attempt and the pause between them included. Half of what a start waits, and
/// less than half of a request's deadline, so that there is time for what the secret is for.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(3);

/// The process's client: made by the first read, and where there is none never.
static CLIENT: OnceCell<Client> = OnceCell::const_new();

/// Why a read failed. Never holds what was read.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// It took longer than the total timeout.
    Slow,
    /// Secrets Manager refused: the code and its message, which names the role and the secret.
    Refused(String),
    /// No answer, or no credentials.
    Transport(String),
    /// An answer that is none of Secrets Manager's. It may hold the secret, so that nothing is told of it.
    Unreadable,
    /// It holds bytes and no text.
    NoText,
    /// Its text isn't what it is for.
    Malformed(String),
    /// Nobody waited for it any more.
    Cancelled,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow => write!(f, "no answer within {} s", TOTAL_TIMEOUT.as_secs()),
            Self::Refused(words) => write!(f, "refused: {words}"),
            Self::Transport(words) => write!(f, "no answer: {words}"),
            Self::Unreadable => f.write_str("the answer can't be read"),
            Self::NoText => f.write_str("the secret holds no text"),
            Self::Malformed(words) => write!(f, "the secret {words}"),
            Self::Cancelled => f.write_str("cancelled before it ended"),
        }
    }
}

/// Reads the secret's text. Ends within the total timeout.
pub(super) async fn read(secret: &StoredSecret) -> Result<String, Reason> {
    // Boxed: the SDK's futures are large, and every request's future would hold one that it mostly doesn't need.
    tokio::time::timeout(TOTAL_TIMEOUT, Box::pin(get_secret_value(secret))).await.unwrap_or(Err(Reason::Slow))
}

async fn get_secret_value(secret: &StoredSecret) -> Result<String, Reason> {
    let client = CLIENT.get_or_try_init(make_client).await.map_err(|error| Reason::Transport(error.to_string()))?;
    let in_its_region = Config::builder().region(Region::new(secret.region.clone()));
    let request = client.get_secret_value().secret_id(&secret.arn).customize().config_override(in_its_region);
    match request.send().await {
        Ok(answer) => answer.secret_string.ok_or(Reason::NoText),
        Err(SdkError::ServiceError(error)) => {
            let error = error.into_err();
            Err(match error.code() {
                Some(code) => Reason::Refused(format!("{code}: {}", error.message().unwrap_or_default())),
                None => Reason::Unreadable,
            })
        }
        Err(SdkError::ResponseError(_)) => Err(Reason::Unreadable),
        Err(error) => Err(Reason::Transport(with_causes(&error))),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Settings and credentials are found where every AWS SDK finds them, on Lambda in the environment.
async fn make_client() -> Result<Client, Error> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http::client()?)
        .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(200)))
        // The whole read has its limit.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Each read names its secret's region; without this one the SDK would look for one, even by asking the network.
        .region(Region::from_static("us-east-1"))
        .load()
        .await;
    Ok(Client::new(&config))
}

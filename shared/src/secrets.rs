//! Secrets that AWS Secrets Manager keeps: read when they are first needed, held by the environment, and read once more
//! when somebody refuses them, since they may have been rotated.
//!
//! | event | what happens |
//! |---|---|
//! | the setting holds the secret itself | nothing: no client is made, nothing is asked |
//! | cold | read during initialisation; if that failed, again at the first request, then 503 |
//! | held | no read |
//! | refused by whom it is for | one read for everyone who waits, unless one brought nothing new less than a cooldown ago |
//! | a read fails | the secret that is held stays |

mod http;
mod reading;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;

use self::reading::{Reason, read};
use crate::clock::Clock;
use crate::config::{Secret, StoredSecret};

/// After a read that brought nothing new, at least this long until the next. A rotation takes a second or two from the
/// new password in the database to the new text of the secret.
const COOLDOWN: Duration = Duration::from_secs(5);

/// A secret as it is used: what a parser makes of its text.
pub struct Credential<T>(Source<T>);

enum Source<T> {
    Settings(Arc<T>),
    Stored(Box<Stored<T>>),
}

struct Stored<T> {
    secret: StoredSecret,
    parse: Parse<T>,
    clock: Clock,
    held: RwLock<Option<Held<T>>>,
    /// Whoever reads holds this lock; all others wait for what comes of it.
    pause: Mutex<Option<Pause>>,
}

struct Held<T> {
    text: String,
    value: Arc<T>,
}

/// Makes a value of a secret's text, or says what is wrong with that, completing "the secret …" without quoting it.
type Parse<T> = Box<dyn Fn(&str) -> Result<T, String> + Send + Sync>;

/// After a read that brought nothing new.
struct Pause {
    since: Timestamp,
    /// Why it failed; none where it found what is held already.
    failure: Option<Reason>,
}

/// Why a secret can't be had. Never holds a secret.
#[derive(Clone, Debug)]
pub struct Unread {
    setting: &'static str,
    reason: Reason,
    /// When it is tried again, in seconds.
    pub(crate) retry_after: u32,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret of {} can't be read: {}", self.setting, self.reason)
    }
}

impl std::error::Error for Unread {}

impl<T> fmt::Debug for Credential<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// A secret's text, wherever it is; read anew each time.
pub async fn text(secret: &Secret) -> Result<String, Unread> {
    match secret {
        Secret::Text(text) => Ok(text.clone()),
        Secret::Stored(secret) => read(secret).await.map_err(|reason| Unread::new(secret, reason, 1)),
    }
}

impl<T> Credential<T> {
    /// What `parse` makes of the secret; reads nothing yet. Fails where the settings hold the secret and it is malformed.
    pub fn new(
        secret: &Secret,
        parse: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        Ok(Self(match secret {
            Secret::Text(text) => Source::Settings(Arc::new(parse(text)?)),
            Secret::Stored(secret) => Source::Stored(Box::new(Stored {
                secret: secret.clone(),
                parse: Box::new(parse),
                clock: Clock::system(),
                held: RwLock::default(),
                pause: Mutex::default(),
            })),
        }))
    }

    /// What is held.
    #[must_use]
    pub fn held(&self) -> Option<Arc<T>> {
        match &self.0 {
            Source::Settings(value) => Some(Arc::clone(value)),
            Source::Stored(stored) => stored.held(),
        }
    }

    /// What is held, or read now.
    pub async fn get(&self) -> Result<Arc<T>, Unread> {
        match &self.0 {
            Source::Settings(value) => Ok(Arc::clone(value)),
            Source::Stored(stored) => match stored.held() {
                Some(value) => Ok(value),
                None => stored.first().await,
            },
        }
    }

    /// What follows on one that was refused by whom it is for; none where there is no other to be had.
    pub async fn after(&self, refused: &Arc<T>) -> Option<Arc<T>> {
        match &self.0 {
            Source::Settings(_) => None,
            Source::Stored(stored) => stored.after(refused).await,
        }
    }

    /// Lets the next request try again at once what a start tried in vain.
    pub async fn waive_pause(&self) {
        if let Source::Stored(stored) = &self.0 {
            *stored.pause.lock().await = None;
        }
    }
}

impl<T> Stored<T> {
    fn held(&self) -> Option<Arc<T>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| Arc::clone(&held.value))
    }

    async fn first(&self) -> Result<Arc<T>, Unread> {
        let mut pause = self.pause.lock().await;
        if let Some(value) = self.held() {
            return Ok(value);
        }
        if let Some(Pause { failure: Some(reason), .. }) = &*pause
            && let Some(left) = self.left(pause.as_ref())
        {
            return Err(Unread::new(&self.secret, reason.clone(), seconds(left)));
        }
        let read = self.read(&mut pause).await;
        read.map_err(|reason| Unread::new(&self.secret, reason, seconds(COOLDOWN)))
    }

    async fn after(&self, refused: &Arc<T>) -> Option<Arc<T>> {
        let mut pause = self.pause.lock().await;
        // Somebody else met the same refusal and has read what follows.
        if let Some(value) = self.held().filter(|held| !Arc::ptr_eq(held, refused)) {
            return Some(value);
        }
        if self.left(pause.as_ref()).is_some() {
            return None;
        }
        match self.read(&mut pause).await {
            Ok(value) => Some(value).filter(|value| !Arc::ptr_eq(value, refused)),
            Err(reason) => {
                // Whoever was refused reports that; this would be told nowhere else.
                tracing::warn!(cause = %Unread::new(&self.secret, reason, 0), "a refused secret couldn't be read again");
                None
            }
        }
    }

    /// What is left of a pause. A clock that stepped back ends it.
    fn left(&self, pause: Option<&Pause>) -> Option<Duration> {
        let passed = Duration::try_from(self.clock.now().duration_since(pause?.since)).ok()?;
        Some(COOLDOWN.saturating_sub(passed)).filter(|left| !left.is_zero())
    }

    /// Reads the secret, and answers with what is held then.
    async fn read(&self, pause: &mut Option<Pause>) -> Result<Arc<T>, Reason> {
        let pause_for = |failure| Some(Pause { since: self.clock.now(), failure });
        // Noted before, so that a read counts whose end nobody waited for.
        *pause = pause_for(Some(Reason::Cancelled));
        let read = read(&self.secret).await.and_then(|text| self.keep(text));
        *pause = match &read {
            Ok((_, true)) => None,
            Ok((_, false)) => pause_for(None),
            Err(reason) => pause_for(Some(reason.clone())),
        };
        read.map(|(value, _)| value)
    }

    /// Holds this text from now on. Answers with its value, and whether it is another than before.
    fn keep(&self, text: String) -> Result<(Arc<T>, bool), Reason> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_ref().filter(|held| held.text == text) {
            return Ok((Arc::clone(&held.value), false));
        }
        let value = Arc::new((self.parse)(&text).map_err(Reason::Malformed)?);
        *held = Some(Held { text, value: Arc::clone(&value) });
        Ok((value, true))
    }
}

impl Unread {
    fn new(secret: &StoredSecret, reason: Reason, retry_after: u32) -> Self {
        Self { setting: secret.setting, reason, retry_after }
    }
}

/// Whole seconds, rounded up.
fn seconds(left: Duration) -> u32 {
    u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

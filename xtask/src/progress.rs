//! What a person reads while this works.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, interval_at};

/// After so long without a word, a person wonders whether it still works.
const SILENCE: Duration = Duration::from_secs(15);

/// Says what happens now.
pub(crate) fn say(what: &str) {
    eprintln!("{} {what}", emphasised("1", "==>"));
}

/// Says what mustn't be overlooked.
pub(crate) fn warn(what: &str) {
    eprintln!("{}", emphasised("1;33", &format!("!!! {what}")));
}

/// In bold or in colour where a person reads it, as it is in a log.
fn emphasised(style: &str, text: &str) -> String {
    if std::io::stderr().is_terminal() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Does a piece of work that may take a while, and says so from time to time.
pub(crate) async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    say(what);
    let start = Instant::now();
    let mut ticks = interval_at(start + SILENCE, SILENCE);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => say(&format!("{what}: {} s", start.elapsed().as_secs())),
        }
    }
}

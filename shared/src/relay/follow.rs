//! The stream of a run that is written elsewhere, read from the database alone: from any instance, by any number of
//! readers.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream::{self, Stream};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::Deadline;
use super::outcome::last_words;
use crate::auth::Caller;
use crate::config::ChatConfig;
use crate::db::Db;
use crate::error::Error;
use crate::model::{FoundRun, RunPage};
use crate::ui_stream::{self, Chunk, OpenParts};

/// How long the database may be away before a reader is told.
const PATIENCE: Duration = Duration::from_secs(20);

struct Following {
    db: Db,
    caller: Caller,
    run: FoundRun,
    poll: Duration,
    keep_alive: Duration,
    until: Instant,
    /// The last chunk that was read.
    after: i32,
    /// The time to the next question: longer while nothing comes.
    pause: Duration,
    spoke: Instant,
    /// When the database last answered.
    heard: Instant,
    ended: bool,
    /// What the stream has begun and not ended: a run whose function died leaves that to its readers.
    open: OpenParts,
}

/// Follows a run from its first frame to its end.
pub(super) fn follow(
    db: Db,
    caller: Caller,
    run: FoundRun,
    config: &ChatConfig,
    deadline: Deadline,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
    let now = Instant::now();
    let following = Following {
        db,
        caller,
        run,
        poll: config.poll,
        keep_alive: config.keep_alive,
        until: deadline.end(),
        after: -1,
        pause: Duration::ZERO,
        spoke: now,
        heard: now,
        ended: false,
        open: OpenParts::default(),
    };
    stream::unfold(following, |mut following| async move {
        let bytes = following.next().await?;
        Some((Ok(bytes), following))
    })
}

impl Following {
    /// What comes next; nothing after the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        loop {
            sleep(self.pause).await;
            let page = self.db.as_user(&self.caller).read_run(self.run.run, self.after).await;
            let now = Instant::now();
            // While nothing comes a reader asks less and less often, up to four times the least pause.
            self.pause = (self.pause * 2).clamp(self.poll, self.poll * 4);
            if let Some(bytes) = self.took(page, now) {
                self.spoke = now;
                return Some(bytes);
            }
            if now >= self.until {
                return Some(self.end("This service may not stream for longer. Load the conversation again."));
            }
            if now >= self.spoke + self.keep_alive {
                self.spoke = now;
                return Some(Bytes::from_static(ui_stream::KEEP_ALIVE.as_bytes()));
            }
        }
    }

    fn took(&mut self, page: Result<Option<RunPage>, Error>, now: Instant) -> Option<Bytes> {
        match page {
            Ok(Some(RunPage { base, chunks, ended })) => {
                self.heard = now;
                let mut bytes = Vec::new();
                let mut base = Some(base).filter(|_| !self.run.has_base);
                for chunk in chunks {
                    self.after = chunk.n;
                    for frame in chunk.frames {
                        self.write(frame, &mut bytes);
                        // What the answer had before comes behind the frame that begins it.
                        for frame in base.take().map(ui_stream::of_parts).unwrap_or_default() {
                            self.write_chunk(&frame, &mut bytes);
                        }
                    }
                }
                if !bytes.is_empty() {
                    self.pause = self.poll;
                }
                if ended.is_some() && self.after < 0 {
                    // Swept between two questions to the database.
                    return Some(self.end("The answer is stored. Load the conversation again."));
                }
                if ended.is_some() {
                    self.ended = true;
                    bytes.extend_from_slice(ui_stream::DONE.as_bytes());
                }
                (!bytes.is_empty()).then(|| bytes.into())
            }
            Ok(None) => Some(self.end("The conversation was deleted.")),
            Err(_) if now < self.heard + PATIENCE => None,
            Err(cause) => {
                tracing::warn!(code = cause.code.as_str(), "a run can't be followed: the database is away");
                Some(self.end("The database can't be reached right now."))
            }
        }
    }

    /// Writes a frame, behind those that end what is open before the stream does.
    fn write(&mut self, frame: Value, bytes: &mut Vec<u8>) {
        let Ok(chunk) = Chunk::parse(frame) else { return };
        if chunk.is_terminal() {
            for end in self.open.close() {
                bytes.extend_from_slice(&ui_stream::frame(&end));
            }
        }
        self.write_chunk(&chunk, bytes);
    }

    fn write_chunk(&mut self, chunk: &Chunk, bytes: &mut Vec<u8>) {
        let _ = self.open.observe(chunk);
        if chunk.is_read_by_version_6() {
            bytes.extend_from_slice(&ui_stream::frame(chunk));
        }
    }

    fn end(&mut self, text: &'static str) -> Bytes {
        self.ended = true;
        last_words(text)
    }
}

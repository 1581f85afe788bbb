//! Who reads an answer while it is written, and what waits for them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::body::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// The most bytes that wait for a reader who doesn't read. Beyond it the reader's stream ends without a last frame, so that
/// the page resumes it when it reads again; the answer goes on.
const MOST_WAITING: usize = 4 * 1024 * 1024;
/// What a frame that waits takes at least.
const LEAST: usize = 128;
/// What it takes beside its bytes.
const OVERHEAD: usize = 96;
/// The most frames that go out in one piece.
const BUNCH: usize = 64;

/// The writer's end.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    frames: UnboundedSender<Bytes>,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    given_up: AtomicBool,
}

/// The two ends: what is sent since the reader last looked goes out in one piece.
pub(super) fn reader() -> (Reader, impl Stream<Item = Result<Bytes, Infallible>>) {
    let (frames, receiver) = mpsc::unbounded_channel();
    let reader = Reader { frames, waiting: Arc::default() };
    let waiting = Arc::clone(&reader.waiting);
    (reader, stream::unfold((receiver, waiting), next))
}

async fn next(
    (mut frames, waiting): (UnboundedReceiver<Bytes>, Arc<Waiting>),
) -> Option<(Result<Bytes, Infallible>, (UnboundedReceiver<Bytes>, Arc<Waiting>))> {
    let mut bunch = Vec::new();
    let received = frames.recv_many(&mut bunch, BUNCH).await;
    if received == 0 || waiting.given_up.load(Ordering::Relaxed) {
        return None;
    }
    waiting.bytes.fetch_sub(bunch.iter().map(cost).sum(), Ordering::Relaxed);
    let bytes = if received == 1 { bunch.pop()? } else { bunch.concat().into() };
    Some((Ok(bytes), (frames, waiting)))
}

impl Reader {
    /// Sends a piece of the stream. Where nobody reads any more, the answer is finished and stored all the same.
    pub(super) fn send(&self, bytes: Bytes) {
        if self.waiting.given_up.load(Ordering::Relaxed) {
            return;
        }
        let cost = cost(&bytes);
        if self.waiting.bytes.fetch_add(cost, Ordering::Relaxed) + cost > MOST_WAITING {
            self.waiting.given_up.store(true, Ordering::Relaxed);
            tracing::warn!("a reader doesn't read: its stream is given up, and can be resumed");
            return;
        }
        let _ = self.frames.send(bytes);
    }

    /// Waits until nobody reads any more. Who was given up hasn't left.
    pub(super) async fn closed(&self) {
        self.frames.closed().await;
        if self.waiting.given_up.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

fn cost(bytes: &Bytes) -> usize {
    bytes.len().max(LEAST) + OVERHEAD
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_reader_who_does_not_read_costs_four_megabytes_at_most() {
        let (reader, stream) = reader();
        let mut stream = Box::pin(stream);
        reader.send(Bytes::from_static(b"first"));
        assert_eq!(stream.next().await, Some(Ok(Bytes::from_static(b"first"))));
        // A million deltas, and nobody reads.
        for _ in 0..1_000_000 {
            reader.send(Bytes::from_static(b"data: {}\n\n"));
        }
        assert!(reader.waiting.bytes.load(Ordering::Relaxed) <= MOST_WAITING + LEAST + OVERHEAD);
        assert_eq!(stream.next().await, None, "it ends without a last frame");
        reader.send(Bytes::from_static(b"nothing more is kept"));
    }

    #[tokio::test]
    async fn a_reader_who_reads_gets_all_however_much_it_is() {
        let (reader, stream) = reader();
        let mut stream = Box::pin(stream);
        for _ in 0..100 {
            let mut left = 1000 * 10;
            for _ in 0..1000 {
                reader.send(Bytes::from_static(b"0123456789"));
            }
            while left > 0 {
                left -= stream.next().await.expect("a piece").expect("never fails").len();
            }
            assert_eq!(reader.waiting.bytes.load(Ordering::Relaxed), 0);
        }
    }
}

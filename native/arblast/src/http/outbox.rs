//! Posts JSON to another server, beside the requests: a bounded queue, a few connections that stay open, no second try.

mod connection;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::{sleep, timeout};

use connection::Connection;
pub use target::Target;

/// Posts that wait; more are dropped and counted.
const QUEUE_MAX: usize = 4096;
/// How often is looked if all are sent, at the end.
const FLUSH_LOOK: Duration = Duration::from_millis(10);
/// Posts on their way at the same time.
const CONNECTIONS: usize = 16;

/// What became of the posts so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted by the other server.
    pub sent: u64,
    /// Refused by it, or it could not be reached.
    pub failed: u64,
    /// Not tried: too many waited.
    pub dropped: u64,
}

#[derive(Default)]
struct Counters {
    taken: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// Where posts go in.
pub struct Outbox {
    queue: mpsc::Sender<String>,
    target: Arc<Target>,
    counters: Arc<Counters>,
    is_dropping: AtomicBool,
}

impl Outbox {
    /// Starts sending to `target`. Within a runtime.
    pub fn start(target: Target) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let (target, counters) = (Arc::new(target), Arc::<Counters>::default());
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..CONNECTIONS {
            tokio::spawn(send(Arc::clone(&waiting), Arc::clone(&target), Arc::clone(&counters)));
        }
        Self { queue, target, counters, is_dropping: AtomicBool::new(false) }
    }

    /// Takes a JSON text to be posted. Never waits.
    pub fn post(&self, json: String) {
        if self.queue.try_send(json).is_ok() {
            self.counters.taken.fetch_add(1, Ordering::Relaxed);
            if self.queue.capacity() > QUEUE_MAX / 2 {
                self.is_dropping.store(false, Ordering::Relaxed);
            }
            return;
        }
        let dropped = self.counters.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // Once until half of the queue is free again.
        if !self.is_dropping.swap(true, Ordering::Relaxed) {
            let target = &self.target;
            eprintln!(
                "[WARN] [Outbox$] {target}: {QUEUE_MAX} posts wait, more are dropped ({dropped} dropped so far)"
            );
        }
    }

    /// Waits until what was taken is sent, no longer than `patience`; tells what is lost then.
    pub async fn flush(&self, patience: Duration) {
        let waiting = || {
            let counts = self.counts();
            self.counters.taken.load(Ordering::Relaxed).saturating_sub(counts.sent + counts.failed)
        };
        let flushed = async {
            while waiting() > 0 {
                sleep(FLUSH_LOOK).await;
            }
        };
        if timeout(patience, flushed).await.is_err() {
            eprintln!(
                "[WARN] [Outbox$] {}: {} posts are lost, as the server ends (drainSecondsMax)",
                self.target,
                waiting()
            );
        }
    }

    /// What became of the posts so far.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { sent, failed, dropped, .. } = &*self.counters;
        Counts { sent: of(sent), failed: of(failed), dropped: of(dropped) }
    }
}

async fn send(waiting: Arc<Mutex<mpsc::Receiver<String>>>, target: Arc<Target>, counters: Arc<Counters>) {
    let mut connection = Connection::new(target);
    loop {
        let next = waiting.lock().await.recv().await;
        let Some(json) = next else { return };
        match connection.post(json).await {
            Ok(()) => {
                counters.sent.fetch_add(1, Ordering::Relaxed);
            }
            Err(why) => {
                let failed = counters.failed.fetch_add(1, Ordering::Relaxed) + 1;
                // The first, and then ever fewer: a server that is away fails each.
                if failed.is_power_of_two() {
                    tracing::warn!("{}: {why} ({failed} failed so far)", connection.target());
                }
            }
        }
    }
}

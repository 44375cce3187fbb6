//! Posts JSON to another server, beside the requests: a bounded queue, a few connections that stay open, no second try.

mod connection;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, mpsc};

use connection::Connection;
pub use target::Target;

/// Posts that wait; more are dropped and counted.
const QUEUE_MAX: usize = 4096;
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
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// Where posts go in.
pub struct Outbox {
    queue: mpsc::Sender<String>,
    counters: Arc<Counters>,
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
        Self { queue, counters }
    }

    /// Takes a JSON text to be posted. Never waits.
    pub fn post(&self, json: String) {
        if self.queue.try_send(json).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of the posts so far.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { sent, failed, dropped } = &*self.counters;
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

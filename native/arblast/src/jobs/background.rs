//! Trains that a server runs beside its queries, each in a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use engine::{EngineConfig, Observer, TrainOptions, TrainReport};
use events::EngineInstance;
use stores::Storage;

use super::{Road, TrainJob};
use crate::clock;
use crate::failure::{Failure, Result};

/// How long the end of the server waits for trains to notice it.
const END: Duration = Duration::from_secs(5);

/// A train that is wanted.
#[derive(Clone)]
pub struct Order {
    /// What to train.
    pub config: EngineConfig,
    /// The text of the engine file, for the record.
    pub config_text: String,
    /// Label for the record.
    pub batch: String,
    /// Threads that count; the fewer, the less queries notice.
    pub threads: usize,
    /// Publish even a model that shrank.
    pub force: bool,
    /// What reads and counts, if not this process alone.
    pub road: Option<Arc<dyn Road>>,
}

/// Trains that run.
#[derive(Default)]
pub struct Background {
    running: Mutex<Vec<Running>>,
}

struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Hears of the end of the server.
struct UntilStopped(Arc<AtomicBool>);

impl Observer for UntilStopped {
    fn stage(&self, _: &str, _: u64) {}
    fn progress(&self, _: u64) {}
    fn preflight(&self, _: &TrainReport) {}
    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Order {
    fn job<'a>(&'a self, storage: &'a Storage) -> TrainJob<'a> {
        let options = TrainOptions { threads: self.threads, now_ms: clock::now_ms() };
        let Self { config, config_text, batch, force, .. } = self;
        let road = self.road.as_deref();
        TrainJob { storage, config, config_text, batch, options, force: *force, spark: None, road }
    }
}

impl Background {
    /// Begins a train; gives its record. `None` if another train of this engine runs.
    ///
    /// # Errors
    /// The app does not exist; whatever the stores report; no thread.
    pub fn start(&self, storage: &Storage, order: Order) -> Result<Option<EngineInstance>> {
        let Some(begun) = order.job(storage).begin()? else { return Ok(None) };
        let record = begun.record().clone();
        let stop = Arc::<AtomicBool>::default();
        let (observer, storage) = (UntilStopped(Arc::clone(&stop)), storage.clone());
        let train = move || {
            if let Err(failure) = order.job(&storage).finish(begun, &observer) {
                tracing::error!("the train of engine {} failed: {failure}", order.config.variant);
            }
        };
        let thread = thread::Builder::new()
            .name("train".to_owned())
            .spawn(train)
            .map_err(|error| Failure::io("cannot start a thread", &error))?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|running| !running.thread.is_finished());
        running.push(Running { stop, thread });
        Ok(Some(record))
    }

    /// Stops all trains, and waits for them a while.
    pub fn end(&self) {
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        running.iter().for_each(|running| running.stop.store(true, Ordering::Relaxed));
        let asked = Instant::now();
        while running.iter().any(|running| !running.thread.is_finished()) && asked.elapsed() < END {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

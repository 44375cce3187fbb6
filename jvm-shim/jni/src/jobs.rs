//! Long work beside the caller: it goes on while Java looks in, and stops when told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use engine::{Observer, TrainReport};
use events::Kind;

use crate::border::{Fault, Result};

/// Work that is under way, or has ended and not been looked at.
pub struct Job<T> {
    progress: Progress,
    outcome: Mutex<Option<Result<T>>>,
    ended: Condvar,
}

/// How far it is, and whether it should stop.
#[derive(Default)]
pub struct Progress {
    stage: Mutex<String>,
    done: AtomicU64,
    total: AtomicU64,
    stopped: AtomicBool,
}

impl<T: Send + 'static> Job<T> {
    /// Begins `work` on a thread of its own. A panic there ends in a [`Fault`].
    pub fn start(work: impl FnOnce(&Progress) -> Result<T> + Send + 'static) -> Result<Arc<Self>> {
        let job = Arc::new(Self {
            progress: Progress::default(),
            outcome: Mutex::new(None),
            ended: Condvar::new(),
        });
        let own = Arc::clone(&job);
        let run = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&own.progress)));
            let outcome = outcome.unwrap_or_else(|payload| Err(Fault::of_panic(payload.as_ref())));
            *own.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            own.ended.notify_all();
        };
        let spawned = std::thread::Builder::new().name("arblast".to_owned()).spawn(run);
        spawned.map_err(|error| Fault::new(Kind::Unavailable, format!("no thread for the work: {error}")))?;
        Ok(job)
    }

    /// The outcome, if it is there within this time. It is given once.
    pub fn wait(&self, time: Duration) -> Option<Result<T>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(outcome, time, |outcome| outcome.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    /// Asks it to end. It does so at the next occasion.
    pub fn stop(&self) {
        self.progress.stopped.store(true, Ordering::Relaxed);
    }

    /// `stage`, steps done, steps in all (0 = unknown), separated by tabs.
    pub fn progress(&self) -> String {
        let stage = self.progress.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        format!("{stage}\t{}\t{}", number(&self.progress.done), number(&self.progress.total))
    }
}

impl Observer for Progress {
    fn stage(&self, name: &str, total: u64) {
        name.clone_into(&mut self.stage.lock().unwrap_or_else(PoisonError::into_inner));
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    fn progress(&self, done: u64) {
        self.done.fetch_max(done, Ordering::Relaxed);
    }

    fn preflight(&self, _: &TrainReport) {}

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

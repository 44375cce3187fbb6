//! Long work beside the caller: it goes on while Java looks in, and stops when told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use engine::{Observer, TrainReport};
use events::Kind;

use crate::border::{Fault, Result};

/// Work that is under way, or has ended and not been looked at.
pub struct Job<T> {
    progress: Progress,
    outcome: Mutex<Outcome<T>>,
    ended: Condvar,
}

/// What has become of the work.
enum Outcome<T> {
    None,
    There(Result<T>),
    Given,
}

/// How far it is, and whether it should stop.
#[derive(Default)]
pub struct Progress {
    stage: Mutex<String>,
    done: AtomicU64,
    total: AtomicU64,
    stopped: AtomicBool,
}

/// Threads of this library.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// How long the library waits for them before it is unloaded: longer than any step that does not look whether it should end.
const END_S: u64 = 60;

/// Runs `work`, which must not panic, on a thread of its own.
pub fn spawn(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let run = move || {
        work();
        THREADS.fetch_sub(1, Ordering::Release);
    };
    THREADS.fetch_add(1, Ordering::Relaxed);
    let spawned = std::thread::Builder::new().name("arblast".to_owned()).spawn(run);
    spawned.map(drop).map_err(|error| {
        THREADS.fetch_sub(1, Ordering::Relaxed);
        Fault::new(Kind::Unavailable, format!("no thread for the work: {error}"))
    })
}

/// Waits until no thread runs that [`spawn`] began.
pub fn wait_for_threads() {
    const LOOK: Duration = Duration::from_millis(20);
    for _ in 0..END_S * 50 {
        let ended = THREADS.load(Ordering::Acquire) == 0;
        // Also after the last one has said that it ends, for it has a few steps to go.
        std::thread::sleep(LOOK);
        if ended {
            return;
        }
    }
}

impl<T: Send + 'static> Job<T> {
    /// Begins `work` on a thread of its own. A panic there ends in a [`Fault`].
    pub fn start(work: impl FnOnce(&Progress) -> Result<T> + Send + 'static) -> Result<Arc<Self>> {
        let job = Arc::new(Self {
            progress: Progress::default(),
            outcome: Mutex::new(Outcome::None),
            ended: Condvar::new(),
        });
        let own = Arc::clone(&job);
        let run = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&own.progress)));
            let outcome = outcome.unwrap_or_else(|payload| Err(Fault::of_panic(payload.as_ref())));
            *own.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Outcome::There(outcome);
            own.ended.notify_all();
        };
        spawn(run)?;
        Ok(job)
    }

    /// The outcome, if it is there within this time. It is given once; who comes later does not wait.
    pub fn wait(&self, time: Duration) -> Option<Result<T>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(outcome, time, |outcome| matches!(outcome, Outcome::None));
        let (mut outcome, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *outcome, Outcome::Given) {
            Outcome::There(result) => Some(result),
            Outcome::Given => None,
            Outcome::None => {
                *outcome = Outcome::None;
                None
            }
        }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_panic_of_a_worker_is_an_error_that_says_so() {
        let job = Job::<()>::start(|_| {
            // As counting does: on threads of its own, whose panics go on in the one that waits for them.
            std::thread::scope(|scope| {
                let worker = scope.spawn(|| panic!("piece {} broke", 7));
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            });
            Ok(())
        });
        let error = job.unwrap().wait(LONG).unwrap().unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("Internal") && text.contains("native code panicked: piece 7 broke"), "{text}");
    }

    #[test]
    fn an_outcome_is_given_once_and_nobody_waits_for_it_after() {
        let (finish, finished) = mpsc::channel();
        let job = Job::start(move |_| Ok(finished.recv().unwrap_or(0))).unwrap();
        assert!(job.wait(Duration::ZERO).is_none());
        let begun = Instant::now();
        let waiting = || {
            std::thread::scope(|scope| {
                let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| job.wait(LONG))).collect();
                finish.send(5).unwrap();
                waiters.into_iter().filter_map(|waiter| waiter.join().unwrap()).collect::<Vec<_>>()
            })
        };
        let given = waiting();
        assert!(matches!(given[..], [Ok(5)]), "{given:?}");
        assert!(job.wait(LONG).is_none() && begun.elapsed() < LONG);
    }

    #[test]
    fn work_sees_that_it_should_end() {
        let job = Job::start(|progress| {
            progress.stage("wait", 3);
            while !progress.is_stopped() {
                progress.progress(2);
                std::thread::yield_now();
            }
            Err::<(), _>(engine::Error::Stopped.into())
        });
        let job = job.unwrap();
        while job.progress() != "wait\t2\t3" {
            std::thread::yield_now();
        }
        job.stop();
        let text = format!("{:?}", job.wait(LONG).unwrap().unwrap_err());
        assert!(text.contains("Cancelled"), "{text}");
    }
}

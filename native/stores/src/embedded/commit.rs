//! Group commit: concurrent writers share one transaction and one fsync.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use events::{Error, Kind, Result};

use super::Core;
use super::write::Writer;

/// Jobs that share a transaction, at most.
const GROUP_MAX: usize = 1024;
/// Longest wait for callers of the last group to come again.
const WAIT_MAX: Duration = Duration::from_millis(2);
/// Commits without such a wait after one that was in vain.
const PAUSE: u32 = 32;

/// Threads that want to write queue here. Whoever finds no leader leads: it runs everything that waits in one transaction,
/// while the next group gathers. Then it hands over to the first that waits.
///
/// Callers that write again and again would fall apart into two groups by turns, each of which pays for its own fsync.
/// So a leader waits a moment for those who wrote just before; never if nobody else did.
#[derive(Default)]
pub(super) struct GroupCommit {
    queue: Mutex<Queue>,
    gathered: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Empty while there is no leader.
    waiting: Vec<Box<dyn Job>>,
    has_leader: bool,
    /// How many callers wrote or waited during the last commit.
    callers: usize,
    /// With so many jobs the leader stops waiting.
    wanted: usize,
    /// How long the last commit took.
    took: Duration,
    /// Commits to do without waiting.
    pause: u32,
}

impl GroupCommit {
    /// Runs `operation` in a write transaction; on return its effect is durable, or there is none. It may run twice: if another
    /// job spoils the common transaction, each gets its own.
    pub(super) fn run<T, F>(&self, store: &Core, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Writer<'_>) -> Result<T> + Send + 'static,
    {
        let ticket = Arc::new(Ticket {
            answer: Mutex::new(None),
            leads: AtomicBool::new(false),
            caller: std::thread::current(),
        });
        let mut queue = lock(&self.queue);
        queue.waiting.push(Box::new(Pending {
            operation,
            value: None,
            answered: false,
            ticket: Arc::clone(&ticket),
        }));
        if !queue.has_leader {
            queue.has_leader = true;
            drop(queue);
            self.lead(store);
        } else {
            let enough = queue.waiting.len() >= queue.wanted;
            drop(queue);
            if enough {
                self.gathered.notify_one();
            }
        }
        loop {
            if let Some(answer) = lock(&ticket.answer).take() {
                return answer;
            }
            if ticket.leads.swap(false, Ordering::AcqRel) {
                self.lead(store);
            } else {
                std::thread::park();
            }
        }
    }

    /// Commits what waits.
    fn lead(&self, store: &Core) {
        let mut leader = Leader { commits: self, size: 0, begin: None };
        let mut group = self.gather();
        (leader.size, leader.begin) = (group.len(), Some(Instant::now()));
        let results = commit(store, &mut group);
        // the next leader first: it works while we wake the others
        drop(leader);
        for (job, result) in group.iter_mut().zip(results) {
            job.finish(result);
        }
    }

    fn gather(&self) -> Vec<Box<dyn Job>> {
        let mut queue = lock(&self.queue);
        let here = queue.waiting.len();
        if here < queue.callers && queue.pause == 0 {
            queue.wanted = queue.callers;
            let patience = (queue.took / 2).min(WAIT_MAX);
            let missing = |queue: &mut Queue| queue.waiting.len() < queue.wanted;
            let waited = self.gathered.wait_timeout_while(queue, patience, missing);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            let came = queue.waiting.len() - here;
            if came * 2 < queue.wanted - here {
                queue.pause = PAUSE;
            }
        }
        queue.pause = queue.pause.saturating_sub(1);
        queue.wanted = usize::MAX;
        let count = queue.waiting.len().min(GROUP_MAX);
        queue.waiting.drain(..count).collect()
    }
}

/// Hands leadership over when dropped, also by a panic.
struct Leader<'a> {
    commits: &'a GroupCommit,
    size: usize,
    begin: Option<Instant>,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.commits.queue);
        queue.callers = self.size + queue.waiting.len();
        queue.took = self.begin.map_or(Duration::ZERO, |begin| begin.elapsed());
        queue.has_leader = !queue.waiting.is_empty();
        if let Some(next) = queue.waiting.first() {
            next.lead();
        }
    }
}

/// State behind these locks is valid between any two statements, so a panicked holder does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One result per job.
fn commit(store: &Core, group: &mut [Box<dyn Job>]) -> Vec<Result<()>> {
    match (attempt(store, group), &mut *group) {
        (Ok(()), group) => group.iter().map(|_| Ok(())).collect(),
        (Err(error), [_]) => vec![Err(error)],
        (Err(_), group) => group.iter_mut().map(|job| attempt(store, std::slice::from_mut(job))).collect(),
    }
}

/// All jobs in one transaction.
fn attempt(store: &Core, group: &mut [Box<dyn Job>]) -> Result<()> {
    let mut writer = Writer::begin(store)?;
    for job in group {
        job.run(&mut writer)?;
    }
    writer.commit()
}

trait Job: Send {
    fn run(&mut self, writer: &mut Writer<'_>) -> Result<()>;
    fn finish(&mut self, committed: Result<()>);
    /// Makes the caller the leader.
    fn lead(&self);
}

/// Where the caller of a job waits.
struct Ticket<T> {
    answer: Mutex<Option<Result<T>>>,
    leads: AtomicBool,
    caller: Thread,
}

impl<T> Ticket<T> {
    fn answer(&self, answer: Result<T>) {
        *lock(&self.answer) = Some(answer);
        self.caller.unpark();
    }
}

struct Pending<T, F> {
    operation: F,
    value: Option<T>,
    answered: bool,
    ticket: Arc<Ticket<T>>,
}

impl<T: Send, F: Fn(&mut Writer<'_>) -> Result<T> + Send> Job for Pending<T, F> {
    fn run(&mut self, writer: &mut Writer<'_>) -> Result<()> {
        self.value = Some((self.operation)(writer)?);
        Ok(())
    }

    fn finish(&mut self, committed: Result<()>) {
        let unanswered =
            || Err(Error::new(Kind::Internal, "a write of the event store ended without an answer"));
        let value = self.value.take();
        self.answered = true;
        self.ticket.answer(committed.and_then(|()| value.map_or_else(unanswered, Ok)));
    }

    fn lead(&self) {
        self.ticket.leads.store(true, Ordering::Release);
        self.ticket.caller.unpark();
    }
}

impl<T, F> Drop for Pending<T, F> {
    fn drop(&mut self) {
        // only after a panic of the leader: whoever waits must not wait for ever
        if !self.answered {
            self.ticket.answer(Err(Error::new(Kind::Internal, "a write of the event store was aborted")));
        }
    }
}

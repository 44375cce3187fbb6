//! Group commit: concurrent writers share one transaction and one fsync.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use events::{Error, Kind, Result};

use super::Core;
use super::write::Writer;

/// Jobs that share a transaction, at most.
const GROUP_MAX: usize = 1024;

/// Threads that want to write queue here. Whoever finds no leader leads: it runs everything that waits in one transaction,
/// while the next group gathers.
#[derive(Default)]
pub(super) struct GroupCommit {
    queue: Mutex<Queue>,
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Job>>,
    has_leader: bool,
}

impl GroupCommit {
    /// Runs `operation` in a write transaction; on return its effect is durable, or there is none. It may run twice: if another
    /// job spoils the common transaction, each gets its own.
    pub(super) fn run<T, F>(&self, store: &Core, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Writer<'_>) -> Result<T> + Send + 'static,
    {
        let ticket = Arc::new(Mutex::new(None));
        let mut queue = lock(&self.queue);
        queue.waiting.push(Box::new(Pending { operation, value: None, ticket: Arc::clone(&ticket) }));
        loop {
            if let Some(answer) = lock(&ticket).take() {
                return answer;
            }
            if queue.has_leader {
                queue = self.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.has_leader = true;
            let count = queue.waiting.len().min(GROUP_MAX);
            let group = queue.waiting.drain(..count).collect();
            drop(queue);
            let leader = Leader(self);
            commit(store, group);
            drop(leader);
            queue = lock(&self.queue);
        }
    }
}

/// Gives up leadership when dropped, also by a panic.
struct Leader<'a>(&'a GroupCommit);

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        lock(&self.0.queue).has_leader = false;
        self.0.done.notify_all();
    }
}

/// State behind these locks is valid between any two statements, so a panicked holder does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn commit(store: &Core, mut group: Vec<Box<dyn Job>>) {
    match (attempt(store, &mut group), group.as_mut_slice()) {
        (Ok(()), group) => group.iter_mut().for_each(|job| job.finish(Ok(()))),
        (Err(error), [job]) => job.finish(Err(error)),
        (Err(_), group) => {
            for job in group {
                let result = attempt(store, std::slice::from_mut(job));
                job.finish(result);
            }
        }
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
}

struct Pending<T, F> {
    operation: F,
    value: Option<T>,
    ticket: Arc<Mutex<Option<Result<T>>>>,
}

impl<T: Send, F: Fn(&mut Writer<'_>) -> Result<T> + Send> Job for Pending<T, F> {
    fn run(&mut self, writer: &mut Writer<'_>) -> Result<()> {
        self.value = Some((self.operation)(writer)?);
        Ok(())
    }

    fn finish(&mut self, committed: Result<()>) {
        let unanswered =
            || Err(Error::new(Kind::Internal, "a write of the event store ended without an answer"));
        let answer = committed.and_then(|()| self.value.take().map_or_else(unanswered, Ok));
        lock(&self.ticket).get_or_insert(answer);
    }
}

impl<T, F> Drop for Pending<T, F> {
    fn drop(&mut self) {
        // only after a panic of the leader: whoever waits must not wait for ever
        lock(&self.ticket)
            .get_or_insert_with(|| Err(Error::new(Kind::Internal, "a write of the event store was aborted")));
    }
}

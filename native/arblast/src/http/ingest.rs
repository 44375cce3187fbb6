//! How events become durable: requests queue them, few threads store them in groups.
//!
//! A store pays for each commit with an fsync, so what arrives during one commit is stored by the next, together. A
//! request waits for its answer without a thread. Events of one scope are stored by one thread at a time, in the
//! order of arrival.

mod outage;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use events::{Error, Event, EventStore, Kind, Scope};
use tokio::sync::oneshot;

use crate::failure::{Failure, Result};
use crate::observe::metrics::Metrics;
use outage::Outage;

/// Threads that store: scopes that are stored at the same time.
const COMMITTERS: usize = 4;

/// Events of one commit, at most, unless a single request has more.
const GROUP_EVENTS_MAX: usize = 8192;

/// Numbers for the operator, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events stored.
    pub stored: AtomicU64,
    /// Calls of the store that stored them.
    pub commits: AtomicU64,
    /// Events refused because they are invalid, of undeclared names, too.
    pub invalid: AtomicU64,
    /// Events refused because the key may not write them.
    pub forbidden: AtomicU64,
    /// Requests refused because the queue was full.
    pub saturated: AtomicU64,
    /// Events that the store failed to take.
    pub failed: AtomicU64,
    /// Events that wait to become durable, now.
    pub queued: AtomicU64,
}

/// Makes events durable.
pub struct Ingest {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Ids of the stored events, in order, or why none was stored.
pub type Answer = events::Result<Vec<String>>;

/// There are too many events in the queue.
#[derive(Debug)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("too many events wait to be stored")
    }
}

struct Shared {
    store: Arc<dyn EventStore>,
    outage: Arc<Outage>,
    queue: Mutex<Queue>,
    work: Condvar,
    room: Condvar,
    events_max: usize,
    counters: Counters,
}

#[derive(Default)]
struct Queue {
    scopes: BTreeMap<Scope, Waiting>,
    /// Scopes that have jobs and no thread.
    ready: VecDeque<Scope>,
    /// Events that are not durable yet.
    events: usize,
    closed: bool,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    is_busy: bool,
}

struct Job {
    events: Vec<Event>,
    answer: oneshot::Sender<Answer>,
}

impl Ingest {
    /// Starts the threads. At most `events_max` events wait in the queue.
    pub fn start(store: Arc<dyn EventStore>, events_max: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            outage: Outage::new(Arc::clone(&store)),
            store,
            queue: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            events_max,
            counters: Counters::default(),
        });
        let mut ingest = Self { shared, threads: Vec::new() };
        for _ in 0..COMMITTERS {
            let shared = Arc::clone(&ingest.shared);
            let thread = std::thread::Builder::new().name("commit".to_owned()).spawn(move || shared.work());
            ingest.threads.push(thread.map_err(|error| Failure::io("cannot start a thread", &error))?);
        }
        Ok(ingest)
    }

    /// Queues validated events; the answer comes when they are durable.
    pub fn submit(
        &self,
        scope: Scope,
        events: Vec<Event>,
    ) -> std::result::Result<oneshot::Receiver<Answer>, Full> {
        let queue = self.shared.queue();
        if queue.events > 0 && queue.events + events.len() > self.shared.events_max {
            self.shared.counters.saturated.fetch_add(1, Ordering::Relaxed);
            return Err(Full);
        }
        Ok(self.shared.enqueue(queue, scope, events))
    }

    /// The same, waiting until no more than half of the queue would be taken: streams leave room for single events.
    pub fn submit_when_calm(&self, scope: Scope, events: Vec<Event>) -> oneshot::Receiver<Answer> {
        let mut queue = self.shared.queue();
        while queue.events > 0 && queue.events + events.len() > self.shared.events_max / 2 {
            queue = self.shared.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        self.shared.enqueue(queue, scope, events)
    }

    /// Is there no room for another stream?
    pub fn is_saturated(&self) -> bool {
        self.shared.queue().events > self.shared.events_max / 2
    }

    /// Whether the store takes events.
    pub fn outage(&self) -> &Arc<Outage> {
        &self.shared.outage
    }

    /// Numbers for the operator.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Registers the metrics; servers that share this may each do so.
    pub fn equip(&self, metrics: &Metrics) {
        /// Name, help, what is read.
        type Counted = (&'static str, &'static str, fn(&Counters) -> &AtomicU64);
        const COUNTED: [Counted; 6] = [
            ("arblast_events_stored_total", "Events made durable.", |of| &of.stored),
            ("arblast_events_commits_total", "Calls of the store that stored them.", |of| &of.commits),
            ("arblast_events_invalid_total", "Events refused as invalid.", |of| &of.invalid),
            ("arblast_events_forbidden_total", "Events that the key may not write.", |of| &of.forbidden),
            ("arblast_events_failed_total", "Events that the store failed to take.", |of| &of.failed),
            ("arblast_ingest_refused_total", "Requests refused as the queue was full.", |of| &of.saturated),
        ];
        for (name, help, of) in COUNTED {
            let shared = Arc::clone(&self.shared);
            metrics.counted(name, help, &[], move || of(&shared.counters).load(Ordering::Relaxed));
        }
        let shared = Arc::clone(&self.shared);
        #[expect(clippy::cast_precision_loss, reason = "the queue is short")]
        let queued = move || shared.counters.queued.load(Ordering::Relaxed) as f64;
        metrics.gauge("arblast_ingest_queued_events", "Events that wait to become durable.", &[], queued);
    }
}

impl Drop for Ingest {
    /// Waits until everything in the queue is stored.
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What the store answered, or that it did not.
pub fn stored(answer: std::result::Result<Answer, oneshot::error::RecvError>) -> Answer {
    answer.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a commit ended without an answer")))
}

impl Shared {
    /// The state is valid between any two statements, so a panicked holder does no harm.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(
        &self,
        mut queue: MutexGuard<'_, Queue>,
        scope: Scope,
        events: Vec<Event>,
    ) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        queue.events += events.len();
        self.counters.queued.store(queue.events as u64, Ordering::Relaxed);
        let waiting = queue.scopes.entry(scope).or_default();
        waiting.jobs.push_back(Job { events, answer });
        let needs_thread = !waiting.is_busy && waiting.jobs.len() == 1;
        if needs_thread {
            queue.ready.push_back(scope);
        }
        drop(queue);
        if needs_thread {
            self.work.notify_one();
        }
        receiver
    }

    /// The life of a thread.
    fn work(&self) {
        while let Some((scope, jobs)) = self.next_group() {
            let count = jobs.iter().map(|job| job.events.len()).sum::<usize>();
            // a defect of the store costs this group, whose answers get lost, and no other
            let _ = catch_unwind(AssertUnwindSafe(|| self.commit(scope, jobs)));
            self.finish(scope, count);
        }
    }

    /// Takes the jobs of a scope; `None` = the end.
    fn next_group(&self) -> Option<(Scope, Vec<Job>)> {
        let mut queue = self.queue();
        loop {
            if let Some(scope) = queue.ready.pop_front() {
                let Some(waiting) = queue.scopes.get_mut(&scope) else { continue };
                waiting.is_busy = true;
                return Some((scope, waiting.take_group()));
            }
            if queue.closed {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finish(&self, scope: Scope, count: usize) {
        let mut queue = self.queue();
        queue.events = queue.events.saturating_sub(count);
        self.counters.queued.store(queue.events as u64, Ordering::Relaxed);
        match queue.scopes.get_mut(&scope) {
            Some(waiting) if !waiting.jobs.is_empty() => {
                waiting.is_busy = false;
                queue.ready.push_back(scope);
                self.work.notify_one();
            }
            _ => drop(queue.scopes.remove(&scope)),
        }
        drop(queue);
        self.room.notify_all();
    }

    fn commit(&self, scope: Scope, mut jobs: Vec<Job>) {
        if let [_] = jobs.as_slice() {
            return jobs.into_iter().for_each(|job| self.commit_one(scope, job));
        }
        let mut events = Vec::with_capacity(jobs.iter().map(|job| job.events.len()).sum());
        let counts: Vec<usize> = jobs.iter().map(|job| job.events.len()).collect();
        jobs.iter_mut().for_each(|job| events.append(&mut job.events));
        match self.append(scope, &events) {
            Ok(ids) => {
                let mut ids = ids.into_iter();
                for (job, count) in jobs.into_iter().zip(counts) {
                    let _ = job.answer.send(Ok(ids.by_ref().take(count).collect()));
                }
            }
            // one request may be what the store cannot take: each gets its own try
            Err(_) => {
                let mut events = events.into_iter();
                for (job, count) in jobs.into_iter().zip(counts) {
                    self.commit_one(scope, Job { events: events.by_ref().take(count).collect(), ..job });
                }
            }
        }
    }

    fn commit_one(&self, scope: Scope, job: Job) {
        let answer = self.append(scope, &job.events);
        if answer.is_err() {
            self.counters.failed.fetch_add(job.events.len() as u64, Ordering::Relaxed);
        }
        let _ = job.answer.send(answer);
    }

    fn append(&self, scope: Scope, events: &[Event]) -> Answer {
        let ids = self.outage.observe(self.store.append(scope, events))?;
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.stored.fetch_add(ids.len() as u64, Ordering::Relaxed);
        Ok(ids)
    }
}

impl Waiting {
    /// As many jobs as fit a group, at least one.
    fn take_group(&mut self) -> Vec<Job> {
        let (mut events, mut count) = (0, 0);
        for job in &self.jobs {
            events += job.events.len();
            if count > 0 && events > GROUP_EVENTS_MAX {
                break;
            }
            count += 1;
        }
        self.jobs.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests;

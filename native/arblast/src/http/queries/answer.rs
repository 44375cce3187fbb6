//! From a query to its answer: by one generation, with a deadline for the history, and a bounded number at a time.
//!
//! A store that hangs keeps the threads that read from it, so these are counted: queries that find none left answer
//! without history, on threads of their own.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::{History, Query};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::blocking;
use crate::failure::Result;
use crate::http::refused::Refused;
use crate::http::reply;
use crate::live::Served;
use crate::observe::metrics::Histogram;
use crate::serving::Serving;

/// Limits of answering.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Queries that are computed or wait for a thread at the same time; more are refused.
    pub queries_max: usize,
    /// Threads that read histories at the same time; as many compute without reading.
    pub threads_max: usize,
    /// A history that takes longer is done without.
    pub history_timeout_ms: u64,
    /// Who waits longer for a thread is refused: an answer that comes later helps nobody.
    pub wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queries_max: 1024, threads_max: 32, history_timeout_ms: 200, wait_max: Duration::from_secs(1) }
    }
}

/// A query and who answers it: one configuration, one generation and one state of its items, from beginning to end.
#[derive(Clone)]
pub struct Question {
    /// The configuration and the histories.
    pub serving: Arc<Serving>,
    /// The model.
    pub served: Arc<Served>,
    /// What is asked.
    pub query: Arc<Query>,
    /// Does the text of the answer say if it is degraded?
    pub with_degraded: bool,
}

/// The answer to a question.
pub struct Answer {
    /// As JSON.
    pub json: String,
    /// Is it without the stored history that it should rest on?
    pub degraded: bool,
    /// What answered.
    pub served: Arc<Served>,
}

impl IntoResponse for Answer {
    /// The headers say what answered, and if it lacked something.
    fn into_response(self) -> Response {
        let mut response = reply::json(StatusCode::OK, self.json);
        response
            .headers_mut()
            .insert("x-arblast-generation", HeaderValue::from(self.served.generation.number));
        if self.degraded {
            response.headers_mut().insert("x-arblast-degraded", HeaderValue::from_static("history"));
        }
        response
    }
}

impl Question {
    fn answer_with_history(&self, reading: &Reading) -> Result<Option<Answer>> {
        if reading.is_given_up() {
            return Ok(None);
        }
        let began = Instant::now();
        let history = self.serving.history(&self.query);
        reading.times.observe(began.elapsed());
        if !reading.is_in_time() {
            return Ok(None);
        }
        self.answer(&history?).map(Some)
    }

    fn answer_without_store(&self) -> Result<Answer> {
        self.answer(&self.serving.history_without_store(&self.query)?)
    }

    fn answer(&self, history: &History) -> Result<Answer> {
        let mut found = self.serving.recommend_with(&self.served, &self.query, history)?;
        let degraded = found.degraded;
        found.degraded = degraded && self.with_degraded;
        Ok(Answer { json: found.to_json(), degraded, served: Arc::clone(&self.served) })
    }
}

/// Answers questions.
pub struct Answering {
    limits: Limits,
    queue: Semaphore,
    readers: Arc<Semaphore>,
    computers: Arc<Semaphore>,
    /// Readers that were given up and still hang.
    stuck: Arc<AtomicUsize>,
    /// What reading histories took.
    history_times: Arc<Histogram>,
    /// Answers without the history that they should rest on.
    degraded: AtomicU64,
}

impl Answering {
    /// Nobody is answered yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            queue: Semaphore::new(limits.queries_max),
            readers: Arc::new(Semaphore::new(limits.threads_max)),
            computers: Arc::new(Semaphore::new(limits.threads_max)),
            stuck: Arc::default(),
            history_times: Arc::default(),
            degraded: AtomicU64::new(0),
        }
    }

    /// Answers one question. Without its history if that does not come in time.
    pub async fn answer(&self, question: Question) -> std::result::Result<Answer, Refused> {
        let _queued = self.queue.try_acquire().map_err(|_| busy())?;
        let with_history = match question.query.user {
            Some(_) => self.with_history(&question).await?,
            None => None,
        };
        let answer = match with_history {
            Some(answer) => answer,
            None => self.without_store(question).await?,
        };
        if answer.degraded {
            self.degraded.fetch_add(1, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Queries in work or waiting.
    pub fn queued(&self) -> usize {
        self.limits.queries_max.saturating_sub(self.queue.available_permits())
    }

    /// Answers without the history that they should rest on, since the start.
    pub fn degraded(&self) -> u64 {
        self.degraded.load(Ordering::Relaxed)
    }

    /// What reading histories takes.
    pub fn history_times(&self) -> &Arc<Histogram> {
        &self.history_times
    }

    /// Does every thread that may read histories hang?
    pub fn is_stuck(&self) -> bool {
        self.stuck() >= self.limits.threads_max
    }

    /// Threads that hang in the store.
    pub fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Relaxed)
    }

    /// `None` if the history is not there in time.
    async fn with_history(&self, question: &Question) -> Result<Option<Answer>> {
        let deadline = Duration::from_millis(self.limits.history_timeout_ms);
        if self.is_stuck() {
            return Ok(None);
        }
        let free = timeout(deadline, Arc::clone(&self.readers).acquire_owned());
        let Ok(Ok(permit)) = free.await else { return Ok(None) };
        let state = Arc::new(AtomicU8::new(READING));
        let reading = Reading {
            state: Arc::clone(&state),
            stuck: Arc::clone(&self.stuck),
            times: Arc::clone(&self.history_times),
            _permit: permit,
        };
        // Also gives up when nobody wants the answer any more and this is dropped.
        let waiting = Waiting { state: &state, stuck: &self.stuck };
        let question = question.clone();
        // The permission comes back with the answer: the next query then finds this thread free, and starts no other.
        let mut answer = pin!(blocking(move || Ok((question.answer_with_history(&reading), reading))));
        tokio::select! {
            biased;
            answer = &mut answer => answer?.0,
            () = sleep(deadline) => if waiting.give_up() { Ok(None) } else { answer.await?.0 },
        }
    }

    async fn without_store(&self, question: Question) -> std::result::Result<Answer, Refused> {
        let free = timeout(self.limits.wait_max, Arc::clone(&self.computers).acquire_owned());
        let Ok(Ok(permit)) = free.await else { return Err(busy()) };
        let (answer, _permit) = blocking(move || Ok((question.answer_without_store(), permit))).await?;
        Ok(answer?)
    }
}

fn busy() -> Refused {
    Refused::busy("too many queries at the same time; try again")
}

const READING: u8 = 0;
const IN_TIME: u8 = 1;
const GIVEN_UP: u8 = 2;
const ENDED: u8 = 3;

/// From reading to `to`, unless that was decided already.
fn advance(state: &AtomicU8, to: u8) -> bool {
    state.compare_exchange(READING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// A thread that reads a history, and whether somebody still waits for that.
struct Reading {
    state: Arc<AtomicU8>,
    stuck: Arc<AtomicUsize>,
    times: Arc<Histogram>,
    _permit: OwnedSemaphorePermit,
}

impl Reading {
    fn is_in_time(&self) -> bool {
        advance(&self.state, IN_TIME)
    }

    fn is_given_up(&self) -> bool {
        self.state.load(Ordering::Acquire) == GIVEN_UP
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.state.swap(ENDED, Ordering::AcqRel) == GIVEN_UP {
            self.stuck.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Whoever waits for a [`Reading`].
struct Waiting<'a> {
    state: &'a AtomicU8,
    stuck: &'a AtomicUsize,
}

impl Waiting<'_> {
    /// `false` if the history was read in time.
    fn give_up(&self) -> bool {
        // Counted before it can end.
        self.stuck.fetch_add(1, Ordering::Relaxed);
        let given_up = advance(self.state, GIVEN_UP);
        if !given_up {
            self.stuck.fetch_sub(1, Ordering::Relaxed);
        }
        given_up
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

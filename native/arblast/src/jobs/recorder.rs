//! Keeps the record of a train up to date while it runs: stage, progress, time of each stage; and hears who wants it to end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use engine::{Observer, TrainReport};
use events::json::Object;
use events::{EngineInstance, EventTime, Json, Registry};

use super::log::JobLog;
use super::report::{CANCELLED, CANCELLING, LOCKED, SEEN, SERVER_STOPPED, STOPPING, real};
use super::turn::{Turn, is_asked_to_stop};
use crate::clock;

/// How old a record may become.
const SAVE: Duration = Duration::from_secs(1);
/// How often a wish to stop is looked for.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Recorder<'a> {
    inner: &'a dyn Observer,
    registry: &'a dyn Registry,
    state: Mutex<State>,
    stop: PathBuf,
    run: String,
    is_cancelled: AtomicBool,
    is_server_stopped: AtomicBool,
    log: JobLog,
}

struct State {
    record: EngineInstance,
    /// Id of the lock that the run holds.
    lock: String,
    stage: Option<Stage>,
    /// (name, seconds) of those that ended.
    stages: Vec<(String, f64)>,
    saved: Instant,
}

struct Stage {
    name: String,
    began: Instant,
    done: u64,
    total: u64,
}

impl<'a> Recorder<'a> {
    /// Of the run that `record` describes. Tells `inner` everything, too; `log` what people want to read later.
    pub(super) fn new(
        record: EngineInstance,
        turn: &Turn,
        registry: &'a dyn Registry,
        stop: PathBuf,
        inner: &'a dyn Observer,
        log: JobLog,
    ) -> Self {
        let run = record.id.clone();
        let lock = turn.id().to_owned();
        let state = State { record, lock, stage: None, stages: Vec::new(), saved: Instant::now() };
        Self {
            inner,
            registry,
            state: Mutex::new(state),
            stop,
            run,
            is_cancelled: AtomicBool::new(false),
            is_server_stopped: AtomicBool::new(false),
            log,
        }
    }

    /// Runs `work`, and meanwhile writes the record and looks for a wish to stop, in a thread of its own: whoever reads
    /// events must not write to the store.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = scope.spawn(|| {
                while !ended.load(Ordering::Acquire) {
                    self.look();
                    thread::park_timeout(LOOK);
                }
            });
            let _end = End { ended: &ended, watch: watch.thread().clone() };
            work()
        })
    }

    fn look(&self) {
        let heard = self.hears();
        if heard {
            self.log.line("asked to end; it does at its next step");
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if heard || state.saved.elapsed() >= SAVE {
            state.saved = Instant::now();
            let mut described = state.described();
            if let Some(why) = self.why_stopped() {
                described.push(if why == CANCELLED { CANCELLING } else { STOPPING }, true);
            }
            state.record.report = described.to_string();
            let record = state.record.clone();
            drop(state);
            // What is not written now is written the next time; the end tells what is wrong with the store.
            let _ = self.registry.put_instance(&record);
        }
    }

    /// Time of each stage, in order. Ends the last.
    pub(super) fn stages(&self) -> Json {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.end_stage(&mut state);
        state.stages_described()
    }

    fn end_stage(&self, state: &mut State) {
        if let Some(stage) = state.stage.take() {
            let seconds = stage.began.elapsed().as_secs_f64();
            self.log.line(format_args!("{} took {seconds:.3} s", stage.name));
            state.stages.push((stage.name, seconds));
        }
    }

    /// A line of the log.
    pub(super) fn note(&self, text: impl std::fmt::Display) {
        self.log.line(text);
    }

    /// Looks who wants this run to end; `true` if that is new.
    fn hears(&self) -> bool {
        let asked = is_asked_to_stop(&self.stop, &self.run);
        let cancelled = asked && !self.is_cancelled.swap(true, Ordering::Relaxed);
        let stopped = self.inner.is_stopped() && !self.is_server_stopped.swap(true, Ordering::Relaxed);
        cancelled || stopped
    }

    /// Is this run to end? Looks anew, where [`is_stopped`](Observer::is_stopped) may be a moment behind.
    pub(super) fn is_stopped_by_now(&self) -> bool {
        self.hears();
        self.is_stopped()
    }

    /// Who asked for this run to end, as the reason of its failure.
    pub(super) fn why_stopped(&self) -> Option<&'static str> {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Some(CANCELLED);
        }
        self.inner.is_stopped().then_some(SERVER_STOPPED)
    }
}

/// Ends the watch, also if the work panics.
struct End<'a> {
    ended: &'a AtomicBool,
    watch: Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.watch.unpark();
    }
}

impl State {
    fn described(&self) -> Object {
        let mut described = Object::new();
        if let Some(stage) = &self.stage {
            described.push("stage", stage.name.as_str());
            described.push("done", stage.done);
            described.push("total", stage.total);
        }
        described
            .with("stages", self.stages_described())
            .with(SEEN, EventTime::utc(clock::now_ms()).to_string())
            .with(LOCKED, self.lock.as_str())
    }

    fn stages_described(&self) -> Json {
        let stage = |(name, seconds): &(String, f64)| {
            Json::from(Object::new().with("name", name.as_str()).with("seconds", real(*seconds)))
        };
        Json::Array(self.stages.iter().map(stage).collect())
    }
}

impl Observer for Recorder<'_> {
    fn stage(&self, name: &str, total: u64) {
        self.inner.stage(name, total);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.end_stage(&mut state);
        self.log.line(format_args!(
            "{name} begins{}",
            if total > 0 { format!(": {total} steps") } else { String::new() }
        ));
        state.stage = Some(Stage { name: name.to_owned(), began: Instant::now(), done: 0, total });
        // Written at the next look.
        if let Some(old) = Instant::now().checked_sub(SAVE) {
            state.saved = old;
        }
    }

    fn progress(&self, done: u64) {
        self.inner.progress(done);
        // Whoever counts does not wait.
        let Ok(mut state) = self.state.try_lock() else { return };
        if let Some(stage) = &mut state.stage {
            stage.done = stage.done.max(done);
        }
    }

    fn preflight(&self, report: &TrainReport) {
        self.inner.preflight(report);
        let TrainReport { events, users, items, .. } = report;
        self.log.line(format_args!("{events} events of {users} users, {items} items"));
        report.warnings.iter().for_each(|warning| self.log.line(format_args!("warning: {warning}")));
    }

    fn is_stopped(&self) -> bool {
        self.why_stopped().is_some()
    }
}

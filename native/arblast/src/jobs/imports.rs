//! Imports that a server runs beside its requests, one at a time. Their records live as long as the process; what they stored
//! stays, and who repeats one that was interrupted goes on where it was.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use events::json::Object;
use events::{DeclaredEvents, EventTime, Scope};
use stores::Storage;

use super::report::new_id;
use crate::clock;
use crate::failure::{Failure, Result};
use crate::import::{Form, Import, Names, OnError, Source, Totals};

/// Records that are kept.
const RECORDS_MAX: usize = 100;

/// An import that is wanted.
pub struct ImportOrder {
    /// Whose job it is.
    pub engine: String,
    /// Its app.
    pub app: String,
    /// Where events go.
    pub scope: Scope,
    /// Names that its events may have.
    pub declared: Option<DeclaredEvents>,
    /// As it was asked for.
    pub path: String,
    /// What is there.
    pub sources: Vec<Source>,
    /// Where progress is noted.
    pub home: PathBuf,
}

/// Imports, newest first.
#[derive(Default)]
pub struct Imports(Mutex<VecDeque<Arc<ImportJob>>>);

/// One import, and how it stands.
pub struct ImportJob {
    id: String,
    order: ImportOrder,
    start_ms: i64,
    stored: Arc<AtomicU64>,
    ended: Mutex<Option<Ended>>,
}

struct Ended {
    at_ms: i64,
    outcome: std::result::Result<Totals, String>,
    first_bad: Option<String>,
}

impl Imports {
    /// Begins an import in a thread of its own; gives its job. `None` if another runs.
    ///
    /// # Errors
    /// No thread, no random bytes.
    pub fn start(&self, storage: &Storage, order: ImportOrder) -> Result<Option<Object>> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.front().is_some_and(|job| !job.has_ended()) {
            return Ok(None);
        }
        let (id, start_ms) = (new_id()?, clock::now_ms());
        let job =
            Arc::new(ImportJob { id, order, start_ms, stored: Arc::default(), ended: Mutex::default() });
        let (running, storage) = (Arc::clone(&job), storage.clone());
        thread::Builder::new()
            .name("import".to_owned())
            .spawn(move || running.run(&storage))
            .map_err(|error| Failure::io("cannot start a thread", &error))?;
        let described = job.described();
        jobs.push_front(job);
        jobs.truncate(RECORDS_MAX);
        Ok(Some(described))
    }

    /// Those of an engine as jobs, newest first.
    pub fn of(&self, engine: &str) -> Vec<Object> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.iter().filter(|job| job.order.engine == engine).map(|job| job.described()).collect()
    }
}

impl ImportJob {
    fn has_ended(&self) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn run(&self, storage: &Storage) {
        let mut first_bad = None;
        let outcome = self.import(storage, &mut first_bad).map_err(|failure| failure.to_string());
        let ended = Ended { at_ms: clock::now_ms(), outcome, first_bad };
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
    }

    fn import(&self, storage: &Storage, first_bad: &mut Option<String>) -> Result<Totals> {
        let order = &self.order;
        // Requests go on meanwhile.
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let import = Import {
            by: "import_path",
            store: storage.events.as_ref(),
            scope: order.scope,
            home: &order.home,
            now_ms: self.start_ms,
            parsers: (processors / 2).max(1),
            on_error: OnError::Skip,
            form: Form::Api,
            names: Names::new(order.declared.clone()),
            fresh: false,
            bytes_read: Arc::default(),
            events_stored: Arc::clone(&self.stored),
        };
        storage.events.init(order.scope)?;
        let mut sum = Totals::default();
        for source in &order.sources {
            let totals = import.run(source, &mut |bad| {
                let place = || format!("{} line {}: {}", source.name(), bad.line, bad.reason);
                first_bad.get_or_insert_with(place);
                Ok(())
            })?;
            sum.lines += totals.lines;
            sum.events += totals.events;
            sum.bad += totals.bad;
            sum.resumed += totals.resumed;
        }
        Ok(sum)
    }

    fn described(&self) -> Object {
        let time = |ms| EventTime::utc(ms).to_string();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let status = match &*ended {
            None => "executing",
            Some(Ended { outcome: Ok(_), .. }) => "successful",
            Some(Ended { outcome: Err(_), .. }) => "failed",
        };
        let mut job = Object::new()
            .with("jobId", self.id.as_str())
            .with("engineId", self.order.engine.as_str())
            .with("app", self.order.app.as_str())
            .with("status", status)
            .with("startTime", time(self.start_ms))
            .with("importPath", self.order.path.as_str());
        let Some(Ended { at_ms, outcome, first_bad }) = &*ended else {
            return job.with("events", self.stored.load(Ordering::Relaxed));
        };
        job.push("endTime", time(*at_ms));
        match outcome {
            Ok(Totals { lines, events, bad, resumed }) => {
                job = job
                    .with("lines", *lines)
                    .with("events", *events)
                    .with("badLines", *bad)
                    .with("resumedLines", *resumed);
            }
            Err(reason) => job = job.with("reason", reason.as_str()),
        }
        if let Some(first) = first_bad {
            job.push("firstBadLine", first.as_str());
        }
        job
    }
}

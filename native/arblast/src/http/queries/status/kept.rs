//! What is slow to find and seldom changes: counted beside the requests, kept until it is different.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use events::json::Object;
use stores::{Generation, Storage};

use super::super::QueryServer;
use super::{contents, history};
use crate::deployable::Deployable;
use crate::models;
use crate::serving::Serving;

/// Training runs are read again after this.
const RUNS_AGE_MAX: Duration = Duration::from_secs(1);

/// Answers of a status report that are used again.
#[derive(Default)]
pub(in super::super) struct Kept {
    contents: Mutex<Option<(String, Arc<Object>)>>,
    counting: AtomicBool,
    runs: Mutex<Option<(Instant, String, Object)>>,
}

/// Whoever counts ends to count, however that goes.
struct Counting<'a>(&'a AtomicBool);

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Kept {
    /// The training runs, at most a second old. If they cannot be read, the reason: the rest of the status is the more
    /// wanted then.
    pub(super) fn runs(&self, engine: &Deployable, storage: &Storage) -> Object {
        let config = &engine.config;
        let of = models::of(storage, &config.app_name, &config.variant).path().display().to_string();
        let mut kept = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, whose, runs)) = kept.as_ref()
            && *whose == of
            && read.elapsed() < RUNS_AGE_MAX
        {
            return runs.clone();
        }
        let runs = engine.runs(storage);
        let runs = runs.map_or_else(|failure| history::unread(&failure), |runs| history::described(&runs));
        *kept = Some((Instant::now(), of, runs.clone()));
        runs
    }

    fn found(&self, key: &str) -> Option<Arc<Object>> {
        let kept = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(of, _)| of == key).map(|(_, contents)| Arc::clone(contents))
    }
}

impl QueryServer {
    /// What is in the generation and beside which others it is kept. `None` if that is not counted yet: it is begun
    /// then, once, and will be there later.
    pub(super) fn contents(
        self: &Arc<Self>,
        serving: &Arc<Serving>,
        generation: &Arc<Generation>,
    ) -> Option<Arc<Object>> {
        let directory = serving.directory();
        let (path, pointer) = (directory.path().display(), directory.current_here().unwrap_or_default());
        let key = format!("{path} {} {pointer:?} {}", generation.number, generation.info.digest);
        let found = self.kept.found(&key);
        if found.is_none() && !self.kept.counting.swap(true, Ordering::Acquire) {
            let (server, serving, generation) =
                (Arc::clone(self), Arc::clone(serving), Arc::clone(generation));
            tokio::task::spawn_blocking(move || {
                let _counting = Counting(&server.kept.counting);
                let counted = Arc::new(count(&serving, &generation));
                *server.kept.contents.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, counted));
            });
        }
        found
    }
}

fn count(serving: &Serving, generation: &Generation) -> Object {
    // Models that cannot be listed are no reason to say nothing of this one.
    let generations = serving.directory().list().unwrap_or_default();
    contents::described(&generation.model)
        .with("generations", generations.iter().map(models::described).collect::<Vec<_>>())
}

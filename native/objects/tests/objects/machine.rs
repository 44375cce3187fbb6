//! A machine that shares models: it has copies of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stores::conformance::model;
use stores::{ModelDirectory, ModelReader, Models, Objects, TrainedBy};

/// Bytes of a document, so that a model of some thousand items is on its way for a while.
const DOCUMENT: usize = 8 << 10;

pub(crate) struct Machine {
    pub(crate) copies: tempfile::TempDir,
    pub(crate) models: ModelDirectory,
}

impl Machine {
    pub(crate) fn new(place: &Arc<dyn Objects>) -> Self {
        let copies = tempfile::tempdir().unwrap();
        let models = models(place, copies.path());
        Self { copies, models }
    }

    pub(crate) fn keeping(self, generations: usize) -> Self {
        Self { models: self.models.keeping(generations), ..self }
    }

    /// A model of so many items becomes the next generation, now.
    pub(crate) fn publish(&self, items: u32) -> events::Result<u64> {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        self.publish_at(items, i64::try_from(now.as_millis()).unwrap())
    }

    pub(crate) fn publish_at(&self, items: u32, published_ms: i64) -> events::Result<u64> {
        let trained = TrainedBy { published_ms, ..TrainedBy::default() };
        self.models.publish(&model(items, DOCUMENT), trained).map(|(generation, _)| generation)
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.models.list().unwrap().into_iter().map(|listed| listed.generation).collect()
    }
}

/// The same models for a program that starts again on a machine.
pub(crate) fn models(place: &Arc<dyn Objects>, copies: &Path) -> ModelDirectory {
    Models::shared(Arc::clone(place), copies).of("shop", "default")
}

/// Looks until it is there, for a minute.
#[track_caller]
fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until this generation serves; gives its items, and how long it took.
pub(crate) fn soon(reader: &ModelReader, generation: u64) -> (u32, Duration) {
    let since = Instant::now();
    let current = eventually(|| Some(reader.current()).filter(|current| current.number == generation));
    (current.model.items(), since.elapsed())
}

/// Waits until a reader says why it does not follow.
pub(crate) fn complaint(reader: &ModelReader) -> String {
    eventually(|| reader.refused()).to_string()
}

/// Waits until it has nothing to say: a pointer comes first, the end of the look that brought it a moment later.
pub(crate) fn content(reader: &ModelReader) {
    eventually(|| reader.refused().is_none().then_some(()));
}

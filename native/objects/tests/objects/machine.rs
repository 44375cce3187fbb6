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

/// Waits until this generation serves; gives its items, and how long it took.
pub(crate) fn soon(reader: &ModelReader, generation: u64) -> (u32, Duration) {
    let since = Instant::now();
    while reader.current().number != generation && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let current = reader.current();
    assert_eq!(current.number, generation, "{:?}", reader.refused());
    (current.model.items(), since.elapsed())
}

/// Waits until a reader says why it does not follow.
pub(crate) fn complaint(reader: &ModelReader) -> String {
    let since = Instant::now();
    loop {
        if let Some(refused) = reader.refused() {
            return refused.to_string();
        }
        assert!(since.elapsed() < Duration::from_secs(60), "nothing is wrong");
        std::thread::sleep(Duration::from_millis(20));
    }
}

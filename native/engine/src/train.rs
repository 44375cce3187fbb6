//! Training: from a store of events to the parts of a model.

use std::sync::Arc;

use events::{EventStore, Scope};
use model::{Model, ModelParts};

use crate::{EngineConfig, Portion, Result, TrainReport};

/// Choices that do not change the model.
#[derive(Debug, Clone, Copy)]
pub struct TrainOptions {
    /// Threads that count; the model is the same for any number.
    pub threads: usize,
    /// The time of training, ms since 1970: the end of windows.
    pub now_ms: i64,
}

/// Is told how training goes. The caller keeps the time.
pub trait Observer: Sync {
    /// A stage begins; `total` = its steps, 0 if unknown.
    fn stage(&self, name: &str, total: u64);
    /// Steps of the current stage done so far. May come from any thread.
    fn progress(&self, done: u64);
    /// All is read: what will be counted. Called before the long part.
    fn preflight(&self, report: &TrainReport);
    /// Should the work end without a result? Asked at each progress, from any thread, so it must be quick.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// The result of a train.
#[derive(Debug)]
pub struct Trained {
    /// Ready to be written.
    pub parts: ModelParts,
    /// What was seen and made.
    pub report: TrainReport,
}

/// Trains `config` on the events of `scope`.
///
/// `current` is the model in use, needed by `recsModel: "backfill"` only, which keeps its correlators.
///
/// # Errors
/// [`Error::Untrainable`] if there is nothing to train on; [`Error::Stopped`] if the observer says so; whatever the store reports.
pub fn train(
    config: &EngineConfig,
    store: &dyn EventStore,
    scope: Scope,
    current: Option<&Model>,
    options: TrainOptions,
    observer: &dyn Observer,
) -> Result<Trained> {
    let mut portion = Portion::new(Arc::new(config.clone()), options.now_ms);
    portion.read(store, scope, observer)?;
    let mut training = portion.prepare(current, options.threads, observer)?;
    observer.preflight(training.report());
    training.check()?;
    training.correlate(options.threads, observer)?;
    observer.stage("assemble", 0);
    training.assemble()
}

//! Training: from a store of events to the parts of a model.

use std::sync::Arc;

use events::{EventStore, Scope};
use model::{Model, ModelParts};

use crate::{EngineConfig, Error, Portion, Result, TrainReport};

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

impl Trained {
    /// Refuses a model that is empty or has fewer than `ratio` times the correlators that the `current` one has: more likely
    /// lost events or a misspelt name than the truth.
    ///
    /// # Errors
    /// [`Error::Shrunk`], with both numbers.
    pub fn check_size(&self, current: Option<u64>, ratio: f64) -> Result<()> {
        let correlators: usize = self.report.indicators.iter().map(|indicator| indicator.correlators).sum();
        let before = current.unwrap_or(0);
        let refuse = |reason| Err(Error::Shrunk(format!("{reason}; not published (--force publishes it)")));
        #[expect(clippy::cast_precision_loss, reason = "a ratio of counts needs no 53 bits")]
        let share = correlators as f64 / before.max(1) as f64;
        if correlators == 0 {
            return refuse(format!(
                "the model has no correlators: none of {} users links two things more than chance does",
                self.report.users
            ));
        }
        if share < ratio && before > 0 {
            return refuse(format!(
                "the model has {correlators} correlators, the one in use {before}: less than the share of {ratio} \
                 that minModelRatio asks for"
            ));
        }
        Ok(())
    }
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
    let mut training = portion.prepare(current, options.threads)?;
    observer.preflight(training.report());
    training.check()?;
    training.correlate(options.threads, observer)?;
    observer.stage("assemble", 0);
    training.assemble()
}

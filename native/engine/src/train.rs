//! Training: from a store of events to the parts of a model.

use std::ops::ControlFlow;

use cco::{Params, Sampling};
use events::properties::PropertyFold;
use events::{EventRef, EventStore, Scope};
use model::{Model, ModelParts};

use crate::assemble::{Correlated, assemble};
use crate::config::{RankingKind, RecsModel};
use crate::ranking::RankingCounter;
use crate::window::Window;
use crate::{EngineConfig, Error, Preparation, Prepared, Result, TrainingSet, items};

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

/// What training saw and made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainReport {
    /// Events read, of any kind.
    pub events: u64,
    /// Users that count: with enough primary events.
    pub users: u32,
    /// In the order of the configuration.
    pub indicators: Vec<IndicatorReport>,
    /// Items of the model, whether correlated, described or ranked.
    pub items: u32,
    /// (name, items that have a rank), in sort order.
    pub rankings: Vec<(String, u64)>,
    /// Memory that counting needs at its peak, bytes: an estimate.
    pub memory_bytes: u64,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// One indicator in a [`TrainReport`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndicatorReport {
    /// Event name.
    pub name: String,
    /// Events in the window.
    pub events: u64,
    /// Distinct (user, thing) pairs of users that count.
    pub cells: u64,
    /// Of those, kept after down-sampling.
    pub sampled: u64,
    /// Users that count and have such an event.
    pub users: u64,
    /// Distinct things.
    pub things: u64,
    /// Correlators found, over all items; 0 before counting.
    pub correlators: usize,
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
    /// Refuses a model that is empty or has fewer than `ratio` times the correlators of the one in use: more likely
    /// lost events or a misspelt name than the truth.
    ///
    /// # Errors
    /// [`Error::Shrunk`], with both numbers.
    pub fn check_size(&self, current: Option<&Model>, ratio: f64) -> Result<()> {
        let correlators: usize = self.report.indicators.iter().map(|indicator| indicator.correlators).sum();
        let before = current.map_or(0, |model| model.counts().correlators);
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
    let read = Reading::new(config, options.now_ms).read(store, scope, observer)?;
    let mut report = TrainReport { events: read.events, ..TrainReport::default() };
    let correlated = match config.recs_model {
        RecsModel::Backfill => Correlated::of_current(config, current)?,
        RecsModel::All | RecsModel::CollabFiltering => {
            let prepared = read.training.finish(options.threads, &preparation(config))?;
            describe(config, &prepared, &mut report);
            observer.preflight(&report);
            require_primary(config, &report)?;
            correlate(config, prepared, options.threads, observer)?
        }
    };
    observer.stage("assemble", 0);
    for (indicator, (_, correlators)) in report.indicators.iter_mut().zip(&correlated.indicators) {
        indicator.correlators = correlators.len();
    }
    report.users = correlated.users;
    let parts = assemble(config, correlated, &read.properties.finish(), read.rankings, &mut report)?;
    Ok(Trained { parts, report })
}

/// What one pass over the store collects.
struct Reading<'a> {
    config: &'a EngineConfig,
    window: Window,
    training: TrainingSet,
    properties: PropertyFold,
    rankings: Vec<RankingCounter<'a>>,
    events: u64,
}

impl<'a> Reading<'a> {
    fn new(config: &'a EngineConfig, now_ms: i64) -> Self {
        let counted = |kind| !matches!(kind, RankingKind::UserDefined);
        let rankings = match config.recs_model {
            RecsModel::CollabFiltering => Vec::new(),
            RecsModel::All | RecsModel::Backfill => config
                .rankings
                .iter()
                .filter(|ranking| counted(ranking.kind))
                .map(|ranking| RankingCounter::new(ranking, now_ms))
                .collect(),
        };
        Self {
            config,
            window: Window::new(&config.window, now_ms),
            training: TrainingSet::new(config.indicators.len()),
            properties: PropertyFold::new(),
            rankings,
            events: 0,
        }
    }

    fn read(mut self, store: &dyn EventStore, scope: Scope, observer: &dyn Observer) -> Result<Self> {
        self.window.learn(store, scope)?;
        observer.stage("read", store.count(scope)?);
        let mut failure = None;
        store.scan(scope, &mut |event| {
            if let Err(error) = self.push(event) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            if self.events.is_multiple_of(65_536) {
                observer.progress(self.events);
                if observer.is_stopped() {
                    failure = Some(Error::Stopped);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        observer.progress(self.events);
        failure.map_or(Ok(self), Err)
    }

    fn push(&mut self, event: &EventRef<'_>) -> Result<()> {
        self.events += 1;
        if event.event.starts_with('$') {
            return Ok(items::describe(&mut self.properties, event)?);
        }
        if !self.window.holds(event) {
            return Ok(());
        }
        for ranking in &mut self.rankings {
            ranking.push(event)?;
        }
        if let (Some((items::ITEM, thing)), "user") = (event.target, event.entity_type)
            && let Some(indicator) = self.config.indicator_of(event.event)
        {
            self.training.push(indicator, event.entity_id, thing)?;
        }
        Ok(())
    }
}

/// Fills in what is known before counting.
fn describe(config: &EngineConfig, prepared: &Prepared, report: &mut TrainReport) {
    report.users = prepared.users();
    report.memory_bytes = prepared.memory_estimate();
    for (indicator, statistics) in config.indicators.iter().zip(prepared.statistics()) {
        if statistics.events == 0 {
            report.warnings.push(format!(
                "no \"{}\" events: the model goes without this indicator; check its spelling in engine.json",
                indicator.name
            ));
        } else if statistics.cells == 0 {
            report.warnings.push(format!(
                "\"{}\": none of its {} events is by a user who also has \"{}\" events: no evidence in it",
                indicator.name, statistics.events, config.indicators[0].name
            ));
        }
        report.indicators.push(IndicatorReport {
            name: indicator.name.clone(),
            events: statistics.events,
            cells: statistics.cells,
            sampled: statistics.sampled,
            users: statistics.users,
            things: statistics.things,
            correlators: 0,
        });
    }
}

/// A model without primary interactions recommends nothing: say which name is missing.
fn require_primary(config: &EngineConfig, report: &TrainReport) -> Result<()> {
    let primary = &report.indicators[0];
    if primary.cells > 0 {
        return Ok(());
    }
    let name = &primary.name;
    let counts: Vec<String> = report
        .indicators
        .iter()
        .map(|indicator| format!("{} {}", indicator.events, indicator.name))
        .collect();
    Err(Error::Untrainable(if primary.events == 0 {
        format!(
            "no primary events: app \"{}\" has no \"{name}\" event of a user on an item in the window (found: {}). \
             The first name in eventNames or indicators is the primary one; check its spelling and the app",
            config.app_name,
            counts.join(", ")
        )
    } else {
        format!(
            "no user has {} or more \"{name}\" events (found {} events): lower minEventsPerUser",
            config.min_events_per_user, primary.events
        )
    }))
}

/// The caps of the configuration. An indicator is thinned out under its own name, whatever its place.
fn preparation(config: &EngineConfig) -> Preparation {
    let sampling = config.indicators.iter().map(|indicator| Sampling {
        seed: config.seed,
        indicator: model::key(indicator.name.as_bytes()),
        cap: indicator.max_items_per_user,
    });
    Preparation { min_events_per_user: config.min_events_per_user, sampling: sampling.collect() }
}

fn correlate(
    config: &EngineConfig,
    prepared: Prepared,
    threads: usize,
    observer: &dyn Observer,
) -> Result<Correlated> {
    let rows = u64::from(prepared.things(0).len());
    let mut correlators = Vec::new();
    for (index, indicator) in config.indicators.iter().enumerate() {
        observer.stage(&format!("correlate {}", indicator.name), rows);
        let progress = |done, _| {
            observer.progress(done);
            if observer.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let params = Params {
            max_correlators: indicator.max_correlators,
            min_llr: indicator.min_llr,
            positive_only: false, // the sign of a correlation is not looked at, as in the systems we succeed
        };
        correlators.push(prepared.correlators(index, params, threads, &progress)?);
    }
    let users = prepared.users();
    let things = prepared.into_things();
    Ok(Correlated {
        users,
        items: things[0].clone(),
        indicators: things.into_iter().zip(correlators).collect(),
    })
}

//! A train after reading: what is to be counted, the correlators as they come, the model in the end.

use std::ops::ControlFlow;
use std::sync::Arc;

use cco::{Params, Sampling};
use events::properties::EntityProperties;

use crate::assemble::{Correlated, assemble};
use crate::ranking::RankingCounter;
use crate::{
    Correlating, EngineConfig, Error, Indicator, IndicatorReport, Observer, Preparation, Prepared, Result,
    TrainReport, Trained,
};

/// Everything of a train but the correlators, and those as far as they have been counted: here by
/// [`correlate`](Self::correlate), or as [`correlating`](Self::correlating) allows.
pub struct Training {
    config: Arc<EngineConfig>,
    correlators: Stage,
    properties: Vec<EntityProperties>,
    rankings: Vec<RankingCounter>,
    report: TrainReport,
}

enum Stage {
    Counting(Correlating),
    /// Nothing is to be counted.
    Kept(Correlated),
}

impl Training {
    pub(crate) fn new(
        config: Arc<EngineConfig>,
        prepared: Prepared,
        properties: Vec<EntityProperties>,
        rankings: Vec<RankingCounter>,
        events: u64,
    ) -> Self {
        let mut report = TrainReport { events, ..TrainReport::default() };
        describe(&config, &prepared, &mut report);
        let correlating = Correlating::new(prepared, config.indicators.iter().map(params).collect());
        Self { config, correlators: Stage::Counting(correlating), properties, rankings, report }
    }

    /// With the correlators of a model.
    pub(crate) fn again(
        config: Arc<EngineConfig>,
        correlated: Correlated,
        properties: Vec<EntityProperties>,
        rankings: Vec<RankingCounter>,
        events: u64,
    ) -> Self {
        let report = TrainReport { events, ..TrainReport::default() };
        Self { config, correlators: Stage::Kept(correlated), properties, rankings, report }
    }

    /// The caps of the configuration. An indicator is thinned out under its own name, whatever its place.
    pub(crate) fn preparation(config: &EngineConfig) -> Preparation {
        let sampling = config.indicators.iter().map(|indicator| Sampling {
            seed: config.seed,
            indicator: model::key(indicator.name.as_bytes()),
            cap: indicator.max_items_per_user,
        });
        Preparation { min_events_per_user: config.min_events_per_user, sampling: sampling.collect() }
    }

    /// What was read: what will be counted.
    pub fn report(&self) -> &TrainReport {
        &self.report
    }

    /// A model without primary interactions recommends nothing.
    ///
    /// # Errors
    /// [`Error::Untrainable`] says which name is missing.
    pub fn check(&self) -> Result<()> {
        match &self.correlators {
            Stage::Counting(_) => require_primary(&self.config, &self.report),
            Stage::Kept(_) => Ok(()),
        }
    }

    /// What is to be counted; `None` if the correlators of the model in use are kept.
    pub fn correlating(&mut self) -> Option<&mut Correlating> {
        match &mut self.correlators {
            Stage::Counting(correlating) => Some(correlating),
            Stage::Kept(_) => None,
        }
    }

    /// Counts everything here.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the observer says so.
    pub fn correlate(&mut self, threads: usize, observer: &dyn Observer) -> Result<()> {
        let Stage::Counting(correlating) = &mut self.correlators else { return Ok(()) };
        let rows = u64::from(correlating.items());
        for (index, indicator) in self.config.indicators.iter().enumerate() {
            observer.stage(&format!("correlate {}", indicator.name), rows);
            let progress = |done, _| {
                observer.progress(done);
                if observer.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            correlating.count(index, threads, &progress)?;
        }
        Ok(())
    }

    /// The model.
    ///
    /// # Errors
    /// [`Error::Damaged`] if correlators of some items have not been counted; more ids than a dictionary holds.
    pub fn assemble(self) -> Result<Trained> {
        let Self { config, correlators, properties, rankings, mut report } = self;
        let correlated = match correlators {
            Stage::Kept(correlated) => correlated,
            Stage::Counting(correlating) => correlated(correlating)?,
        };
        for (indicator, (_, correlators)) in report.indicators.iter_mut().zip(&correlated.indicators) {
            indicator.correlators = correlators.len();
        }
        report.users = correlated.users;
        let parts = assemble(&config, correlated, &properties, rankings, &mut report)?;
        Ok(Trained { parts, report })
    }
}

fn correlated(correlating: Correlating) -> Result<Correlated> {
    let (prepared, counted) = correlating.finish()?;
    let users = prepared.users();
    let things = prepared.into_things();
    let items = things.first().cloned().unwrap_or_default();
    Ok(Correlated { users, items, indicators: things.into_iter().zip(counted).collect() })
}

fn params(indicator: &Indicator) -> Params {
    Params {
        max_correlators: indicator.max_correlators,
        min_llr: indicator.min_llr,
        positive_only: false, // the sign of a correlation is not looked at, as in the systems we succeed
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

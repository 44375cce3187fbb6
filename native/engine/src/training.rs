//! A train after reading: what is to be counted, the correlators as they come, the model in the end.

use std::ops::ControlFlow;
use std::sync::Arc;

use cco::{Correlators, Params, Sampling};
use events::properties::EntityProperties;

use crate::assemble::{Correlated, assemble};
use crate::counting::{Block, Counting};
use crate::ranking::RankingCounter;
use crate::{
    EngineConfig, Error, Indicator, IndicatorReport, Observer, Preparation, Prepared, Result, TrainReport,
    Trained,
};

/// Everything of a train but the correlators, and those as far as they have been counted: here by
/// [`correlate`](Self::correlate), or elsewhere, from [`counting`](Self::counting) to [`add`](Self::add).
pub struct Training {
    config: Arc<EngineConfig>,
    correlators: Stage,
    properties: Vec<EntityProperties>,
    rankings: Vec<RankingCounter>,
    report: TrainReport,
}

enum Stage {
    /// Per indicator what has been counted, from the first item on.
    Counting(Prepared, Vec<Correlators>),
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
        let none = vec![Correlators::new(); config.indicators.len()];
        Self { config, correlators: Stage::Counting(prepared, none), properties, rankings, report }
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
            Stage::Counting(..) => require_primary(&self.config, &self.report),
            Stage::Kept(_) => Ok(()),
        }
    }

    /// Items that correlators are counted for; 0 if those of the model in use are kept.
    pub fn items(&self) -> u32 {
        match &self.correlators {
            Stage::Counting(prepared, _) => prepared.things(0).len(),
            Stage::Kept(_) => 0,
        }
    }

    /// Steps that counting takes: for each user the pairs of what he did under the primary and what under any indicator.
    pub fn increments(&self) -> u64 {
        let Stage::Counting(prepared, _) = &self.correlators else { return 0 };
        let matrices = prepared.matrices();
        let lengths = |user: u32| matrices.iter().map(move |matrix| matrix.row(user).len() as u64);
        (0..prepared.users()).map(|user| lengths(user).sum::<u64>() * lengths(user).next().unwrap_or(0)).sum()
    }

    /// Most things that an indicator has.
    pub fn things(&self) -> u32 {
        let Stage::Counting(prepared, _) = &self.correlators else { return 0 };
        prepared.matrices().iter().map(|matrix| matrix.things()).max().unwrap_or(0)
    }

    /// Bytes of a [`Counting`], for processes that count: of all users, or of one of several parts with about equally many of
    /// them, for [`Summing`](crate::Summing). `None` if there is nothing to count or there is no such part.
    pub fn counting(&self, part: u32, parts: u32) -> Option<Vec<u8>> {
        let Stage::Counting(prepared, _) = &self.correlators else { return None };
        let bound = |part: u32| u64::from(prepared.users()) * u64::from(part) / u64::from(parts.max(1));
        let bound = |part: u32| u32::try_from(bound(part)).unwrap_or(u32::MAX);
        let matrices = prepared.matrices().into_iter().zip(self.config.indicators.iter().map(params));
        (part < parts).then(|| Counting::bytes_of(matrices, bound(part)..bound(part + 1)))
    }

    /// Takes the bytes of a [`Block`]. Blocks of an indicator come in the order of items, without gaps.
    ///
    /// # Errors
    /// [`Error::Damaged`]: the bytes are, or the block is not the next one.
    pub fn add(&mut self, block: &[u8]) -> Result<()> {
        let Stage::Counting(prepared, counted) = &mut self.correlators else {
            return Err(Error::Damaged("a block where none is to be counted"));
        };
        let indicators = self.config.indicators.len();
        let things: Vec<u32> = (0..indicators).map(|indicator| prepared.things(indicator).len()).collect();
        let block = Block::from_bytes(block, &things)?;
        let counted = &mut counted[block.indicator];
        let rows = counted.rows() + block.correlators.rows();
        if block.first as usize != counted.rows() || rows > prepared.things(0).len() as usize {
            return Err(Error::Damaged("a block is not the one that comes next"));
        }
        counted.append(&block.correlators);
        Ok(())
    }

    /// Counts everything here.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the observer says so.
    pub fn correlate(&mut self, threads: usize, observer: &dyn Observer) -> Result<()> {
        let Stage::Counting(prepared, counted) = &mut self.correlators else { return Ok(()) };
        let rows = u64::from(prepared.things(0).len());
        for (index, indicator) in self.config.indicators.iter().enumerate() {
            observer.stage(&format!("correlate {}", indicator.name), rows);
            let progress = |done, _| {
                observer.progress(done);
                if observer.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            counted[index] = prepared.correlators(index, params(indicator), threads, &progress)?;
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
            Stage::Counting(prepared, counted) => correlated(prepared, counted)?,
        };
        for (indicator, (_, correlators)) in report.indicators.iter_mut().zip(&correlated.indicators) {
            indicator.correlators = correlators.len();
        }
        report.users = correlated.users;
        let parts = assemble(&config, correlated, &properties, rankings, &mut report)?;
        Ok(Trained { parts, report })
    }
}

fn correlated(prepared: Prepared, counted: Vec<Correlators>) -> Result<Correlated> {
    let items = prepared.things(0).len() as usize;
    if counted.iter().any(|counted| counted.rows() != items) {
        return Err(Error::Damaged("blocks are missing"));
    }
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

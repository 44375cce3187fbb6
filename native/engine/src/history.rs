//! What a user did lately: the part of the event store that a query reads.

use std::collections::HashSet;
use std::ops::ControlFlow;

use events::{EventStore, Scope, VisitDeed};

use crate::{EngineConfig, Error, Query, Result};

/// One thing that a user did, as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Past {
    /// Target id.
    pub item: String,
    /// When, ms since 1970; `None` if the query gave it inline.
    pub when: Option<i64>,
}

/// A user's history, per indicator of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Per queried indicator, in configuration order: newest distinct targets up to its limit, newest first.
    pub(crate) recent: Vec<(String, Vec<Past>)>,
    /// Targets of every event read whose name is black-listed, in order of appearance, distinct.
    pub(crate) blacklisted: Vec<String>,
    /// The store could not be read: the answer lacks the stored history.
    pub(crate) degraded: bool,
}

/// Collects events, newest first, into a [`History`].
struct Collector<'a> {
    config: &'a EngineConfig,
    history: History,
    /// Targets seen per element of `history.recent`.
    seen: Vec<HashSet<String>>,
    /// What `history.blacklisted` has.
    blacklisted: HashSet<String>,
    /// Position in `history.recent` of each indicator of the configuration.
    slots: Vec<Option<usize>>,
}

impl<'a> Collector<'a> {
    fn new(config: &'a EngineConfig, queried: &[usize]) -> Self {
        let mut slots = vec![None; config.indicators.len()];
        let mut history = History::default();
        for (slot, &indicator) in queried.iter().enumerate() {
            slots[indicator] = Some(slot);
            history.recent.push((config.indicators[indicator].name.clone(), Vec::new()));
        }
        Self {
            config,
            history,
            seen: vec![HashSet::new(); queried.len()],
            blacklisted: HashSet::new(),
            slots,
        }
    }

    fn blocks(&self, name: &str) -> bool {
        self.config.blacklist_events.iter().any(|event| event == name)
    }

    /// Can no older event add anything?
    fn is_done(&self) -> bool {
        self.config.indicators.iter().zip(&self.slots).all(|(indicator, slot)| {
            let full = |slot: usize| self.history.recent[slot].1.len() >= indicator.max_query_events as usize;
            slot.is_none_or(|slot| full(slot) && !indicator.event_names().any(|name| self.blocks(name)))
        })
    }

    /// Is the history of this indicator asked for?
    fn is_queried(&self, indicator: usize) -> bool {
        self.slots[indicator].is_some()
    }

    /// `name` may be an alias of the indicator. Gives whether the history of the indicator grew.
    fn add(&mut self, indicator: usize, name: &str, target: &str, when: Option<i64>) -> bool {
        let canonical = &self.config.indicators[indicator].name;
        if (self.blocks(canonical) || self.blocks(name)) && !self.blacklisted.contains(target) {
            self.blacklisted.insert(target.to_owned());
            self.history.blacklisted.push(target.to_owned());
        }
        let Some(slot) = self.slots[indicator] else { return false };
        let limit = self.config.indicators[indicator].max_query_events as usize;
        let recent = &mut self.history.recent[slot].1;
        if recent.len() >= limit || self.seen[slot].contains(target) {
            return false;
        }
        self.seen[slot].insert(target.to_owned());
        recent.push(Past { item: target.to_owned(), when });
        true
    }
}

/// Reads the history that `query` asks for: inline events first, then the user's stored ones, newest first.
///
/// A store that fails or is not given (`None`) does not fail the query: the history is marked degraded.
///
/// # Errors
/// `eventNames` has a name that the configuration lacks.
pub(crate) fn read(
    config: &EngineConfig,
    query: &Query,
    store: Option<&dyn EventStore>,
    scope: Scope,
) -> Result<History> {
    let Some(store) = store else { return told(config, query, None) };
    told(config, query, Some(&|user, visit| store.history(scope, ("user", user), visit)))
}

/// Tells the deeds of a user, newest first.
pub(crate) type Tell<'a> = &'a dyn Fn(&str, VisitDeed<'_>) -> events::Result<()>;

/// As [`read`], from whoever can tell what a user did.
///
/// # Errors
/// As [`read`].
pub(crate) fn told(config: &EngineConfig, query: &Query, tell: Option<Tell<'_>>) -> Result<History> {
    let queried = queried_indicators(config, query)?;
    let mut collector = Collector::new(config, &queried);
    for event in query.history.iter().flatten() {
        let indicator = require_indicator(config, "history", &event.event)?;
        collector.add(indicator, &event.event, &event.item, None);
    }
    let Some(user) = &query.user else { return Ok(collector.history) };
    let read = tell.map(|tell| read_stored(&mut collector, user, tell));
    collector.history.degraded = !matches!(read, Some(Ok(())));
    Ok(collector.history)
}

/// The user's events, newest first, until no older one can count.
fn read_stored(collector: &mut Collector<'_>, user: &str, tell: Tell<'_>) -> events::Result<()> {
    if collector.is_done() {
        return Ok(());
    }
    tell(user, &mut |deed| {
        let indicator = collector.config.indicator_of(deed.event);
        let Some(indicator) = indicator.filter(|&indicator| collector.is_queried(indicator)) else {
            return ControlFlow::Continue(());
        };
        let grew = deed
            .target
            .is_some_and(|(_, target)| collector.add(indicator, deed.event, target, Some(deed.millis)));
        if grew && collector.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

/// Indexes of the indicators whose history counts: those that `eventNames` restricts to, or all.
fn queried_indicators(config: &EngineConfig, query: &Query) -> Result<Vec<usize>> {
    let Some(names) = &query.event_names else { return Ok((0..config.indicators.len()).collect()) };
    let mut indicators: Vec<usize> =
        names.iter().map(|name| require_indicator(config, "eventNames", name)).collect::<Result<_>>()?;
    indicators.sort_unstable();
    indicators.dedup();
    Ok(indicators)
}

fn require_indicator(config: &EngineConfig, member: &str, name: &str) -> Result<usize> {
    config.indicator_of(name).ok_or_else(|| {
        let known: Vec<&str> = config.indicator_names().collect();
        Error::Unanswerable(format!(
            "{member}: this engine has no indicator \"{name}\", only {}",
            known.join(", ")
        ))
    })
}

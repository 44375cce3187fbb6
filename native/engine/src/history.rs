//! What a user did lately: the part of the event store that a query reads.

use std::collections::HashSet;
use std::ops::ControlFlow;

use events::{EventFilter, EventStore, Scope};

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
pub(crate) struct History {
    /// Per queried indicator, in configuration order: newest distinct targets up to its limit, newest first.
    pub recent: Vec<(String, Vec<Past>)>,
    /// Targets of every event read whose name is black-listed, in order of appearance, distinct.
    pub blacklisted: Vec<String>,
    /// The store could not be read: the answer lacks the stored history.
    pub degraded: bool,
}

/// Collects events, newest first, into a [`History`].
struct Collector<'a> {
    config: &'a EngineConfig,
    history: History,
    /// (indicator, target) seen; indicator index `usize::MAX` stands for the black list.
    seen: HashSet<(usize, String)>,
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
        Self { config, history, seen: HashSet::new(), slots }
    }

    /// Can no older event of this indicator add anything?
    fn is_done(&self, indicator: usize) -> bool {
        let queried = &self.config.indicators[indicator];
        let excludes =
            queried.event_names().any(|name| self.config.blacklist_events.iter().any(|event| event == name));
        let full = |slot: usize| self.history.recent[slot].1.len() >= queried.max_query_events as usize;
        !excludes && self.slots[indicator].is_none_or(full)
    }

    /// `name` may be an alias of an indicator.
    fn add(&mut self, name: &str, target: &str, when: Option<i64>) {
        let Some(indicator) = self.config.indicator_of(name) else { return };
        let canonical = &self.config.indicators[indicator].name;
        let blocks = self.config.blacklist_events.iter().any(|event| event == canonical || event == name);
        if blocks && self.seen.insert((usize::MAX, target.to_owned())) {
            self.history.blacklisted.push(target.to_owned());
        }
        let Some(slot) = self.slots[indicator] else { return };
        let limit = self.config.indicators[indicator].max_query_events as usize;
        let recent = &mut self.history.recent[slot].1;
        if recent.len() < limit && self.seen.insert((indicator, target.to_owned())) {
            recent.push(Past { item: target.to_owned(), when });
        }
    }
}

/// Reads the history that `query` asks for: inline events first, then the user's stored ones, newest first.
///
/// A store that fails does not fail the query: the history is marked degraded.
///
/// # Errors
/// `eventNames` has a name that the configuration lacks.
pub(crate) fn read(
    config: &EngineConfig,
    query: &Query,
    store: &dyn EventStore,
    scope: Scope,
) -> Result<History> {
    let queried = queried_indicators(config, query)?;
    let mut collector = Collector::new(config, &queried);
    for event in query.history.iter().flatten() {
        require_indicator(config, "history", &event.event)?;
        collector.add(&event.event, &event.item, None);
    }
    let Some(user) = &query.user else { return Ok(collector.history) };
    for &indicator in &queried {
        collector.history.degraded |= read_indicator(&mut collector, indicator, user, store, scope).is_err();
    }
    Ok(collector.history)
}

/// The user's events of one indicator: all of them if they exclude, else the newest up to the limit.
fn read_indicator(
    collector: &mut Collector<'_>,
    indicator: usize,
    user: &str,
    store: &dyn EventStore,
    scope: Scope,
) -> events::Result<()> {
    let filter = EventFilter {
        entity_type: Some("user".to_owned()),
        entity_id: Some(user.to_owned()),
        events: Some(collector.config.indicators[indicator].event_names().map(str::to_owned).collect()),
        reversed: true,
        ..EventFilter::default()
    };
    store.find(scope, &filter, &mut |event| {
        if let Some((_, target)) = event.target {
            collector.add(event.event, target, Some(event.event_time.millis));
        }
        if collector.is_done(indicator) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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

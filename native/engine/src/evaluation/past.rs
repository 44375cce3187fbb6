//! What was before the cut: the model of it, and what the test users had done.

use std::collections::HashMap;
use std::sync::Arc;

use events::{Deed, EventRef, EventStore, Scope};
use model::DictionaryBuilder;

use super::split::{Split, TestUser};
use crate::config::{Ranking, RankingKind};
use crate::history::{self, History};
use crate::items::ITEM;
use crate::ranking::{self, RankingCounter};
use crate::{EngineConfig, Observer, Portion, Query, Result, Trained, scan};

/// Nothing in here depends on an event from the cut on.
pub(super) struct Past {
    /// With the widest thresholds of all settings.
    pub trained: Trained,
    /// Per test user: his history as a query reads it.
    pub histories: Vec<History>,
    /// Per test user: had he done anything?
    pub is_known: Vec<bool>,
    /// Special events that describe items: before the cut, from then on.
    pub described: [u64; 2],
    /// Items and how often they were chosen: over all the past, and lately.
    pub popular: [Vec<(String, f32)>; 2],
}

/// Reads the past once more and trains on it. `widest` is the configuration to count with.
///
/// # Errors
/// As [`train`](crate::train).
pub(super) fn past(
    widest: EngineConfig,
    store: &dyn EventStore,
    scope: Scope,
    split: &Split,
    threads: usize,
    observer: &dyn Observer,
) -> Result<Past> {
    let config = Arc::new(widest);
    let is_past = |event: &EventRef<'_>| event.event_time.millis < split.cut_ms;
    let mut portion = Portion::new(Arc::clone(&config), split.cut_ms);
    if portion.learns() {
        scan::all(store, scope, "learn", observer, &mut |event| {
            if is_past(event) {
                portion.learn(event);
            }
            Ok(())
        })?;
    }
    let mut counters = popularity(&config, split).map(|ranking| RankingCounter::new(ranking, split.cut_ms));
    let mut deeds = Deeds::new(&split.users);
    let mut described = [0; 2];
    scan::all(store, scope, "read", observer, &mut |event| {
        let is_special = event.event.starts_with('$');
        described[usize::from(!is_past(event))] += u64::from(is_special && event.entity_type == ITEM);
        if !is_past(event) {
            return Ok(());
        }
        if !is_special && portion.holds(event) {
            counters.iter_mut().try_for_each(|counter| counter.push(event))?;
        }
        deeds.push(&config, event)?;
        portion.push(event)
    })?;
    let (histories, is_known) = deeds.finish(&config, &split.users)?;
    let mut training = portion.prepare(None, threads, observer)?;
    observer.preflight(training.report());
    training.check()?;
    training.correlate(threads, observer)?;
    observer.stage("assemble", 0);
    let trained = training.assemble()?;
    Ok(Past { trained, histories, is_known, described, popular: counters.map(counted) })
}

/// Orders by the number of primary events: before the cut, and in as long a time before it as the test lasts.
fn popularity(config: &EngineConfig, split: &Split) -> [Ranking; 2] {
    let names = config.indicators.first().map(|primary| primary.event_names().map(str::to_owned).collect());
    let events: Vec<String> = names.unwrap_or_default();
    [i64::MAX, split.end_ms.saturating_sub(split.cut_ms)].map(|duration_ms| Ranking {
        name: "popular".to_owned(),
        kind: RankingKind::Popular,
        events: events.clone(),
        duration_ms,
        end_ms: Some(split.cut_ms),
        missing_as_zero: false,
    })
}

/// A popular ranking counts in one part.
fn counted(counter: RankingCounter) -> Vec<(String, f32)> {
    let (things, counts) = counter.finish();
    let ranks = counts.into_iter().map(|[count, ..]| ranking::to_f32(f64::from(count)));
    things.iter().map(str::to_owned).zip(ranks).collect()
}

/// What the test users did, as far as a query may read it.
struct Deeds<'a> {
    users: HashMap<&'a str, usize>,
    /// Names of events, targets.
    texts: DictionaryBuilder,
    of_users: Vec<Vec<Kept>>,
}

struct Kept {
    /// Event time, creation time and id: the order of a history, oldest first.
    order: (i64, i64, Box<str>),
    event: u32,
    kind: u32,
    target: u32,
}

impl<'a> Deeds<'a> {
    fn new(users: &'a [TestUser]) -> Self {
        Self {
            users: users.iter().enumerate().map(|(place, user)| (user.id.as_str(), place)).collect(),
            texts: DictionaryBuilder::new(),
            of_users: users.iter().map(|_| Vec::new()).collect(),
        }
    }

    fn push(&mut self, config: &EngineConfig, event: &EventRef<'_>) -> Result<()> {
        if event.entity_type != "user" {
            return Ok(());
        }
        let (Some(&user), Some((kind, target))) = (self.users.get(event.entity_id), event.target) else {
            return Ok(());
        };
        if config.indicator_of(event.event).is_some() {
            self.of_users[user].push(Kept {
                order: (event.event_time.millis, event.creation_time.millis, event.event_id.into()),
                event: self.texts.intern(event.event)?,
                kind: self.texts.intern(kind)?,
                target: self.texts.intern(target)?,
            });
        }
        Ok(())
    }

    /// The histories, and whether there is anything in them.
    fn finish(self, config: &EngineConfig, users: &[TestUser]) -> Result<(Vec<History>, Vec<bool>)> {
        let Self { texts, of_users, .. } = self;
        let is_known = of_users.iter().map(|deeds| !deeds.is_empty()).collect();
        let histories = std::iter::zip(of_users, users).map(|(mut deeds, user)| {
            deeds.sort_unstable_by(|one, other| other.order.cmp(&one.order));
            let query = Query { user: Some(user.id.clone()), ..Query::default() };
            history::told(
                config,
                &query,
                Some(&|_, visit| {
                    let deed = |kept: &Kept| Deed {
                        event: texts.get(kept.event),
                        target: Some((texts.get(kept.kind), texts.get(kept.target))),
                        millis: kept.order.0,
                    };
                    let _ = deeds.iter().try_for_each(|kept| visit(&deed(kept)));
                    Ok(())
                }),
            )
        });
        Ok((histories.collect::<Result<_>>()?, is_known))
    }
}

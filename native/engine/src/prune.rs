//! Pruning: removes from a store what the event window leaves out, for good.
//!
//! What goes is decided on a read and written in batches, each one transaction that takes effect only if everything it
//! takes away is still as it was read. So a crash between any two batches leaves a store that trains to the same model,
//! the next run does the rest, and events that arrive or change meanwhile stay.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::mem;
use std::ops::ControlFlow;

use events::properties::PropertyFold;
use events::{Event, EventFilter, EventRef, EventStore, EventVersion, Scope};

use crate::window::{Window, hash};
use crate::{EventWindow, Observer, Result};

/// Bounds of memory.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Ids that are remembered before they go, bytes.
    pass: usize,
    /// What goes and comes in one transaction, bytes.
    batch: usize,
}

/// A transaction has a few thousand events.
const LIMITS: Limits = Limits { pass: 128 << 20, batch: 512 << 10 };
/// Event names that a report tells apart.
const NAMES_MAX: usize = 10_000;
/// Stands for all further names.
const OTHER_NAMES: &str = "…";

/// In the order in which simultaneous changes apply.
const CHANGES: [&str; 3] = ["$set", "$unset", "$delete"];

/// How to prune.
#[derive(Debug, Clone, Copy)]
pub struct PruneOptions {
    /// End of the window, ms since 1970.
    pub now_ms: i64,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Numbers of events that went, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Older than the window.
    pub by_age: u64,
    /// A newer event is equal in all but id and times.
    pub duplicates: u64,
    /// Special events that became part of another one.
    pub folded: u64,
}

impl Pruned {
    /// For whatever reason.
    pub fn total(&self) -> u64 {
        self.by_age + self.duplicates + self.folded
    }

    fn count(&mut self, reason: Reason, events: u64) {
        *match reason {
            Reason::Age => &mut self.by_age,
            Reason::Duplicate => &mut self.duplicates,
            Reason::Fold => &mut self.folded,
        } += events;
    }
}

/// What pruning did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Events in the store at the beginning.
    pub before: u64,
    /// Events that went.
    pub removed: Pruned,
    /// The same by event name; of a dry run only. Beyond 10 000 names the rest counts under `…`.
    pub by_event: BTreeMap<String, Pruned>,
}

impl PruneReport {
    /// Events that are left.
    pub fn after(&self) -> u64 {
        self.before.saturating_sub(self.removed.total())
    }

    fn count_name(&mut self, name: &str, reason: Reason) {
        self.removed.count(reason, 1);
        let known = self.by_event.len() < NAMES_MAX || self.by_event.contains_key(name);
        self.by_event.entry(if known { name } else { OTHER_NAMES }.to_owned()).or_default().count(reason, 1);
    }
}

/// Removes what `window` leaves out of `scope`: events that are too old, all but the newest of equal ones, and, where
/// properties are compressed, all but one of the special events of each entity. Other special events stay whatever
/// their age. What stays keeps its id and times, and a train makes the same of it as before.
///
/// Memory: the ids of a part of what goes, the special events of one entity, with `removeDuplicates` 32 bytes per
/// distinct event, with `compressProperties` 16 per entity that has special events.
///
/// # Errors
/// Whatever the store reports. What was removed until then is removed; another run does the rest.
pub fn prune(
    window: &EventWindow,
    store: &dyn EventStore,
    scope: Scope,
    options: PruneOptions,
    observer: &dyn Observer,
) -> Result<PruneReport> {
    let events = Events { store, scope };
    Pruning { events, window, now_ms: options.now_ms, limits: LIMITS, observer }.run(options.dry_run)
}

/// Why an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Age,
    Duplicate,
    Fold,
}

/// Events that go, and what comes in their place: all or nothing.
struct Change {
    reason: Reason,
    old: Vec<EventVersion>,
    new: Option<Event>,
}

impl Change {
    fn removed(&self) -> u64 {
        (self.old.len() - usize::from(self.new.is_some())) as u64
    }

    fn bytes(&self) -> usize {
        let new = self.new.as_ref().map_or(0, |event| event.properties.text_bytes());
        self.old.iter().map(bytes).sum::<usize>() + new
    }
}

/// Memory that a version takes.
fn bytes(version: &EventVersion) -> usize {
    size_of::<EventVersion>() + version.id.len()
}

/// What one pass found, in the order of the store.
#[derive(Default)]
struct Found {
    outside: Vec<(Reason, EventVersion)>,
    /// Types and ids of entities with several special events.
    entities: Vec<(String, String)>,
    bytes: usize,
}

struct Pruning<'a> {
    events: Events<'a>,
    window: &'a EventWindow,
    now_ms: i64,
    limits: Limits,
    observer: &'a dyn Observer,
}

impl Pruning<'_> {
    fn run(&self, dry_run: bool) -> Result<PruneReport> {
        let before = self.events.store.count(self.events.scope)?;
        let mut report = PruneReport { before, ..PruneReport::default() };
        if self.window.leaves_out_nothing() {
            return Ok(report);
        }
        if dry_run {
            self.survey(&mut report)?;
        } else {
            // A pass that fills up with what cannot go would find the same again.
            let mut removed = 0;
            while !self.pass(&mut report.removed)? && report.removed.total() > removed {
                removed = report.removed.total();
            }
        }
        Ok(report)
    }

    /// Counts what would go.
    fn survey(&self, report: &mut PruneReport) -> Result<()> {
        report.before = self.read("survey", |event, reason| {
            if reason != Reason::Fold {
                report.count_name(event.event, reason);
                return Ok(ControlFlow::Continue(()));
            }
            let entity = (event.entity_type, event.entity_id);
            if let Some(change) = self.events.fold(entity)? {
                let stays = change.new.and_then(|event| event.event_id);
                self.events.visit_special(entity, &mut |event| {
                    if stays.as_deref() != Some(event.event_id) {
                        report.count_name(event.event, Reason::Fold);
                    }
                    Ok(())
                })?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(())
    }

    /// Finds what goes, as much as memory allows, and removes it. Gives whether that was all.
    fn pass(&self, removed: &mut Pruned) -> Result<bool> {
        let mut found = Found::default();
        self.read("find what to prune", |event, reason| {
            if reason == Reason::Fold {
                found.bytes +=
                    size_of::<(String, String)>() + event.entity_type.len() + event.entity_id.len();
                found.entities.push((event.entity_type.to_owned(), event.entity_id.to_owned()));
            } else {
                let version = EventVersion::of(event);
                found.bytes += bytes(&version);
                found.outside.push((reason, version));
            }
            let full = found.bytes >= self.limits.pass;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        let complete = found.bytes < self.limits.pass;
        self.remove(found, removed)?;
        Ok(complete)
    }

    /// Lends what goes to `take`; gives the number of events read.
    fn read(
        &self,
        stage: &str,
        mut take: impl FnMut(&EventRef<'_>, Reason) -> Result<ControlFlow<()>>,
    ) -> Result<u64> {
        let Events { store, scope } = self.events;
        self.observer.stage(stage, store.count(scope)?);
        let mut window = Window::new(self.window, self.now_ms);
        window.learn_all(store, scope)?;
        let mut entities = Entities::default();
        let mut read = 0_u64;
        let mut look = |event: &EventRef<'_>| {
            read += 1;
            if read.is_multiple_of(65_536) {
                self.observer.progress(read);
            }
            match self.reason(&window, &mut entities, event) {
                Some(reason) => take(event, reason),
                None => Ok(ControlFlow::Continue(())),
            }
        };
        let mut failure = None;
        store.scan(scope, &mut |event| {
            look(event).unwrap_or_else(|error| {
                failure = Some(error);
                ControlFlow::Break(())
            })
        })?;
        failure.map_or(Ok(read), Err)
    }

    /// Why the event goes. Of the special events of an entity, only the second that is met says that they fold.
    fn reason(&self, window: &Window, entities: &mut Entities, event: &EventRef<'_>) -> Option<Reason> {
        if event.event.starts_with('$') {
            let folds = self.window.compress_properties && entities.is_second(event);
            return folds.then_some(Reason::Fold);
        }
        let duplicate = || window.has_newer_twin(event).then_some(Reason::Duplicate);
        if window.is_past(event) { Some(Reason::Age) } else { duplicate() }
    }

    fn remove(&self, found: Found, removed: &mut Pruned) -> Result<()> {
        self.observer.stage("prune", (found.outside.len() + found.entities.len()) as u64);
        let single = |(reason, version)| Ok(Some(Change { reason, old: vec![version], new: None }));
        let fold = |(kind, id): (String, String)| self.events.fold((&kind, &id));
        let changes = found.outside.into_iter().map(single).chain(found.entities.into_iter().map(fold));
        let (mut batch, mut size) = (Vec::new(), 0);
        for (done, change) in (0..).zip(changes) {
            let Some(change) = change? else { continue };
            size += change.bytes();
            batch.push(change);
            if size >= self.limits.batch {
                self.events.commit(&mem::take(&mut batch), removed)?;
                self.observer.progress(done);
                size = 0;
            }
        }
        self.events.commit(&batch, removed)
    }
}

/// Entities with special events, by hash: how many of these were met, up to three. Two entities with the same hash cost a
/// look at the second, or leave the second as it is.
#[derive(Default)]
struct Entities(HashMap<u64, u8, BuildHasherDefault<DefaultHasher>>);

impl Entities {
    fn is_second(&mut self, event: &EventRef<'_>) -> bool {
        let met = self.0.entry(hash((event.entity_type, event.entity_id))).or_default();
        *met = met.saturating_add(1).min(3);
        *met == 2
    }
}

/// The events of a scope.
#[derive(Clone, Copy)]
struct Events<'a> {
    store: &'a dyn EventStore,
    scope: Scope,
}

impl Events<'_> {
    /// In one transaction. If something is not there any more as it was read, only the changes that it spoils are left
    /// out.
    fn commit(&self, changes: &[Change], removed: &mut Pruned) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let old: Vec<EventVersion> = changes.iter().flat_map(|change| change.old.iter().cloned()).collect();
        let new: Vec<Event> = changes.iter().filter_map(|change| change.new.clone()).collect();
        if self.store.replace(self.scope, &old, &new)? {
            changes.iter().for_each(|change| removed.count(change.reason, change.removed()));
        } else if changes.len() > 1 {
            let (first, second) = changes.split_at(changes.len() / 2);
            self.commit(first, removed)?;
            self.commit(second, removed)?;
        }
        Ok(())
    }

    /// Visits the special events of an entity, the newest first.
    fn visit_special(
        &self,
        (kind, id): (&str, &str),
        visit: &mut dyn FnMut(&EventRef<'_>) -> Result<()>,
    ) -> Result<()> {
        let filter = EventFilter {
            entity_type: Some(kind.to_owned()),
            entity_id: Some(id.to_owned()),
            events: Some(CHANGES.map(str::to_owned).to_vec()),
            reversed: true,
            ..EventFilter::default()
        };
        let mut outcome = Ok(());
        self.store.find(self.scope, &filter, &mut |event| {
            outcome = visit(event);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome
    }

    /// One event instead of all special events of an entity: a `$set` of its current properties in the place of the
    /// newest; the newest `$delete` if it was deleted; else, if it never was, just the newest. `None` if there are no
    /// two, or if the properties are together too large for one event.
    fn fold(&self, entity: (&str, &str)) -> Result<Option<Change>> {
        let mut fold = PropertyFold::new();
        let mut old = Vec::new();
        let (mut newest, mut deletion) = (None, None);
        self.visit_special(entity, &mut |event| {
            fold.push(event)?;
            old.push(EventVersion::of(event));
            keep_newest(&mut newest, event)?;
            if event.event == "$delete" {
                keep_newest(&mut deletion, event)?;
            }
            Ok(())
        })?;
        let Some(newest) = newest.filter(|_| old.len() > 1) else { return Ok(None) };
        let new = match fold.finish().pop() {
            None => deletion.unwrap_or(newest),
            Some(entity) => {
                let event = Event { event: "$set".into(), properties: entity.properties, ..newest };
                if event.validate().is_err() {
                    return Ok(None);
                }
                event
            }
        };
        Ok(Some(Change { reason: Reason::Fold, old, new: Some(new) }))
    }
}

/// Puts `event` in the place of one that comes before it in the order of the fold.
fn keep_newest(newest: &mut Option<Event>, event: &EventRef<'_>) -> Result<()> {
    let rank = |name: &str| CHANGES.iter().position(|change| *change == name);
    let before = newest.as_ref().is_none_or(|newest| {
        let id = newest.event_id.as_deref().unwrap_or_default();
        (newest.event_time.millis, rank(&newest.event), newest.creation_time.millis, id)
            < (event.event_time.millis, rank(event.event), event.creation_time.millis, event.event_id)
    });
    if before {
        *newest = Some(event.to_event()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

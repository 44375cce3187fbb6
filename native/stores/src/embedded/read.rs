//! Reading events: by id, by entity in time order, in time order over all, and everything as it lies.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use events::{
    Changes, Deed, Event, EventFilter, EventRef, Position, Result, Scope, Visit, VisitDeed, VisitEntity,
};
use heed::{RoTxn, WithoutTls};

use super::error::corrupt;
use super::history::Merge;
use super::keys::{self, GeneratedId, HistoryEntry, SEQ_END, Seq, TIME_BITS_MAX};
use super::record::Record;
use super::shapes::Shapes;
use super::{Core, ScopeState, Slot};

/// Events that are sorted at a time when no index gives the order; about 100 bytes each.
const SORT_MAX: usize = 1 << 19;

/// A consistent state of one scope.
pub(super) struct Snapshot<'a> {
    core: &'a Core,
    txn: RoTxn<'a, WithoutTls>,
    shapes: Arc<Shapes>,
    state: ScopeState,
    slot: Slot,
}

impl Core {
    /// `None` if the scope was not initialised.
    pub(super) fn snapshot(&self, scope: Scope) -> Result<Option<Snapshot<'_>>> {
        loop {
            // held since before the transaction begins, which does not know tables that are opened after
            let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
            let txn = self.env.read()?;
            let Some(state) = self.find_scope(&txn, scope)? else { return Ok(None) };
            let slot = slots.get(&state.slot).copied();
            drop(slots);
            let Some(slot) = slot else {
                drop(txn);
                self.open_slot(scope)?;
                continue;
            };
            let shapes = self.shapes(&txn)?;
            return Ok(Some(Snapshot { core: self, txn, shapes, state, slot }));
        }
    }

    /// Position of the event with this id.
    pub(super) fn locate(
        &self,
        txn: &RoTxn<'_>,
        shapes: &Shapes,
        state: &ScopeState,
        slot: Slot,
        id: &str,
    ) -> Result<Option<Seq>> {
        if let Some(seq) = GeneratedId::parse(state.tag, id)
            && let Some(bytes) = self.env.get(txn, slot.log, &keys::log_key(seq))?
            && !Record::open(seq, bytes)?.has_client_id()
        {
            return Ok(Some(seq));
        }
        self.locate_client_id(txn, shapes, slot, id)
    }

    /// Position of the event to which a client gave this id.
    pub(super) fn locate_client_id(
        &self,
        txn: &RoTxn<'_>,
        shapes: &Shapes,
        slot: Slot,
        id: &str,
    ) -> Result<Option<Seq>> {
        let hash = keys::id_hash(id);
        let bounds = (keys::id_key(hash, 0), keys::id_key(hash, SEQ_END - 1));
        for entry in self.env.range(txn, slot.ids, (&bounds.0, &bounds.1), false)? {
            let (key, _) = entry.map_err(|error| self.env.error(error))?;
            let seq = keys::id_entry(key).ok_or_else(|| corrupt("the id index is malformed"))?;
            let mut buffer = GeneratedId::default();
            let record = self.record(txn, slot, seq)?;
            if record.decode(keys::Tag::default(), shapes, &mut buffer)?.event_id == id {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    /// Positions of an entity's events, in no particular order.
    pub(super) fn history_of(
        &self,
        txn: &RoTxn<'_>,
        shapes: &Shapes,
        state: &ScopeState,
        slot: Slot,
        (kind, id): (&str, &str),
    ) -> Result<Vec<Seq>> {
        let mut seqs = Vec::new();
        let merge =
            Merge::new(self, txn, slot, state, keys::entity_hash(kind, id), (0, TIME_BITS_MAX), false)?;
        for entry in merge {
            let seq = entry?.seq;
            let mut buffer = GeneratedId::default();
            let record = self.record(txn, slot, seq)?;
            let event = record.decode(state.tag, shapes, &mut buffer)?;
            if event.entity_type == kind && event.entity_id == id {
                seqs.push(seq);
            }
        }
        Ok(seqs)
    }

    /// What an index says is at `seq`.
    fn record<'t>(&self, txn: &'t RoTxn<'_>, slot: Slot, seq: Seq) -> Result<Record<'t>> {
        let bytes = self.env.get(txn, slot.log, &keys::log_key(seq))?;
        Record::open(
            seq,
            bytes.ok_or_else(|| corrupt(format!("event {seq} is in an index but not in the log")))?,
        )
    }
}

impl Snapshot<'_> {
    pub(super) fn count(&self) -> Result<u64> {
        self.core.env.len(&self.txn, self.slot.log)
    }

    pub(super) fn get(&self, id: &str) -> Result<Option<Event>> {
        let Some(seq) = self.core.locate(&self.txn, &self.shapes, &self.state, self.slot, id)? else {
            return Ok(None);
        };
        self.core
            .record(&self.txn, self.slot, seq)?
            .decode(self.state.tag, &self.shapes, &mut GeneratedId::default())?
            .to_event()
            .map(Some)
    }

    /// Everything, by position.
    pub(super) fn scan(&self, visit: Visit<'_>) -> Result<()> {
        self.each_record(|record| {
            let mut buffer = GeneratedId::default();
            Ok(visit(&record.decode(self.state.tag, &self.shapes, &mut buffer)?))
        })
    }

    /// See [`events::EventStore::changes`]: the log shows what was added, the revisions all else.
    pub(super) fn changes(&self, since: Position, visit: VisitEntity<'_>) -> Result<Changes> {
        let life = self.state.tag.iter().fold(0, |life, byte| life << 8 | u128::from(*byte));
        let revised = self.core.last_revision(&self.txn, self.state.tag)?;
        let now = Position { life, added: self.state.next, revised };
        if since == now {
            return Ok(Changes { now, complete: true });
        }
        if !since.covers(&now) || !self.core.revised(&self.txn, self.state.tag, since.revised, visit)? {
            return Ok(Changes { now, complete: false });
        }
        let bounds = (keys::log_key(since.added), keys::log_key(SEQ_END - 1));
        let added = self.core.env.range(&self.txn, self.slot.log, (&bounds.0, &bounds.1), false)?;
        for entry in added {
            let (key, bytes) = entry.map_err(|error| self.core.env.error(error))?;
            let seq = keys::seq_of(key).ok_or_else(|| corrupt("the log is malformed"))?;
            let mut buffer = GeneratedId::default();
            let record = Record::open(seq, bytes)?;
            let event = record.decode(self.state.tag, &self.shapes, &mut buffer)?;
            if event.event.starts_with('$') {
                visit(event.entity_type, event.entity_id);
            }
        }
        Ok(Changes { now, complete: true })
    }

    fn each_record(&self, mut body: impl FnMut(Record<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        for entry in self.core.env.entries(&self.txn, self.slot.log)? {
            let (key, bytes) = entry?;
            let seq = keys::seq_of(key).ok_or_else(|| corrupt("the log is malformed"))?;
            if body(Record::open(seq, bytes)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn find(&self, filter: &EventFilter, visit: Visit<'_>) -> Result<()> {
        let mut delivery =
            Delivery { snapshot: self, filter, visit, left: filter.limit.unwrap_or(usize::MAX) };
        if delivery.left == 0 {
            return Ok(());
        }
        match (&filter.entity_type, &filter.entity_id) {
            (Some(kind), Some(id)) => self.find_history(kind, id, filter, &mut delivery),
            _ => self.find_sorted(filter, &mut delivery),
        }
    }

    /// By the history index.
    fn find_history(
        &self,
        kind: &str,
        id: &str,
        filter: &EventFilter,
        delivery: &mut Delivery<'_, '_>,
    ) -> Result<()> {
        let first = filter.start.map_or(0, keys::time_bits);
        let last = filter.until.map_or(TIME_BITS_MAX, keys::time_bits);
        let entity = keys::entity_hash(kind, id);
        let named = filter.events.as_ref().map(|events| self.shapes.named(events));
        let wanted = |entry: &HistoryEntry<'_>| {
            named.as_ref().is_none_or(|named| named.get(usize::from(entry.shape)).copied().unwrap_or(true))
        };
        let merge =
            Merge::new(self.core, &self.txn, self.slot, &self.state, entity, (first, last), filter.reversed)?;
        let merge = merge.filter(|entry| entry.as_ref().map_or(true, wanted));
        self.in_order(merge, filter.reversed, |entry| delivery.one(entry.seq))
    }

    /// From the history index alone, but for events that it does not say everything of.
    pub(super) fn history(&self, (kind, id): (&str, &str), visit: VisitDeed<'_>) -> Result<()> {
        let entity = keys::entity_hash(kind, id);
        let all = (0, TIME_BITS_MAX);
        let merge = Merge::new(self.core, &self.txn, self.slot, &self.state, entity, all, true)?;
        self.in_order(merge, true, |entry| {
            if let Some(deed) = self.deed(entry) {
                return Ok(visit(&deed));
            }
            let mut buffer = GeneratedId::default();
            let record = self.core.record(&self.txn, self.slot, entry.seq)?;
            Ok(visit(&Deed::from(&record.decode(self.state.tag, &self.shapes, &mut buffer)?)))
        })
    }

    /// What the history index knows of an event; `None` if that is not everything.
    fn deed<'e>(&'e self, entry: &HistoryEntry<'e>) -> Option<Deed<'e>> {
        let shape = self.shapes.get(entry.shape)?;
        let target = match shape.target_type {
            Some(_) if entry.target.is_empty() => return None,
            Some(kind) => Some((kind, entry.target)),
            None => None,
        };
        Some(Deed { event: shape.event, target, millis: entry.millis()? })
    }

    /// Calls `body` per entry of a history; where the index cannot tell two entries apart in time, the events do.
    fn in_order<'t>(
        &self,
        entries: impl Iterator<Item = Result<HistoryEntry<'t>>>,
        reversed: bool,
        mut body: impl FnMut(&HistoryEntry<'t>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut entries = entries.peekable();
        let mut same_time = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            same_time.push(entry);
            if matches!(entries.peek(), Some(Ok(next)) if next.time == entry.time) {
                continue;
            }
            if same_time.len() > 1 {
                self.sort_same_time(&mut same_time, reversed)?;
            }
            for entry in same_time.drain(..) {
                if body(&entry)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Sorts entries by their events.
    fn sort_same_time(&self, entries: &mut Vec<HistoryEntry<'_>>, reversed: bool) -> Result<()> {
        let mut order = Vec::with_capacity(entries.len());
        for entry in entries.drain(..) {
            let mut buffer = GeneratedId::default();
            let record = self.core.record(&self.txn, self.slot, entry.seq)?;
            let event = record.decode(self.state.tag, &self.shapes, &mut buffer)?;
            order.push((Ranked { order: SortKey::of(&event, entry.seq), reversed }, entry));
        }
        order.sort_unstable();
        entries.extend(order.into_iter().map(|(_, entry)| entry));
        Ok(())
    }

    /// By reading everything, once per [`SORT_MAX`] events that match: memory stays bounded.
    fn find_sorted(&self, filter: &EventFilter, delivery: &mut Delivery<'_, '_>) -> Result<()> {
        let mut after = None;
        loop {
            let room = delivery.left.min(SORT_MAX);
            let batch = self.next_sorted(filter, after.as_ref(), room)?;
            for ranked in &batch {
                if delivery.one(ranked.order.seq)?.is_break() {
                    return Ok(());
                }
            }
            if batch.len() < room {
                return Ok(());
            }
            after = batch.into_iter().next_back();
        }
    }

    /// The first `room` matching events behind `after`.
    fn next_sorted(&self, filter: &EventFilter, after: Option<&Ranked>, room: usize) -> Result<Vec<Ranked>> {
        let mut first: BinaryHeap<Ranked> = BinaryHeap::new();
        self.each_record(|record| {
            let mut buffer = GeneratedId::default();
            let event = record.decode(self.state.tag, &self.shapes, &mut buffer)?;
            if !filter.matches(&event) {
                return Ok(ControlFlow::Continue(()));
            }
            let ranked = Ranked { order: SortKey::of(&event, record.seq()), reversed: filter.reversed };
            if after.is_some_and(|after| ranked <= *after) {
                return Ok(ControlFlow::Continue(()));
            }
            if first.len() < room {
                first.push(ranked);
            } else if let Some(mut last) = first.peek_mut()
                && ranked < *last
            {
                *last = ranked;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(first.into_sorted_vec())
    }
}

/// What orders events: (time, time of creation, id).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SortKey {
    event_millis: i64,
    creation_millis: i64,
    event_id: Box<str>,
    seq: Seq,
}

impl SortKey {
    fn of(event: &EventRef<'_>, seq: Seq) -> Self {
        Self {
            event_millis: event.event_time.millis,
            creation_millis: event.creation_time.millis,
            event_id: event.event_id.into(),
            seq,
        }
    }
}

/// A [`SortKey`] in either direction.
#[derive(Debug, PartialEq, Eq)]
struct Ranked {
    order: SortKey,
    reversed: bool,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let ascending = self.order.cmp(&other.order);
        if self.reversed { ascending.reverse() } else { ascending }
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Hands events to the visitor: filters, counts, stops.
struct Delivery<'s, 'v> {
    snapshot: &'s Snapshot<'s>,
    filter: &'s EventFilter,
    visit: Visit<'v>,
    left: usize,
}

impl Delivery<'_, '_> {
    /// Delivers the event at `seq` if it matches.
    fn one(&mut self, seq: Seq) -> Result<ControlFlow<()>> {
        let Snapshot { core, txn, shapes, state, slot } = self.snapshot;
        let mut buffer = GeneratedId::default();
        let record = core.record(txn, *slot, seq)?;
        let event = record.decode(state.tag, shapes, &mut buffer)?;
        if !self.filter.matches(&event) {
            return Ok(ControlFlow::Continue(()));
        }
        self.left -= 1;
        let stop = (self.visit)(&event).is_break() || self.left == 0;
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

//! Reading events: by id, by entity in time order, in time order over all, and everything as it lies.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::Arc;

use events::{Event, EventFilter, EventRef, Result, Scope, Visit};
use heed::{RoTxn, WithoutTls};

use super::env::Range;
use super::error::corrupt;
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
            let txn = self.env.read()?;
            let Some(state) = self.find_scope(&txn, scope)? else { return Ok(None) };
            let Some(slot) = self.slot(state.slot) else {
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
        let wanted = |entry: &HistoryEntry| {
            named.as_ref().is_none_or(|named| named.get(usize::from(entry.shape)).copied().unwrap_or(true))
        };
        let merge =
            Merge::new(self.core, &self.txn, self.slot, &self.state, entity, (first, last), filter.reversed)?;
        let mut merge = merge.filter(|entry| entry.as_ref().map_or(true, wanted)).peekable();
        let mut same_time = Vec::new();
        while let Some(entry) = merge.next() {
            let entry = entry?;
            same_time.push(entry.seq);
            if matches!(merge.peek(), Some(Ok(next)) if next.time == entry.time) {
                continue;
            }
            if delivery.group(&same_time)?.is_break() {
                break;
            }
            same_time.clear();
        }
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

    /// Delivers events that the index cannot tell apart in time.
    fn group(&mut self, seqs: &[Seq]) -> Result<ControlFlow<()>> {
        if let [seq] = seqs {
            return self.one(*seq);
        }
        let Snapshot { core, txn, shapes, state, slot } = self.snapshot;
        let mut order = Vec::with_capacity(seqs.len());
        for &seq in seqs {
            let mut buffer = GeneratedId::default();
            let record = core.record(txn, *slot, seq)?;
            let event = record.decode(state.tag, shapes, &mut buffer)?;
            order.push(Ranked { order: SortKey::of(&event, seq), reversed: self.filter.reversed });
        }
        order.sort_unstable();
        for ranked in order {
            if self.one(ranked.order.seq)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The history of one entity from all epochs, merged by time.
struct Merge<'t> {
    core: &'t Core,
    /// Next entry of each epoch that has one.
    heads: Vec<(HistoryEntry, Range<'t>)>,
    reversed: bool,
}

impl<'t> Merge<'t> {
    fn new(
        core: &'t Core,
        txn: &'t RoTxn<'_>,
        slot: Slot,
        state: &ScopeState,
        entity: u64,
        (first, last): (u64, u64),
        reversed: bool,
    ) -> Result<Self> {
        let mut merge = Self { core, heads: Vec::new(), reversed };
        for epoch in 0..=keys::epoch(state.next) {
            let bounds = (
                keys::history_bound(epoch, entity, first, 0),
                keys::history_bound(epoch, entity, last, SEQ_END - 1),
            );
            let mut range = core.env.range(txn, slot.history, (&bounds.0, &bounds.1), reversed)?;
            if let Some(next) = advance(core, &mut range)? {
                merge.heads.push((next, range));
            }
        }
        Ok(merge)
    }

    fn step(&mut self) -> Result<Option<HistoryEntry>> {
        let (core, reversed) = (self.core, self.reversed);
        let best = self.heads.iter_mut().enumerate().min_by(|(_, (a, _)), (_, (b, _))| {
            let order = a.cmp(b);
            if reversed { order.reverse() } else { order }
        });
        let Some((index, (head, range))) = best else { return Ok(None) };
        let entry = *head;
        match advance(core, range)? {
            Some(next) => *head = next,
            None => drop(self.heads.swap_remove(index)),
        }
        Ok(Some(entry))
    }
}

/// The next entry of the history index.
fn advance(core: &Core, range: &mut Range<'_>) -> Result<Option<HistoryEntry>> {
    let Some(entry) = range.next() else { return Ok(None) };
    let (key, value) = entry.map_err(|error| core.env.error(error))?;
    HistoryEntry::read(key, value).map(Some).ok_or_else(|| corrupt("the history index is malformed"))
}

impl Iterator for Merge<'_> {
    type Item = Result<HistoryEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

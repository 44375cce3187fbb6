//! Edits of events. Everything here runs within a write transaction that several callers may share.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use events::{Error, Event, EventVersion, Kind, Result, Scope};
use heed::RwTxn;

use super::entries::Edits;
use super::error::corrupt;
use super::keys::{self, GeneratedId, SEQ_END, Seq};
use super::record::{self, Record};
use super::shapes::{Head, ShapeRef, Shapes};
use super::{Core, ScopeState, Slot, unknown_scope};

/// The write transaction.
pub(super) struct Writer<'a> {
    pub(super) core: &'a Core,
    pub(super) txn: RwTxn<'a>,
    shapes: Arc<Shapes>,
    /// Scopes that this transaction has written to.
    entered: BTreeMap<Scope, Entered>,
}

/// A scope within the transaction. What jobs change in it is put together when the transaction ends.
struct Entered {
    state: ScopeState,
    /// As it is stored.
    before: ScopeState,
    slot: Slot,
    edits: Edits,
}

impl<'a> Writer<'a> {
    pub(super) fn begin(core: &'a Core) -> Result<Self> {
        let txn = core.env.write()?;
        let shapes = core.shapes(&txn)?;
        Ok(Self { core, txn, shapes, entered: BTreeMap::new() })
    }

    /// Durable when it returns.
    pub(super) fn commit(mut self) -> Result<()> {
        for (scope, mut entered) in std::mem::take(&mut self.entered) {
            self.flush(&mut entered)?;
            if entered.state != entered.before {
                self.core.put_scope(&mut self.txn, scope, &entered.state)?;
            }
        }
        self.txn.commit().map_err(|error| self.core.env.error(error))?;
        self.core.learn(&self.shapes);
        Ok(())
    }

    /// Takes a scope to work on, to be given back by [`Self::leave`]. `Kind::NotFound` if it was not initialised.
    fn enter(&mut self, scope: Scope) -> Result<Entered> {
        if let Some(entered) = self.entered.remove(&scope) {
            return Ok(entered);
        }
        let state = self.core.find_scope(&self.txn, scope)?.ok_or_else(|| unknown_scope(scope))?;
        let slot = self.core.slot(state.slot);
        let reopened =
            || Error::new(Kind::Unavailable, "the app was removed and made again meanwhile; repeat");
        let slot = slot.ok_or_else(reopened)?;
        Ok(Entered { state, before: state, slot, edits: Edits::default() })
    }

    /// After an error it may be left out: the transaction ends then.
    fn leave(&mut self, scope: Scope, entered: Entered) {
        self.entered.insert(scope, entered);
    }

    /// Brings the history index up to date, for who reads it.
    fn flush(&mut self, entered: &mut Entered) -> Result<()> {
        let edits = std::mem::take(&mut entered.edits);
        self.store_history(&mut entered.state, entered.slot, edits)
    }

    /// Head of the records of a shape, which gets a number if it has none.
    fn shape_head(&mut self, encoded: &[u8]) -> Result<Head> {
        let mut number = self.shapes.number(encoded);
        if number.is_none() && self.shapes.has_room_for(encoded) {
            number = Arc::make_mut(&mut self.shapes).push(encoded);
            if let Some(number) = number {
                self.core.env.put(
                    &mut self.txn,
                    self.core.tables.shapes,
                    &u32::from(number).to_be_bytes(),
                    encoded,
                )?;
            }
        }
        Ok(Head::new(number, encoded))
    }

    /// Position of the event with this id.
    fn locate(&self, state: &ScopeState, slot: Slot, id: &str) -> Result<Option<Seq>> {
        self.core.locate(&self.txn, &self.shapes, state, slot, id)
    }

    /// What the other tables and [`EventVersion`] know of the event at `seq`; `None` if nothing is there.
    fn stored(&self, slot: Slot, seq: Seq) -> Result<Option<Stored>> {
        let Some(bytes) = self.core.env.get(&self.txn, slot.log, &keys::log_key(seq))? else {
            return Ok(None);
        };
        let mut id = GeneratedId::default();
        let record = Record::open(seq, bytes)?;
        let event = record.decode(keys::Tag::default(), &self.shapes, &mut id)?;
        let entity = keys::entity_hash(event.entity_type, event.entity_id);
        let special = event.event.starts_with('$');
        Ok(Some(Stored {
            special: special.then(|| (event.entity_type.to_owned(), event.entity_id.to_owned())),
            times: (event.event_time.millis, event.creation_time.millis),
            history: keys::entry_key(entity, event.event_time, seq),
            client_id: record.has_client_id().then(|| keys::id_key(keys::id_hash(event.event_id), seq)),
        }))
    }

    /// Removes what is at `seq` from all tables.
    fn delete_at(&mut self, entered: &mut Entered, seq: Seq) -> Result<()> {
        let slot = entered.slot;
        let stored = self.stored(slot, seq)?.ok_or_else(|| corrupt(format!("event {seq} is missing")))?;
        let env = &self.core.env;
        env.delete(&mut self.txn, slot.log, &keys::log_key(seq))?;
        entered.edits.remove(stored.history);
        if let Some(key) = stored.client_id {
            env.delete(&mut self.txn, slot.ids, &key)?;
        }
        self.note_revision(entered.state.tag, stored.special)
    }

    /// See [`events::EventStore::check_writable`].
    pub(super) fn put_probe(&mut self, bytes: &[u8]) -> Result<()> {
        self.core.env.put(&mut self.txn, self.core.tables.meta, super::PROBE_KEY, bytes)
    }

    pub(super) fn delete_probe(&mut self) -> Result<()> {
        self.core.env.delete(&mut self.txn, self.core.tables.meta, super::PROBE_KEY).map(|_| ())
    }

    /// See [`events::EventStore::delete`].
    pub(super) fn delete(&mut self, scope: Scope, id: &str) -> Result<bool> {
        let mut entered = self.enter(scope)?;
        let found = self.locate(&entered.state, entered.slot, id)?;
        if let Some(seq) = found {
            self.delete_at(&mut entered, seq)?;
        }
        self.leave(scope, entered);
        Ok(found.is_some())
    }

    /// See [`events::EventStore::delete_entity`].
    pub(super) fn delete_entity(&mut self, scope: Scope, kind: &str, id: &str) -> Result<u64> {
        let mut entered = self.enter(scope)?;
        self.flush(&mut entered)?;
        let seqs = self.core.history_of(&self.txn, &self.shapes, &entered.state, entered.slot, (kind, id))?;
        for &seq in &seqs {
            self.delete_at(&mut entered, seq)?;
        }
        self.leave(scope, entered);
        Ok(seqs.len() as u64)
    }

    /// See [`events::EventStore::replace`].
    pub(super) fn replace(&mut self, scope: Scope, old: &[EventVersion], new: &Batch) -> Result<bool> {
        let mut entered = self.enter(scope)?;
        // what comes again under its id is replaced where it is
        let stays: BTreeSet<&str> = new.items.iter().filter_map(|item| item.id.as_deref()).collect();
        let goes = self.seen(&entered, old, &stays)?;
        for &seq in goes.iter().flatten() {
            self.delete_at(&mut entered, seq)?;
        }
        self.leave(scope, entered);
        if goes.is_some() && !new.items.is_empty() {
            self.append(scope, new)?;
        }
        Ok(goes.is_some())
    }

    /// Positions of events that are as they were seen, but for those that stay; `None` if one has changed or is gone.
    fn seen(
        &self,
        entered: &Entered,
        versions: &[EventVersion],
        stays: &BTreeSet<&str>,
    ) -> Result<Option<BTreeSet<Seq>>> {
        let mut seqs = BTreeSet::new();
        for version in versions {
            let Some(seq) = self.locate(&entered.state, entered.slot, &version.id)? else { return Ok(None) };
            let times = self.stored(entered.slot, seq)?.map(|stored| stored.times);
            if times != Some((version.event_time, version.creation_time)) {
                return Ok(None);
            }
            if !stays.contains(version.id.as_str()) {
                seqs.insert(seq);
            }
        }
        Ok(Some(seqs))
    }

    /// See [`events::EventStore::remove`].
    pub(super) fn remove(&mut self, scope: Scope) -> Result<()> {
        if self.core.find_scope(&self.txn, scope)?.is_none() {
            return Ok(());
        }
        let Entered { state, slot, .. } = self.enter(scope)?;
        self.forget_revisions(state.tag)?;
        let Slot { log, history, fresh, ids } = slot;
        for table in [log, history, fresh, ids] {
            self.core.env.clear(&mut self.txn, table)?;
        }
        self.core.env.delete(&mut self.txn, self.core.tables.scopes, &super::scope_key(scope))?;
        Ok(())
    }

    /// Stores a batch; gives the ids in order.
    pub(super) fn append(&mut self, scope: Scope, batch: &Batch) -> Result<Vec<String>> {
        let mut entered = self.enter(scope)?;
        let heads: Vec<Head> =
            batch.shapes.iter().map(|encoded| self.shape_head(encoded)).collect::<Result<_>>()?;
        let places = self.places(&entered.state, entered.slot, batch)?;
        let mut generated = Vec::with_capacity(batch.items.len());
        let mut new = NewEntries::default();
        let mut bytes = Vec::new();
        for (i, item) in batch.items.iter().enumerate() {
            if item.superseded {
                generated.push(None);
                continue;
            }
            let client_id = item.id.as_deref();
            let place = places.get(&i).copied().unwrap_or(Place::Next);
            let Entered { state, slot, edits, .. } = &mut entered;
            let seq = match place {
                Place::Next => self.next_seq(state, *slot)?,
                Place::At { seq, .. } => seq,
            };
            let keeps_id = client_id.filter(|id| GeneratedId::parse(state.tag, id) != Some(seq));
            let head = &heads[item.shape];
            record::assemble(seq, item.flags, &head.bytes, keeps_id, batch.body(i), &mut bytes);
            if let Some(old) = self.store_record(state, *slot, seq, place, &bytes)? {
                edits.remove(old);
            }
            let key = keys::entry_key(item.entity, item.time, seq);
            match place {
                Place::Next if batch.items.len() >= self.core.limits.direct => {
                    new.history.push((key, head.number, i));
                }
                _ => edits.put(key, head.number, batch.target(i)),
            }
            if let (Some(id), Place::Next) = (keeps_id, place) {
                new.ids.push(keys::id_key(keys::id_hash(id), seq));
                state.forged |= GeneratedId::parse(state.tag, id).is_some();
            }
            generated.push(client_id.is_none().then(|| GeneratedId::new(state.tag, seq)));
        }
        self.store_new(entered.slot, new, batch)?;
        self.leave(scope, entered);
        Ok(batch.ids(&generated))
    }

    /// Where the events go whose ids the client gave. Looked up in the order of the index, so that pages are visited once.
    fn places(&self, state: &ScopeState, slot: Slot, batch: &Batch) -> Result<BTreeMap<usize, Place>> {
        let mut places = BTreeMap::new();
        for &i in &batch.by_id {
            let Some(id) = batch.items[i].id.as_deref() else { continue };
            if let Some(seq) = self.locate(state, slot, id)? {
                places.insert(i, Place::At { seq, occupied: true });
            } else if let Some(seq) = GeneratedId::parse(state.tag, id)
                && seq < state.next
                && self.core.env.get(&self.txn, slot.log, &keys::log_key(seq))?.is_none()
            {
                // an event of ours that was deleted comes back
                places.insert(i, Place::At { seq, occupied: false });
            }
        }
        Ok(places)
    }

    /// Takes the next position, whose generated id must be free.
    fn next_seq(&self, state: &mut ScopeState, slot: Slot) -> Result<Seq> {
        loop {
            let seq = state.next;
            if seq >= SEQ_END {
                return Err(Error::new(
                    Kind::Invalid,
                    "the app has used up its event ids: export, remove and import it",
                ));
            }
            state.next += 1;
            let id = GeneratedId::new(state.tag, seq);
            if !state.forged
                || self.core.locate_client_id(&self.txn, &self.shapes, slot, id.as_str())?.is_none()
            {
                return Ok(seq);
            }
        }
    }

    /// Gives the entry that its predecessor had in the history index.
    fn store_record(
        &mut self,
        state: &ScopeState,
        slot: Slot,
        seq: Seq,
        place: Place,
        bytes: &[u8],
    ) -> Result<Option<keys::EntryKey>> {
        let key = keys::log_key(seq);
        let old = match place {
            Place::Next => {
                return self.core.env.put_last(&mut self.txn, slot.log, &key, bytes).map(|()| None);
            }
            Place::At { occupied: true, .. } => {
                let old = self.stored(slot, seq)?;
                let old = old.ok_or_else(|| corrupt(format!("event {seq} is missing")))?;
                self.note_revision(state.tag, old.special)?;
                Some(old.history)
            }
            Place::At { occupied: false, .. } => None,
        };
        self.core.env.put(&mut self.txn, slot.log, &key, bytes)?;
        let new = self.stored(slot, seq)?;
        self.note_revision(state.tag, new.and_then(|new| new.special))?;
        Ok(old)
    }

    /// Sorted, so that each page of an index is visited once per batch. Positions are new, so no run knows these entries.
    fn store_new(&mut self, slot: Slot, mut new: NewEntries, batch: &Batch) -> Result<()> {
        let mut value = Vec::new();
        new.history.sort_unstable();
        for (entry, shape, item) in &new.history {
            let key = keys::history_key(keys::epoch(keys::entry_seq(entry)), entry);
            let value = keys::history_value(*shape, batch.target(*item), &mut value);
            self.core.env.put(&mut self.txn, slot.history, &key, value)?;
        }
        new.ids.sort_unstable();
        for key in &new.ids {
            self.core.env.put(&mut self.txn, slot.ids, key, &[])?;
        }
        Ok(())
    }
}

struct Stored {
    /// The entity of a special event.
    special: Option<(String, String)>,
    /// Event time and creation time, ms.
    times: (i64, i64),
    history: keys::EntryKey,
    client_id: Option<keys::IdKey>,
}

#[derive(Default)]
struct NewEntries {
    /// Of the history, for the trees: key, number of the shape, and index in the batch.
    history: Vec<(keys::EntryKey, u16, usize)>,
    ids: Vec<keys::IdKey>,
}

/// Where an event goes.
#[derive(Clone, Copy)]
enum Place {
    /// Behind all others.
    Next,
    /// Where its predecessor is or was.
    At { seq: Seq, occupied: bool },
}

/// Events encoded outside of the transaction, so that callers do this work in parallel.
pub(super) struct Batch {
    items: Vec<Item>,
    bodies: Vec<u8>,
    /// Distinct encoded shapes.
    shapes: Vec<Vec<u8>>,
    /// Items with an id of the client's that are not superseded, in the order of the id index.
    by_id: Vec<usize>,
}

struct Item {
    flags: u8,
    /// Another event of the batch with the same id comes later.
    superseded: bool,
    /// Index in [`Batch::shapes`].
    shape: usize,
    /// End in [`Batch::bodies`].
    end: usize,
    entity: keys::EntityHash,
    /// Where the id of the target is in [`Batch::bodies`]; empty if there is none.
    target: Range<usize>,
    time: events::EventTime,
    id: Option<Box<str>>,
}

impl Batch {
    pub(super) fn encode(events: &[Event]) -> Self {
        let mut batch =
            Self { items: Vec::with_capacity(events.len()), bodies: vec![], shapes: vec![], by_id: vec![] };
        let mut known: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let (mut text, mut encoded) = (String::new(), Vec::new());
        let mut last: Option<(ShapeRef<'_>, usize)> = None;
        for event in events {
            let shape = ShapeRef::of(event);
            let index = match last {
                Some((last, index)) if last == shape => index,
                _ => {
                    encoded.clear();
                    shape.write_to(&mut encoded);
                    let next = known.len();
                    known
                        .get(&encoded)
                        .copied()
                        .unwrap_or_else(|| *known.entry(encoded.clone()).or_insert(next))
                }
            };
            last = Some((shape, index));
            let (flags, target) = record::encode_body(event, &mut text, &mut batch.bodies);
            batch.items.push(Item {
                flags,
                superseded: false,
                shape: index,
                end: batch.bodies.len(),
                entity: keys::entity_hash(&event.entity.kind, &event.entity.id),
                target,
                time: event.event_time,
                id: event.event_id.as_deref().map(Into::into),
            });
        }
        batch.shapes = vec![vec![]; known.len()];
        for (encoded, index) in known {
            batch.shapes[index] = encoded;
        }
        batch.order_ids();
        batch
    }

    /// Of equal ids the last wins.
    fn order_ids(&mut self) {
        let mut order: Vec<(u64, usize)> = Vec::new();
        for (i, item) in self.items.iter().enumerate() {
            if let Some(id) = &item.id {
                order.push((keys::id_hash(id), i));
            }
        }
        order.sort_by(|&(a, i), &(b, j)| {
            a.cmp(&b).then_with(|| self.items[i].id.cmp(&self.items[j].id)).then(i.cmp(&j))
        });
        for pair in order.windows(2) {
            let (earlier, later) = (pair[0].1, pair[1].1);
            self.items[earlier].superseded = self.items[earlier].id == self.items[later].id;
        }
        self.by_id = order.into_iter().map(|(_, i)| i).filter(|&i| !self.items[i].superseded).collect();
    }

    fn body(&self, i: usize) -> &[u8] {
        let start = i.checked_sub(1).map_or(0, |before| self.items[before].end);
        &self.bodies[start..self.items[i].end]
    }

    /// Id of the target as the history index keeps it.
    fn target(&self, i: usize) -> &[u8] {
        keys::history_target(&self.bodies[self.items[i].target.clone()])
    }

    fn ids(&self, generated: &[Option<GeneratedId>]) -> Vec<String> {
        let id = |(item, generated): (&Item, &Option<GeneratedId>)| match (&item.id, generated) {
            (Some(id), _) => id.to_string(),
            (None, Some(id)) => id.as_str().to_owned(),
            (None, None) => String::new(),
        };
        self.items.iter().zip(generated).map(id).collect()
    }
}

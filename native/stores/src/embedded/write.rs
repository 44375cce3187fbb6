//! Changes of events. Everything here runs within a write transaction that several callers may share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use events::{Error, Event, EventVersion, Kind, Result, Scope};
use heed::RwTxn;

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
}

impl<'a> Writer<'a> {
    pub(super) fn begin(core: &'a Core) -> Result<Self> {
        let txn = core.env.write()?;
        let shapes = core.shapes(&txn)?;
        Ok(Self { core, txn, shapes })
    }

    /// Durable when it returns.
    pub(super) fn commit(self) -> Result<()> {
        self.txn.commit().map_err(|error| self.core.env.error(error))?;
        self.core.learn(&self.shapes);
        Ok(())
    }

    /// State and tables of a scope. `Kind::NotFound` if it was not initialised.
    fn scope(&self, scope: Scope) -> Result<(ScopeState, Slot)> {
        let state = self.core.find_scope(&self.txn, scope)?.ok_or_else(|| unknown_scope(scope))?;
        let slot = self.core.slot(state.slot);
        let reopened =
            || Error::new(Kind::Unavailable, "the app was removed and made again meanwhile; repeat");
        Ok((state, slot.ok_or_else(reopened)?))
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
        Ok(Some(Stored {
            times: (event.event_time.millis, event.creation_time.millis),
            history: keys::history_key(entity, event.event_time, seq),
            client_id: record.has_client_id().then(|| keys::id_key(keys::id_hash(event.event_id), seq)),
        }))
    }

    /// Removes what is at `seq` from all tables.
    fn delete_at(&mut self, slot: Slot, seq: Seq) -> Result<()> {
        let stored = self.stored(slot, seq)?.ok_or_else(|| corrupt(format!("event {seq} is missing")))?;
        let env = &self.core.env;
        env.delete(&mut self.txn, slot.log, &keys::log_key(seq))?;
        env.delete(&mut self.txn, slot.history, &stored.history)?;
        if let Some(key) = stored.client_id {
            env.delete(&mut self.txn, slot.ids, &key)?;
        }
        Ok(())
    }

    /// See [`events::EventStore::delete`].
    pub(super) fn delete(&mut self, scope: Scope, id: &str) -> Result<bool> {
        let (state, slot) = self.scope(scope)?;
        let Some(seq) = self.locate(&state, slot, id)? else { return Ok(false) };
        self.delete_at(slot, seq)?;
        Ok(true)
    }

    /// See [`events::EventStore::delete_entity`].
    pub(super) fn delete_entity(&mut self, scope: Scope, kind: &str, id: &str) -> Result<u64> {
        let (state, slot) = self.scope(scope)?;
        let seqs = self.core.history_of(&self.txn, &self.shapes, &state, slot, (kind, id))?;
        for &seq in &seqs {
            self.delete_at(slot, seq)?;
        }
        Ok(seqs.len() as u64)
    }

    /// See [`events::EventStore::replace`].
    pub(super) fn replace(&mut self, scope: Scope, old: &[EventVersion], new: &Batch) -> Result<bool> {
        let (state, slot) = self.scope(scope)?;
        // what comes again under its id is replaced where it is
        let stays: BTreeSet<&str> = new.items.iter().filter_map(|item| item.id.as_deref()).collect();
        let mut goes = BTreeSet::new();
        for version in old {
            let Some(seq) = self.locate(&state, slot, &version.id)? else { return Ok(false) };
            let times = self.stored(slot, seq)?.map(|stored| stored.times);
            if times != Some((version.event_time, version.creation_time)) {
                return Ok(false);
            }
            if !stays.contains(version.id.as_str()) {
                goes.insert(seq);
            }
        }
        for seq in goes {
            self.delete_at(slot, seq)?;
        }
        if !new.items.is_empty() {
            self.append(scope, new)?;
        }
        Ok(true)
    }

    /// See [`events::EventStore::remove`].
    pub(super) fn remove(&mut self, scope: Scope) -> Result<()> {
        if self.core.find_scope(&self.txn, scope)?.is_none() {
            return Ok(());
        }
        let (_, slot) = self.scope(scope)?;
        for table in [slot.log, slot.history, slot.ids] {
            self.core.env.clear(&mut self.txn, table)?;
        }
        self.core.env.delete(&mut self.txn, self.core.tables.scopes, &super::scope_key(scope))?;
        Ok(())
    }

    /// Stores a batch; gives the ids in order.
    pub(super) fn append(&mut self, scope: Scope, batch: &Batch) -> Result<Vec<String>> {
        let (mut state, slot) = self.scope(scope)?;
        let heads: Vec<Head> =
            batch.shapes.iter().map(|encoded| self.shape_head(encoded)).collect::<Result<_>>()?;
        let places = self.places(&state, slot, batch)?;
        let mut generated = Vec::with_capacity(batch.items.len());
        let mut index = NewEntries::default();
        let mut bytes = Vec::new();
        for (i, item) in batch.items.iter().enumerate() {
            if item.superseded {
                generated.push(None);
                continue;
            }
            let client_id = item.id.as_deref();
            let place = places.get(&i).copied().unwrap_or(Place::Next);
            let seq = match place {
                Place::Next => self.next_seq(&mut state, slot)?,
                Place::At { seq, .. } => seq,
            };
            let keeps_id = client_id.filter(|id| GeneratedId::parse(state.tag, id) != Some(seq));
            let head = &heads[item.shape];
            record::assemble(seq, item.flags, &head.bytes, keeps_id, batch.body(i), &mut bytes);
            self.store_record(slot, seq, place, &bytes)?;
            index.history.push((keys::history_key(item.entity, item.time, seq), head.number));
            if let (Some(id), Place::Next) = (keeps_id, place) {
                index.ids.push(keys::id_key(keys::id_hash(id), seq));
                state.forged |= GeneratedId::parse(state.tag, id).is_some();
            }
            generated.push(client_id.is_none().then(|| GeneratedId::new(state.tag, seq)));
        }
        self.store_index(slot, index)?;
        self.core.put_scope(&mut self.txn, scope, &state)?;
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

    fn store_record(&mut self, slot: Slot, seq: Seq, place: Place, bytes: &[u8]) -> Result<()> {
        let key = keys::log_key(seq);
        let env = &self.core.env;
        match place {
            Place::Next => return env.put_last(&mut self.txn, slot.log, &key, bytes),
            Place::At { occupied: true, .. } => {
                let old =
                    self.stored(slot, seq)?.ok_or_else(|| corrupt(format!("event {seq} is missing")))?;
                env.delete(&mut self.txn, slot.history, &old.history)?;
            }
            Place::At { occupied: false, .. } => {}
        }
        env.put(&mut self.txn, slot.log, &key, bytes)
    }

    /// Sorted, so that each page of an index is visited once per batch.
    fn store_index(&mut self, slot: Slot, mut index: NewEntries) -> Result<()> {
        index.history.sort_unstable();
        for (key, shape) in &index.history {
            self.core.env.put(&mut self.txn, slot.history, key, &shape.to_be_bytes())?;
        }
        index.ids.sort_unstable();
        for key in &index.ids {
            self.core.env.put(&mut self.txn, slot.ids, key, &[])?;
        }
        Ok(())
    }
}

struct Stored {
    /// Event time and creation time, ms.
    times: (i64, i64),
    history: keys::HistoryKey,
    client_id: Option<keys::IdKey>,
}

#[derive(Default)]
struct NewEntries {
    /// Key and number of the shape.
    history: Vec<(keys::HistoryKey, u16)>,
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
    entity: u64,
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
            let flags = record::encode_body(event, &mut text, &mut batch.bodies);
            batch.items.push(Item {
                flags,
                superseded: false,
                shape: index,
                end: batch.bodies.len(),
                entity: keys::entity_hash(&event.entity.kind, &event.entity.id),
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

    fn ids(&self, generated: &[Option<GeneratedId>]) -> Vec<String> {
        let id = |(item, generated): (&Item, &Option<GeneratedId>)| match (&item.id, generated) {
            (Some(id), _) => id.to_string(),
            (None, Some(id)) => id.as_str().to_owned(),
            (None, None) => String::new(),
        };
        self.items.iter().zip(generated).map(id).collect()
    }
}

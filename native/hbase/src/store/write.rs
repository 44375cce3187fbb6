//! Appending, replacing and deleting.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::PoisonError;

use events::{Entity, Error, Event, EventVersion, Kind, Result, Scope};

use super::failure::{invalid, told};
use super::ids::{ID_BYTES_MAX, Known};
use super::journal::random_u64;
use super::layout::{self, Key, Stored};
use super::{HbaseStore, or_nothing};
use crate::client::{Mutation, Row, Scan, TableName};

/// Cells of one call to HBase, which its servers refuse from 256 MiB on.
const CALL_BYTES: usize = 64 << 20;
/// Writers that are quicker every time; then it is no coincidence.
const RIVALS_MAX: u32 = 50;

/// What one call does to a scope.
#[derive(Default)]
struct Plan<'e> {
    puts: Vec<Mutation>,
    /// Rows that go, by their keys.
    deletes: BTreeMap<Vec<u8>, Mutation>,
    /// Events whose ids are their keys. HBase may hide them, if there was such a row once.
    by_key: Vec<(Key, &'e str, &'e Event)>,
    /// Events that get a row wherever there is none.
    elsewhere: Vec<(&'e str, &'e Event, Known)>,
    /// Events that an entry points to, and their rows.
    placed: Vec<(&'e str, &'e Event, Key)>,
    /// Entities whose special events change.
    entities: Vec<Entity>,
    /// Numbers of announcements of them.
    announced: Vec<u64>,
}

impl<'e> Plan<'e> {
    fn will_have(&mut self, event: &Event) {
        self.entities.extend(event.event.starts_with('$').then(|| event.entity.clone()));
    }

    fn will_lose(&mut self, row: &Row) -> Result<()> {
        let stored = Stored::of(row)?;
        self.entities.extend(stored.special());
        self.deletes.insert(row.key().to_vec(), layout::delete(row.key(), stored.newest)?);
        Ok(())
    }

    /// An event whose id points to `key` now, instead of to what was known.
    fn add_at(&mut self, key: Key, (id, event): (&'e str, &'e Event), known: &Known) -> Result<()> {
        self.puts.push(layout::put(&key, event, Some(id))?);
        for row in &known.rows {
            self.will_lose(row)?;
        }
        // They were announced.
        self.entities.clear();
        self.placed.push((id, event, key));
        Ok(())
    }

    /// An event that has an id already.
    fn add_given(&mut self, id: &'e str, event: &'e Event, known: Known) -> Result<()> {
        if let [row] = known.rows.as_slice()
            && Stored::of(row)?.lend(id).to_event()? == *event
        {
            self.deletes.remove(row.key());
            return Ok(());
        }
        self.will_have(event);
        for row in &known.rows {
            self.will_lose(row)?;
        }
        let key = layout::key_of(id).filter(|key| layout::fits(key, event));
        match key.filter(|_| known.current.is_empty() && known.rows.is_empty()) {
            Some(key) => {
                self.puts.push(layout::put(&key, event, None)?);
                self.by_key.push((key, id, event));
            }
            None => self.elsewhere.push((id, event, known)),
        }
        Ok(())
    }
}

fn too_many_rivals() -> Error {
    Error::new(Kind::Unavailable, "the same events are changed by many at once: try again")
}

/// What makes a key unique: random, with the top bits of the UUIDs whose halves PredictionIO takes.
fn fresh_low() -> Result<u64> {
    Ok(random_u64()? & !(3 << 62) | 1 << 63)
}

impl HbaseStore {
    pub(crate) fn append_events(&self, scope: Scope, events: &[Event]) -> Result<Vec<String>> {
        let given = events.iter().any(|event| event.event_id.is_some());
        // Of two that append, the rows decide who came last.
        let _changing = given.then(|| self.changing.read().unwrap_or_else(PoisonError::into_inner));
        self.commit(scope, events, &[])
    }

    pub(crate) fn replace_events(&self, scope: Scope, old: &[EventVersion], new: &[Event]) -> Result<bool> {
        let _changing = self.changing.write().unwrap_or_else(PoisonError::into_inner);
        self.client.region_starts(&self.table(scope)).map_err(told)?;
        let mut versions: BTreeMap<&str, Vec<&EventVersion>> = BTreeMap::new();
        old.iter().for_each(|version| versions.entry(&version.id).or_default().push(version));
        let ids: Vec<&str> = versions.keys().copied().collect();
        let mut gone = Vec::new();
        for (known, versions) in self.known(scope, &ids)?.into_iter().zip(versions.values()) {
            let Some(row) = known.rows.first() else { return Ok(false) };
            let stored = Stored::of(row)?;
            let seen = stored.event();
            let same = |version: &&EventVersion| {
                (version.event_time, version.creation_time)
                    == (seen.event_time.millis, seen.creation_time.millis)
            };
            if !versions.iter().all(same) {
                return Ok(false);
            }
            gone.extend(known.rows);
        }
        self.commit(scope, new, &gone)?;
        Ok(true)
    }

    /// Stores `new` and removes the rows of `gone`; gives the ids.
    fn commit(&self, scope: Scope, new: &[Event], gone: &[Row]) -> Result<Vec<String>> {
        let mut plan = Plan::default();
        for row in gone {
            plan.will_lose(row)?;
        }
        let ids = self.plan(scope, new, &mut plan)?;
        self.announce(scope, &mut plan)?;
        let done = self.carry_out(scope, &mut plan);
        self.mark(scope, &plan, done)?;
        Ok(ids)
    }

    fn plan<'e>(&self, scope: Scope, new: &'e [Event], plan: &mut Plan<'e>) -> Result<Vec<String>> {
        let mut ids = Vec::with_capacity(new.len());
        let mut given: BTreeMap<&str, &Event> = BTreeMap::new();
        for event in new {
            if let Some(id) = &event.event_id {
                if id.len() > ID_BYTES_MAX {
                    return Err(invalid(format!(
                        "an event id of {} bytes: HBase takes {ID_BYTES_MAX}",
                        id.len()
                    )));
                }
                given.insert(id, event);
                ids.push(id.clone());
                continue;
            }
            let key = layout::key(event, fresh_low()?);
            plan.puts.push(layout::put(&key, event, None)?);
            plan.will_have(event);
            ids.push(layout::id_of(&key));
        }
        let names: Vec<&str> = given.keys().copied().collect();
        if !names.is_empty() {
            for (known, (id, event)) in self.known(scope, &names)?.into_iter().zip(given) {
                plan.add_given(id, event, known)?;
            }
        }
        Ok(ids)
    }

    /// Announces the entities that will change.
    fn announce(&self, scope: Scope, plan: &mut Plan<'_>) -> Result<()> {
        let entities = std::mem::take(&mut plan.entities);
        plan.announced.extend(self.will_change(scope, entities)?);
        Ok(())
    }

    /// Marks what was announced, whether it was `done` or not.
    fn mark<T>(&self, scope: Scope, plan: &Plan<'_>, done: Result<T>) -> Result<T> {
        let marked = plan.announced.iter().try_for_each(|number| self.changed(scope, *number));
        let done = done?;
        marked.map(|()| done)
    }

    fn carry_out<'e>(&self, scope: Scope, plan: &mut Plan<'e>) -> Result<()> {
        let elsewhere = std::mem::take(&mut plan.elsewhere);
        self.place(scope, elsewhere, plan)?;
        self.write(scope, plan)?;
        let lost = self.hidden(scope, plan)?;
        let lost = self.know_again(scope, lost, plan)?;
        self.place(scope, lost, plan)?;
        self.write(scope, plan)?;
        for _ in 0..RIVALS_MAX {
            let lost = self.settle(scope, plan)?;
            if lost.is_empty() {
                return Ok(());
            }
            let lost = self.know_again(scope, lost, plan)?;
            self.place(scope, lost, plan)?;
            self.write(scope, plan)?;
        }
        Err(too_many_rivals())
    }

    /// Of the events whose ids are their keys, those whose rows are not as they were written: HBase hides what is put where
    /// something was deleted, or a rival put something else there.
    fn hidden<'e>(&self, scope: Scope, plan: &mut Plan<'e>) -> Result<Vec<(&'e str, &'e Event)>> {
        let by_key = std::mem::take(&mut plan.by_key);
        let keys: Vec<Vec<u8>> = by_key.iter().map(|(key, ..)| key.to_vec()).collect();
        let rows = self.client.get(&self.table(scope), &keys, &[]).map_err(told)?;
        let mut hidden = Vec::new();
        for (row, (_, id, event)) in rows.iter().zip(by_key) {
            if row.is_empty() || Stored::of(row)?.lend(id).to_event()? != *event {
                hidden.push((id, event));
            }
        }
        Ok(hidden)
    }

    /// Of what was placed, one row is left of each event: this one, or that of a rival who came later. Gives those whose rival
    /// has not written yet, and perhaps never will.
    fn settle<'e>(&self, scope: Scope, plan: &mut Plan<'e>) -> Result<Vec<(&'e str, &'e Event)>> {
        let placed = std::mem::take(&mut plan.placed);
        if placed.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<(&str, Key)> = placed.iter().map(|(id, _, key)| (*id, *key)).collect();
        let (mut gone, mut beaten) = (Vec::new(), Vec::new());
        for ((id, event, key), (won, others)) in placed.into_iter().zip(self.rivals(scope, &keys)?) {
            if won {
                gone.extend(others.into_iter().map(|other| (id, other)));
            } else {
                beaten.push((id, event, key));
            }
        }
        let ids: Vec<&str> = beaten.iter().map(|(id, ..)| *id).collect();
        let mut lost = Vec::new();
        let known = if ids.is_empty() { Vec::new() } else { self.known(scope, &ids)? };
        for ((id, event, key), known) in beaten.into_iter().zip(known) {
            if known.rows.iter().any(|row| row.key() == known.current && row.key() != key) {
                gone.push((id, key));
            } else {
                lost.push((id, event));
            }
        }
        for (_, key) in &gone {
            plan.deletes.insert(key.to_vec(), layout::delete(key, 0)?);
        }
        self.write(scope, plan)?;
        self.forget(scope, &gone)?;
        Ok(lost)
    }

    /// Finds rows for events whose ids do not say them, and plans what to write.
    fn place<'e>(
        &self,
        scope: Scope,
        mut left: Vec<(&'e str, &'e Event, Known)>,
        plan: &mut Plan<'e>,
    ) -> Result<()> {
        for _ in 0..RIVALS_MAX {
            if left.is_empty() {
                return Ok(());
            }
            let mut keys = Vec::with_capacity(left.len());
            for (_, event, _) in &left {
                keys.push(layout::key(event, fresh_low()?));
            }
            let places: Vec<(&str, &Known, Key)> =
                left.iter().zip(&keys).map(|((id, _, known), key)| (*id, known, *key)).collect();
            let pointed = self.point(scope, &places)?;
            let mut again = Vec::new();
            for (((id, event, known), key), pointed) in left.into_iter().zip(keys).zip(pointed) {
                if pointed {
                    plan.add_at(key, (id, event), &known)?;
                } else {
                    again.push((id, event));
                }
            }
            left = self.know_again(scope, again, plan)?;
        }
        if left.is_empty() { Ok(()) } else { Err(too_many_rivals()) }
    }

    /// What is known of events after rivals changed them; of what these wrote nothing has been announced.
    fn know_again<'e>(
        &self,
        scope: Scope,
        events: Vec<(&'e str, &'e Event)>,
        plan: &mut Plan<'e>,
    ) -> Result<Vec<(&'e str, &'e Event, Known)>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = events.iter().map(|(id, _)| *id).collect();
        let known = self.known(scope, &ids)?;
        for row in known.iter().flat_map(|known| &known.rows) {
            plan.entities.extend(Stored::of(row)?.special());
        }
        self.announce(scope, plan)?;
        Ok(events.into_iter().zip(known).map(|((id, event), known)| (id, event, known)).collect())
    }

    /// Writes what is planned: all of it in one call, if it is not too large and the table has one region. Otherwise what is
    /// new first: whatever happens between, nothing is lost.
    fn write(&self, scope: Scope, plan: &mut Plan<'_>) -> Result<()> {
        let table = self.table(scope);
        let puts = std::mem::take(&mut plan.puts);
        let deletes: Vec<Mutation> = std::mem::take(&mut plan.deletes).into_values().collect();
        let bytes: usize = puts.iter().chain(&deletes).map(Mutation::size).sum();
        let one_region = || self.client.region_starts(&table).map(|starts| starts.len() == 1).map_err(told);
        if puts.is_empty() || deletes.is_empty() || bytes > CALL_BYTES || !one_region()? {
            self.write_in_turn(&table, puts)?;
            return self.write_in_turn(&table, deletes);
        }
        self.write_in_turn(&table, puts.into_iter().chain(deletes).collect())
    }

    /// In calls of a size that HBase takes.
    fn write_in_turn(&self, table: &TableName, mut all: Vec<Mutation>) -> Result<()> {
        while !all.is_empty() {
            let mut bytes = 0;
            let fits = all.iter().take_while(|mutation| {
                bytes += mutation.size();
                bytes <= CALL_BYTES
            });
            let number = fits.count().max(1);
            let rest = all.split_off(number);
            self.client.mutate(table, &all).map_err(told)?;
            all = rest;
        }
        Ok(())
    }

    pub(crate) fn delete_event(&self, scope: Scope, id: &str) -> Result<bool> {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Ok(false);
        }
        let _changing = self.changing.write().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<Row> = self.known(scope, &[id])?.into_iter().flat_map(|known| known.rows).collect();
        let mut plan = Plan::default();
        for row in &rows {
            plan.will_lose(row)?;
        }
        self.announce(scope, &mut plan)?;
        let mut deleted = Ok(false);
        for row in &rows {
            let one = self.delete_row(scope, row);
            deleted = deleted.and_then(|before: bool| one.map(|now| before || now));
        }
        self.mark(scope, &plan, deleted)
    }

    pub(crate) fn delete_events_of(&self, scope: Scope, kind: &str, id: &str) -> Result<u64> {
        let _changing = self.changing.write().unwrap_or_else(PoisonError::into_inner);
        let prefix = layout::prefix(kind, id);
        let mut plan = Plan::default();
        let mut failed = Ok(());
        let stop = super::read::after(&prefix);
        let scan = Scan { start: prefix.to_vec(), stop, ..Scan::default() };
        let collect = &mut |row: &Row| {
            let own = Stored::of(row).map(|stored| {
                let event = stored.event();
                event.entity_type == kind && event.entity_id == id
            });
            failed = own.and_then(|own| if own { plan.will_lose(row) } else { Ok(()) });
            if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        or_nothing(self.client.scan(&self.table(scope), &scan, collect))?;
        failed?;
        let number = u64::try_from(plan.deletes.len()).unwrap_or(u64::MAX);
        self.announce(scope, &mut plan)?;
        let done = self.write(scope, &mut plan);
        self.mark(scope, &plan, done)?;
        Ok(number)
    }
}

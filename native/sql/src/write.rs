//! Events in and out of the tables of a scope.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use events::{Error, Event, EventVersion, Kind, Result, Scope};

use crate::connection::{Connection, Value, transaction};
use crate::dialect::COLUMNS;
use crate::fault::Done;
use crate::journal::{Entities, Named, ScopeRow};
use crate::pool::Again;
use crate::record::{Kept, Place, Prepared, Room, entity_hash, id_hash, lend};
use crate::scopes::key;
use crate::{Sql, fault, new_id, unknown_scope};

/// Rows of one insert, and ids of one list: few sizes, so that few statements are prepared.
const SIZES: [usize; 4] = [512, 64, 8, 1];
/// Bytes of one insert, roughly; a single event may have more.
const INSERT_BYTES_MAX: usize = 4 << 20;

/// Events of one call, the last of equal ids each.
struct Batch<'e> {
    main: Vec<Prepared<'e>>,
    rest: Vec<Prepared<'e>>,
    /// Ids that the caller gave, which may be there already.
    given: Vec<String>,
    specials: Entities,
}

/// Takes the next piece of a list, of one of [`SIZES`].
fn next_size(left: usize) -> usize {
    SIZES.into_iter().find(|size| *size <= left).unwrap_or(1)
}

impl<'e> Batch<'e> {
    fn new(prepared: BTreeMap<&str, Prepared<'e>>, room: &Room) -> Self {
        let mut batch =
            Self { main: Vec::new(), rest: Vec::new(), given: Vec::new(), specials: Entities::new() };
        for event in prepared.into_values() {
            if event.event.event_id.is_some() {
                batch.given.push(event.id.clone());
            }
            if event.is_special() {
                let entity = &event.event.entity;
                let hash = Some(id_hash(&event.id));
                batch.specials.insert(Named {
                    kind: entity.kind.clone(),
                    id: entity.id.clone(),
                    event: hash,
                });
            }
            if room.holds(&event.lend()) { batch.main.push(event) } else { batch.rest.push(event) }
        }
        batch
    }

    /// One statement does it.
    fn is_plain(&self) -> bool {
        self.given.is_empty()
            && self.specials.is_empty()
            && self.rest.is_empty()
            && SIZES.contains(&self.main.len())
    }
}

/// The ids of events, made for those that have none.
pub(crate) fn ids(events: &[Event]) -> Result<Vec<String>> {
    events.iter().map(|event| event.event_id.clone().map_or_else(new_id, Ok)).collect()
}

/// Ids have to be something.
pub(crate) fn check_ids(ids: &[String]) -> Result<()> {
    if ids.iter().any(String::is_empty) {
        return Err(Error::new(Kind::Invalid, "an event id must not be empty"));
    }
    Ok(())
}

fn prepare<'e, 'i>(events: &'e [Event], ids: &'i [String]) -> BTreeMap<&'i str, Prepared<'e>> {
    let prepared = |(event, id): (&'e Event, &'i String)| {
        (id.as_str(), Prepared { id: id.clone(), event, texts: event.texts() })
    };
    events.iter().zip(ids).map(prepared).collect()
}

impl Sql {
    pub(crate) fn store(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        events: &[Event],
        ids: &[String],
    ) -> Done<()> {
        let room = self.enter(connection, scope)?.ok_or_else(|| unknown_scope(scope))?;
        let batch = Batch::new(prepare(events, ids), &room);
        if batch.is_plain() {
            return self.insert_main(connection, scope, &room, &batch.main);
        }
        transaction(connection, |connection| self.store_batch(connection, scope, &room, &batch, None))
    }

    /// In a transaction. `row` is the scope's row if it is locked already.
    fn store_batch(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        room: &Room,
        batch: &Batch<'_>,
        row: Option<(ScopeRow, Entities)>,
    ) -> Done<()> {
        let locks = !batch.given.is_empty() || !batch.specials.is_empty() || row.is_some();
        let (row, mut entities) = match row {
            Some((row, entities)) => (Some(row), entities),
            None if locks => (Some(self.locked(connection, scope)?), Entities::new()),
            None => (None, Entities::new()),
        };
        if !batch.given.is_empty() {
            let ids: Vec<&str> = batch.given.iter().map(String::as_str).collect();
            self.take(connection, scope, room, &ids, Taking::Replaced(batch), &mut entities)?;
        }
        self.insert_main(connection, scope, room, &batch.main)?;
        self.insert_rest(connection, scope, &batch.rest)?;
        entities.extend(batch.specials.iter().cloned());
        match row {
            Some(row) => self.note(connection, scope, &row, &entities),
            None => Ok(()),
        }
    }

    fn locked(&self, connection: &mut dyn Connection, scope: Scope) -> Done<ScopeRow> {
        let row = self.scope_row(connection, scope, true)?;
        row.ok_or_else(|| {
            self.forget(scope);
            unknown_scope(scope).into()
        })
    }

    fn insert_main(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        room: &Room,
        events: &[Prepared<'_>],
    ) -> Done<()> {
        let (table, upsert) = (self.main(scope), self.address().product.upsert("id", &COLUMNS[1..]));
        let mut left = events;
        while !left.is_empty() {
            let (piece, after) = left.split_at(piece(left));
            let places = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; piece.len()].join(", ");
            let sql = format!("insert into {table} ({}) values {places}{upsert}", COLUMNS.join(", "));
            let values: Option<Vec<_>> = piece.iter().map(|event| event.main_values(room)).collect();
            let values = values.ok_or_else(|| fault::corrupt("a time does not fit its column"))?;
            connection.execute(&sql, &values.concat())?;
            left = after;
        }
        Ok(())
    }

    fn insert_rest(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        events: &[Prepared<'_>],
    ) -> Done<()> {
        let own = ["entity", "special"].iter().chain(&COLUMNS[1..]).copied().collect::<Vec<_>>();
        let upsert = self.address().product.upsert("app, channel, hash", &own);
        let columns = format!("app, channel, hash, entity, special, {}", COLUMNS.join(", "));
        let places = vec!["?"; 5 + COLUMNS.len()].join(", ");
        let sql = format!("insert into {} ({columns}) values ({places}){upsert}", self.own("rest"));
        for event in events {
            let entity = &event.event.entity;
            let mut values = key(scope).to_vec();
            values.push(Value::Owned(id_hash(&event.id)));
            values.push(Value::Owned(entity_hash(&entity.kind, &entity.id)));
            values.push(Value::Int(i64::from(event.is_special())));
            values.extend(event.rest_values());
            connection.execute(&sql, &values)?;
        }
        Ok(())
    }

    /// Notes the entities of special events with these ids, and removes events: all of them, or those that the other
    /// table will have. Gives how many are removed.
    fn take(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        room: &Room,
        ids: &[&str],
        taking: Taking<'_, '_>,
        entities: &mut Entities,
    ) -> Done<u64> {
        let here: Vec<&str> = ids.iter().copied().filter(|id| room.holds_id(id)).collect();
        let mut removed = 0;
        for list in lists(&here) {
            let places = vec!["?"; list.len()].join(", ");
            let values: Vec<Value<'_>> = list.iter().copied().map(Value::Text).collect();
            let sql = format!(
                "select entityType, entityId from {} where id in ({places}) and event like '$%'",
                self.main(scope)
            );
            entities.extend(connection.all(&sql, &values, entity)?);
        }
        let gone: Vec<&str> = here.iter().copied().filter(|id| taking.leaves(Place::Main, id)).collect();
        for list in lists(&gone) {
            let places = vec!["?"; list.len()].join(", ");
            let values: Vec<Value<'_>> = list.iter().copied().map(Value::Text).collect();
            removed += connection
                .execute(&format!("delete from {} where id in ({places})", self.main(scope)), &values)?;
        }
        Ok(removed + self.take_rest(connection, scope, ids, taking, entities)?)
    }

    fn take_rest(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        ids: &[&str],
        taking: Taking<'_, '_>,
        entities: &mut Entities,
    ) -> Done<u64> {
        let values = |ids: &[&str]| {
            let hashes = ids.iter().map(|id| Value::Owned(id_hash(id)));
            key(scope).into_iter().chain(hashes).collect::<Vec<Value<'_>>>()
        };
        let of_ids = |list: &[&str]| {
            let places = vec!["?"; list.len()].join(", ");
            format!("from {} where app = ? and channel = ? and hash in ({places})", self.own("rest"))
        };
        for list in lists(ids) {
            let sql = format!("select entityType, entityId {} and special = 1", of_ids(&list));
            entities.extend(connection.all(&sql, &values(&list), entity)?);
        }
        let gone: Vec<&str> = ids.iter().copied().filter(|id| taking.leaves(Place::Rest, id)).collect();
        let mut removed = 0;
        for list in lists(&gone) {
            removed += connection.execute(&format!("delete {}", of_ids(&list)), &values(&list))?;
        }
        Ok(removed)
    }

    pub(crate) fn remove_ids(
        &self,
        scope: Scope,
        find: impl Fn(&mut dyn Connection, &Room) -> Done<Vec<String>>,
    ) -> Result<u64> {
        self.run(Again::Safe, |connection| {
            let Some(room) = self.enter(connection, scope)? else { return Ok(0) };
            let removed = transaction(connection, |connection| {
                let row = self.locked(connection, scope)?;
                let ids = find(connection, &room)?;
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let mut entities = Entities::new();
                let removed = self.take(connection, scope, &room, &ids, Taking::All, &mut entities)?;
                self.note(connection, scope, &row, &entities)?;
                Ok(removed)
            });
            self.nothing_there(scope, removed)
        })
    }

    pub(crate) fn swap(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        old: &[EventVersion],
        new: &[Event],
        ids: &[String],
    ) -> Done<bool> {
        let room = self.enter(connection, scope)?.ok_or_else(|| unknown_scope(scope))?;
        let batch = Batch::new(prepare(new, ids), &room);
        let wanted: BTreeMap<&str, &EventVersion> =
            old.iter().map(|version| (version.id.as_str(), version)).collect();
        let differs = old.iter().any(|version| wanted.get(version.id.as_str()) != Some(&version));
        transaction(connection, |connection| {
            let row = self.locked(connection, scope)?;
            let ids: Vec<&str> = wanted.keys().copied().collect();
            let mut seen = 0;
            self.visit_ids(connection, scope, &room, &ids, &mut |event| {
                seen += usize::from(
                    wanted.get(event.event_id).is_some_and(|version| **version == EventVersion::of(event)),
                );
                Ok(ControlFlow::Continue(()))
            })?;
            if differs || seen != wanted.len() {
                return Ok(false);
            }
            let mut entities = Entities::new();
            self.take(connection, scope, &room, &ids, Taking::All, &mut entities)?;
            self.store_batch(connection, scope, &room, &batch, Some((row, entities)))?;
            Ok(true)
        })
    }

    /// Visits the events with these ids, locked until the transaction ends.
    fn visit_ids(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        room: &Room,
        ids: &[&str],
        visit: crate::read::VisitLent<'_>,
    ) -> Done<()> {
        let columns = COLUMNS.join(", ");
        let here: Vec<&str> = ids.iter().copied().filter(|id| room.holds_id(id)).collect();
        for list in lists(&here) {
            let places = vec!["?"; list.len()].join(", ");
            let values: Vec<Value<'_>> = list.iter().copied().map(Value::Text).collect();
            let sql = format!("select {columns} from {} where id in ({places}) for update", self.main(scope));
            connection.query(&sql, &values, &mut |row| visit(&lend(row, Place::Main, room.zone)?.0))?;
        }
        for list in lists(ids) {
            let places = vec!["?"; list.len()].join(", ");
            let hashes = list.iter().map(|id| Value::Owned(id_hash(id)));
            let values: Vec<Value<'_>> = key(scope).into_iter().chain(hashes).collect();
            let sql = format!(
                "select {columns} from {} where app = ? and channel = ? and hash in ({places}) for update",
                self.own("rest")
            );
            connection.query(&sql, &values, &mut |row| visit(&lend(row, Place::Rest, room.zone)?.0))?;
        }
        Ok(())
    }

    /// The event with this id.
    pub(crate) fn look_up(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        id: &str,
    ) -> Done<Option<Event>> {
        let Some(room) = self.enter(connection, scope)? else { return Ok(None) };
        let columns = COLUMNS.join(", ");
        let mut found = None;
        if room.holds_id(id) {
            let sql = format!("select {columns} from {} where id = ?", self.main(scope));
            found = one(connection, (&sql, &[Value::Text(id)]), Place::Main, &room, id)?;
        }
        if found.is_none() {
            let sql = format!(
                "select {columns} from {} where app = ? and channel = ? and hash = ?",
                self.own("rest")
            );
            let [app, channel] = key(scope);
            found =
                one(connection, (&sql, &[app, channel, Value::Owned(id_hash(id))]), Place::Rest, &room, id)?;
        }
        Ok(found.map(|event| event.lend().to_event()).transpose()?)
    }
}

fn one(
    connection: &mut dyn Connection,
    (sql, values): (&str, &[Value<'_>]),
    place: Place,
    room: &Room,
    id: &str,
) -> Done<Option<Kept>> {
    let mut found = None;
    connection.query(sql, values, &mut |row| {
        let (event, _) = lend(row, place, room.zone)?;
        if event.event_id == id {
            found = Some(Kept::of(&event));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// What goes when ids are taken.
#[derive(Clone, Copy)]
enum Taking<'b, 'e> {
    All,
    /// These come instead: what is in the table that they do not go to.
    Replaced(&'b Batch<'e>),
}

impl Taking<'_, '_> {
    fn leaves(&self, place: Place, id: &str) -> bool {
        let Self::Replaced(batch) = self else { return true };
        let stays = match place {
            Place::Main => &batch.main,
            Place::Rest => &batch.rest,
        };
        // In the order of ids.
        stays.binary_search_by(|event| event.id.as_str().cmp(id)).is_err()
    }
}

fn entity(row: &dyn crate::connection::Row) -> Option<Named> {
    Some(Named { kind: row.text(0)?.to_owned(), id: row.text(1)?.to_owned(), event: None })
}

/// How many of these go into one insert.
fn piece(events: &[Prepared<'_>]) -> usize {
    let mut size = next_size(events.len());
    while size > 1 && events.iter().take(size).map(Prepared::bytes).sum::<usize>() > INSERT_BYTES_MAX {
        size = next_size(size - 1);
    }
    size
}

/// The list in pieces of [`SIZES`].
pub(crate) fn lists<'l, 'i>(ids: &'l [&'i str]) -> impl Iterator<Item = Vec<&'i str>> + use<'l, 'i> {
    let mut left = ids;
    std::iter::from_fn(move || {
        let (list, after) = left.split_at_checked(next_size(left.len())).filter(|_| !left.is_empty())?;
        left = after;
        Some(list.to_vec())
    })
}

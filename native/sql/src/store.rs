//! The contract of an event store.

use std::ops::ControlFlow;

use events::{
    Changes, Deed, Event, EventFilter, EventStore, EventVersion, Position, Result, Scope, Visit, VisitDeed,
    VisitEntity,
};

use crate::connection::Value;
use crate::fault::{Cause, Done};
use crate::pool::Again;
use crate::read::Wanted;
use crate::scopes::key;
use crate::write::{check_ids, ids};
use crate::{Part, Sql, new_id, unknown_scope};

/// Rows that are counted one by one; beyond it the database's own estimate is good enough.
const COUNTED_MAX: u64 = 100_000;
/// What [`EventStore::check_writable`] writes.
const PROBE_BYTES: usize = 1 << 20;

impl Sql {
    /// The table went away meanwhile: there is nothing.
    pub(crate) fn nothing_there<T: Default>(&self, scope: Scope, done: Done<T>) -> Done<T> {
        match done {
            Err(fault) if fault.cause == Cause::NoTable => {
                self.forget(scope);
                Ok(T::default())
            }
            done => done,
        }
    }

    /// The table went away meanwhile: that is told as if it had never been.
    fn there<T>(&self, scope: Scope, done: Done<T>) -> Done<T> {
        done.map_err(|fault| match fault.cause {
            Cause::NoTable => {
                self.forget(scope);
                unknown_scope(scope).into()
            }
            _ => fault,
        })
    }
}

impl EventStore for Sql {
    fn init(&self, scope: Scope) -> Result<()> {
        self.run(Again::Safe, |connection| self.create_scope(connection, scope))
    }

    fn remove(&self, scope: Scope) -> Result<()> {
        self.run(Again::Safe, |connection| self.drop_scope(connection, scope))
    }

    fn append(&self, scope: Scope, events: &[Event]) -> Result<Vec<String>> {
        // The ids are known before, so that doing it twice is the same as doing it once.
        let ids = ids(events)?;
        check_ids(&ids)?;
        self.run(Again::Safe, |connection| {
            let stored = self.store(connection, scope, events, &ids);
            self.there(scope, stored)
        })?;
        Ok(ids)
    }

    fn get(&self, scope: Scope, event_id: &str) -> Result<Option<Event>> {
        self.run(Again::Safe, |connection| {
            let found = self.look_up(connection, scope, event_id);
            self.nothing_there(scope, found)
        })
    }

    fn delete(&self, scope: Scope, event_id: &str) -> Result<bool> {
        Ok(self.remove_ids(scope, |_, _| Ok(vec![event_id.to_owned()]))? > 0)
    }

    fn delete_entity(&self, scope: Scope, entity_type: &str, entity_id: &str) -> Result<u64> {
        self.remove_entity(scope, entity_type, entity_id)
    }

    fn replace(&self, scope: Scope, old: &[EventVersion], new: &[Event]) -> Result<bool> {
        let ids = ids(new)?;
        check_ids(&ids)?;
        self.run(Again::Never, |connection| {
            let swapped = self.swap(connection, scope, old, new, &ids);
            self.there(scope, swapped)
        })
    }

    fn find(&self, scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> Result<()> {
        self.visit_found(scope, filter, Wanted::Events, visit)
    }

    fn history(&self, scope: Scope, entity: (&str, &str), visit: VisitDeed<'_>) -> Result<()> {
        let filter = EventFilter {
            entity_type: Some(entity.0.to_owned()),
            entity_id: Some(entity.1.to_owned()),
            reversed: true,
            ..EventFilter::default()
        };
        self.visit_found(scope, &filter, Wanted::Deeds, &mut |event| visit(&Deed::from(event)))
    }

    fn scan(&self, scope: Scope, visit: Visit<'_>) -> Result<()> {
        let mut seen = false;
        self.run(Again::Safe, |connection| {
            let visited = self.visit_all(connection, scope, &mut |event| {
                seen = true;
                Ok(visit(event))
            });
            // Who has seen events cannot begin anew.
            self.nothing_there(scope, visited).map_err(|fault| if seen { fault.once() } else { fault })
        })
    }

    fn changes(&self, scope: Scope, since: Position, visit: VisitEntity<'_>) -> Result<Changes> {
        // Naming an entity twice does no harm.
        self.run(Again::Safe, |connection| self.tell(connection, scope, since, visit))
    }

    fn check_writable(&self) -> Result<()> {
        let (id, filling) = (new_id()?, vec![b'x'; PROBE_BYTES]);
        self.run(Again::Safe, |connection| {
            self.make(Part::Events, connection)?;
            let (table, upsert) = (self.own("probe"), self.address().product.upsert("id", &["filling"]));
            let values = [Value::Text(&id), Value::Bytes(&filling)];
            connection
                .execute(&format!("insert into {table} (id, filling) values (?, ?){upsert}"), &values)?;
            connection.execute(&format!("delete from {table} where id = ?"), &[Value::Text(&id)]).map(drop)
        })
    }

    fn count(&self, scope: Scope) -> Result<u64> {
        self.run(Again::Safe, |connection| {
            if self.enter(connection, scope)?.is_none() {
                return Ok(0);
            }
            let table = self.main(scope);
            let counted =
                format!("select count(*) from (select 1 from {table} limit {COUNTED_MAX}) as counted");
            let rows = connection.first(&counted, &[], |row| row.int(0));
            let rows =
                self.nothing_there(scope, rows)?.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0);
            if rows >= COUNTED_MAX {
                return Ok(self.address().product.estimate(connection, &table)?.max(rows));
            }
            let rest = format!("select count(*) from {} where app = ? and channel = ?", self.own("rest"));
            let rest = connection.first(&rest, &key(scope), |row| row.int(0))?;
            Ok(rows + rest.and_then(|rest| u64::try_from(rest).ok()).unwrap_or(0))
        })
    }
}

impl Sql {
    fn remove_entity(&self, scope: Scope, kind: &str, id: &str) -> Result<u64> {
        self.remove_ids(scope, |connection, room| {
            let mut ids = Vec::new();
            // The database may take other cases and blanks for the same.
            let mut keep = |row: &dyn crate::connection::Row| {
                if (row.text(1), row.text(2)) == (Some(kind), Some(id)) {
                    ids.extend(row.text(0).map(str::to_owned));
                }
                Ok(ControlFlow::Continue(()))
            };
            if room.holds_text(kind) && room.holds_text(id) {
                let sql = format!(
                    "select id, entityType, entityId from {} where entityType = ? and entityId = ?",
                    self.main(scope)
                );
                connection.query(&sql, &[Value::Text(kind), Value::Text(id)], &mut keep)?;
            }
            let sql = format!(
                "select id, entityType, entityId from {} where app = ? and channel = ? and entity = ?",
                self.own("rest")
            );
            let [app, channel] = key(scope);
            let entity = Value::Owned(crate::record::entity_hash(kind, id));
            connection.query(&sql, &[app, channel, entity], &mut keep)?;
            Ok(ids)
        })
    }
}

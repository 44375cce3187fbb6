//! Which entities have had special events, by revisions of a scope: each transaction that touches one has a number, and
//! they commit in the order of their numbers, since the row that counts them is locked.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use events::{Changes, Position, Scope, VisitEntity};

use crate::Sql;
use crate::connection::{Connection, Value, transaction};
use crate::fault::{Done, corrupt};
use crate::record::id_hash;
use crate::scopes::key;
use crate::write::lists;

/// Revisions that are kept, at least.
const REVISIONS_MAX: i64 = 20_000;
/// Old revisions go by so many at a time.
const FORGET: i64 = 1_000;
/// Rows of one insert.
const ROWS: usize = 64;
/// How often is looked for special events that others have stored.
const LOOK: Duration = Duration::from_secs(1);
/// Clocks, and the time from an event's creation to its commit, may differ by so much, µs.
const OVERLAP: i64 = 10_000_000;
/// Special events that are looked at in one go.
const LOOKED_MAX: usize = 5_000;

/// The row of a scope.
pub(crate) struct ScopeRow {
    life: u128,
    pub(crate) revision: i64,
    /// Changes up to this revision are not told any more.
    forgotten: i64,
    /// Special events that were created before are known, µs as in the column; 0 = nobody has looked.
    looked: i64,
}

/// An entity whose special event came or went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) kind: String,
    pub(crate) id: String,
    /// Hash of the id of an event that came.
    pub(crate) event: Option<String>,
}

pub(crate) type Entities = BTreeSet<Named>;

impl Sql {
    /// The row of a scope, locked until the transaction ends if `locks`.
    pub(crate) fn scope_row(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        locks: bool,
    ) -> Done<Option<ScopeRow>> {
        let lock = if locks { " for update" } else { "" };
        let sql = format!(
            "select life, revision, forgotten, looked from {} where app = ? and channel = ?{lock}",
            self.own("scopes")
        );
        connection.first(&sql, &key(scope), |row| {
            Some(ScopeRow {
                life: u128::from_str_radix(row.text(0)?, 16).ok()?,
                revision: row.int(1)?,
                forgotten: row.int(2)?,
                looked: row.int(3)?,
            })
        })
    }

    /// Notes that special events of these entities came or went, in a transaction that has locked `row`.
    pub(crate) fn note(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        row: &ScopeRow,
        entities: &Entities,
    ) -> Done<()> {
        if entities.is_empty() {
            return Ok(());
        }
        let revision = row.revision + 1;
        let mut forgotten = row.forgotten;
        if revision % FORGET == 0 {
            forgotten = forgotten.max(revision - REVISIONS_MAX);
        }
        let [app, channel] = key(scope);
        if forgotten > row.forgotten {
            let sql = format!(
                "delete from {} where app = ? and channel = ? and revision <= ?",
                self.own("changes")
            );
            connection.execute(&sql, &[app.clone(), channel.clone(), Value::Int(forgotten)])?;
        }
        let sql = format!(
            "update {} set revision = ?, forgotten = ? where app = ? and channel = ?",
            self.own("scopes")
        );
        connection.execute(&sql, &[Value::Int(revision), Value::Int(forgotten), app, channel])?;
        self.put_changes(connection, scope, revision, entities)
    }

    fn put_changes(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        revision: i64,
        entities: &Entities,
    ) -> Done<()> {
        let mut left: Vec<(i64, &Named)> = (0..).zip(entities).collect();
        while !left.is_empty() {
            // Few numbers of rows, so that few statements are prepared.
            let rows = if left.len() >= ROWS { ROWS } else { 1 };
            let places = vec!["(?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
            let columns = "app, channel, revision, part, entityType, entityId, event";
            let sql = format!("insert into {} ({columns}) values {places}", self.own("changes"));
            let values: Vec<Value<'_>> = left
                .drain(..rows)
                .flat_map(|(part, named)| {
                    let [app, channel] = key(scope);
                    let (kind, id) = (Value::Bytes(named.kind.as_bytes()), Value::Bytes(named.id.as_bytes()));
                    let event = named.event.as_deref().into();
                    [app, channel, Value::Int(revision), Value::Int(part), kind, id, event]
                })
                .collect();
            connection.execute(&sql, &values)?;
        }
        Ok(())
    }

    pub(crate) fn tell(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        since: Position,
        visit: VisitEntity<'_>,
    ) -> Done<Changes> {
        let Some(room) = self.enter(connection, scope)? else { return Ok(Changes::of_nothing(since)) };
        let mut row = self.scope_row(connection, scope, false)?;
        if room.follows && self.is_time_to_look(scope) {
            if let Some(known) = &row {
                let looked = self.look(connection, scope, known);
                self.nothing_there(scope, looked)?;
            }
            row = self.scope_row(connection, scope, false)?;
        }
        let Some(row) = row else {
            // Another process has removed it.
            self.forget(scope);
            return Ok(Changes::of_nothing(since));
        };
        let now = position(&row)?;
        let seen = i64::try_from(since.added).unwrap_or(i64::MAX);
        if !since.covers(&now) || seen < row.forgotten {
            return Ok(Changes { now, complete: false });
        }
        if seen < row.revision {
            let sql = format!(
                "select entityType, entityId from {} where app = ? and channel = ? and revision > ? and revision <= ?",
                self.own("changes")
            );
            let [app, channel] = key(scope);
            connection.query(
                &sql,
                &[app, channel, Value::Int(seen), Value::Int(row.revision)],
                &mut |row| {
                    if let Some((kind, id)) = row.text(0).zip(row.text(1)) {
                        visit(kind, id);
                    }
                    Ok(std::ops::ControlFlow::Continue(()))
                },
            )?;
        }
        Ok(Changes { now, complete: true })
    }
}

fn position(row: &ScopeRow) -> Done<Position> {
    let added = u64::try_from(row.revision).map_err(|_| corrupt("the revision of a scope is negative"))?;
    Ok(Position { life: row.life, added, revised: 0 })
}

/// Special events that PredictionIO has stored beside us. It notes none, so they are looked for, by the time of their creation.
impl Sql {
    fn is_time_to_look(&self, scope: Scope) -> bool {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = looks.get(&scope).is_none_or(|last| last.elapsed() >= LOOK);
        if is_time {
            looks.insert(scope, Instant::now());
        }
        is_time
    }

    fn look(&self, connection: &mut dyn Connection, scope: Scope, row: &ScopeRow) -> Done<()> {
        let table = self.main(scope);
        if row.looked == 0 {
            // Whoever asks for changes since then knows nothing of the time before.
            let sql = format!("select max(creationTime) from {table} where event like '$%'");
            let newest = connection.first(&sql, &[], |row| row.civil(0))?;
            return self.set_looked(connection, scope, newest.unwrap_or(0).max(1));
        }
        let sql = format!(
            "select id, entityType, entityId, creationTime from {table} where event like '$%' and creationTime >= ? order by creationTime limit {LOOKED_MAX}"
        );
        // MySQL's times begin with 1970.
        let from = row.looked.saturating_sub(OVERLAP).max(1_000_000);
        let found = connection.all(&sql, &[Value::Civil(from)], |row| {
            let event = Some(id_hash(row.text(0)?));
            let named = Named { kind: row.text(1)?.to_owned(), id: row.text(2)?.to_owned(), event };
            Some((named, row.civil(3)?))
        })?;
        let Some(newest) = found.last().map(|(_, created)| *created) else { return Ok(()) };
        let is_all = found.len() < LOOKED_MAX;
        let foreign = self.unknown(connection, scope, found.into_iter().map(|(named, _)| named).collect())?;
        // Among too many there is no room for an overlap.
        let looked = if is_all { newest } else { newest.saturating_add(OVERLAP) };
        if !foreign.is_empty() {
            transaction(connection, |connection| {
                let Some(row) = self.scope_row(connection, scope, true)? else { return Ok(()) };
                self.note(connection, scope, &row, &foreign)?;
                self.set_looked(connection, scope, looked.max(row.looked))
            })
        } else if looked > row.looked.saturating_add(OVERLAP) || !is_all {
            self.set_looked(connection, scope, looked)
        } else {
            Ok(())
        }
    }

    /// Those whose event nobody has noted.
    fn unknown(&self, connection: &mut dyn Connection, scope: Scope, mut found: Entities) -> Done<Entities> {
        let hashes: Vec<String> = found.iter().filter_map(|named| named.event.clone()).collect();
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        let mut known = BTreeSet::new();
        for list in lists(&hashes) {
            let places = vec!["?"; list.len()].join(", ");
            let sql = format!(
                "select event from {} where app = ? and channel = ? and event in ({places})",
                self.own("changes")
            );
            let values: Vec<Value<'_>> =
                key(scope).into_iter().chain(list.into_iter().map(Value::Text)).collect();
            known.extend(connection.all(&sql, &values, |row| row.text(0).map(str::to_owned))?);
        }
        found.retain(|named| named.event.as_ref().is_none_or(|event| !known.contains(event)));
        Ok(found)
    }

    fn set_looked(&self, connection: &mut dyn Connection, scope: Scope, looked: i64) -> Done<()> {
        let sql = format!("update {} set looked = ? where app = ? and channel = ?", self.own("scopes"));
        let [app, channel] = key(scope);
        connection.execute(&sql, &[Value::Int(looked), app, channel]).map(drop)
    }
}

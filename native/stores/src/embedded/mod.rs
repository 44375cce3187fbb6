//! The embedded store: events and registry in one LMDB environment that several processes share.
//!
//! Everything is in one memory-mapped file: readers see a consistent snapshot without locks, one writer at a time works
//! beside them, and a commit is durable when it returns. See `docs/event-store-format.md` for the layout and
//! `docs/decisions/0001-embedded-store.md` for the reasons.

mod bytes;
mod commit;
mod entries;
mod env;
mod error;
mod fresh;
mod history;
mod keys;
mod read;
mod record;
mod registry;
mod revisions;
mod shapes;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use events::{
    Changes, Error, Event, EventFilter, EventStore, EventVersion, Kind, Position, Result, Scope, Visit,
    VisitDeed, VisitEntity,
};
use heed::{RoTxn, RwTxn};

pub(crate) use env::create_directory;

use commit::GroupCommit;
use env::{Env, Table};
use fresh::{Limits, Moving};
use keys::{Seq, Tag};
use shapes::Shapes;
use write::{Batch, Writer};

/// Version of the layout. A newer store is refused.
const FORMAT: u32 = 3;
const FORMAT_KEY: &[u8] = b"format";
/// In the same table for a moment: what [`EventStore::check_writable`] writes.
const PROBE_KEY: &[u8] = b"probe";
const PROBE_BYTES: usize = 1 << 20;
/// Apps and channels that have events, at most: each needs four tables, and their number is fixed at open.
const SCOPES_MAX: u32 = 300;
/// Reads at the same time, over all processes.
const READERS_MAX: u32 = 1024;

/// Events and registry in a directory. A handle: clones share the store.
#[derive(Clone)]
pub struct Embedded(Arc<Core>);

struct Core {
    env: Env,
    tables: Tables,
    /// Tables of scopes, by slot.
    slots: RwLock<BTreeMap<u32, Slot>>,
    /// Held while tables are opened or made: two transactions that open tables at the same time would take the same
    /// handles, which a writer may be using already (`MDB_BAD_DBI`).
    opening: Mutex<()>,
    shapes: RwLock<Arc<Shapes>>,
    commits: GroupCommit,
    limits: Limits,
}

/// Tables that are always there.
#[derive(Clone, Copy)]
struct Tables {
    /// Format, and the sequences of the registry.
    meta: Table,
    /// Scope → [`ScopeState`].
    scopes: Table,
    shapes: Table,
    apps: Table,
    keys: Table,
    channels: Table,
    instances: Table,
}

/// Tables of one scope.
#[derive(Clone, Copy)]
struct Slot {
    /// Position → record.
    log: Table,
    /// [`keys::HistoryKey`] → [`keys::history_value`].
    history: Table,
    /// Number → [`entries::Run`]: entries of the history that are not in `history` yet, or changed since.
    fresh: Table,
    /// [`keys::IdKey`] → nothing.
    ids: Table,
}

/// What a scope knows of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ScopeState {
    /// Number of its tables. Reused after `remove`.
    slot: u32,
    /// See [`Tag`]; new with each `init`.
    tag: Tag,
    /// Next position.
    next: Seq,
    /// Whether the id index holds ids with our own tag, which generated ids must then avoid.
    forged: bool,
    moving: Moving,
}

impl ScopeState {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.slot.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.tag);
        bytes.extend_from_slice(&self.next.to_be_bytes());
        bytes.push(u8::from(self.forged));
        self.moving.encode(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (slot, rest) = bytes.split_first_chunk()?;
        let (tag, rest) = rest.split_first_chunk()?;
        let (next, rest) = rest.split_first_chunk()?;
        let (forged, rest) = rest.split_first()?;
        Some(Self {
            slot: u32::from_be_bytes(*slot),
            tag: *tag,
            next: u64::from_be_bytes(*next),
            forged: *forged != 0,
            moving: Moving::decode(rest)?,
        })
    }
}

fn scope_key(scope: Scope) -> Vec<u8> {
    let mut key = scope.app.to_be_bytes().to_vec();
    if let Some(channel) = scope.channel {
        key.extend_from_slice(&channel.to_be_bytes());
    }
    key
}

/// Stores that this process has open: LMDB may be opened once per process.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Core>>> = Mutex::new(BTreeMap::new());

impl Embedded {
    /// Opens the store in `directory`, creating what is missing. Within a process all openers share one store.
    ///
    /// # Errors
    /// `Kind::Unavailable` names the path that cannot be written; `Kind::Version`: made by a newer program; `Kind::Corrupt`: damaged.
    pub fn open(directory: &Path) -> Result<Self> {
        Self::open_with(directory, Limits::STANDARD)
    }

    fn open_with(directory: &Path, limits: Limits) -> Result<Self> {
        let directory = create_directory(directory)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(&directory).and_then(Weak::upgrade) {
            return Ok(Self(store));
        }
        let store = Arc::new(Core::open(&directory, limits)?);
        open.retain(|_, store| store.strong_count() > 0);
        open.insert(directory, Arc::downgrade(&store));
        Ok(Self(store))
    }
}

impl Core {
    fn open(directory: &Path, limits: Limits) -> Result<Self> {
        let env = Env::open(directory)?;
        let tables = match Tables::open(&env)? {
            Some(tables) => tables,
            None => Tables::create(&env)?,
        };
        let store = Self {
            env,
            tables,
            slots: RwLock::default(),
            opening: Mutex::default(),
            shapes: RwLock::default(),
            commits: GroupCommit::default(),
            limits,
        };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<()> {
        let txn = self.env.read()?;
        let found = self.env.get(&txn, self.tables.meta, FORMAT_KEY)?;
        let found = found.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        match found {
            Some(FORMAT) => Ok(()),
            Some(newer @ FORMAT..) => Err(Error::new(
                Kind::Version,
                format!(
                    "the event store {} has format {newer}; this program knows formats up to {FORMAT}: upgrade it",
                    self.env.path().display()
                ),
            )),
            Some(older) => Err(Error::new(
                Kind::Version,
                format!(
                    "the event store {} has format {older}, of before the first release: export its events with the program that made it, and import them",
                    self.env.path().display()
                ),
            )),
            None => Err(error::corrupt("it does not say its format")),
        }
    }

    /// What `scope` knows of itself; `None` if it was not initialised.
    fn find_scope(&self, txn: &RoTxn<'_>, scope: Scope) -> Result<Option<ScopeState>> {
        let Some(bytes) = self.env.get(txn, self.tables.scopes, &scope_key(scope))? else { return Ok(None) };
        ScopeState::decode(bytes).map(Some).ok_or_else(malformed_scope)
    }

    fn put_scope(&self, txn: &mut RwTxn<'_>, scope: Scope, state: &ScopeState) -> Result<()> {
        self.env.put(txn, self.tables.scopes, &scope_key(scope), &state.encode())
    }

    /// Tables of `slot`, if this process has them open.
    fn slot(&self, slot: u32) -> Option<Slot> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&slot).copied()
    }

    /// Sees to it that the tables of `scope` are open in this process: another one may have made them. Transactions begun
    /// before do not know them. Gives `true` if they were not open.
    fn open_slot(&self, scope: Scope) -> Result<bool> {
        let txn = self.env.read()?;
        let state = self.find_scope(&txn, scope)?;
        drop(txn);
        if state.is_none_or(|state| self.slot(state.slot).is_some()) {
            return Ok(false);
        }
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        self.open_tables(scope).map(|()| true)
    }

    /// Opens the tables of `scope` unless another thread has done so.
    fn open_tables(&self, scope: Scope) -> Result<()> {
        let txn = self.env.read()?;
        let Some(state) = self.find_scope(&txn, scope)? else { return Ok(()) };
        if self.slot(state.slot).is_some() {
            return Ok(());
        }
        let [log, history, fresh, ids] = slot_names(state.slot);
        let opened = self.env.open_tables(txn, [&log, &history, &fresh, &ids])?;
        let [log, history, fresh, ids] =
            opened.ok_or_else(|| error::corrupt("tables of an app are missing"))?;
        let slot = Slot { log, history, fresh, ids };
        self.slots.write().unwrap_or_else(PoisonError::into_inner).insert(state.slot, slot);
        Ok(())
    }

    /// Makes tables and state for `scope` unless it has them.
    fn create_scope(&self, scope: Scope) -> Result<()> {
        if self.exists(scope)? {
            return Ok(());
        }
        let mut tag = Tag::default();
        crate::random(&mut tag)?;
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        self.env.create_tables(|opener, txn| {
            if self.find_scope(txn, scope)?.is_some() {
                return Ok(());
            }
            let slot = self.free_slot(txn)?;
            for name in slot_names(slot) {
                self.env.create_table(opener, txn, &name)?;
            }
            let state = ScopeState { slot, tag, next: 0, forged: false, moving: Moving::default() };
            self.put_scope(txn, scope, &state)
        })?;
        self.open_tables(scope)
    }

    /// Smallest slot that no scope uses.
    fn free_slot(&self, txn: &RoTxn<'_>) -> Result<u32> {
        let mut used = BTreeSet::new();
        for entry in self.env.entries(txn, self.tables.scopes)? {
            let (_, bytes) = entry?;
            let state = ScopeState::decode(bytes).ok_or_else(malformed_scope)?;
            used.insert(state.slot);
        }
        (0..SCOPES_MAX).find(|slot| !used.contains(slot)).ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("an embedded store holds at most {SCOPES_MAX} apps and channels"),
            )
        })
    }

    /// The shapes that `txn` can meet: those known before, and what other processes added.
    fn shapes(&self, txn: &RoTxn<'_>) -> Result<Arc<Shapes>> {
        let known = Arc::clone(&self.shapes.read().unwrap_or_else(PoisonError::into_inner));
        let stored = self.env.len(txn, self.tables.shapes)?;
        if known.len() as u64 >= stored {
            return Ok(known);
        }
        let mut shapes = Shapes::clone(&known);
        for entry in self.env.entries(txn, self.tables.shapes)?.skip(known.len()) {
            shapes.push(entry?.1).ok_or_else(|| error::corrupt("a shape is malformed"))?;
        }
        let shapes = Arc::new(shapes);
        self.learn(&shapes);
        Ok(shapes)
    }

    /// Keeps committed shapes.
    fn learn(&self, shapes: &Arc<Shapes>) {
        let mut known = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        if shapes.len() > known.len() {
            *known = Arc::clone(shapes);
        }
    }
}

fn malformed_scope() -> Error {
    error::corrupt("the record of an app is malformed")
}

fn unknown_scope(scope: Scope) -> Error {
    let channel = scope.channel.map_or_else(String::new, |channel| format!(", channel {channel}"));
    Error::new(
        Kind::NotFound,
        format!("there is no event store for app {}{channel}: create the app first", scope.app),
    )
}

fn slot_names(slot: u32) -> [String; 4] {
    ["log", "history", "fresh", "ids"].map(|table| format!("{table}.{slot}"))
}

impl Tables {
    const NAMES: [&str; 7] = ["meta", "scopes", "shapes", "apps", "keys", "channels", "instances"];

    fn new([meta, scopes, shapes, apps, keys, channels, instances]: [Table; 7]) -> Self {
        Self { meta, scopes, shapes, apps, keys, channels, instances }
    }

    /// `None` if the store is new.
    fn open(env: &Env) -> Result<Option<Self>> {
        Ok(env.open_tables(env.read()?, Self::NAMES)?.map(Self::new))
    }

    fn create(env: &Env) -> Result<Self> {
        env.create_tables(|opener, txn| {
            let mut created = Vec::new();
            for name in Self::NAMES {
                created.push(env.create_table(opener, txn, name)?);
            }
            let meta = created[0];
            // another process may have been faster
            if env.get(txn, meta, FORMAT_KEY)?.is_none() {
                env.put(txn, meta, FORMAT_KEY, &FORMAT.to_be_bytes())?;
            }
            Ok(())
        })?;
        Self::open(env)?.ok_or_else(|| error::corrupt("its tables are missing"))
    }
}

impl Core {
    /// See [`GroupCommit::run`].
    fn write<T: Send + 'static>(
        &self,
        operation: impl Fn(&mut Writer<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.commits.run(self, operation)
    }

    /// Writes to `scope`, whose tables may have been made by another process.
    fn write_scope<T: Send + 'static>(
        &self,
        scope: Scope,
        operation: impl Fn(&mut Writer<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let operation = Arc::new(operation);
        self.open_slot(scope)?;
        loop {
            let job = Arc::clone(&operation);
            match self.write(move |writer| job(writer)) {
                // removed and made again in between
                Err(_) if self.open_slot(scope)? => {}
                result => return result,
            }
        }
    }

    fn exists(&self, scope: Scope) -> Result<bool> {
        let txn = self.env.read()?;
        Ok(self.find_scope(&txn, scope)?.is_some())
    }
}

impl EventStore for Embedded {
    fn init(&self, scope: Scope) -> Result<()> {
        self.0.create_scope(scope)
    }

    fn remove(&self, scope: Scope) -> Result<()> {
        self.0.write_scope(scope, move |writer| writer.remove(scope))
    }

    fn append(&self, scope: Scope, events: &[Event]) -> Result<Vec<String>> {
        if events.is_empty() {
            return if self.0.exists(scope)? { Ok(vec![]) } else { Err(unknown_scope(scope)) };
        }
        let batch = Batch::encode(events);
        self.0.write_scope(scope, move |writer| writer.append(scope, &batch))
    }

    fn get(&self, scope: Scope, event_id: &str) -> Result<Option<Event>> {
        self.0.snapshot(scope)?.map_or(Ok(None), |snapshot| snapshot.get(event_id))
    }

    fn delete(&self, scope: Scope, event_id: &str) -> Result<bool> {
        if self.get(scope, event_id)?.is_none() {
            return Ok(false);
        }
        let id = event_id.to_owned();
        self.0.write_scope(scope, move |writer| writer.delete(scope, &id))
    }

    fn delete_entity(&self, scope: Scope, entity_type: &str, entity_id: &str) -> Result<u64> {
        if !self.0.exists(scope)? {
            return Ok(0);
        }
        let (kind, id) = (entity_type.to_owned(), entity_id.to_owned());
        self.0.write_scope(scope, move |writer| writer.delete_entity(scope, &kind, &id))
    }

    fn replace(&self, scope: Scope, old: &[EventVersion], new: &[Event]) -> Result<bool> {
        let (old, batch) = (old.to_vec(), Batch::encode(new));
        self.0.write_scope(scope, move |writer| writer.replace(scope, &old, &batch))
    }

    fn find(&self, scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> Result<()> {
        self.0.snapshot(scope)?.map_or(Ok(()), |snapshot| snapshot.find(filter, visit))
    }

    fn history(&self, scope: Scope, entity: (&str, &str), visit: VisitDeed<'_>) -> Result<()> {
        self.0.snapshot(scope)?.map_or(Ok(()), |snapshot| snapshot.history(entity, visit))
    }

    fn scan(&self, scope: Scope, visit: Visit<'_>) -> Result<()> {
        self.0.snapshot(scope)?.map_or(Ok(()), |snapshot| snapshot.scan(visit))
    }

    fn changes(&self, scope: Scope, since: Position, visit: VisitEntity<'_>) -> Result<Changes> {
        match self.0.snapshot(scope)? {
            Some(snapshot) => snapshot.changes(since, visit),
            None => Ok(Changes::of_nothing(since)),
        }
    }

    fn check_writable(&self) -> Result<()> {
        // removed by a second transaction: the first one's pages would not be written otherwise
        self.0.write(|writer| writer.put_probe(&vec![0; PROBE_BYTES]))?;
        self.0.write(|writer| writer.delete_probe())
    }

    fn count(&self, scope: Scope) -> Result<u64> {
        self.0.snapshot(scope)?.map_or(Ok(0), |snapshot| snapshot.count())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use events::{Entity, EventTime};

    use super::*;

    const SCOPE: Scope = Scope { app: 1, channel: None };

    fn event(name: &str, id: Option<&str>) -> Event {
        Event {
            event_id: id.map(str::to_owned),
            event: name.to_owned(),
            entity: Entity { kind: "user".into(), id: "u".into() },
            target: None,
            properties: events::json::Object::new(),
            event_time: EventTime { millis: 0, offset_seconds: 0 },
            pr_id: None,
            tags: vec![],
            creation_time: EventTime { millis: 0, offset_seconds: 0 },
        }
    }

    fn store(directory: &Path) -> Embedded {
        let store = Embedded::open(directory).unwrap();
        store.init(SCOPE).unwrap();
        store
    }

    fn names(store: &Embedded) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut visit = |event: &events::EventRef<'_>| {
            names.insert(event.event.to_owned());
            ControlFlow::Continue(())
        };
        store.scan(SCOPE, &mut visit).unwrap();
        names
    }

    #[test]
    fn another_format_is_refused() {
        for (format, advice) in [(FORMAT - 1, "import"), (FORMAT + 1, "upgrade it")] {
            let directory = tempfile::tempdir().unwrap();
            let store = store(directory.path());
            store
                .0
                .write(move |writer| {
                    let meta = writer.core.tables.meta;
                    writer.core.env.put(&mut writer.txn, meta, FORMAT_KEY, &format.to_be_bytes())
                })
                .unwrap();
            drop(store);
            let error = Embedded::open(directory.path()).err().unwrap();
            assert_eq!(error.kind(), Kind::Version);
            let said = error.to_string();
            assert!(said.contains(&format!("has format {format}")) && said.contains(advice), "{said}");
        }
    }

    #[test]
    fn a_failing_job_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        std::thread::scope(|threads| {
            for n in 0..32 {
                let store = &store;
                threads.spawn(move || {
                    let batch = Batch::encode(&[event(&format!("n{n}"), None)]);
                    let written = store.0.write(move |writer| {
                        writer.append(SCOPE, &batch)?;
                        if n % 4 == 0 { Err(Error::new(Kind::Invalid, "no")) } else { Ok(n) }
                    });
                    assert_eq!(written.ok(), (n % 4 != 0).then_some(n));
                });
            }
        });
        let expected = (0..32).filter(|n| n % 4 != 0).map(|n| format!("n{n}")).collect();
        assert_eq!(names(&store), expected);
        assert_eq!(store.count(SCOPE).unwrap(), 24);
    }

    #[test]
    fn shapes_beyond_the_limits_stand_in_the_records() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        let mut expected = BTreeSet::from(["x".repeat(4000)]);
        expected.extend((0..17_000).map(|n| n.to_string()));
        let batch: Vec<Event> = expected.iter().map(|name| event(name, None)).collect();
        store.append(SCOPE, &batch).unwrap();
        assert_eq!(names(&store), expected);
        let known = store.0.shapes.read().unwrap().len();
        assert_eq!(known, 1 << 14);
        drop(store);
        let store = Embedded::open(directory.path()).unwrap();
        assert_eq!(names(&store), expected, "read from the file");
    }

    /// A client may know the tag and send ids that are still to come.
    #[test]
    fn forged_ids_are_not_given_out_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        let first = store.append(SCOPE, &[event("first", None)]).unwrap();
        let forged = format!("{}2", &first[0][..31]);
        store.append(SCOPE, &[event("forged", Some(&forged))]).unwrap();
        let next = store.append(SCOPE, &[event("a", None), event("b", None), event("c", None)]).unwrap();
        let mut ids: BTreeSet<String> = next.into_iter().chain(first).collect();
        assert!(!ids.contains(&forged));
        assert_eq!(ids.len(), 4);
        ids.insert(forged.clone());
        assert!(ids.iter().all(|id| store.get(SCOPE, id).unwrap().unwrap().event_id.as_ref() == Some(id)));
        assert_eq!(store.get(SCOPE, &forged).unwrap().unwrap().event, "forged");
        assert_eq!(store.count(SCOPE).unwrap(), 5);
    }

    /// Threads that need the tables at the same time do not invalidate each other's handles.
    #[test]
    fn threads_may_meet_a_scope_at_the_same_time() {
        let directory = tempfile::tempdir().unwrap();
        drop(store(directory.path()));
        for round in 1..=40 {
            let store = Embedded::open(directory.path()).unwrap();
            let start = std::sync::Barrier::new(8);
            std::thread::scope(|threads| {
                for _ in 0..8 {
                    threads.spawn(|| {
                        start.wait();
                        for _ in 0..3 {
                            store.append(SCOPE, &[event("n", None)]).unwrap();
                        }
                    });
                }
            });
            assert_eq!(store.count(SCOPE).unwrap(), round * 24);
        }
    }

    /// A transaction does not know tables that another thread opens after it has begun.
    #[test]
    fn threads_may_read_a_scope_for_the_first_time_at_the_same_time() {
        let directory = tempfile::tempdir().unwrap();
        store(directory.path()).append(SCOPE, &[event("n", None)]).unwrap();
        for _ in 0..500 {
            let store = Embedded::open(directory.path()).unwrap();
            let start = std::sync::Barrier::new(4);
            std::thread::scope(|threads| {
                for _ in 0..4 {
                    threads.spawn(|| {
                        start.wait();
                        assert_eq!(store.count(SCOPE).unwrap(), 1);
                    });
                }
            });
        }
    }

    /// The last one to leave closes the store, while the next one comes.
    #[test]
    fn one_may_open_what_another_closes() {
        let directory = tempfile::tempdir().unwrap();
        drop(store(directory.path()));
        for round in 0..1000 {
            let last = Embedded::open(directory.path()).unwrap();
            let start = std::sync::Barrier::new(2);
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    start.wait();
                    drop(last);
                });
                start.wait();
                (0..round % 200 * 20).for_each(|_| std::hint::spin_loop());
                let next = Embedded::open(directory.path()).unwrap();
                assert_eq!(next.count(SCOPE).unwrap(), 0);
            });
        }
    }

    #[test]
    fn more_scopes_than_tables_are_refused_and_slots_are_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        for app in 2..=SCOPES_MAX {
            store.init(Scope { app, channel: None }).unwrap();
        }
        let last = Scope { app: SCOPES_MAX + 1, channel: None };
        assert_eq!(store.init(last).unwrap_err().kind(), Kind::Invalid);
        store.append(SCOPE, &[event("old", None)]).unwrap();
        store.remove(SCOPE).unwrap();
        store.init(last).unwrap();
        assert_eq!(store.count(last).unwrap(), 0);
        store.append(last, &[event("new", None)]).unwrap();
        assert_eq!(store.count(last).unwrap(), 1);
    }
}

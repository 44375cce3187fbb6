//! Events in HBase, in the rows that PredictionIO writes and reads.
//!
//! A scope is the table `<namespace>:events_<app>[_<channel>]`, as PredictionIO makes it, and beside it
//! `<namespace>:arblast_<app>[_<channel>]`, of which PredictionIO knows nothing: where events are whose id is not their
//! key, and a journal of the changes of special events. Without the second table a scope can be read; it is made when it is needed.
//!
//! What is promised: an append is in the write-ahead logs on disk when it returns (or in the memory of their replicas, with
//! `durability=sync`). The events of a call that lie in one region appear together; those of several regions appear one
//! region after the other, and after an error some of them may be there. A scan reads one state of each region, as long as that is
//! not split or moved meanwhile; it ends with every event or with an error. `replace` is exact among the threads of one
//! process; of several processes that change the same events within milliseconds, one may not see the other.

mod failure;
mod ids;
mod journal;
mod layout;
mod parallel;
mod read;
mod url;
mod write;
mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use events::{
    Changes, Deed, Event, EventFilter, EventStore, EventVersion, Position, Result, Scope, Visit, VisitDeed,
    VisitEntity,
};

use crate::client::{Cause, Client, Family, LATEST, Mutation, TableName};
use failure::told;

/// Opens the event store that a URL names: `hbase://zk1:2181,zk2:2181/hbase?namespace=pio_event`. Options: `user`
/// (`arblast`), `timeout` in seconds (60), `durability` (`fsync` or `sync`), `journal` (`false` while PredictionIO itself still writes
/// special events, since the journal does not know of these).
///
/// # Errors
/// `Kind::Invalid` for what is wrong in the URL; `Kind::Unavailable` if nobody answers there.
pub fn open(url: &str) -> Result<Arc<dyn EventStore>> {
    Ok(Arc::new(HbaseStore::open(url)?))
}

/// See the [module](self).
#[derive(Debug)]
pub struct HbaseStore {
    client: Client,
    namespace: String,
    has_journal: bool,
    /// Written by whoever takes away what he read, read by whoever appends what may be there already.
    changing: RwLock<()>,
    /// Scopes that are known to have a table of our own.
    companions: Mutex<BTreeSet<Scope>>,
    journals: Mutex<BTreeMap<Scope, journal::Known>>,
}

const OWN_TABLE_FAMILY: &[u8] = b"a";

impl HbaseStore {
    /// As [`open`].
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(url: &str) -> Result<Self> {
        let url::Address { client, namespace, journal } = url::parse(url)?;
        let client = Client::new(client);
        client.ping().map_err(told)?;
        Ok(Self {
            client,
            namespace,
            has_journal: journal,
            changing: RwLock::default(),
            companions: Mutex::default(),
            journals: Mutex::default(),
        })
    }

    /// What speaks to the cluster.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table with the events of a scope.
    pub fn table(&self, scope: Scope) -> TableName {
        self.named("events", scope)
    }

    /// Our own table of a scope.
    fn companion(&self, scope: Scope) -> TableName {
        self.named("arblast", scope)
    }

    fn named(&self, what: &str, Scope { app, channel }: Scope) -> TableName {
        let channel = channel.map(|channel| format!("_{channel}")).unwrap_or_default();
        TableName::new(&self.namespace, format!("{what}_{app}{channel}"))
    }

    /// Our own table of a scope whose events have one; it is made if somebody else made only the other.
    fn companion_made(&self, scope: Scope) -> Result<TableName> {
        let companion = self.companion(scope);
        if !lock(&self.companions).contains(&scope) {
            if !self.client.table_exists(&companion).map_err(told)? {
                // Not for a scope that is not there at all.
                self.client.region_starts(&self.table(scope)).map_err(told)?;
                self.make_companion(&companion)?;
            }
            lock(&self.companions).insert(scope);
        }
        Ok(companion)
    }

    fn make_companion(&self, companion: &TableName) -> Result<()> {
        let family = family(OWN_TABLE_FAMILY);
        self.client.create_table(companion, &[family], &[]).map_err(told)?;
        self.begin_life(companion)
    }
}

/// With the attributes that PredictionIO's tables have; what else they say are defaults.
fn family(name: &[u8]) -> Family {
    let attributes =
        vec![("VERSIONS".to_owned(), "1".to_owned()), ("BLOOMFILTER".to_owned(), "ROW".to_owned())];
    Family { name: String::from_utf8_lossy(name).into_owned(), attributes }
}

/// Nothing panics while one of these locks is held, but for want of memory.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is read of a table that is not there is nothing.
fn or_nothing<T: Default>(result: crate::client::Result<T>) -> Result<T> {
    match result {
        Err(error) if error.cause() == Cause::NoTable => Ok(T::default()),
        result => result.map_err(told),
    }
}

impl EventStore for HbaseStore {
    fn init(&self, scope: Scope) -> Result<()> {
        let (table, companion) = (self.table(scope), self.companion(scope));
        if !self.client.table_exists(&table).map_err(told)? {
            self.client.create_namespace(&self.namespace).map_err(told)?;
            let families = [family(layout::EVENT_FAMILY), family(layout::OWN_FAMILY)];
            // Masters take half a second for a table, and do several at once.
            return std::thread::scope(|threads| {
                let other = threads.spawn(|| self.make_companion(&companion));
                self.client.create_table(&table, &families, &[]).map_err(told)?;
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
        }
        self.companion_made(scope).map(|_| ())
    }

    fn remove(&self, scope: Scope) -> Result<()> {
        let _changing = self.changing.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.companions).remove(&scope);
        lock(&self.journals).remove(&scope);
        // The events last: as long as they are there, so is the scope.
        self.client.delete_table(&self.companion(scope)).map_err(told)?;
        self.client.delete_table(&self.table(scope)).map_err(told)
    }

    fn append(&self, scope: Scope, events: &[Event]) -> Result<Vec<String>> {
        self.append_events(scope, events)
    }

    fn get(&self, scope: Scope, event_id: &str) -> Result<Option<Event>> {
        self.event(scope, event_id)
    }

    fn delete(&self, scope: Scope, event_id: &str) -> Result<bool> {
        self.delete_event(scope, event_id)
    }

    fn delete_entity(&self, scope: Scope, entity_type: &str, entity_id: &str) -> Result<u64> {
        self.delete_events_of(scope, entity_type, entity_id)
    }

    fn replace(&self, scope: Scope, old: &[EventVersion], new: &[Event]) -> Result<bool> {
        self.replace_events(scope, old, new)
    }

    fn find(&self, scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> Result<()> {
        self.find_events(scope, filter, visit)
    }

    fn history(&self, scope: Scope, entity: (&str, &str), visit: VisitDeed<'_>) -> Result<()> {
        let filter = EventFilter {
            entity_type: Some(entity.0.to_owned()),
            entity_id: Some(entity.1.to_owned()),
            reversed: true,
            ..EventFilter::default()
        };
        self.find_of_entity(scope, entity, &filter, read::Columns::Deed, &mut |event| {
            visit(&Deed::from(event))
        })
    }

    fn scan(&self, scope: Scope, visit: Visit<'_>) -> Result<()> {
        self.scan_events(scope, visit)
    }

    fn changes(&self, scope: Scope, since: Position, visit: VisitEntity<'_>) -> Result<Changes> {
        if self.has_journal { self.journal_since(scope, since, visit) } else { Ok(Changes::default()) }
    }

    /// Needs a scope that this store has used since it was opened; before, that HBase answers must do.
    fn check_writable(&self) -> Result<()> {
        let Some(scope) = lock(&self.companions).first().copied() else {
            return self.client.ping().map_err(told);
        };
        let companion = self.companion(scope);
        for content in [vec![b'x'; 1 << 20], Vec::new()] {
            let put = Mutation::put("check").set(OWN_TABLE_FAMILY, b"v", LATEST, &content).map_err(told)?;
            self.client.mutate(&companion, &[put]).map_err(told)?;
        }
        Ok(())
    }

    fn count(&self, scope: Scope) -> Result<u64> {
        self.count_events(scope)
    }
}

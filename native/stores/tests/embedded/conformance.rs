//! The suites that every store must pass.

use std::sync::Arc;

use events::{
    AccessKey, App, Changes, Channel, DeclaredEvents, EngineInstance, Event, EventFilter, EventStore,
    EventVersion, NewApp, NewChannel, Position, Registry, Result, Scope, Visit, VisitDeed, VisitEntity,
};
use stores::Embedded;
use tempfile::TempDir;

/// A store and the directory that goes with it.
struct Stored {
    store: Embedded,
    directory: Arc<TempDir>,
}

fn fresh() -> Stored {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    Stored { store: Embedded::open(directory.path()).unwrap(), directory }
}

fn reopen(stored: Stored) -> Stored {
    let Stored { store, directory } = stored;
    drop(store);
    Stored { store: Embedded::open(directory.path()).unwrap(), directory }
}

#[test]
fn event_store() {
    events::conformance::event_store(fresh, reopen);
}

#[test]
fn registry() {
    events::conformance::registry(fresh, reopen);
}

/// Passes calls on.
macro_rules! delegate {
    ($trait:ident: $(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl $trait for Stored {
            $(fn $name(&self, $($argument: $type),*) -> Result<$answer> { self.store.$name($($argument),*) })*
        }
    };
}

delegate! { EventStore:
    fn init(scope: Scope) -> ();
    fn remove(scope: Scope) -> ();
    fn append(scope: Scope, events: &[Event]) -> Vec<String>;
    fn get(scope: Scope, event_id: &str) -> Option<Event>;
    fn delete(scope: Scope, event_id: &str) -> bool;
    fn delete_entity(scope: Scope, entity_type: &str, entity_id: &str) -> u64;
    fn replace(scope: Scope, old: &[EventVersion], new: &[Event]) -> bool;
    fn find(scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> ();
    fn history(scope: Scope, entity: (&str, &str), visit: VisitDeed<'_>) -> ();
    fn scan(scope: Scope, visit: Visit<'_>) -> ();
    fn changes(scope: Scope, since: Position, visit: VisitEntity<'_>) -> Changes;
    fn count(scope: Scope) -> u64;
}

delegate! { Registry:
    fn create_app(app: &NewApp) -> App;
    fn apps() -> Vec<App>;
    fn delete_app(id: u32) -> bool;
    fn declare_events(app: u32, declared: Option<&DeclaredEvents>) -> bool;
    fn rotate_access_key(old: &str, new: &AccessKey, old_expires_ms: i64) -> bool;
    fn create_access_key(key: &AccessKey) -> ();
    fn access_keys(app: Option<u32>) -> Vec<AccessKey>;
    fn access_key(key: &str) -> Option<AccessKey>;
    fn delete_access_key(key: &str) -> bool;
    fn create_channel(channel: &NewChannel) -> Channel;
    fn channels(app: u32) -> Vec<Channel>;
    fn delete_channel(id: u32) -> bool;
    fn put_instance(instance: &EngineInstance) -> ();
    fn instances() -> Vec<EngineInstance>;
}

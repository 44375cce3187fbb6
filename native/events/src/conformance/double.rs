//! Stores for tests of what stands above them: they fail, wait or count where a test wants it.

use std::ops::Deref;
use std::sync::Arc;

use crate::{
    Changes, Event, EventFilter, EventStore, EventVersion, MemoryStore, Position, Result, Scope, Visit,
    VisitDeed, VisitEntity,
};

/// A store that does what another does, but for a [`Deviation`], whose fields and methods it lends.
pub struct Double<D> {
    store: Arc<dyn EventStore>,
    deviation: D,
}

impl<D> Double<D> {
    /// Of an empty store.
    pub fn new(deviation: D) -> Self {
        Self::of(Arc::new(MemoryStore::new()), deviation)
    }

    /// Of this store.
    pub fn of(store: Arc<dyn EventStore>, deviation: D) -> Self {
        Self { store, deviation }
    }
}

impl<D> Deref for Double<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.deviation
    }
}

/// From one list: a method for each of [`EventStore`] that may deviate, and the store that asks it. Whether the list has
/// all of them, those with a default too, is what the lint tells.
macro_rules! deviations {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        /// What is different. A method that is left out does what `store` does.
        pub trait Deviation: Send + Sync {
            $(
                #[doc = concat!("Called for [`EventStore::", stringify!($name), "`].")]
                fn $name(&self, store: &dyn EventStore, $($argument: $kind),*) -> Result<$answer> {
                    store.$name($($argument),*)
                }
            )*
        }

        #[deny(clippy::missing_trait_methods)]
        impl<D: Deviation> EventStore for Double<D> {
            $(
                fn $name(&self, $($argument: $kind),*) -> Result<$answer> {
                    self.deviation.$name(self.store.as_ref(), $($argument),*)
                }
            )*
        }
    };
}

deviations! {
    init(scope: Scope) -> ();
    remove(scope: Scope) -> ();
    append(scope: Scope, events: &[Event]) -> Vec<String>;
    get(scope: Scope, event_id: &str) -> Option<Event>;
    delete(scope: Scope, event_id: &str) -> bool;
    delete_entity(scope: Scope, entity_type: &str, entity_id: &str) -> u64;
    replace(scope: Scope, old: &[EventVersion], new: &[Event]) -> bool;
    find(scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> ();
    history(scope: Scope, entity: (&str, &str), visit: VisitDeed<'_>) -> ();
    scan(scope: Scope, visit: Visit<'_>) -> ();
    changes(scope: Scope, since: Position, visit: VisitEntity<'_>) -> Changes;
    check_writable() -> ();
    count(scope: Scope) -> u64;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    struct Nothing;

    impl Deviation for Nothing {}

    #[test]
    fn without_a_deviation_it_is_the_store() {
        conformance::event_store(|| Double::new(Nothing), |store| store);
    }
}

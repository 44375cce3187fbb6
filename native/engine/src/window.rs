//! Which events count: the event window, a filter when training reads, a measure when the store is pruned.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::ControlFlow;

use events::{EventRef, EventStore, Result, Scope};

use crate::EventWindow;

/// No random state: the same events give the same choice, though no choice depends on iteration order.
type Newest = HashMap<u128, (i64, u64), BuildHasherDefault<DefaultHasher>>;

/// A filter on events that are not special.
pub(crate) struct Window {
    /// Events at or before this instant are too old.
    after_ms: Option<i64>,
    /// With `removeDuplicates`: per distinct event its newest time, and the hash of that event's id.
    newest: Option<Newest>,
}

impl Window {
    /// The window that ends at `now_ms`.
    pub fn new(window: &EventWindow, now_ms: i64) -> Self {
        Self {
            after_ms: window.duration_ms.map(|duration| now_ms.saturating_sub(duration)),
            newest: window.remove_duplicates.then(Newest::default),
        }
    }

    /// Must every event be learned before the first is asked for?
    pub fn learns(&self) -> bool {
        self.newest.is_some()
    }

    /// Learns all events of a scope, if it must: one more pass over the store.
    pub fn learn_all(&mut self, store: &dyn EventStore, scope: Scope) -> Result<()> {
        if !self.learns() {
            return Ok(());
        }
        store.scan(scope, &mut |event| {
            self.learn(event);
            ControlFlow::Continue(())
        })
    }

    /// Takes note of an event, for the newest of equal ones, if the window is to hold just those.
    pub fn learn(&mut self, event: &EventRef<'_>) {
        let young = self.young(event);
        let Some(newest) = self.newest.as_mut().filter(|_| young) else { return };
        let candidate = (event.event_time.millis, hash(event.event_id));
        let kept = newest.entry(content(event)).or_insert(candidate);
        *kept = candidate.max(*kept);
    }

    /// Is the event to be counted?
    pub fn holds(&self, event: &EventRef<'_>) -> bool {
        let chosen = |newest: &Newest| {
            newest.get(&content(event)) == Some(&(event.event_time.millis, hash(event.event_id)))
        };
        self.young(event) && self.newest.as_ref().is_none_or(chosen)
    }

    /// Is the event not to be counted because of its age?
    pub fn is_past(&self, event: &EventRef<'_>) -> bool {
        !self.young(event)
    }

    /// Is a newer one of equal events known? Unlike those that the window does not hold, an event that came after
    /// [`learn`](Self::learn) has none.
    pub fn has_newer_twin(&self, event: &EventRef<'_>) -> bool {
        let own = (event.event_time.millis, hash(event.event_id));
        let kept = self.newest.as_ref().and_then(|newest| newest.get(&content(event)));
        kept.is_some_and(|kept| *kept > own)
    }

    fn young(&self, event: &EventRef<'_>) -> bool {
        self.after_ms.is_none_or(|after| event.event_time.millis > after)
    }
}

/// 128 bits of everything but id and times: two distinct events collide with probability 2⁻¹²⁸.
fn content(event: &EventRef<'_>) -> u128 {
    let what = (event.event, event.entity_type, event.entity_id, event.target);
    let parts = (what, event.properties, event.pr_id, event.tags);
    u128::from(hash((0u8, parts))) << 64 | u128::from(hash((1u8, parts)))
}

pub(crate) fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

//! Which events are about an entity: what it did or was set on it, and, where that is wanted, those that name it.

use std::ops::ControlFlow;

use events::{EventFilter, EventRef, EventStore, EventVersion, Json, Result, Scope, Visit, json};

/// Events that name an entity and are deleted together: their ids are in memory.
const GROUP_EVENTS: usize = 50_000;

/// An entity and what is wanted of it.
pub struct About {
    pub kind: String,
    pub id: String,
    /// Those events too that name it. No index has them: all events are read.
    pub as_target: bool,
}

/// Numbers of deleted events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Erased {
    /// Its own.
    pub own: u64,
    /// Those that named it.
    pub as_target: u64,
}

impl About {
    /// What it did or what was set on it, oldest first.
    pub fn own(&self) -> EventFilter {
        EventFilter {
            entity_type: Some(self.kind.clone()),
            entity_id: Some(self.id.clone()),
            ..EventFilter::default()
        }
    }

    /// Its own events, oldest first; then, in any order, those that name it.
    pub fn visit(&self, store: &dyn EventStore, scope: Scope, visit: Visit<'_>) -> Result<()> {
        let mut flow = ControlFlow::Continue(());
        store.find(scope, &self.own(), &mut |event| {
            flow = visit(event);
            flow
        })?;
        if flow.is_break() || !self.as_target {
            return Ok(());
        }
        store.scan(scope, &mut |event| {
            if self.is_named_by(event) { visit(event) } else { ControlFlow::Continue(()) }
        })
    }

    /// Deletes what [`visit`](Self::visit) shows, durably, in steps: after a failure it may be asked again.
    pub fn erase(&self, store: &dyn EventStore, scope: Scope) -> Result<Erased> {
        let own = store.delete_entity(scope, &self.kind, &self.id)?;
        let mut erased = Erased { own, as_target: 0 };
        if !self.as_target {
            return Ok(erased);
        }
        loop {
            let some = self.some_that_name_it(store, scope)?;
            if some.is_empty() {
                return Ok(erased);
            }
            // what has changed meanwhile is looked at again
            if store.replace(scope, &some, &[])? {
                erased.as_target += some.len() as u64;
            }
        }
    }

    fn some_that_name_it(&self, store: &dyn EventStore, scope: Scope) -> Result<Vec<EventVersion>> {
        let mut some = Vec::new();
        store.scan(scope, &mut |event| {
            if self.is_named_by(event) {
                some.push(EventVersion::of(event));
            }
            if some.len() < GROUP_EVENTS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(some)
    }

    /// Is this an event of another entity, with this one as its target or, if this is a user, a prediction for him?
    fn is_named_by(&self, event: &EventRef<'_>) -> bool {
        let (kind, id) = (self.kind.as_str(), self.id.as_str());
        if (event.entity_type, event.entity_id) == (kind, id) {
            return false;
        }
        let is_prediction = kind == "user" && event.event == "predict" && event.entity_type == "pio_pr";
        event.target == Some((kind, id))
            || (is_prediction && asked_by(event.properties).as_deref() == Some(id))
    }
}

/// The user of the query that a prediction answered.
fn asked_by(properties: &str) -> Option<String> {
    let properties = json::parse(properties.as_bytes()).ok()?;
    properties.get("query")?.get("user").and_then(Json::to_text)
}

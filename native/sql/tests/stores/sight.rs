//! What tests say of events in few words.

use std::ops::ControlFlow;

use events::{Entity, Event, EventFilter, EventRef, EventStore, EventTime, Scope};

pub(crate) const SCOPE: Scope = Scope { app: 1, channel: None };

pub(crate) fn event(id: Option<&str>, user: &str, millis: i64) -> Event {
    Event {
        event_id: id.map(str::to_owned),
        event: "buy".into(),
        entity: Entity { kind: "user".into(), id: user.into() },
        target: Some(Entity { kind: "item".into(), id: "i".into() }),
        properties: Default::default(),
        event_time: EventTime::utc(millis),
        pr_id: None,
        tags: Vec::new(),
        creation_time: EventTime::utc(millis),
    }
}

/// Everything in order.
pub(crate) fn all(store: &impl EventStore) -> Vec<Event> {
    let mut events = Vec::new();
    let collect = &mut |event: &EventRef<'_>| {
        events.push(event.to_event().unwrap());
        ControlFlow::Continue(())
    };
    store.find(SCOPE, &EventFilter::default(), collect).unwrap();
    events
}

pub(crate) fn scanned(store: &impl EventStore) -> Vec<String> {
    let mut ids = Vec::new();
    let collect = &mut |event: &EventRef<'_>| {
        ids.push(event.event_id.to_owned());
        ControlFlow::Continue(())
    };
    store.scan(SCOPE, collect).unwrap();
    ids.sort();
    ids
}

pub(crate) fn millis(text: &str) -> i64 {
    EventTime::parse(text).unwrap().millis
}

//! Random stores against the definition, with limits so small that every pass and transaction is one of many.

use std::collections::{BTreeMap, BTreeSet};

use events::json::Object;
use events::properties::EntityProperties;
use events::{Entity, EventTime, Json, MemoryStore};
use proptest::prelude::*;

use super::*;
use crate::TrainReport;

const SCOPE: Scope = Scope { app: 1, channel: None };
const NOW: i64 = 10;

struct Silent;

impl Observer for Silent {
    fn stage(&self, _: &str, _: u64) {}
    fn progress(&self, _: u64) {}
    fn preflight(&self, _: &TrainReport) {}
}

fn store(events: &[Event]) -> MemoryStore {
    let store = MemoryStore::new();
    store.init(SCOPE).unwrap();
    store.append(SCOPE, events).unwrap();
    store
}

/// By id.
fn contents(store: &MemoryStore) -> BTreeMap<String, Event> {
    let mut events = BTreeMap::new();
    store
        .scan(SCOPE, &mut |event| {
            events.insert(event.event_id.to_owned(), event.to_event().unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    events
}

fn run(store: &MemoryStore, window: &EventWindow, limits: Limits, dry_run: bool) -> PruneReport {
    let events = Events { store, scope: SCOPE };
    Pruning { events, window, now_ms: NOW, limits, observer: &Silent }.run(dry_run).unwrap()
}

/// Current properties of the entities of one type.
fn folded<'a>(events: impl IntoIterator<Item = &'a Event>, kind: &str) -> Vec<EntityProperties> {
    let mut fold = PropertyFold::new();
    events.into_iter().filter(|event| event.entity.kind == kind).for_each(|event| fold.push_event(event));
    fold.finish()
}

/// Ids of what stays of events that are not special: by definition.
fn counted(events: &[Event], window: &EventWindow) -> BTreeSet<String> {
    let young = |event: &&Event| {
        let in_time = window.duration_ms.is_none_or(|duration| event.event_time.millis > NOW - duration);
        !event.event.starts_with('$') && in_time
    };
    let equal = |a: &Event, b: &Event| {
        let plain = |event: &Event| Event {
            event_id: None,
            event_time: EventTime::utc(0),
            creation_time: EventTime::utc(0),
            ..event.clone()
        };
        plain(a) == plain(b)
    };
    let young: Vec<&Event> = events.iter().filter(young).collect();
    let stays = |event: &&&Event| {
        let newer = |other: &&Event| equal(event, other) && event.event_time.millis < other.event_time.millis;
        !window.remove_duplicates || !young.iter().any(newer)
    };
    young.iter().filter(stays).filter_map(|event| event.event_id.clone()).collect()
}

fn any_event() -> impl Strategy<Value = Event> {
    let name = prop_oneof![
        4 => Just("$set"), 2 => Just("$unset"), 1 => Just("$delete"), 6 => Just("buy"), 2 => Just("view")
    ];
    let properties = proptest::collection::vec((0..3u8, 0..3i64), 0..3);
    let entity = (prop::sample::select(vec!["user", "item"]), 0..3u8);
    (name, entity, 0..12i64, 0..3i64, properties).prop_map(|(name, (kind, id), time, created, properties)| {
        let of_event: Object =
            properties.into_iter().map(|(key, value)| (format!("k{key}"), Json::from(value))).collect();
        let special = name.starts_with('$');
        Event {
            event_id: None,
            event: name.into(),
            entity: Entity { kind: kind.into(), id: format!("e{id}") },
            target: None,
            properties: if special { of_event } else { Object::new() },
            event_time: EventTime::utc(time),
            pr_id: None,
            tags: Vec::new(),
            creation_time: EventTime::utc(created),
        }
    })
}

fn any_events() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec(any_event(), 0..50).prop_map(|mut events| {
        for (i, event) in events.iter_mut().enumerate() {
            event.event_id = Some(format!("{:02}", i * 37 % 50));
        }
        events
    })
}

fn any_window() -> impl Strategy<Value = EventWindow> {
    (prop::option::of(1..10i64), any::<bool>(), any::<bool>()).prop_map(
        |(duration_ms, remove_duplicates, compress_properties)| EventWindow {
            duration_ms,
            remove_duplicates,
            compress_properties,
            prune_store: false,
        },
    )
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (1..2000usize, 1..500usize).prop_map(|(pass, batch)| Limits { pass, batch })
}

proptest! {
    #[test]
    fn what_is_left_is_what_the_window_means(
        events in any_events(), window in any_window(), limits in any_limits()
    ) {
        let store = store(&events);
        let survey = run(&store, &window, LIMITS, true);
        prop_assert_eq!(contents(&store).len(), events.len(), "a survey takes nothing");
        let report = run(&store, &window, limits, false);
        let left = contents(&store);
        prop_assert_eq!((report.before, report.after()), (events.len() as u64, left.len() as u64));
        prop_assert_eq!(report.removed, survey.removed);
        let by_name = survey.by_event.values().map(Pruned::total).sum::<u64>();
        prop_assert_eq!(by_name, survey.removed.total());

        let before: BTreeMap<&str, &Event> =
            events.iter().map(|event| (event.event_id.as_deref().unwrap(), event)).collect();
        let (special, plain): (Vec<_>, Vec<_>) =
            left.iter().partition(|(_, event)| event.event.starts_with('$'));
        // Of equals at the same newest time one stays.
        let allowed = counted(&events, &window);
        let mut kept = BTreeSet::new();
        for (id, event) in &plain {
            prop_assert_eq!(before[id.as_str()], *event, "what stays is as it was");
            prop_assert!(allowed.contains(*id));
            kept.insert((&event.event, &event.entity, event.event_time.millis));
        }
        for id in &allowed {
            let event = before[id.as_str()];
            prop_assert!(kept.contains(&(&event.event, &event.entity, event.event_time.millis)), "{id} is lost");
        }
        prop_assert!(window.remove_duplicates || plain.len() == allowed.len());
        prop_assert!(!window.remove_duplicates || plain.len() == kept.len());

        let mut entities = BTreeSet::new();
        for (id, event) in &special {
            let was = before[id.as_str()];
            prop_assert_eq!(
                (&was.entity, was.event_time, was.creation_time),
                (&event.entity, event.event_time, event.creation_time)
            );
            entities.insert(&event.entity);
        }
        if window.compress_properties {
            prop_assert_eq!(entities.len(), special.len(), "one for each entity");
        } else {
            prop_assert_eq!(special.len(), events.iter().filter(|event| event.event.starts_with('$')).count());
        }
        for kind in ["user", "item"] {
            let current = |entity: EntityProperties| (entity.id, entity.properties, entity.last_updated);
            let now: Vec<_> = folded(left.values(), kind).into_iter().map(current).collect();
            let then: Vec<_> = folded(&events, kind).into_iter().map(current).collect();
            prop_assert_eq!(now, then);
        }
    }

    #[test]
    fn the_second_time_changes_nothing(
        events in any_events(), window in any_window(), limits in any_limits()
    ) {
        let store = store(&events);
        run(&store, &window, limits, false);
        let left = contents(&store);
        prop_assert_eq!(run(&store, &window, limits, false).removed, Pruned::default());
        prop_assert_eq!(contents(&store), left);
    }

    #[test]
    fn limits_change_nothing(events in any_events(), window in any_window(), limits in any_limits()) {
        let (one, other) = (store(&events), store(&events));
        prop_assert_eq!(run(&one, &window, limits, false), run(&other, &window, LIMITS, false));
        prop_assert_eq!(contents(&one), contents(&other));
    }
}

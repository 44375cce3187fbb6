//! Random operations give the same as on the plain store in memory.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use events::{Event, EventFilter, EventStore, EventVersion, MemoryStore, Position};
use proptest::prelude::*;
use stores::Embedded;

use crate::child::{SCOPE, event};

#[derive(Debug, Clone)]
enum Step {
    /// (id, entity, target, name, time, creation time)
    Append(Vec<(Id, u8, Option<u8>, u8, i8, u8)>),
    Delete(Id),
    DeleteEntity(u8),
    /// What is seen under these ids goes, some of it seen wrongly; events come under the first and under the other ids.
    Replace(Vec<(Id, bool)>, Vec<Id>),
    Find(EventFilter),
    Remove,
    Reopen,
}

/// Which id an event gets.
#[derive(Debug, Clone)]
enum Id {
    New,
    Own(u8),
    /// One that the store gave out before.
    Given(prop::sample::Index),
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![
        3 => Just(Id::New),
        2 => (0..12_u8).prop_map(Id::Own),
        2 => any::<prop::sample::Index>().prop_map(Id::Given),
    ]
}

fn filter() -> impl Strategy<Value = EventFilter> {
    let name = |prefix: &'static str| (0..4_u8).prop_map(move |n| format!("{prefix}{n}"));
    let time = || prop::option::of((-5..6_i64).prop_map(|n| n * 1000));
    (
        (time(), time(), prop::option::of(Just("user".to_owned())), prop::option::of(name("u"))),
        prop::option::of(prop::collection::vec(name("n"), 0..3)),
        prop::option::of(prop::option::of(name("i"))),
        (prop::option::of(0..6_usize), any::<bool>()),
    )
        .prop_map(|((start, until, entity_type, entity_id), events, target_id, (limit, reversed))| {
            EventFilter {
                start,
                until,
                entity_type,
                entity_id,
                events,
                target_type: None,
                target_id,
                limit,
                reversed,
            }
        })
}

fn step() -> impl Strategy<Value = Step> {
    let one = (id(), 0..4_u8, prop::option::of(0..4_u8), 0..4_u8, -5..5_i8, 0..2_u8);
    prop_oneof![
        8 => prop::collection::vec(one, 0..8).prop_map(Step::Append),
        2 => id().prop_map(Step::Delete),
        1 => (0..4_u8).prop_map(Step::DeleteEntity),
        4 => (prop::collection::vec((id(), prop::bool::weighted(0.1)), 0..5), prop::collection::vec(id(), 0..3))
            .prop_map(|(old, new)| Step::Replace(old, new)),
        6 => filter().prop_map(Step::Find),
        1 => Just(Step::Reopen),
        1 => prop_oneof![4 => Just(Step::Reopen), 1 => Just(Step::Remove)],
    ]
}

fn found(store: &impl EventStore, filter: &EventFilter) -> Vec<Event> {
    let mut events = vec![];
    store
        .find(SCOPE, filter, &mut |event| {
            events.push(event.to_event().unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    events
}

fn scanned(store: &impl EventStore) -> Vec<Event> {
    let mut events = vec![];
    store
        .scan(SCOPE, &mut |event| {
            events.push(event.to_event().unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    events.sort_by(|a, b| a.event_id.cmp(&b.event_id));
    events
}

/// The store's position, and its special events.
fn position(store: &impl EventStore) -> (Position, Vec<Event>) {
    let now = store.changes(SCOPE, Position::default(), &mut |_, _| {}).unwrap().now;
    let special = scanned(store).into_iter().filter(|event| event.event.starts_with('$'));
    (now, special.collect())
}

/// Every entity is named whose special events are no longer those of `before`.
fn names_what_changed(store: &impl EventStore, (since, before): &(Position, Vec<Event>)) -> bool {
    let mut named = BTreeSet::new();
    let mut name = |_: &str, id: &str| {
        named.insert(id.to_owned());
    };
    let complete = store.changes(SCOPE, *since, &mut name).unwrap().complete;
    let (_, after) = position(store);
    let gone = before.iter().filter(|event| !after.contains(event));
    let come = after.iter().filter(|event| !before.contains(event));
    complete && gone.chain(come).all(|event| named.contains(&event.entity.id))
}

/// The id to use, if any.
fn resolve(id: &Id, given: &[String]) -> Option<String> {
    match id {
        Id::New => None,
        Id::Own(n) => Some(format!("own{n}")),
        Id::Given(_) if given.is_empty() => None,
        Id::Given(index) => Some(index.get(given).clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_memory_store_does(steps in prop::collection::vec(step(), 1..25)) {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, twin) = (Embedded::open(directory.path()).unwrap(), MemoryStore::new());
        store.init(SCOPE).unwrap();
        twin.init(SCOPE).unwrap();
        let mut given = vec![];
        let mut positions = vec![position(&store)];
        for step in steps {
            match step {
                Step::Append(batch) => {
                    let mut events: Vec<Event> = batch.iter().map(|(id, entity, target, name, time, created)| {
                        let mut event = event(resolve(id, &given), &format!("u{entity}"), 0);
                        event.event = if *name == 0 { "$set".into() } else { format!("n{name}") };
                        event.target = event.target.zip(*target).map(|(item, n)| events::Entity { id: format!("i{n}"), ..item });
                        event.event_time.millis = i64::from(*time) * 1000;
                        event.creation_time.millis = i64::from(*created);
                        event
                    }).collect();
                    let ids = store.append(SCOPE, &events).unwrap();
                    for (event, id) in events.iter_mut().zip(&ids) {
                        prop_assert!(event.event_id.as_ref().is_none_or(|own| own == id));
                        event.event_id = Some(id.clone());
                    }
                    prop_assert_eq!(&twin.append(SCOPE, &events).unwrap(), &ids);
                    given.extend(ids);
                }
                Step::Delete(id) => {
                    let id = resolve(&id, &given).unwrap_or_default();
                    prop_assert_eq!(store.get(SCOPE, &id).unwrap(), twin.get(SCOPE, &id).unwrap());
                    prop_assert_eq!(store.delete(SCOPE, &id).unwrap(), twin.delete(SCOPE, &id).unwrap());
                }
                Step::DeleteEntity(n) => {
                    let of = |store: &dyn EventStore| store.delete_entity(SCOPE, "user", &format!("u{n}")).unwrap();
                    prop_assert_eq!(of(&store), of(&twin));
                }
                Step::Replace(old, new) => {
                    let old: Vec<EventVersion> = old.iter().filter_map(|(id, wrong)| {
                        let seen = twin.get(SCOPE, &resolve(id, &given)?).unwrap()?;
                        let version = EventVersion::of(&seen.lend(&seen.texts()));
                        Some(EventVersion { creation_time: version.creation_time + i64::from(*wrong), ..version })
                    }).collect();
                    let again = old.first().map(|version| version.id.clone());
                    let ids = again.into_iter().chain(new.iter().filter_map(|id| resolve(id, &given)));
                    let new: Vec<Event> = ids.map(|id| event(Some(id), "u0", 3000)).collect();
                    prop_assert_eq!(store.replace(SCOPE, &old, &new).unwrap(), twin.replace(SCOPE, &old, &new).unwrap());
                }
                Step::Find(filter) => prop_assert_eq!(found(&store, &filter), found(&twin, &filter)),
                Step::Remove => {
                    for store in [&store as &dyn EventStore, &twin] {
                        store.remove(SCOPE).unwrap();
                        store.init(SCOPE).unwrap();
                    }
                    positions.clear();
                }
                Step::Reopen => {
                    drop(store);
                    store = Embedded::open(directory.path()).unwrap();
                }
            }
            prop_assert_eq!(store.count(SCOPE).unwrap(), twin.count(SCOPE).unwrap());
            prop_assert!(positions.iter().all(|since| names_what_changed(&store, since)));
            positions.push(position(&store));
        }
        prop_assert_eq!(scanned(&store), scanned(&twin));
    }
}

//! Histories are the same wherever their entries are: in runs, on their way, or in the trees.

use std::ops::ControlFlow;
use std::path::Path;

use events::{Entity, Event, EventFilter, EventStore, EventTime, MemoryStore, Scope};
use proptest::prelude::*;

use super::super::write::Batch;
use super::super::{Embedded, Writer};
use super::*;

const SCOPE: Scope = Scope { app: 1, channel: None };
const ENTITIES: u8 = 4;

fn open(directory: &Path) -> Embedded {
    let store = Embedded::open_with(directory, Limits::TINY).unwrap();
    store.init(SCOPE).unwrap();
    store
}

fn event(id: Option<String>, entity: u8, name: u8, millis: u8) -> Event {
    let target = Entity { kind: "item".into(), id: format!("i{}", usize::from(name) * 11) };
    Event {
        event_id: id,
        event: format!("n{name}"),
        entity: Entity { kind: "user".into(), id: format!("u{entity}") },
        target: (name.is_multiple_of(2)).then_some(target),
        properties: Default::default(),
        event_time: EventTime { millis: i64::from(millis), offset_seconds: 0 },
        pr_id: None,
        tags: vec![],
        creation_time: EventTime { millis: i64::from(name), offset_seconds: 0 },
    }
}

#[derive(Debug, Clone)]
enum Change {
    /// (own id, entity, name, time); many at once go to the trees directly.
    Append(Vec<(Option<u8>, u8, u8, u8)>),
    Delete(prop::sample::Index),
    DeleteEntity(u8),
}

fn change() -> impl Strategy<Value = Change> {
    let one = (prop::option::of(0..12_u8), 0..ENTITIES, 0..4_u8, 0..6_u8);
    prop_oneof![
        6 => prop::collection::vec(one.clone(), 1..4).prop_map(Change::Append),
        2 => prop::collection::vec(one, 1..20).prop_map(Change::Append),
        3 => any::<prop::sample::Index>().prop_map(Change::Delete),
        1 => (0..ENTITIES).prop_map(Change::DeleteEntity),
    ]
}

/// Does the same in the transaction and in the twin.
fn apply(change: &Change, writer: &mut Writer<'_>, twin: &MemoryStore, given: &mut Vec<String>) {
    match change {
        Change::Append(batch) => {
            let one = |(id, entity, name, millis): &(Option<u8>, u8, u8, u8)| {
                event(id.map(|id| format!("own{id}")), *entity, *name, *millis)
            };
            let mut batch: Vec<Event> = batch.iter().map(one).collect();
            let ids = writer.append(SCOPE, &Batch::encode(&batch)).unwrap();
            for (event, id) in batch.iter_mut().zip(&ids) {
                event.event_id = Some(id.clone());
            }
            twin.append(SCOPE, &batch).unwrap();
            given.extend(ids);
        }
        Change::Delete(_) if given.is_empty() => {}
        Change::Delete(index) => {
            let id = index.get(given);
            assert_eq!(writer.delete(SCOPE, id).unwrap(), twin.delete(SCOPE, id).unwrap());
        }
        Change::DeleteEntity(entity) => {
            let id = format!("u{entity}");
            let deleted = writer.delete_entity(SCOPE, "user", &id).unwrap();
            assert_eq!(deleted, twin.delete_entity(SCOPE, "user", &id).unwrap());
        }
    }
}

fn find(store: &dyn EventStore, filter: &EventFilter) -> Vec<Event> {
    let mut found = vec![];
    let mut visit = |event: &events::EventRef<'_>| {
        found.push(event.to_event().unwrap());
        ControlFlow::Continue(())
    };
    store.find(SCOPE, filter, &mut visit).unwrap();
    found
}

type Seen = (String, Option<(String, String)>, i64);

fn history(store: &dyn EventStore, entity: u8) -> Vec<Seen> {
    let mut seen = vec![];
    let mut visit = |deed: &events::Deed<'_>| {
        let target = deed.target.map(|(kind, id)| (kind.to_owned(), id.to_owned()));
        seen.push((deed.event.to_owned(), target, deed.millis));
        ControlFlow::Continue(())
    };
    store.history(SCOPE, ("user", &format!("u{entity}")), &mut visit).unwrap();
    seen
}

fn assert_same(store: &Embedded, twin: &MemoryStore) {
    for entity in 0..ENTITIES {
        assert_eq!(history(store, entity), history(twin, entity));
        for (reversed, start, until) in [(true, None, None), (false, Some(1), Some(4)), (true, Some(2), None)]
        {
            let filter = EventFilter {
                entity_type: Some("user".into()),
                entity_id: Some(format!("u{entity}")),
                start,
                until,
                reversed,
                ..EventFilter::default()
            };
            assert_eq!(find(store, &filter), find(twin, &filter));
        }
    }
    assert_eq!(store.count(SCOPE).unwrap(), twin.count(SCOPE).unwrap());
}

/// Numbers of entries in the trees, of runs, and whether runs are on their way.
fn state(store: &Embedded) -> (u64, u64, bool) {
    let txn = store.0.env.read().unwrap();
    let state = store.0.find_scope(&txn, SCOPE).unwrap().unwrap();
    let slot = store.0.slot(state.slot).unwrap();
    let len = |table| store.0.env.len(&txn, table).unwrap();
    (len(slot.history), len(slot.fresh), state.moving.last != 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Several changes share a transaction, as in a group commit.
    #[test]
    fn does_what_the_memory_store_does(
        groups in prop::collection::vec((prop::collection::vec(change(), 1..4), any::<bool>()), 1..40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, twin) = (open(directory.path()), MemoryStore::new());
        twin.init(SCOPE).unwrap();
        let mut given = vec![];
        for (group, reopen) in groups {
            let mut writer = Writer::begin(&store.0).unwrap();
            group.iter().for_each(|change| apply(change, &mut writer, &twin, &mut given));
            writer.commit().unwrap();
            if reopen {
                drop(store);
                store = open(directory.path());
            }
            assert_same(&store, &twin);
        }
    }
}

#[test]
fn entries_go_through_runs_to_the_trees() {
    let directory = tempfile::tempdir().unwrap();
    let (store, twin) = (open(directory.path()), MemoryStore::new());
    twin.init(SCOPE).unwrap();
    let (mut most_runs, mut on_the_way, mut in_trees) = (0, 0, 0);
    for n in 0..200_u8 {
        let mut event = event(None, n % ENTITIES, n % 4, n);
        event.event_id = Some(store.append(SCOPE, std::slice::from_ref(&event)).unwrap().remove(0));
        twin.append(SCOPE, &[event]).unwrap();
        let (trees, runs, moving) = state(&store);
        assert!(trees >= in_trees);
        in_trees = trees;
        most_runs = most_runs.max(runs);
        on_the_way += u32::from(moving);
        assert_same(&store, &twin);
    }
    assert!(in_trees > 150, "{in_trees} of 200 entries are in the trees");
    assert!(most_runs <= 10, "{most_runs} runs");
    assert!(on_the_way > 50, "runs were on their way after {on_the_way} commits");
}

//! What pruning takes from a store, and that a train does not notice.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use engine::{EventWindow, PruneOptions, PruneReport, Pruned};
use events::conformance::{Deviation, Double};
use events::{Error, Event, EventStore, EventTime, EventVersion, Kind, MemoryStore, Result, Scope, Visit};

use super::shop::{DAY, NOW, SCOPE, Silent, outdoor};

const EVERYTHING: EventWindow = EventWindow {
    duration_ms: Some(30 * DAY),
    remove_duplicates: true,
    compress_properties: true,
    prune_store: false,
};
const AGE: EventWindow = EventWindow { remove_duplicates: false, compress_properties: false, ..EVERYTHING };
const DUPLICATES: EventWindow = EventWindow { duration_ms: None, compress_properties: false, ..EVERYTHING };
const PROPERTIES: EventWindow = EventWindow { duration_ms: None, remove_duplicates: false, ..EVERYTHING };

fn options(dry_run: bool) -> PruneOptions {
    PruneOptions { now_ms: NOW, dry_run }
}

fn prune(store: &dyn EventStore, window: &EventWindow) -> PruneReport {
    engine::prune(window, store, SCOPE, options(false), &Silent).unwrap()
}

fn removed(by_age: u64, duplicates: u64, folded: u64) -> Pruned {
    Pruned { by_age, duplicates, folded }
}

/// An event `days` ago, with its id.
fn event(id: &str, name: &str, entity: &str, days: i64, properties: &str) -> Event {
    let kind = if name.starts_with('$') { "item" } else { "user" };
    let target =
        if name.starts_with('$') { "" } else { r#","targetEntityType":"item","targetEntityId":"i""# };
    let time = NOW - days * DAY;
    let json = format!(
        r#"{{"eventId":"{id}","event":"{name}","entityType":"{kind}","entityId":"{entity}"{target},"properties":{properties},"eventTime":{time}}}"#
    );
    Event::parse(json.as_bytes(), EventTime::utc(NOW)).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn store(events: &[Event]) -> MemoryStore {
    let store = MemoryStore::new();
    store.init(SCOPE).unwrap();
    store.append(SCOPE, events).unwrap();
    store
}

/// All events, by id.
fn contents(store: &dyn EventStore) -> Vec<Event> {
    let mut events = Vec::new();
    let visit: Visit<'_> = &mut |event| {
        events.push(event.to_event().unwrap());
        ControlFlow::Continue(())
    };
    store.scan(SCOPE, visit).unwrap();
    events.sort_by(|a, b| a.event_id.cmp(&b.event_id));
    events
}

fn ids(store: &dyn EventStore) -> Vec<String> {
    contents(store).into_iter().filter_map(|event| event.event_id).collect()
}

/// `id name properties` of all events.
fn shown(store: &dyn EventStore) -> Vec<String> {
    let line =
        |event: Event| format!("{} {} {}", event.event_id.unwrap_or_default(), event.event, event.properties);
    contents(store).into_iter().map(line).collect()
}

#[test]
fn what_is_too_old_goes_unless_it_is_special() {
    let events = [
        event("a", "buy", "u", 31, "{}"),
        event("b", "buy", "u", 30, "{}"),
        event("c", "buy", "u", 29, "{}"),
        event("d", "$set", "i", 99, "{}"),
        event("e", "$delete", "i", 98, "{}"),
        event("f", "buy", "u", -9, "{}"),
    ];
    let store = store(&events);
    let report = prune(&store, &AGE);
    assert_eq!((report.before, report.removed, report.after()), (6, removed(2, 0, 0), 4));
    assert_eq!(
        contents(&store),
        events[2..],
        "at the very beginning of the window is too old; the rest is as it was"
    );
}

#[test]
fn the_newest_of_equal_events_stays() {
    let other = |id: &str, change: fn(&mut Event)| {
        let mut event = event(id, "buy", "u", 1, "{}");
        change(&mut event);
        event
    };
    let events = [
        event("a", "buy", "u", 3, "{}"),
        event("b", "buy", "u", 1, "{}"),
        event("c", "buy", "u", 2, "{}"),
        other("d", |event| event.event = "view".into()),
        other("e", |event| event.entity.id = "v".into()),
        other("f", |event| event.target = None),
        other("g", |event| event.properties.insert("n", 1)),
        other("h", |event| event.pr_id = Some("p".into())),
        other("i", |event| event.tags = vec!["t".into()]),
        event("j", "$set", "i", 1, "{}"),
        event("k", "$set", "i", 2, "{}"),
    ];
    let store = store(&events);
    assert_eq!(prune(&store, &DUPLICATES).removed, removed(0, 2, 0));
    assert_eq!(ids(&store), ["b", "d", "e", "f", "g", "h", "i", "j", "k"]);
    assert_eq!(contents(&store)[0], events[1]);
}

#[test]
fn the_special_events_of_an_entity_become_one() {
    let events = [
        event("a1", "$set", "kept", 9, r#"{"x":1,"y":1}"#),
        event("a2", "$set", "kept", 8, r#"{"y":2,"z":3}"#),
        event("a3", "$unset", "kept", 7, r#"{"x":0}"#),
        event("b1", "$set", "gone", 900, r#"{"x":1}"#),
        event("b2", "$delete", "gone", 800, "{}"),
        event("b3", "$delete", "gone", 700, "{}"),
        event("b4", "$unset", "gone", 600, r#"{"x":0}"#),
        event("c1", "$delete", "back", 9, "{}"),
        event("c2", "$set", "back", 8, r#"{"new":1}"#),
        event("d1", "$unset", "never", 9, r#"{"x":0}"#),
        event("d2", "$unset", "never", 8, r#"{"y":0}"#),
        event("e1", "$set", "single", 900, r#"{"b":1,"a":1}"#),
        event("f1", "buy", "kept", 9, "{}"),
    ];
    let store = store(&events);
    assert_eq!(prune(&store, &PROPERTIES).removed, removed(0, 0, 7));
    let expected = [
        r#"a3 $set {"y":2,"z":3}"#,
        "b3 $delete {}",
        r#"c2 $set {"new":1}"#,
        r#"d2 $unset {"y":0}"#,
        r#"e1 $set {"b":1,"a":1}"#,
        "f1 buy {}",
    ];
    assert_eq!(shown(&store), expected);
    let survivor = store.get(SCOPE, "a3").unwrap().unwrap();
    assert_eq!(
        (survivor.event_time, survivor.creation_time),
        (events[2].event_time, events[2].creation_time),
        "times are kept"
    );
}

#[test]
fn what_is_too_large_for_one_event_is_not_folded() {
    let text = "x".repeat(5 << 20);
    let set = |id: &str, days, name: &str| event(id, "$set", "i", days, &format!(r#"{{"{name}":"{text}"}}"#));
    let store = store(&[set("a", 2, "one"), set("b", 1, "two")]);
    assert_eq!(prune(&store, &PROPERTIES).removed, removed(0, 0, 0));
    assert_eq!(ids(&store), ["a", "b"]);
}

#[test]
fn a_dry_run_says_what_would_go_and_takes_nothing() {
    let events = [
        event("a", "buy", "u", 99, "{}"),
        event("b", "buy", "u", 2, "{}"),
        event("c", "buy", "u", 1, "{}"),
        event("d", "view", "u", 99, "{}"),
        event("e", "$set", "i", 2, "{}"),
        event("f", "$unset", "i", 1, r#"{"x":0}"#),
    ];
    let store = store(&events);
    let report = engine::prune(&EVERYTHING, &store, SCOPE, options(true), &Silent).unwrap();
    assert_eq!(contents(&store), events);
    let expected = [("$set", removed(0, 0, 1)), ("buy", removed(1, 1, 0)), ("view", removed(1, 0, 0))];
    assert_eq!(report.by_event, expected.map(|(name, pruned)| (name.to_owned(), pruned)).into());
    let done = prune(&store, &EVERYTHING);
    assert_eq!((report.before, report.removed), (done.before, done.removed));
    assert_eq!(ids(&store), ["c", "f"]);
    assert_eq!(prune(&store, &EventWindow::default()).removed, removed(0, 0, 0));
}

#[test]
fn a_train_makes_the_same_model_before_and_after() {
    let shop = outdoor()
        .did("old", "buy", &["tent", "chalk"], 40)
        .does("c1", "buy", &["tent"])
        .item("gift", r#"{"sale":null,"price":1}"#)
        .stored();
    let deleted = event("x1", "$delete", "chalk", 0, "{}");
    shop.store.append(SCOPE, &[deleted]).unwrap();
    let window = r#"|"eventWindow":{"duration":"30 days","removeDuplicates":true,"compressProperties":true}"#;
    let (before, unwindowed) = (shop.bytes(window, 1), shop.bytes("", 1));
    let report = prune(shop.store.as_ref(), &EVERYTHING);
    assert_eq!(report.removed, removed(2, 1, 2));
    assert_eq!(shop.bytes(window, 1), before);
    assert_ne!(shop.bytes("", 1), unwindowed, "without the window it does notice");
}

#[test]
fn a_death_between_transactions_loses_nothing_and_the_next_run_ends_the_job() {
    let mut events: Vec<Event> = (0..30_000)
        .map(|i| event(&format!("{i:032}"), "buy", &format!("u{}", i / 3), 50 - i % 40, "{}"))
        .collect();
    events.extend((0..100).flat_map(|i| {
        let set = move |k: i64| {
            event(&format!("s{i}-{k}"), "$set", &format!("i{i}"), k, &format!(r#"{{"k{k}":{k}}}"#))
        };
        (0..5).map(set)
    }));
    let whole = store(&events);
    let report = prune(&whole, &EVERYTHING);
    assert_eq!(report.removed.folded, 400);
    let survivors = contents(&whole);
    let (mut runs, mut left) = (0, usize::MAX);
    let mortal = eventful(store(&events), 1, |_| {});
    loop {
        runs += 1;
        mortal.replaces_left.store(1, Relaxed);
        let outcome = engine::prune(&EVERYTHING, &mortal, SCOPE, options(false), &Silent);
        let now = ids(&mortal);
        assert!(survivors.iter().all(|event| now.binary_search(event.event_id.as_ref().unwrap()).is_ok()));
        if outcome.is_ok() {
            break;
        }
        assert!(now.len() < left, "each run goes on");
        left = now.len();
    }
    assert!(runs > 2, "more than one transaction: {runs}");
    assert_eq!(contents(&mortal), survivors);
}

#[test]
fn what_changes_meanwhile_stays() {
    let events = [
        event("a", "buy", "u", 99, "{}"),
        event("b", "buy", "u", 99, "{}"),
        event("c", "buy", "v", 2, r#"{"x":1}"#),
        event("d", "buy", "v", 1, r#"{"x":1}"#),
        event("s1", "$set", "i", 3, r#"{"x":1}"#),
        event("s2", "$set", "i", 2, r#"{"y":1}"#),
        event("t1", "$set", "j", 3, r#"{"x":1}"#),
        event("t2", "$set", "j", 2, r#"{"y":1}"#),
        event("z", "buy", "u", 99, r#"{"z":1}"#),
    ];
    // a becomes another event, an equal of d that is older than d comes, the entity i is deleted, b too
    let store = eventful(store(&events), usize::MAX, |store| {
        let fresh = Event { creation_time: EventTime::utc(NOW + 1), ..event("a", "buy", "u", 0, "{}") };
        store.append(SCOPE, &[fresh, event("e", "view", "w", 3, "{}")]).unwrap();
        store.delete(SCOPE, "b").unwrap();
        store.delete_entity(SCOPE, "item", "i").unwrap();
    });
    let report = prune(&store, &EVERYTHING);
    assert_eq!(report.removed, removed(1, 1, 1));
    let expected = ["a buy {}", r#"d buy {"x":1}"#, "e view {}", r#"t2 $set {"x":1,"y":1}"#];
    assert_eq!(shown(&store), expected, "nothing that was deleted comes back");
}

/// Something happens in a store before the first transaction, and it dies after some of them.
struct Eventful {
    meanwhile: fn(&dyn EventStore),
    happened: AtomicBool,
    replaces_left: AtomicUsize,
}

fn eventful(store: MemoryStore, replaces_left: usize, meanwhile: fn(&dyn EventStore)) -> Double<Eventful> {
    let happened = AtomicBool::new(false);
    Double::of(Arc::new(store), Eventful { meanwhile, happened, replaces_left: replaces_left.into() })
}

impl Deviation for Eventful {
    fn replace(
        &self,
        store: &dyn EventStore,
        scope: Scope,
        old: &[EventVersion],
        new: &[Event],
    ) -> Result<bool> {
        if !self.happened.swap(true, Relaxed) {
            (self.meanwhile)(store);
        }
        if self.replaces_left.fetch_sub(1, Relaxed) == 0 {
            return Err(Error::new(Kind::Unavailable, "killed"));
        }
        store.replace(scope, old, new)
    }
}

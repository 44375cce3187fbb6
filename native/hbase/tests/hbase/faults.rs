//! Regions that split and move, servers that die, things that are not there.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use events::{Event, EventFilter, EventStore, Kind, Scope};
use hbase::store::HbaseStore;

use crate::beside::{all, event};
use crate::cluster::Cluster;

const SCOPE: Scope = Scope { app: 1, channel: None };

fn batch(from: usize, number: usize) -> Vec<Event> {
    let one =
        |n: usize| event("view", &format!("u{}", n % 997), Some(&format!("i{n}")), i64::try_from(n).unwrap());
    (from..from + number).map(one).collect()
}

/// Targets of all events, which tell them apart; an event that is seen twice fails.
fn targets(store: &HbaseStore, each: &mut dyn FnMut(usize)) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let collect = &mut |event: &events::EventRef<'_>| {
        assert!(seen.insert(event.target.unwrap().1.to_owned()), "seen twice");
        each(seen.len());
        ControlFlow::Continue(())
    };
    store.scan(SCOPE, collect).unwrap();
    seen
}

fn expected(number: usize) -> BTreeSet<String> {
    (0..number).map(|n| format!("i{n}")).collect()
}

/// While appending, while scanning, and while reading histories, regions split and move.
pub(crate) fn regions_split_and_move(cluster: &Cluster) {
    const NUMBER: usize = 12_000;
    let store = cluster.store();
    store.init(SCOPE).unwrap();
    let table = store.table(SCOPE);
    let acknowledged = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for from in (0..NUMBER).step_by(200) {
                store.append(SCOPE, &batch(from, 200)).unwrap();
                acknowledged.fetch_add(200, Ordering::SeqCst);
            }
        });
        let wait_for = |number| {
            while acknowledged.load(Ordering::SeqCst) < number {
                std::thread::sleep(Duration::from_millis(2))
            }
        };
        wait_for(NUMBER / 6);
        store.client().split(&table, &[0x80]).unwrap();
        wait_for(NUMBER / 3);
        store.client().move_region(&table, &[0x80]).unwrap();
        store.client().move_region(&table, &[0]).unwrap();
    });
    assert_eq!(targets(&store, &mut |_| {}), expected(NUMBER), "after a split and moves in mid-write");

    // In mid-scan: one thread reads slowly, and has seen some when it happens.
    let other = cluster.store_like(&store);
    let mut done = 0;
    let seen = targets(&store, &mut |number| {
        if number == 300 && done == 0 {
            other.client().move_region(&table, &[0]).unwrap();
            done += 1;
        }
        if number == 3000 && done == 1 {
            other.client().split(&table, &[0x40]).unwrap();
            other.client().move_region(&table, &[0xFF]).unwrap();
            done += 1;
        }
    });
    assert_eq!((done, seen.len()), (2, NUMBER), "in mid-scan");
    assert_eq!(store.client().region_starts(&table).unwrap().len(), 3);
    history_over_a_split(&store);
}

/// A history whose rows are in two regions, in both directions.
fn history_over_a_split(store: &HbaseStore) {
    let mut filter = EventFilter {
        entity_type: Some("user".into()),
        entity_id: Some("u5".into()),
        ..EventFilter::default()
    };
    let before = all(store, SCOPE, &filter);
    assert!(before.len() > 10);
    let key = before[before.len() / 2].event_id.clone().unwrap();
    let key = decode(&key);
    store.client().split(&store.table(SCOPE), &key).unwrap();
    assert_eq!(all(store, SCOPE, &filter), before);
    filter.reversed = true;
    let mut reversed = all(store, SCOPE, &filter);
    reversed.reverse();
    assert_eq!(reversed, before);
}

/// URL-safe Base64.
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = |digit: u8| u32::try_from(DIGITS.iter().position(|other| *other == digit).unwrap()).unwrap();
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes() {
        bits = (bits << 6 | value(digit)) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xFF).unwrap());
        }
    }
    bytes
}

/// Servers give such rows in pieces.
pub(crate) fn rows_larger_than_an_answer(cluster: &Cluster) {
    let store = cluster.store();
    store.init(SCOPE).unwrap();
    let mut events = batch(0, 6);
    for large in events.iter_mut().skip(1).step_by(2) {
        large.properties.insert("text", "x".repeat(5_000_000));
    }
    for event in &mut events {
        event.entity.id = "u".into();
    }
    let ids = store.append(SCOPE, &events).unwrap();
    let given = |event: &Event, id: &String| Event { event_id: Some(id.clone()), ..event.clone() };
    let expected: Vec<Event> = events.iter().zip(&ids).map(|(event, id)| given(event, id)).collect();
    assert_eq!(targets(&store, &mut |_| {}).len(), 6);
    assert!(all(&store, SCOPE, &EventFilter::default()) == expected);
    let mut filter = EventFilter { reversed: true, ..EventFilter::default() };
    (filter.entity_type, filter.entity_id) = (Some("user".into()), Some("u".into()));
    let mut reversed = all(&store, SCOPE, &filter);
    reversed.reverse();
    assert!(reversed == expected);
    assert!(store.get(SCOPE, &ids[1]).unwrap().as_ref() == Some(&expected[1]));
}

/// Two stores, as two processes would have, change the same events: one event is left of each id.
pub(crate) fn rivals_leave_one_event(cluster: &Cluster) {
    let first = cluster.store();
    first.init(SCOPE).unwrap();
    let second = cluster.store_like(&first);
    // Ids that are keys, made where they do not matter.
    let elsewhere = Scope { app: 2, channel: None };
    first.init(elsewhere).unwrap();
    let same: Vec<Event> = (0..20).map(|n| event("view", "same", None, n)).collect();
    let keys = first.append(elsewhere, &same).unwrap();
    let start = Barrier::new(2);
    std::thread::scope(|threads| {
        for (name, store) in [("one", &first), ("two", &second)] {
            let (start, keys) = (&start, &keys);
            threads.spawn(move || {
                for (n, key) in keys.iter().enumerate() {
                    // One id that is there, usually, one that both make, and one that is the same key for both.
                    let given = |id: String, event: Event| Event { event_id: Some(id), ..event };
                    let set = || event("$set", &format!("{name}{n}"), None, i64::try_from(n).unwrap());
                    let events = [
                        given(format!("id{}", n % 3), set()),
                        given(format!("new{n}"), set()),
                        given(key.clone(), event("view", "same", Some(name), i64::try_from(n).unwrap())),
                    ];
                    start.wait();
                    store.append(SCOPE, &events).unwrap();
                }
            });
        }
    });
    let left = all(&first, SCOPE, &EventFilter::default());
    let ids: BTreeSet<_> = left.iter().map(|event| event.event_id.clone()).collect();
    assert_eq!((left.len(), ids.len()), (43, 43), "{left:?}");
    for event in &left {
        assert_eq!(first.get(SCOPE, event.event_id.as_ref().unwrap()).unwrap().as_ref(), Some(event));
    }
    // Both have told of all of it.
    for store in [&first, &second] {
        let mut named = BTreeSet::new();
        let since = store.changes(SCOPE, events::Position::default(), &mut |_, _| {}).unwrap().now;
        // Those that lost told what they then replaced, too.
        assert!(since.added >= 40);
        let beginning = events::Position { added: 0, ..since };
        let changes = store.changes(SCOPE, beginning, &mut |_, id| _ = named.insert(id.to_owned())).unwrap();
        assert!(changes.complete && named.len() == 40, "{named:?}");
    }
}

/// The region server of everything dies while events are appended, and again while they are scanned.
pub(crate) fn servers_die(cluster: &Cluster) {
    const NUMBER: usize = 8_000;
    let store = cluster.store();
    store.init(SCOPE).unwrap();
    let table = store.table(SCOPE);
    let (acknowledged, killed) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for from in (0..NUMBER).step_by(100) {
                store.append(SCOPE, &batch(from, 100)).unwrap();
                acknowledged.fetch_add(100, Ordering::SeqCst);
                // Gives the other thread its chance on any machine.
                while from == NUMBER / 2 && !killed.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        while acknowledged.load(Ordering::SeqCst) < NUMBER / 4 {
            std::thread::sleep(Duration::from_millis(2));
        }
        let server = cluster.server_of(&store, &table);
        killed.store(true, Ordering::SeqCst);
        cluster.script("kill", &[server]);
        println!("  {server} was killed with {} acknowledged", acknowledged.load(Ordering::SeqCst));
        cluster.script("start", &[server]);
    });
    assert_eq!(targets(&store, &mut |_| {}), expected(NUMBER), "nothing that was acknowledged is lost");
    cluster.script("ready", &["2"]);

    let (mut done, since) = (false, Instant::now());
    let seen = targets(&store, &mut |number| {
        if number == 500 && !done {
            let server = cluster.server_of(&store, &table);
            cluster.script("kill", &[server]);
            cluster.script("start", &[server]);
            done = true;
        }
    });
    assert_eq!(seen, expected(NUMBER), "in mid-scan");
    println!("  a scan over the death of its server took {:.1} s", since.elapsed().as_secs_f64());
    cluster.script("ready", &["2"]);
}

pub(crate) fn what_is_missing_is_named(cluster: &Cluster) {
    let refused = |url: &str| HbaseStore::open(url).unwrap_err();
    let zk = cluster.port("zk");
    let error = refused("hbase://127.0.0.1:1/hbase");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("no ZooKeeper answers (127.0.0.1:1"), "{error}");
    let error = refused(&format!("hbase://127.0.0.1:{zk}/nothing"));
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("has no /nothing/meta-region-server"), "{error}");
    let error = refused(&format!("hbase://127.0.0.1:{}/hbase", cluster.port("hmweb")));
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("no ZooKeeper answers"), "{error}");
    // One of several is enough.
    HbaseStore::open(&format!("hbase://127.0.0.1:1,127.0.0.1:{zk}/hbase")).unwrap();

    let store = cluster.store();
    let error = store.append(SCOPE, &batch(0, 1)).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains(&store.table(SCOPE).to_string()), "{error}");
    let given = Event { event_id: Some("x".into()), ..event("$set", "u", None, 1) };
    assert_eq!(store.append(SCOPE, &[given]).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(store.count(SCOPE).unwrap(), 0);
    assert!(!store.delete(SCOPE, "x").unwrap());
    store.check_writable().unwrap();
    store.init(SCOPE).unwrap();
    store.append(SCOPE, &batch(0, 1)).unwrap();
    store.check_writable().unwrap();
    let long = Event { event_id: Some("x".repeat(40_000)), ..event("view", "u", None, 1) };
    assert_eq!(store.append(SCOPE, &[long]).unwrap_err().kind(), Kind::Invalid);

    // Out of service: that is told at once.
    let disabled = cluster.store();
    disabled.init(SCOPE).unwrap();
    disabled.client().disable_table(&disabled.table(SCOPE)).unwrap();
    let since = Instant::now();
    let appended = disabled.append(SCOPE, &batch(0, 1)).unwrap_err();
    let scanned = disabled.scan(SCOPE, &mut |_| ControlFlow::Continue(())).unwrap_err();
    for error in [appended, scanned] {
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains("events_1 is disabled: enable it"), "{error}");
    }
    assert!(since.elapsed() < Duration::from_secs(20));
    disabled.remove(SCOPE).unwrap();

    // Somebody else removes and makes the scope: this store notices.
    let other = cluster.store_like(&store);
    other.remove(SCOPE).unwrap();
    assert_eq!(store.append(SCOPE, &batch(0, 1)).unwrap_err().kind(), Kind::NotFound);
    other.init(SCOPE).unwrap();
    store.append(SCOPE, &batch(0, 1)).unwrap();
    assert_eq!(other.count(SCOPE).unwrap(), 1);
}

/// Last: without ZooKeeper whatever is known goes on, what is not is an error that says so.
pub(crate) fn zookeeper_is_gone(cluster: &Cluster) {
    let store = cluster.store_with("timeout=3");
    store.init(SCOPE).unwrap();
    store.append(SCOPE, &batch(0, 10)).unwrap();
    cluster.script("kill", &["zk"]);
    let since = Instant::now();
    store.append(SCOPE, &batch(10, 10)).unwrap();
    assert_eq!(targets(&store, &mut |_| {}).len(), 20);
    assert!(since.elapsed() < Duration::from_secs(3), "regions are known");
    let error = HbaseStore::open(&cluster.url()).unwrap_err();
    assert!(
        error.kind() == Kind::Unavailable && error.to_string().contains("no ZooKeeper answers"),
        "{error}"
    );
    let unknown = Scope { app: 99, channel: None };
    let error = store.init(unknown).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(since.elapsed() < Duration::from_secs(10), "{error}");
    // Servers give up themselves without ZooKeeper: then nothing answers any more, and that is said in time.
    cluster.script("kill", &["rs1", "rs2"]);
    let error = store.append(SCOPE, &batch(20, 1)).unwrap_err();
    assert!(error.kind() == Kind::Unavailable && !error.to_string().contains('\n'), "{error}");
    assert!(error.to_string().contains("gave up after"), "{error}");
}

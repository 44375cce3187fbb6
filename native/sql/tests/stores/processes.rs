//! Two processes write, a third follows.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::Duration;

use events::{EventStore, Position, Registry};
use sql::Sql;
use stores::Objects;

use crate::child::{APPENDS, command};
use crate::server::{Kind, Server};
use crate::sight::{SCOPE, event, millis, scanned};

fn together(kind: Kind) {
    let server = Server::shared(kind);
    let url = server.url(&server.database());
    let store = Sql::open(&url).unwrap();
    store.init(SCOPE).unwrap();
    let mut since = store.changes(SCOPE, Position::default(), &mut |_, _| {}).unwrap().now;
    let mut writers = ["a", "b"].map(|name| command(&url, name).spawn().unwrap());
    let mut named = BTreeSet::new();
    let mut ended = false;
    // Once more when they have ended: then nothing may be missing.
    loop {
        let changes = store.changes(SCOPE, since, &mut |_, id| _ = named.insert(id.to_owned())).unwrap();
        assert!(changes.complete);
        since = changes.now;
        if ended {
            break;
        }
        ended = writers.iter_mut().all(|writer| writer.try_wait().unwrap().is_some());
    }
    assert!(writers.into_iter().all(|mut writer| writer.wait().unwrap().success()));
    let appends = usize::try_from(APPENDS).unwrap();
    assert_eq!(named.len(), 2 * appends, "every entity was named");
    let ids = scanned(&store);
    assert_eq!(ids.len(), 2 * appends * 11 + 1);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    let apps: Vec<u32> = store.apps().unwrap().iter().map(|app| app.id).collect();
    assert_eq!(apps, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn postgresql() {
    together(Kind::PostgreSql);
}

#[test]
fn mariadb() {
    together(Kind::MariaDb);
}

/// Everybody starts on an empty database at the same moment: nobody hears of the others' tables.
#[test]
fn all_make_the_tables_at_once() {
    const THREADS: usize = 12;
    for kind in [Kind::PostgreSql, Kind::MariaDb] {
        let server = Server::shared(kind);
        for _ in 0..4 {
            let url = server.url(&server.database());
            let barrier = Barrier::new(THREADS);
            let start = || {
                let store = Sql::open(&url).unwrap();
                barrier.wait();
                assert_eq!(store.apps().unwrap(), []);
                store.init(SCOPE).unwrap();
                assert_eq!(Objects::get(&store, "no such").unwrap(), None);
            };
            std::thread::scope(|threads| (0..THREADS).for_each(|_| drop(threads.spawn(start))));
        }
    }
}

/// What PredictionIO sets beside us is named, too.
#[test]
fn special_events_of_others_are_named() {
    for kind in [Kind::PostgreSql, Kind::MariaDb] {
        let server = Server::shared(kind);
        let database = server.database();
        let stores = [1, 2].map(|_| Sql::open(&server.url(&database)).unwrap());
        stores[0].init(SCOPE).unwrap();
        let insert = |id: &str, item: &str| {
            let values = format!(
                "'{id}', '$set', 'item', '{item}', null, null, '{{}}', now(), 'UTC', null, null, now(), 'UTC'"
            );
            server.sql(&database, &format!("insert into pio_event_1 values ({values})"));
        };
        insert("before", "a");
        let start = stores
            .each_ref()
            .map(|store| store.changes(SCOPE, Position::default(), &mut |_, _| {}).unwrap().now);
        std::thread::sleep(Duration::from_millis(1_100));
        insert("theirs", "b");
        let mut ours = event(None, "c", millis("2020-01-01T00:00:00Z"));
        ours.event = "$set".into();
        stores[1].append(SCOPE, &[ours]).unwrap();
        for (store, start) in stores.iter().zip(start) {
            let mut named = BTreeSet::new();
            let changes = store.changes(SCOPE, start, &mut |_, id| _ = named.insert(id.to_owned())).unwrap();
            assert!(changes.complete);
            assert!(named.contains("b") && named.contains("c"), "{kind:?}: {named:?}");
            std::thread::sleep(Duration::from_millis(1_100));
            store.changes(SCOPE, changes.now, &mut |_, id| panic!("{id} was told before")).unwrap();
        }
    }
}

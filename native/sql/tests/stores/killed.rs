//! `kill -9` of the server in the middle of appends: what was acknowledged is there, what failed says so, and it goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events::{EventStore, Kind as ErrorKind};
use sql::Sql;

use crate::server::{Kind, Server};
use crate::sight::{SCOPE, event, millis, scanned};

fn killed(kind: Kind) {
    let server = Server::start(kind, false);
    let store = Sql::open(&server.url("pio")).unwrap();
    store.init(SCOPE).unwrap();
    let stop = AtomicBool::new(false);
    let (acknowledged, refused) = std::thread::scope(|threads| {
        let writers: Vec<_> = (0..4)
            .map(|n| {
                threads.spawn({
                    let (store, stop) = (&store, &stop);
                    move || write(store, stop, n)
                })
            })
            .collect();
        // A moment is waited out; after that callers are told.
        for away_ms in [300, 6000] {
            std::thread::sleep(Duration::from_millis(700));
            server.kill();
            std::thread::sleep(Duration::from_millis(away_ms));
            server.start_again();
            std::thread::sleep(Duration::from_millis(1000));
        }
        stop.store(true, Ordering::Relaxed);
        let done: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let acknowledged: Vec<String> = done.iter().flat_map(|(ids, _)| ids.clone()).collect();
        (acknowledged, done.iter().map(|(_, refused)| refused).sum::<usize>())
    });
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    assert!(refused > 0, "somebody noticed");
    let found: BTreeSet<String> = scanned(&store).into_iter().collect();
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !found.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} are lost", lost.len(), acknowledged.len());
    store.append(SCOPE, &[event(Some("after"), "u", millis("2020-01-01T00:00:00Z"))]).unwrap();
}

/// Appends until it is told to stop; the ids that were acknowledged, and how often it was refused.
fn write(store: &Sql, stop: &AtomicBool, number: usize) -> (Vec<String>, usize) {
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    let start = millis("2020-01-01T00:00:00Z");
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(60) {
        let batch: Vec<_> = (0..1 + number * 3).map(|n| event(None, &format!("u{n}"), start)).collect();
        match store.append(SCOPE, &batch) {
            Ok(ids) => acknowledged.extend(ids),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(!error.to_string().contains("secret"), "{error}");
                refused += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    (acknowledged, refused)
}

#[test]
fn postgresql() {
    killed(Kind::PostgreSql);
}

#[test]
fn mariadb() {
    killed(Kind::MariaDb);
}

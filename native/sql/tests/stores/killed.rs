//! `kill -9` of the server in the middle of appends: what was acknowledged is there, what failed says so, and it goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events::{EventStore, Kind as ErrorKind};
use sql::Sql;

use crate::server::{Kind, Server};
use crate::sight::{SCOPE, event, millis, scanned};

/// Four writers beside `disturb`; the ids that were acknowledged, and how often they were refused.
fn written_beside(store: &Sql, disturb: impl FnOnce()) -> (Vec<String>, usize) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let stop = &stop;
        let writers: Vec<_> =
            (0..4).map(|number| threads.spawn(move || write(store, stop, number))).collect();
        disturb();
        stop.store(true, Ordering::Relaxed);
        let done: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let acknowledged = done.iter().flat_map(|(ids, _)| ids.clone()).collect();
        (acknowledged, done.iter().map(|(_, refused)| refused).sum())
    })
}

fn all_are_there(store: &Sql, acknowledged: &[String]) {
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    let found: BTreeSet<String> = scanned(store).into_iter().collect();
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !found.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} are lost", lost.len(), acknowledged.len());
    store.append(SCOPE, &[event(Some("after"), "u", millis("2020-01-01T00:00:00Z"))]).unwrap();
}

fn killed(kind: Kind) {
    let server = Server::start(kind, &[]);
    let store = Sql::open(&server.url("pio")).unwrap();
    store.init(SCOPE).unwrap();
    let (acknowledged, refused) = written_beside(&store, || {
        // A moment is waited out; after that callers are told.
        for away_ms in [300, 6000] {
            std::thread::sleep(Duration::from_millis(700));
            server.kill();
            std::thread::sleep(Duration::from_millis(away_ms));
            server.start_again();
            std::thread::sleep(Duration::from_millis(1000));
        }
    });
    assert!(refused > 0, "somebody noticed");
    all_are_there(&store, &acknowledged);
}

/// Both hosts are in the URL, the standby first.
#[test]
fn a_standby_takes_over() {
    let primary = Server::start(Kind::PostgreSql, &[]);
    let standby = Server::start(Kind::PostgreSql, &["standby", &primary.port.to_string()]);
    let both = primary.url("pio").replace("127.0.0.1", &format!("127.0.0.1:{},127.0.0.1", standby.port));
    let told = Sql::open(&standby.url("pio")).unwrap().init(SCOPE).unwrap_err().to_string();
    assert!(told.contains("takes no writes"), "{told}");
    // An event is acknowledged when both have it.
    primary.sql("postgres", "alter system set synchronous_standby_names = '*'");
    primary.sql("postgres", "select pg_reload_conf()");
    let store = Sql::open(&both).unwrap();
    store.init(SCOPE).unwrap();
    let (acknowledged, refused) = written_beside(&store, || {
        std::thread::sleep(Duration::from_millis(700));
        primary.kill();
        std::thread::sleep(Duration::from_millis(300));
        standby.promote();
        std::thread::sleep(Duration::from_millis(1000));
    });
    assert_eq!(refused, 0, "nobody noticed");
    all_are_there(&store, &acknowledged);
    standby.kill();
    let told = Sql::open(&both).unwrap_err().to_string();
    assert!(told.contains(&format!("127.0.0.1:{}/pio", primary.port)), "each host is named: {told}");
    assert!(told.contains(&format!("127.0.0.1:{}/pio", standby.port)), "{told}");
}

/// The one that takes writes serves; that it does so no more is no error.
#[test]
fn a_server_that_became_a_replica_is_left() {
    let servers = [(); 2].map(|()| Server::start(Kind::MariaDb, &[]));
    let url = |server: &Server| server.url("pio").replace("//pio:", "//plain:");
    for server in &servers {
        // Who administers a server may write to a replica.
        server.sql("mysql", "create user plain@'%' identified by 'pio:secret'");
        server.sql("mysql", "grant all on pio.* to plain@'%'");
        Sql::open(&url(server)).unwrap().init(SCOPE).unwrap();
    }
    let writes_go_to = |one: usize| {
        servers[1 - one].sql("mysql", "set global read_only = 1");
        servers[one].sql("mysql", "set global read_only = 0");
    };
    writes_go_to(1);
    let both = url(&servers[0]).replace("/pio", &format!(",127.0.0.1:{}/pio", servers[1].port));
    let store = Sql::open(&both).unwrap();
    let append = |id: &str| {
        store.append(SCOPE, &[event(Some(id), "u", millis("2020-01-01T00:00:00Z"))]).unwrap();
    };
    append("before");
    writes_go_to(0);
    append("after");
    assert_eq!(servers[0].sql("pio", "select id from pio_event_1"), ["after"], "nothing replicates here");
    assert_eq!(servers[1].sql("pio", "select id from pio_event_1"), ["before"]);
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

//! Several processes at work on one store.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use events::{EventFilter, EventStore, Registry};
use stores::Embedded;

use crate::child::{SCOPE, command, event};

#[test]
fn processes_share_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["p", "q", "r"];
    let children: Vec<_> =
        names.iter().map(|name| command("finite", directory.path(), name).spawn().unwrap()).collect();
    let store = Embedded::open(directory.path()).unwrap();
    store.init(SCOPE).unwrap();
    for n in 0..100 {
        store.append(SCOPE, &[event(None, "own", n)]).unwrap();
        store.scan(SCOPE, &mut |_| ControlFlow::Continue(())).unwrap();
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let mut ids = BTreeSet::new();
    store
        .scan(SCOPE, &mut |event| {
            ids.insert(event.event_id.to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(ids.len(), 400);
    for name in names.iter().chain(&["own"]) {
        let filter = EventFilter {
            entity_type: Some("user".into()),
            entity_id: Some((*name).into()),
            reversed: true,
            ..EventFilter::default()
        };
        let mut times = vec![];
        store
            .find(SCOPE, &filter, &mut |event| {
                times.push(event.event_time.millis);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(times, (0..100).rev().collect::<Vec<i64>>(), "{name}");
    }
    let apps: Vec<u32> = store.apps().unwrap().iter().map(|app| app.id).collect();
    assert_eq!(apps, (1..=15).collect::<Vec<_>>());
}

/// A scope that another process removed and made again is the new one.
#[test]
fn handles_share_a_store_within_a_process() {
    let directory = tempfile::tempdir().unwrap();
    let one = Embedded::open(directory.path()).unwrap();
    let other = Embedded::open(&directory.path().join(".")).unwrap();
    one.init(SCOPE).unwrap();
    one.append(SCOPE, &[event(None, "u", 1)]).unwrap();
    assert_eq!(other.count(SCOPE).unwrap(), 1);
    other.remove(SCOPE).unwrap();
    assert!(one.append(SCOPE, &[event(None, "u", 1)]).is_err());
    other.init(SCOPE).unwrap();
    one.append(SCOPE, &[event(None, "u", 1)]).unwrap();
    assert_eq!(other.count(SCOPE).unwrap(), 1);
}

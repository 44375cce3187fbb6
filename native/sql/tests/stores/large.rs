//! What does not fit PredictionIO's tables is kept beside them.

use events::EventStore;
use sql::Sql;

use crate::server::{Kind, Server};
use crate::sight::{SCOPE, all, event, millis, scanned};

fn large(kind: Kind, at_home: &[&str]) {
    let server = Server::shared(kind);
    let database = server.database();
    let store = Sql::open(&server.url(&database)).unwrap();
    store.init(SCOPE).unwrap();
    let when = millis("2020-01-01T00:00:00Z");
    let sized = |id: &str, bytes: usize| {
        let mut event = event(Some(id), "u", when);
        event.properties.insert("text", "ü".repeat(bytes / 2));
        event
    };
    let mut old = event(Some("old"), "u", millis("1960-01-01T00:00:00Z"));
    old.event = "view".into();
    let long = event(Some(&"i".repeat(33)), "u", when);
    let given = [
        sized("a", 1_000_000),
        sized("b", 60_000),
        sized("c", 70_000),
        old,
        long,
        event(Some("z"), "u", when),
    ];
    store.append(SCOPE, &given).unwrap();
    let mut expected = given.to_vec();
    expected.sort_by_key(|event| (event.event_time, event.event_id.clone()));
    assert_eq!(all(&store), expected, "both tables in one order");
    assert_eq!(server.sql(&database, "select id from pio_event_1 order by id"), at_home);
    // From one table to the other and back.
    store.append(SCOPE, &[sized("z", 1_000_000), sized("a", 10)]).unwrap();
    assert_eq!(store.get(SCOPE, "z").unwrap(), Some(sized("z", 1_000_000)));
    assert_eq!(scanned(&store).len(), given.len());
    assert_eq!(store.delete_entity(SCOPE, "user", "u").unwrap(), 6);
    assert_eq!(scanned(&store), Vec::<String>::new());
}

#[test]
fn postgresql() {
    large(Kind::PostgreSql, &["a", "b", "c", "old", "z"]);
}

/// Its `text` holds 64 KiB, and its times begin with 1970.
#[test]
fn mariadb() {
    large(Kind::MariaDb, &["b", "z"]);
}

/// More than a page, from both tables, both ways, and stopped early.
#[test]
fn pages_join() {
    for kind in [Kind::PostgreSql, Kind::MariaDb] {
        let server = Server::shared(kind);
        let store = Sql::open(&server.url(&server.database())).unwrap();
        store.init(SCOPE).unwrap();
        let start = millis("2020-01-01T00:00:00Z");
        let mut events: Vec<_> =
            (0..12_345).map(|i| event(Some(&format!("e{i:05}")), "u", start + i / 7)).collect();
        for (number, event) in events.iter_mut().enumerate().step_by(100) {
            event.event_id = Some(format!("e{number:05}{}", "x".repeat(40)));
        }
        store.append(SCOPE, &events).unwrap();
        let ids: Vec<&str> = events.iter().map(|event| event.event_id.as_deref().unwrap()).collect();
        let found = all(&store);
        assert!(
            found.iter().map(|event| event.event_id.as_deref().unwrap()).eq(ids.iter().copied()),
            "{kind:?}"
        );
        let (mut seen, mut newest) = (0, events.len());
        store
            .history(SCOPE, ("user", "u"), &mut |deed| {
                newest -= 1;
                seen += 1;
                assert_eq!(deed.millis, events[newest].event_time.millis);
                if seen == 7000 {
                    std::ops::ControlFlow::Break(())
                } else {
                    std::ops::ControlFlow::Continue(())
                }
            })
            .unwrap();
        assert_eq!(seen, 7000);
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        assert_eq!(scanned(&store), sorted);
        let mut few = 0;
        store
            .scan(SCOPE, &mut |_| {
                few += 1;
                if few == 3 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!((few, store.count(SCOPE).unwrap()), (3, 12_345));
    }
}

//! Beside PredictionIO: its rows, written by HBase's own client as the layout says, are read by us, and ours by that client.

use std::ops::ControlFlow;
use std::path::Path;

use events::json::Object;
use events::{Entity, Event, EventFilter, EventStore, EventTime, Kind, Scope};
use hbase::store::HbaseStore;

use crate::cluster::{Cluster, namespace_of};

const SCOPE: Scope = Scope { app: 7, channel: Some(3) };

pub(crate) fn event(name: &str, user: &str, item: Option<&str>, millis: i64) -> Event {
    let entity = |kind: &str, id: &str| Entity { kind: kind.into(), id: id.into() };
    Event {
        event_id: None,
        event: name.into(),
        entity: entity("user", user),
        target: item.map(|item| entity("item", item)),
        properties: Object::new(),
        event_time: EventTime::utc(millis),
        pr_id: None,
        tags: Vec::new(),
        creation_time: EventTime::utc(millis + 5),
    }
}

pub(crate) fn all(store: &HbaseStore, scope: Scope, filter: &EventFilter) -> Vec<Event> {
    let mut events = Vec::new();
    let collect = &mut |event: &events::EventRef<'_>| {
        events.push(event.to_event().unwrap());
        ControlFlow::Continue(())
    };
    store.find(scope, filter, collect).unwrap();
    events
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Key and id from the layout's own example: `user`, `u-1`, 1500000000123.
const KEY: &str = "399fe56f6cda980c24427580f2cc36140000015d3ef7987b8cad6aef3d0f4f44";
const ID: &str = "OZ_lb2zamAwkQnWA8sw2FAAAAV0-95h7jK1q7z0PT0Q";

fn puts(table: &str, key: &str, time: i64, columns: &[(&str, Vec<u8>)]) -> String {
    let line =
        |(name, value): &(&str, Vec<u8>)| format!("put {table} {key} {time} e {name} {}\n", hex(value));
    columns.iter().map(line).collect()
}

fn long(value: i64) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

const TIME: i64 = 1_500_000_000_123;

/// Writes what PredictionIO would have written, in a table that it would have made; gives the key that belongs to no entity.
fn write_as_predictionio(cluster: &Cluster, namespace: &str) -> String {
    let (table, time) = (format!("{namespace}:events_7_3"), TIME);
    let rich = [
        ("e", b"view".to_vec()),
        ("ety", b"user".to_vec()),
        ("eid", b"u-1".to_vec()),
        ("tety", b"item".to_vec()),
        ("teid", "ü/🦀".as_bytes().to_vec()),
        ("p", r#"{"z":1.50,"a":"ü","n":12345678901234567890}"#.as_bytes().to_vec()),
        ("prid", b"pr".to_vec()),
        ("et", long(time)),
        ("etz", b"America/Los_Angeles".to_vec()),
        ("ct", long(time + 9)),
        ("ctz", b"+05:30".to_vec()),
    ];
    let plain = [
        ("e", b"$set".to_vec()),
        ("ety", b"user".to_vec()),
        ("eid", b"u-1".to_vec()),
        ("et", long(time + 1)),
        ("ct", long(time + 9)),
    ];
    let later = KEY.replace("7987b", "7987c");
    // A key that a client chose for another entity: PredictionIO finds it by its id, and by looking at everything.
    let strange = "00".repeat(32);
    let mut commands = format!("create {namespace} events_7_3\n");
    commands += &puts(&table, KEY, time, &rich);
    commands += &puts(&table, &later, time + 1, &plain);
    commands += &puts(&table, &strange, time + 1, &plain);
    cluster.rows(&commands);
    strange
}

pub(crate) fn reads_what_predictionio_wrote(cluster: &Cluster) {
    let (url, time) = (cluster.url(), TIME);
    let table = format!("{}:events_7_3", namespace_of(&url));
    let strange = write_as_predictionio(cluster, namespace_of(&url));
    let store = HbaseStore::open(&url).unwrap();
    let read = store.get(SCOPE, ID).unwrap().unwrap();
    assert_eq!((read.event.as_str(), read.entity.id.as_str()), ("view", "u-1"));
    assert_eq!(read.target, Some(Entity { kind: "item".into(), id: "ü/🦀".into() }));
    assert_eq!(read.properties.to_string(), r#"{"z":1.5,"a":"ü","n":12345678901234567890}"#);
    assert_eq!((read.pr_id.as_deref(), read.creation_time.offset_seconds), (Some("pr"), 19_800));
    // Without a database of time zones it is shown in UTC.
    let named = Path::new("/usr/share/zoneinfo/America/Los_Angeles").exists();
    let offset_seconds = if named { -7 * 3600 } else { 0 };
    assert_eq!(read.event_time, EventTime { millis: time, offset_seconds });
    assert_eq!(
        store.get(SCOPE, &format!("{ID}=")).unwrap().map(|event| event.event),
        None,
        "an id is written one way"
    );

    let of_entity = EventFilter {
        entity_type: Some("user".into()),
        entity_id: Some("u-1".into()),
        reversed: true,
        ..EventFilter::default()
    };
    let names = |events: &[Event]| events.iter().map(|event| event.event.clone()).collect::<Vec<_>>();
    assert_eq!(names(&all(&store, SCOPE, &of_entity)), ["$set", "view"]);
    let early = EventFilter { until: Some(time + 1), ..of_entity };
    assert_eq!(names(&all(&store, SCOPE, &early)), ["view"]);
    let special = EventFilter { events: Some(vec!["$set".into()]), ..EventFilter::default() };
    assert_eq!(all(&store, SCOPE, &special).len(), 2, "the strange one, too");
    assert_eq!(store.count(SCOPE).unwrap(), 3);

    // Replacing one of its events keeps no trace of the old one, and deleting deletes it for both.
    let replaced = Event { event_id: Some(ID.into()), ..event("buy", "u-1", None, time) };
    assert_eq!(store.append(SCOPE, std::slice::from_ref(&replaced)).unwrap(), [ID]);
    assert_eq!(store.get(SCOPE, ID).unwrap(), Some(replaced));
    let left = cluster.rows(&format!("scan {table}"));
    assert!(!left.contains("etz") && !left.contains(" prid ") && !left.contains(" tety "), "{left}");
    assert!(store.delete(SCOPE, ID).unwrap() && !store.delete(SCOPE, ID).unwrap());
    assert_eq!(store.delete_entity(SCOPE, "user", "u-1").unwrap(), 1);
    let left = cluster.rows(&format!("scan {table}"));
    assert_eq!(left.lines().filter(|line| line.starts_with(&strange)).count(), 5, "{left}");
    assert_eq!(left.lines().count(), 6, "{left}");

    // What PredictionIO deletes is gone; the same id may come again, though HBase hides the same row.
    let fresh = Event { event_id: Some(ID.into()), ..event("view", "u-1", Some("i"), time) };
    store.append(SCOPE, std::slice::from_ref(&fresh)).unwrap();
    assert_eq!(store.get(SCOPE, ID).unwrap(), Some(fresh));

    // A row that lacks what PredictionIO always writes.
    cluster.rows(&puts(&table, &"11".repeat(32), 5, &[("e", b"view".to_vec())]));
    let error = store.scan(SCOPE, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("ERERERER") && error.to_string().contains("e:ety"), "{error}");
}

/// HBase's own client reads our rows, cell by cell, in the ways in which PredictionIO reads them.
pub(crate) fn writes_what_predictionio_reads(cluster: &Cluster) {
    let url = cluster.url();
    let store = HbaseStore::open(&url).unwrap();
    store.init(SCOPE).unwrap();
    let table = format!("{}:events_7_3", namespace_of(&url));
    let time = 1_500_000_000_123;
    let mut rich = event("view", "u-1", Some("日本"), time);
    rich.properties = Object::new().with("z", 1).with("a", "ü\"\n");
    rich.pr_id = Some("pr".into());
    rich.event_time.offset_seconds = -28_800;
    rich.tags = vec!["one".into()];
    let mut large = event("$set", "u-1", None, time + 1);
    large.properties = Object::new().with("text", "ü".repeat(500_000));
    let exported = Event { event_id: Some(ID.into()), ..event("buy", "u-1", None, time) };
    let foreign = Event { event_id: Some("my id".into()), ..event("buy", "u-2", None, time + 2) };
    let ids = store.append(SCOPE, &[rich, large, exported, foreign]).unwrap();
    assert!(ids[0].len() == 43 && ids[2] == ID && ids[3] == "my id");

    let cells = cluster.rows(&format!("scan {table}"));
    let row = |wanted: &str| -> Vec<String> {
        let lines = cells.lines().filter(|line| line.contains(wanted));
        let key = lines.map(|line| line.split(' ').next().unwrap().to_owned()).next().unwrap();
        cells.lines().filter_map(|line| line.strip_prefix(&format!("{key} "))).map(str::to_owned).collect()
    };
    let cell = |family: &str, name: &str, value: &[u8]| format!("{family} {name} {time} {}", hex(value));
    let expected = [
        cell("e", "ct", &long(time + 5)),
        cell("e", "e", b"view"),
        cell("e", "eid", b"u-1"),
        cell("e", "et", &long(time)),
        cell("e", "ety", b"user"),
        cell("e", "etz", b"-08:00"),
        cell("e", "p", r#"{"z":1,"a":"ü\"\n"}"#.as_bytes()),
        cell("e", "prid", b"pr"),
        cell("e", "teid", "日本".as_bytes()),
        cell("e", "tety", b"item"),
        cell("r", "t", b"one"),
    ];
    assert_eq!(row(&hex("日本".as_bytes())), expected);
    assert_eq!(
        row(KEY).len(),
        5,
        "an id that fits is the key, and nothing but PredictionIO's columns is there"
    );
    let own = row(&hex(b"my id"));
    assert_eq!(own.last(), Some(&format!("r id {} {}", time + 2, hex(b"my id"))));
    assert!(cells.lines().any(|line| line.len() > 2_000_000), "1 MB of properties");

    // An entity, newest first; absent columns; a range of times.
    let prefix = &KEY[..32];
    let newest = cluster.rows(&format!("entity {table} {prefix}{} {prefix}", "ff".repeat(8)));
    let names: Vec<&str> = newest.lines().filter(|line| line.contains(" e e ")).collect();
    assert!(names.len() == 3 && names[0].ends_with(&hex(b"$set")), "{names:?}");
    let without = cluster.rows(&format!("without {table} tety"));
    assert_eq!(without.lines().filter(|line| line.contains(" e e ")).count(), 3);
    let times = cluster.rows(&format!("times {table} {} {}", time + 1, time + 3));
    assert_eq!(times.lines().filter(|line| line.contains(" e e ")).count(), 2);
}

//! Beside PredictionIO: tables and rows as it makes them, read and extended by us, and still as it knows them.

use events::{AccessKey, EventFilter, EventStore, EventTime, NewApp, Registry, Rights};
use sql::Sql;

use crate::server::{Kind, Server};
use crate::sight::{SCOPE, all, event, millis, scanned};

/// The statements of its storage, with both forms of the table of events.
fn tables(kind: Kind, indexed: bool) -> Vec<String> {
    let serial = match kind {
        Kind::PostgreSql => "serial not null primary key",
        Kind::MariaDb => "serial not null primary key",
    };
    let name = if indexed { "varchar(255)" } else { "text" };
    let mut statements = vec![
        format!("create table pio_meta_apps (id {serial}, name text not null, description text)"),
        "create table pio_meta_accesskeys (accesskey varchar(64) not null primary key, appid integer not null, events text)".to_owned(),
        format!("create table pio_meta_channels (id {serial}, name text not null, appid integer not null)"),
        format!(
            "create table pio_event_1 (id varchar(32) not null primary key, event {name} not null, entityType {name} not null, \
             entityId {name} not null, targetEntityType text, targetEntityId text, properties text, \
             eventTime timestamp DEFAULT CURRENT_TIMESTAMP, eventTimeZone varchar(50) NOT NULL, tags text, prId text, \
             creationTime timestamp DEFAULT CURRENT_TIMESTAMP, creationTimeZone varchar(50) NOT NULL)"
        ),
    ];
    if indexed {
        statements.push("create index idx_pio_event_1_ei on pio_event_1 (entityId)".to_owned());
        statements.push("create index idx_pio_event_1_et on pio_event_1 (entityType)".to_owned());
    }
    statements.push("insert into pio_meta_apps (name, description) values ('old', null)".to_owned());
    statements
        .push("insert into pio_meta_accesskeys values ('k1', 1, null), ('k2', 1, 'buy,view')".to_owned());
    statements
}

/// Inserted by position, as it does; its process ran in Berlin.
const ROWS: &str = "insert into pio_event_1 values \
    ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'buy', 'user', 'ü1', 'item', 'i1', null, '2020-07-01 12:00:00', 'UTC', null, null, '2020-07-01 12:00:05', 'UTC'), \
    ('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', '$set', 'item', 'i1', null, null, '{\"a\":[\"b\"]}', '2020-01-01 12:00:00', 'America/New_York', 'x,y', 'pr', '2020-01-01 12:00:00', '+01:00'), \
    ('gap00000000000000000000000000000', 'view', 'user', 'u2', 'item', 'i1', '{}', '2020-03-29 02:30:00', 'UTC', null, null, '2020-03-29 02:30:00', 'UTC')";

fn columns(server: &Server, database: &str) -> Vec<String> {
    let schema = if server.kind == Kind::PostgreSql { "public" } else { database };
    server.sql(
        database,
        &format!(
            "select table_name, ordinal_position, column_name, data_type, is_nullable, character_maximum_length from information_schema.columns \
             where table_schema = '{schema}' and table_name not like '%arblast%' order by table_name, ordinal_position"
        ),
    )
}

fn beside(kind: Kind, indexed: bool) {
    let server = Server::shared(kind);
    let database = server.database();
    if kind == Kind::MariaDb {
        server.sql(
            "mysql",
            &format!("alter database {database} character set utf8mb4 collate utf8mb4_general_ci"),
        );
    }
    for statement in tables(kind, indexed) {
        server.sql(&database, &statement);
    }
    server.sql(&database, ROWS);
    let before = columns(server, &database);
    let url = format!("{}?timestampZone=Europe/Berlin&indexes=create", server.url(&database));
    let store = Sql::open(&url).unwrap();

    read(&store);
    write(&store, server, &database);
    register(&store, server, &database);
    assert_eq!(columns(server, &database), before, "its tables are as they were");
    if kind == Kind::PostgreSql {
        let indexes = server.sql(
            &database,
            "select indexname from pg_indexes where tablename = 'pio_event_1' and indexname like '%_eet'",
        );
        assert_eq!(indexes, ["idx_pio_event_1_eet"]);
    }
}

/// What it wrote, we read.
fn read(store: &Sql) {
    assert_eq!(store.app_by_name("old").unwrap().unwrap().id, 1);
    let keys = [
        AccessKey::new("k1", 1),
        AccessKey { events: vec!["buy".into(), "view".into()], ..AccessKey::new("k2", 1) },
    ];
    assert_eq!(store.access_keys(None).unwrap(), keys);
    let events = all(store);
    let ids: Vec<&str> = events.iter().map(|event| event.event_id.as_deref().unwrap()).collect();
    assert_eq!(ids.iter().map(|id| &id[..3]).collect::<Vec<_>>(), ["bbb", "gap", "aaa"]);
    assert_eq!(
        events[0].event_time,
        EventTime { millis: millis("2020-01-01T11:00:00Z"), offset_seconds: -5 * 3600 }
    );
    assert_eq!(
        events[0].creation_time,
        EventTime { millis: millis("2020-01-01T11:00:00Z"), offset_seconds: 3600 }
    );
    assert_eq!((events[0].tags.join("+").as_str(), events[0].pr_id.as_deref()), ("x+y", Some("pr")));
    assert_eq!(events[0].properties.to_string(), r#"{"a":["b"]}"#);
    assert_eq!(events[1].event_time.millis, millis("2020-03-29T01:30:00Z"), "a time that clocks skipped");
    assert_eq!(events[2].event_time.millis, millis("2020-07-01T10:00:00Z"));
    assert!(events[2].properties.is_empty(), "NULL is no property");
    let of_user = EventFilter {
        entity_type: Some("user".into()),
        entity_id: Some("ü1".into()),
        start: Some(millis("2020-07-01T10:00:00Z")),
        ..EventFilter::default()
    };
    let mut found = 0;
    store
        .find(SCOPE, &of_user, &mut |_| {
            found += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(found, 1);
}

/// What we write, it reads.
fn write(store: &Sql, server: &Server, database: &str) {
    let mut mine = event(Some("mine"), "u3", millis("2020-08-01T10:00:00Z"));
    mine.event_time.offset_seconds = 7200;
    mine.tags = vec!["t".into(), "s".into()];
    mine.properties.insert("n", 1);
    store.append(SCOPE, std::slice::from_ref(&mine)).unwrap();
    assert_eq!(store.get(SCOPE, "mine").unwrap(), Some(mine));
    let row = server.sql(database, "select event, entityId, targetEntityId, properties, eventTime, eventTimeZone, tags, prId, creationTimeZone from pio_event_1 where id = 'mine'");
    let row = row[0].replace('|', "\t");
    assert_eq!(row.replace("NULL", ""), "buy\tu3\ti\t{\"n\":1}\t2020-08-01 12:00:00\t+02:00\tt,s\t\tUTC");
    server.sql(database, "insert into pio_event_1 values ('later', 'buy', 'user', 'u4', null, null, '{}', '2020-09-01 12:00:00', 'UTC', null, null, '2020-09-01 12:00:00', 'UTC')");
    assert_eq!(all(store).last().unwrap().event_id.as_deref(), Some("later"), "it goes on writing");
    assert_eq!(scanned(store).len(), 5);
}

/// Its ids and ours do not collide, and a key that may not do everything is none that it knows.
fn register(store: &Sql, server: &Server, database: &str) {
    let ours = store.create_app(&NewApp { name: "ours".into(), ..NewApp::default() }).unwrap();
    store.create_app(&NewApp { name: "far".into(), id: Some(70), ..NewApp::default() }).unwrap();
    server.sql(database, "insert into pio_meta_apps (name) values ('theirs')");
    let ids: Vec<u32> = store.apps().unwrap().iter().map(|app| app.id).collect();
    assert_eq!((ours.id, ids), (2, vec![1, 2, 70, 71]));
    let reader = AccessKey { rights: Rights { read: true, ..Rights::NONE }, ..AccessKey::new("reader", 1) };
    store.create_access_key(&reader).unwrap();
    store.create_access_key(&AccessKey::new("full", 1)).unwrap();
    assert_eq!(
        server.sql(database, "select accesskey from pio_meta_accesskeys order by 1"),
        ["full", "k1", "k2"]
    );
}

#[test]
fn postgresql() {
    beside(Kind::PostgreSql, false);
}

#[test]
fn postgresql_with_its_indexes() {
    beside(Kind::PostgreSql, true);
}

#[test]
fn mariadb() {
    beside(Kind::MariaDb, false);
}

#[test]
fn mariadb_with_its_indexes() {
    beside(Kind::MariaDb, true);
}

/// New tables are in its form, too, and it may insert by position.
#[test]
fn new_tables_have_its_columns() {
    for (kind, form) in [
        (Kind::PostgreSql, ""),
        (Kind::PostgreSql, "?index=enabled"),
        (Kind::MariaDb, ""),
        (Kind::MariaDb, "?index=enabled"),
    ] {
        let server = Server::shared(kind);
        let (theirs, ours) = (server.database(), server.database());
        for statement in tables(kind, !form.is_empty()) {
            server.sql(&theirs, &statement);
        }
        let store = Sql::open(&format!("{}{form}", server.url(&ours))).unwrap();
        store.init(SCOPE).unwrap();
        assert_eq!(store.apps().unwrap(), []);
        assert_eq!(columns(server, &ours), columns(server, &theirs), "{kind:?} {form}");
        server.sql(&ours, ROWS);
        assert_eq!(scanned(&store).len(), 3);
    }
}

/// In a table that takes `Ab` and `ab` for the same, both are kept all the same.
#[test]
fn ids_are_exact_where_the_table_is_not() {
    let server = Server::shared(Kind::MariaDb);
    let database = server.database();
    server.sql("mysql", &format!("alter database {database} character set latin1 collate latin1_swedish_ci"));
    for statement in tables(Kind::MariaDb, false) {
        server.sql(&database, &statement);
    }
    let store = Sql::open(&server.url(&database)).unwrap();
    let given = ["ab", "Ab", "ab ", "äb"].map(|id| event(Some(id), id, millis("2020-01-01T00:00:00Z")));
    store.append(SCOPE, &given).unwrap();
    for one in &given {
        assert_eq!(store.get(SCOPE, one.event_id.as_deref().unwrap()).unwrap().as_ref(), Some(one));
    }
    assert_eq!(store.delete_entity(SCOPE, "user", "Ab").unwrap(), 1);
    assert_eq!(scanned(&store), ["ab", "ab ", "äb"]);
    let emoji = event(Some("emoji"), "🦀", millis("2020-01-01T00:00:00Z"));
    store.append(SCOPE, std::slice::from_ref(&emoji)).unwrap();
    assert_eq!(store.get(SCOPE, "emoji").unwrap(), Some(emoji));
}

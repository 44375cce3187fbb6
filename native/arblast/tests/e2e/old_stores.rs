//! Stores as PredictionIO and Harness leave them, built without any code of ours that reads them.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use events::json::{self, Object};
use events::{EventTime, Json};
use hbase::client::{Client, Config, Family, Mutation, TableName};
use md5::{Digest, Md5};

use crate::database::Server;
use crate::events_client::{AS_JSON, exchange};
use crate::hbase_server::HBase;
use crate::index_server;

pub const APP: u32 = 7;
pub const CHANNEL: u32 = 3;
pub const KEY: &str = "Xk3vQy0bZr5tW8nJ1mA4sD7fG9hL2pC6uE0iO3yT5rB8vN1qM4wZ7xK9jH2gF6dS";
pub const SECOND_KEY: &str = "7pR2sT9vW4xY6zA1bC3dE5fG8hJ0kL2mN4pQ6rS8tU0vW2xY4zA6bC8dE0fG2hJ4";

/// Events of the old installation.
pub struct History {
    /// Of the default channel, as they were sent.
    pub events: Vec<Json>,
    /// Of the channel `mobile`.
    pub mobile: Vec<Json>,
}

impl History {
    /// A part of the sample shop.
    pub fn of(lines: &str) -> Self {
        let all = lines.lines().map(|line| json::parse(line.as_bytes()).unwrap());
        let is_set = |event: &Json| member(event, "event") == Some("$set");
        let (sets, others): (Vec<Json>, Vec<Json>) = all.partition(is_set);
        let part = others.into_iter().step_by(5);
        let mut events: Vec<Json> = sets.into_iter().chain(part).collect();
        let mobile = events.split_off(events.len() - 100);
        Self { events, mobile }
    }

    /// The id that PredictionIO has given to event `number`, where its store makes ids of 32 digits.
    pub fn id(number: usize) -> String {
        format!("{:032x}", (number as u128 + 1) * 0x9e37_79b9_7f4a_7c15)
    }

    /// When the last one happened.
    pub fn end(&self) -> String {
        let times = self.events.iter().filter_map(|event| member(event, "eventTime"));
        times.max().unwrap().to_owned()
    }
}

pub fn member<'a>(event: &'a Json, name: &str) -> Option<&'a str> {
    event.get(name).and_then(Json::as_str)
}

fn properties(event: &Json) -> String {
    event.get("properties").map_or_else(|| "{}".to_owned(), ToString::to_string)
}

/// `conf/pio-env.sh`, with the lines of its template that matter, and the port of Elasticsearch.
pub fn pio_env(folder: &Path, storage: &str, elasticsearch: u16) {
    let text = format!(
        "#!/usr/bin/env bash\n# Copy this file as pio-env.sh and edit it for your site's configuration.\n\
         SPARK_HOME=$PIO_HOME/vendors/spark-2.1.1-bin-hadoop2.6\n\
         POSTGRES_JDBC_DRIVER=$PIO_HOME/lib/postgresql-42.0.0.jar\nPIO_FS_BASEDIR=$HOME/.pio_store\n\
         PIO_FS_ENGINESDIR=$PIO_FS_BASEDIR/engines\nPIO_FS_TMPDIR=$PIO_FS_BASEDIR/tmp\n{storage}\n\
         PIO_STORAGE_SOURCES_ELASTICSEARCH_TYPE=elasticsearch\nPIO_STORAGE_SOURCES_ELASTICSEARCH_HOSTS=localhost\n\
         PIO_STORAGE_SOURCES_ELASTICSEARCH_PORTS={elasticsearch}\n"
    );
    std::fs::create_dir_all(folder.join("conf")).unwrap();
    std::fs::write(folder.join("conf/pio-env.sh"), text).unwrap();
}

/// A repository per kind of data: names and sources.
pub fn repositories(sources: [&str; 3], names: [&str; 3]) -> String {
    let mut text = String::new();
    for (kind, (source, name)) in ["METADATA", "EVENTDATA", "MODELDATA"].iter().zip(sources.iter().zip(names))
    {
        writeln!(text, "PIO_STORAGE_REPOSITORIES_{kind}_NAME={name}").unwrap();
        writeln!(text, "PIO_STORAGE_REPOSITORIES_{kind}_SOURCE={source}").unwrap();
    }
    text
}

/// A database as PredictionIO has made and filled it, from a process in Tokyo; gives its name.
pub fn postgresql(server: &Server, history: &History) -> String {
    let database = server.database();
    let run = |statement: &str| drop(server.sql(&database, statement));
    run("create table pio_meta_apps (id serial not null primary key, name text not null, description text)");
    run(
        "create table pio_meta_accesskeys (accesskey varchar(64) not null primary key, appid integer not null, events text)",
    );
    run(
        "create table pio_meta_channels (id serial not null primary key, name text not null, appid integer not null)",
    );
    run(&format!("insert into pio_meta_apps values ({APP}, 'shop', null)"));
    run(&format!(
        "insert into pio_meta_accesskeys values ('{KEY}', {APP}, null), ('{SECOND_KEY}', {APP}, 'purchase,view')"
    ));
    run(&format!("insert into pio_meta_channels values ({CHANNEL}, 'mobile', {APP})"));
    for (table, events, first) in [
        (format!("pio_event_{APP}"), &history.events, 0),
        (format!("pio_event_{APP}_{CHANNEL}"), &history.mobile, history.events.len()),
    ] {
        run(&format!(
            "create table {table} (id varchar(32) not null primary key, event text not null, entityType text not null, \
             entityId text not null, targetEntityType text, targetEntityId text, properties text, \
             eventTime timestamp DEFAULT CURRENT_TIMESTAMP, eventTimeZone varchar(50) NOT NULL, tags text, prId text, \
             creationTime timestamp DEFAULT CURRENT_TIMESTAMP, creationTimeZone varchar(50) NOT NULL)"
        ));
        let file = format!("{}/{table}.csv", server.folder);
        std::fs::write(&file, csv(events, first)).unwrap();
        run("create table sent (id text, e text, et text, ei text, tt text, ti text, p text, t timestamptz)");
        run(&format!("copy sent from '{file}' with (format csv)"));
        run(&format!(
            "insert into {table} select id, e, et, ei, tt, ti, p, t at time zone 'Asia/Tokyo', 'UTC', null, null, \
             t at time zone 'Asia/Tokyo' + interval '1 second', 'UTC' from sent"
        ));
        run("drop table sent");
    }
    database
}

fn csv(events: &[Json], first: usize) -> String {
    let mut text = String::new();
    for (number, event) in (first..).zip(events) {
        let named = ["event", "entityType", "entityId", "targetEntityType", "targetEntityId"];
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let mut fields = vec![History::id(number)];
        fields.extend(named.map(|name| member(event, name).map_or_else(String::new, quoted)));
        fields.push(quoted(&properties(event)));
        fields.push(member(event, "eventTime").unwrap().to_owned());
        text += &(fields.join(",") + "\n");
    }
    text
}

/// A client of HBase that knows nothing of events.
pub fn hbase_client(server: &HBase) -> Client {
    Client::new(Config::new(vec![format!("127.0.0.1:{}", server.port())]))
}

/// Tables as PredictionIO has made and filled them.
pub fn hbase(server: &HBase, namespace: &str, history: &History) {
    let client = hbase_client(server);
    client.create_namespace(namespace).unwrap();
    let families = ["e", "r"].map(|name| Family { name: name.to_owned(), attributes: Vec::new() });
    for (name, events) in
        [(format!("events_{APP}"), &history.events), (format!("events_{APP}_{CHANNEL}"), &history.mobile)]
    {
        let table = TableName::new(namespace, name);
        client.create_table(&table, &families, &[]).unwrap();
        let rows: Vec<Mutation> = (0..).zip(events).map(|(number, event)| row(number, event)).collect();
        for rows in rows.chunks(2000) {
            client.mutate(&table, rows).unwrap();
        }
    }
}

/// MD5 of `type-id`, time, and 8 bytes of a random UUID.
pub fn row_key(number: u64, event: &Json) -> Vec<u8> {
    let entity = [member(event, "entityType").unwrap(), member(event, "entityId").unwrap()].join("-");
    let time = EventTime::parse(member(event, "eventTime").unwrap()).unwrap().millis;
    let random = 1 << 63 | number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2;
    [&Md5::digest(entity)[..], &time.to_be_bytes(), &random.to_be_bytes()].concat()
}

pub fn row(number: u64, event: &Json) -> Mutation {
    let time = EventTime::parse(member(event, "eventTime").unwrap()).unwrap().millis;
    let mut put = Mutation::put(row_key(number, event));
    let columns = [
        ("e", "event"),
        ("ety", "entityType"),
        ("eid", "entityId"),
        ("tety", "targetEntityType"),
        ("teid", "targetEntityId"),
    ];
    for (column, name) in columns {
        if let Some(value) = member(event, name) {
            put = put.set(b"e", column.as_bytes(), time, value.as_bytes()).unwrap();
        }
    }
    if event.get("properties").is_some_and(|all| all.as_object().is_some_and(|all| !all.is_empty())) {
        put = put.set(b"e", b"p", time, properties(event).as_bytes()).unwrap();
    }
    let put = put.set(b"e", b"et", time, &time.to_be_bytes()).unwrap();
    put.set(b"e", b"ct", time, &(time + 1000).to_be_bytes()).unwrap()
}

/// Apps, keys and channels as PredictionIO has them in Elasticsearch, in an index of each kind; gives the name of the repository.
pub fn elasticsearch() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("pio_meta_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    fill(index_server::port(), |kind| format!("{name}_{kind}/_doc"));
    name
}

/// The same in the repository `pio_meta` of an Elasticsearch of that time, in types of one index.
pub struct OldElasticsearch {
    pub port: u16,
    child: Child,
}

impl OldElasticsearch {
    pub fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/old-elasticsearch");
        let mut child = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let port = ready.trim().strip_prefix("ready ").unwrap().parse().unwrap();
        fill(port, |kind| format!("pio_meta/{kind}"));
        Self { port, child }
    }
}

impl Drop for OldElasticsearch {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn fill(port: u16, place: impl Fn(&str) -> String) {
    let put = |kind: &str, id: &str, document: &str| {
        let path = format!("/{}/{id}?refresh=true", place(kind));
        let headers = [AS_JSON, ("Authorization", index_server::AUTHORIZATION)];
        let answer = exchange(port, "PUT", &path, &headers, document.as_bytes()).unwrap();
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.body);
    };
    put("apps", "7", &format!(r#"{{"id":{APP},"name":"shop","description":"our shop"}}"#));
    put("accesskeys", KEY, &format!(r#"{{"key":"{KEY}","appid":{APP},"events":[]}}"#));
    let events = r#"["purchase","view"]"#;
    put("accesskeys", SECOND_KEY, &format!(r#"{{"key":"{SECOND_KEY}","appid":{APP},"events":{events}}}"#));
    put("channels", "3", &format!(r#"{{"id":{CHANNEL},"name":"mobile","appid":{APP}}}"#));
}

/// URL-safe Base64 without padding.
pub fn id_of_key(key: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: String = key.iter().map(|byte| format!("{byte:08b}")).collect();
    let digit = |six: &[u8]| {
        let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
        char::from(DIGITS[usize::from_str_radix(&six, 2).unwrap()])
    };
    bits.as_bytes().chunks(6).map(digit).collect()
}

/// The folder that `pio export` leaves: parts by Spark, and what Hadoop's file system writes beside.
pub fn export(folder: &Path, events: &[Json], first: usize) {
    std::fs::create_dir(folder).unwrap();
    let lines: Vec<String> =
        (first..).zip(events).map(|(number, event)| exported(number, event) + "\n").collect();
    let (one, two) = lines.split_at(lines.len() / 2);
    // Spark does not promise an order.
    for (name, lines) in [("part-00000", two), ("part-00001", one), ("part-00002", &[])] {
        std::fs::write(folder.join(name), lines.concat()).unwrap();
        std::fs::write(folder.join(format!(".{name}.crc")), b"crc\0\0\0\x02\0\xff\xfe").unwrap();
    }
    std::fs::write(folder.join("_SUCCESS"), "").unwrap();
    std::fs::write(folder.join("._SUCCESS.crc"), b"crc\0\0\0\x02\0").unwrap();
}

fn exported(number: usize, event: &Json) -> String {
    let text = |name: &str| event.get(name).map(|value| format!("\"{name}\":{value},")).unwrap_or_default();
    let time = member(event, "eventTime").unwrap();
    format!(
        "{{\"eventId\":\"{}\",{}{}{}{}{}\"properties\":{},\"eventTime\":\"{time}\",\"creationTime\":\"{time}\"}}",
        History::id(number),
        text("event"),
        text("entityType"),
        text("entityId"),
        text("targetEntityType"),
        text("targetEntityId"),
        properties(event)
    )
}

/// The same engine as a file of Harness.
pub fn harness_engine(engine: &str) -> String {
    let engine = json::parse(engine.as_bytes()).unwrap();
    let params = &engine.get("algorithms").unwrap().as_array().unwrap()[0].get("params").unwrap();
    let own = ["appName", "indexName", "typeName"];
    let algorithm = params.as_object().unwrap().iter().filter(|(name, _)| !own.contains(name));
    let algorithm: Object = algorithm.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    let file = Object::new()
        .with("engineId", "shop")
        .with("engineFactory", "com.actionml.engines.ur.UREngine")
        .with("sparkConf", Object::new().with("master", "local"))
        .with("algorithm", algorithm);
    file.to_string().replace("eventNames", "indicatorNames")
}

/// A file a day, of everything that was sent: bodies of several lines, bodies that are no events, and somebody who asked to be
/// forgotten.
pub fn mirror(folder: &Path, history: &History) {
    std::fs::create_dir_all(folder).unwrap();
    let mut events: Vec<&Json> = history.events.iter().collect();
    events.sort_by_key(|event| member(event, "eventTime"));
    let (early, late) = events.split_at(events.len() / 2);
    let last = history.end();
    let stranger = |name: &str, more: &str| {
        format!(
            r#"{{"event":"{name}","entityType":"user","entityId":"stranger","eventTime":"{last}"{more}}}"#
        )
    };
    let bought = stranger("purchase", r#","targetEntityId":"nobody else's""#);
    let forgotten = stranger("$delete", "");
    let bodies = |events: &[&Json]| events.iter().map(|event| body(event) + "\n").collect::<String>();
    let first = format!("{}{bought}\n{{\"event\": \"purchase\",\n", bodies(early));
    std::fs::write(folder.join("26-08-31.json"), first).unwrap();
    let second = format!("not JSON\n{bought}\n{forgotten}\n{}", bodies(late));
    std::fs::write(folder.join("26-09-30.json"), second).unwrap();
}

/// As clients of Harness write it: no id, and the type of the target as they like.
fn body(event: &Json) -> String {
    let text =
        |name: &str| event.get(name).map(|value| format!("  \"{name}\":{value}, ")).unwrap_or_default();
    format!(
        "{{{}{}{}{}{} \"properties\":{}}}",
        text("event"),
        text("entityType"),
        text("entityId"),
        text("targetEntityId"),
        text("eventTime"),
        properties(event)
    )
}

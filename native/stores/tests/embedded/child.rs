//! What other processes do in these tests: this test program starts itself with a role.

use std::path::Path;
use std::process::{Command, Stdio};

use events::{Entity, Event, EventStore, EventTime, NewApp, Registry, Scope};
use stores::Embedded;

pub(crate) const SCOPE: Scope = Scope { app: 1, channel: None };

/// Events of a bulk batch.
pub(crate) const BULK: usize = 1000;

pub(crate) fn event(id: Option<String>, entity: &str, version: u32) -> Event {
    let mut event = Event {
        event_id: id,
        event: "buy".into(),
        entity: Entity { kind: "user".into(), id: entity.into() },
        target: Some(Entity { kind: "item".into(), id: "i".into() }),
        properties: Default::default(),
        event_time: EventTime { millis: i64::from(version), offset_seconds: 0 },
        pr_id: None,
        tags: vec![],
        creation_time: EventTime { millis: 0, offset_seconds: 0 },
    };
    event.properties.insert("version", version);
    event
}

/// This program in a role, on a store.
pub(crate) fn command(role: &str, directory: &Path, name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::run", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("ROLE", role).env("DIRECTORY", directory).env("NAME", name).stdout(Stdio::piped());
    command
}

/// Runs when started by [`command`] only.
#[test]
#[ignore = "a role for the other tests"]
fn run() {
    let Ok(role) = std::env::var("ROLE") else { return };
    let (directory, name) = (std::env::var("DIRECTORY").unwrap(), std::env::var("NAME").unwrap());
    let store = Embedded::open(Path::new(&directory)).unwrap();
    store.init(SCOPE).unwrap();
    match role.as_str() {
        "for ever" => std::thread::scope(|threads| {
            threads.spawn(|| append_for_ever(&store, &format!("{name}a")));
            threads.spawn(|| append_for_ever(&store, &format!("{name}b")));
            threads.spawn(|| change_for_ever(&store, &format!("{name}c")));
            threads.spawn(|| bulk_for_ever(&store, &format!("{name}d")));
        }),
        "finite" => finite(&store, &name),
        "fill" => fill(&store, &name),
        other => panic!("{other}"),
    }
}

/// Lines say what was acknowledged: `\n+ <id> <version>` is there, `\n- <id>` is deleted, `\n? <id>` is about to change.
fn append_for_ever(store: &Embedded, name: &str) {
    for n in 0.. {
        let id = format!("{name}{n}");
        let ids = store.append(SCOPE, &[event(None, name, 1), event(Some(id), name, 1)]).unwrap();
        println!("\n+ {} 1\n+ {} 1", ids[0], ids[1]);
    }
}

/// Inserts, replaces under another entity, and deletes, by id and by entity.
fn change_for_ever(store: &Embedded, name: &str) {
    for n in 0.. {
        let id = format!("{name}{n}");
        println!("\n? {id}");
        store.append(SCOPE, &[event(Some(id.clone()), name, 1)]).unwrap();
        println!("\n+ {id} 1\n? {id}");
        let other = format!("{name}-{n}");
        store.append(SCOPE, &[event(Some(id.clone()), &other, 2)]).unwrap();
        println!("\n+ {id} 2");
        if n % 2 == 0 {
            println!("\n? {id}");
            match n % 4 {
                0 => assert!(store.delete(SCOPE, &id).unwrap()),
                _ => assert_eq!(store.delete_entity(SCOPE, "user", &other).unwrap(), 1),
            }
            println!("\n- {id}");
        }
    }
}

/// `\n* <entity>`: a whole batch of this entity is there.
fn bulk_for_ever(store: &Embedded, name: &str) {
    for n in 0.. {
        let entity = format!("bulk {name} {n}").replace(' ', "_");
        let batch: Vec<Event> = (0..BULK).map(|_| event(None, &entity, 1)).collect();
        store.append(SCOPE, &batch).unwrap();
        println!("\n* {entity}");
    }
}

/// 100 events one by one, with apps in between.
fn finite(store: &Embedded, name: &str) {
    for n in 0..100 {
        store.append(SCOPE, &[event((n % 2 == 0).then(|| format!("{name}{n}")), name, n)]).unwrap();
        if n % 20 == 0 {
            store.create_app(&NewApp { name: format!("{name}{n}"), ..NewApp::default() }).unwrap();
        }
    }
}

/// Until an error, which is printed: `\n! <kind> <text>`.
fn fill(store: &Embedded, name: &str) {
    for n in 0.. {
        let id = format!("{name}{n}");
        let mut large = event(Some(id.clone()), name, 1);
        large.properties.insert("filling", "x".repeat(50_000));
        match store.append(SCOPE, &[large]) {
            Ok(_) => println!("\n+ {id} 1"),
            Err(error) => {
                println!("\n! {:?} {error}", error.kind());
                assert!(store.append(SCOPE, &[]).is_ok());
                return;
            }
        }
    }
}

//! `kill -9` in the middle of anything loses nothing that was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use events::{EventFilter, EventRef, EventStore};
use stores::Embedded;

use crate::child::{BULK, SCOPE, command};

/// What acknowledgements say of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    Version(u32),
    Deleted,
    /// A change was under way.
    Anything,
}

#[derive(Default)]
struct Acknowledged {
    events: BTreeMap<String, Known>,
    bulks: BTreeSet<String>,
}

impl Acknowledged {
    /// Reads what a child printed; a last line that was cut off does not count.
    fn learn(&mut self, output: &str) {
        let whole = output.rfind('\n').map_or("", |end| &output[..end]);
        for line in whole.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["+", id, version] => {
                    self.events.insert((*id).into(), Known::Version(version.parse().unwrap()));
                }
                ["-", id] => drop(self.events.insert((*id).into(), Known::Deleted)),
                ["?", id] => drop(self.events.insert((*id).into(), Known::Anything)),
                ["*", entity] => drop(self.bulks.insert((*entity).into())),
                _ => {}
            }
        }
    }
}

struct Running {
    child: Child,
    output: JoinHandle<String>,
    printed: Arc<AtomicUsize>,
}

fn start(directory: &Path, name: &str) -> Running {
    let mut child = command("for ever", directory, name).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let printed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&printed);
    let output = std::thread::spawn(move || {
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        loop {
            match pipe.read(&mut part).unwrap() {
                0 => return String::from_utf8_lossy(&bytes).into_owned(),
                count => bytes.extend_from_slice(&part[..count]),
            }
            counter.store(bytes.len(), Relaxed);
        }
    });
    Running { child, output, printed }
}

impl Running {
    /// Waits until it is well under way.
    fn warm_up(&self) {
        let begin = Instant::now();
        while self.printed.load(Relaxed) < 500 && begin.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        let output = self.output.join().unwrap();
        assert_eq!(status.code(), None, "the child should run until it is killed: {output}");
        output
    }
}

/// Everything acknowledged is there exactly once, batches are whole, and the indexes agree with the log.
fn verify(directory: &Path, known: &Acknowledged) {
    let begin = Instant::now();
    let store = Embedded::open(directory).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30), "opening took {:?}", begin.elapsed());
    store.init(SCOPE).unwrap();
    let mut stored: BTreeMap<String, u32> = BTreeMap::new();
    let mut entities: BTreeMap<String, usize> = BTreeMap::new();
    let mut visit = |event: &EventRef<'_>| {
        let version = u32::try_from(event.event_time.millis).unwrap();
        assert_eq!(event.properties, format!("{{\"version\":{version}}}"));
        assert_eq!(stored.insert(event.event_id.into(), version), None, "{} is there twice", event.event_id);
        *entities.entry(event.entity_id.into()).or_default() += 1;
        ControlFlow::Continue(())
    };
    store.scan(SCOPE, &mut visit).unwrap();
    assert_eq!(store.count(SCOPE).unwrap(), stored.len() as u64);
    for (id, known) in &known.events {
        match known {
            Known::Version(version) => assert_eq!(stored.get(id), Some(version), "{id}"),
            Known::Deleted => assert_eq!(stored.get(id), None, "{id} was deleted"),
            Known::Anything => {}
        }
        let found = store.get(SCOPE, id).unwrap();
        assert_eq!(found.is_some(), stored.contains_key(id), "the id index disagrees on {id}");
    }
    for entity in &known.bulks {
        assert!(entities.contains_key(entity), "{entity} is lost");
    }
    for (entity, count) in &entities {
        assert!(!entity.starts_with("bulk") || *count == BULK, "{entity}: {count} of {BULK}");
        let filter = EventFilter {
            entity_type: Some("user".into()),
            entity_id: Some(entity.clone()),
            ..EventFilter::default()
        };
        let mut found = 0;
        store
            .find(SCOPE, &filter, &mut |_| {
                found += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(found, *count, "the history index disagrees on {entity}");
    }
}

/// `ARBLAST_KILL_ROUNDS` (default 50) sets how often; two processes with four writers each are killed in each.
#[test]
fn nothing_acknowledged_is_lost() {
    let rounds: u64 = std::env::var("ARBLAST_KILL_ROUNDS").map_or(50, |rounds| rounds.parse().unwrap());
    let mut directory = tempfile::tempdir().unwrap();
    let mut known = Acknowledged::default();
    let mut acknowledged = 0;
    for round in 0..rounds {
        if round % 4 == 0 {
            (directory, known) = (tempfile::tempdir().unwrap(), Acknowledged::default());
        }
        // a process that lives on beside the killed ones, in every other round
        let witness = (round % 2 == 0).then(|| Embedded::open(directory.path()).unwrap());
        let first = start(directory.path(), &format!("{round}x"));
        let second = start(directory.path(), &format!("{round}y"));
        // in every fourth round while they start, else at work
        if round % 4 != 0 {
            first.warm_up();
            second.warm_up();
        }
        std::thread::sleep(Duration::from_millis(round * 7919 % 70));
        known.learn(&first.kill());
        std::thread::sleep(Duration::from_millis(round * 31 % 20));
        known.learn(&second.kill());
        verify(directory.path(), &known);
        drop(witness);
        acknowledged = acknowledged.max(known.events.len() + known.bulks.len() * BULK);
    }
    assert!(acknowledged > 1000, "children were killed before they wrote anything: {acknowledged}");
}

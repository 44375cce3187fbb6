//! Generations that machines share, under outages, crowds and left-overs.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::models::tests::{parts, trained};
use crate::models::{ModelDirectory, ModelReader, Models, Status};

/// Name → content, and when it was written.
type Written = BTreeMap<String, (Vec<u8>, i64)>;

/// The naive twin.
#[derive(Debug, Default)]
struct Memory {
    files: Mutex<Written>,
    now_ms: AtomicI64,
    /// So many operations still work.
    works: AtomicUsize,
}

impl Memory {
    fn new() -> Arc<Self> {
        let now_ms = AtomicI64::new(1_700_000_000_000);
        Arc::new(Self { works: AtomicUsize::new(usize::MAX), now_ms, ..Self::default() })
    }

    fn files(&self) -> Result<std::sync::MutexGuard<'_, Written>> {
        let left = |works: usize| works.checked_sub(1);
        match self.works.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) {
            Ok(_) => Ok(self.files.lock().unwrap()),
            Err(_) => Err(Error::new(Kind::Unavailable, "memory: gone")),
        }
    }

    fn stamped(&self, content: &[u8]) -> (Vec<u8>, i64) {
        (content.to_vec(), self.now_ms.load(Ordering::Relaxed))
    }

    fn names(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().cloned().collect()
    }
}

impl Objects for Memory {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files()?.get(name).map(|(content, _)| content.clone()))
    }

    fn create(&self, name: &str, content: &[u8]) -> Result<bool> {
        let mut files = self.files()?;
        let is_new = !files.contains_key(name);
        if is_new {
            files.insert(name.to_owned(), self.stamped(content));
        }
        Ok(is_new)
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        self.files()?.insert(name.to_owned(), self.stamped(content));
        Ok(())
    }

    fn upload(&self, name: &str, from: &Path) -> Result<()> {
        let read = std::fs::read(from);
        let read =
            read.map_err(|error| Error::new(Kind::Unavailable, format!("{}: {error}", from.display())))?;
        self.put(name, &read)
    }

    fn download(&self, name: &str, to: &mut File) -> Result<bool> {
        let content = self.get(name)?;
        content.iter().for_each(|content| to.write_all(content).unwrap());
        Ok(content.is_some())
    }

    fn list(&self, folder: &str) -> Result<Vec<Object>> {
        let files = self.files()?;
        let inside = files.iter().filter(|(name, _)| name.starts_with(&format!("{folder}/")));
        let object = |(name, (content, modified_ms)): (&String, &(Vec<u8>, i64))| Object {
            name: name.clone(),
            bytes: content.len() as u64,
            modified_ms: *modified_ms,
        };
        Ok(inside.map(object).collect())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.files()?.retain(|other, _| other != name && !other.starts_with(&format!("{name}/")));
        Ok(())
    }
}

struct Machine {
    _home: tempfile::TempDir,
    models: ModelDirectory,
}

fn machine(memory: &Arc<Memory>) -> Machine {
    let home = tempfile::tempdir().unwrap();
    let objects: Arc<dyn Objects> = Arc::<Memory>::clone(memory);
    let models = Models::shared(objects, home.path()).of("shop", "default");
    Machine { _home: home, models }
}

fn publish(machine: &Machine, items: u32) -> u64 {
    machine.models.publish(&parts(items), trained()).unwrap().0
}

/// Looks until it is there, for a minute.
#[track_caller]
fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn soon(reader: &ModelReader, generation: u64) -> u32 {
    eventually(|| Some(reader.current()).filter(|current| current.number == generation)).model.items()
}

fn numbers(machine: &Machine) -> Vec<u64> {
    machine.models.list().unwrap().into_iter().map(|listed| listed.generation).collect()
}

#[test]
fn the_twin_conforms() {
    let scratch = tempfile::tempdir().unwrap();
    crate::conformance::objects(&*Memory::new(), scratch.path());
}

#[test]
fn one_machine_trains_and_the_others_follow() {
    let memory = Memory::new();
    let (trains, serves) = (machine(&memory), machine(&memory));
    assert_eq!(serves.models.reader().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(serves.models.current_info().unwrap(), None);
    assert_eq!(publish(&trains, 1), 1);
    let reader = serves.models.reader().unwrap();
    assert_eq!((reader.current().number, reader.current().model.items()), (1, 1));
    for items in 2..=5 {
        assert_eq!(publish(&trains, items), u64::from(items));
    }
    assert_eq!(soon(&reader, 5), 5);
    assert_eq!(serves.models.rollback(None).unwrap(), 4, "a generation that this machine never served");
    assert_eq!(soon(&reader, 4), 4);
    assert_eq!(trains.models.current().unwrap(), Some(4));
    assert_eq!(trains.models.current_info().unwrap().unwrap().items, 4);
    assert_eq!((numbers(&trains), numbers(&serves)), (vec![3, 4, 5], vec![3, 4, 5]));
    assert_eq!(publish(&serves, 6), 6, "a number is never used again");
    let named = |file: &str| memory.names().iter().filter(|name| name.ends_with(file)).count();
    assert_eq!((named(INFO), named(MODEL), named(CURRENT), memory.names().len()), (3, 3, 1, 7));
}

#[test]
fn a_copy_serves_while_the_place_does_not_answer() {
    let memory = Memory::new();
    let (trains, serves) = (machine(&memory), machine(&memory));
    publish(&trains, 1);
    let reader = serves.models.reader().unwrap();
    memory.works.store(0, Ordering::Relaxed);
    assert_eq!(eventually(|| reader.refused()).to_string(), "memory: gone");
    assert_eq!(reader.current().model.items(), 1);
    // Who starts now has the same; who was never there has nothing.
    let late = serves.models.reader().unwrap();
    assert_eq!((late.current().model.items(), late.refused().unwrap().kind()), (1, Kind::Unavailable));
    assert_eq!(machine(&memory).models.reader().unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(trains.models.publish(&parts(2), trained()).unwrap_err().kind(), Kind::Unavailable);
    memory.works.store(usize::MAX, Ordering::Relaxed);
    let number = publish(&trains, 3);
    assert_eq!((soon(&reader, number), soon(&late, number)), (3, 3));
    // The pointer comes first, the end of the look that brought it a moment later.
    eventually(|| (reader.refused().is_none() && late.refused().is_none()).then_some(()));
}

#[test]
fn a_place_that_fails_at_any_moment_leaves_the_old_or_the_new() {
    let memory = Memory::new();
    let (trains, serves) = (machine(&memory), machine(&memory));
    publish(&trains, 7);
    let reader = serves.models.reader().unwrap();
    for works in 0.. {
        memory.works.store(works, Ordering::Relaxed);
        let published = trains.models.publish(&parts(8), trained());
        memory.works.store(usize::MAX, Ordering::Relaxed);
        let current = trains.models.current().unwrap().unwrap();
        let expected = if published.is_ok() { 8 } else { 7 };
        assert_eq!(soon(&reader, current), expected, "after {works} operations");
        assert!(trains.models.list().unwrap().iter().all(|listed| listed.status == Status::Ready));
        if published.is_ok() {
            assert!(works > 4, "{works} operations are too few to be true");
            return;
        }
    }
}

#[test]
fn crowds_of_machines_get_a_number_each() {
    let memory = Memory::new();
    let machines: Vec<Machine> = (0..3).map(|_| machine(&memory)).collect();
    std::thread::scope(|scope| {
        for machine in &machines {
            scope.spawn(|| (1..=5).for_each(|items| assert!(publish(machine, items) > 0)));
        }
    });
    assert_eq!(machines[0].models.current().unwrap(), Some(15), "the newest serves, not the slowest");
    // Each train spares what its machine had before, which others may have outrun.
    assert!(numbers(&machines[1]).ends_with(&[13, 14, 15]), "{:?}", numbers(&machines[1]));
    assert_eq!((publish(&machines[0], 6), publish(&machines[0], 7)), (16, 17));
    assert_eq!(numbers(&machines[1]), [15, 16, 17]);
}

#[test]
fn what_the_dead_left_is_no_model_and_goes_in_time() {
    let memory = Memory::new();
    let trains = machine(&memory);
    publish(&trains, 1);
    let engine = "default%40shop";
    for name in
        ["0000000009/info.json", "0000000008/.model.arblast.tmp.3", "tmp-run/model.arblast", ".CURRENT.tmp.1"]
    {
        memory.put(&format!("{engine}/{name}"), b"half").unwrap();
    }
    assert_eq!((numbers(&trains), trains.models.current().unwrap()), (vec![1], Some(1)));
    assert_eq!(trains.models.rollback(Some(9)).unwrap_err().kind(), Kind::NotFound);
    let by = |published_ms| crate::TrainedBy { published_ms, ..trained() };
    let now_ms = memory.now_ms.load(Ordering::Relaxed);
    trains.models.publish(&parts(2), by(now_ms + ABANDONED_MS / 2)).unwrap();
    assert_eq!(memory.names().len(), 9, "they may still be at work: {:?}", memory.names());
    memory.now_ms.fetch_add(2 * ABANDONED_MS, Ordering::Relaxed);
    let (number, _) = trains.models.publish(&parts(3), by(now_ms + 2 * ABANDONED_MS)).unwrap();
    assert_eq!(number, 11);
    assert_eq!(numbers(&trains), [1, 10, 11]);
    assert_eq!(memory.names().len(), 7, "{:?}", memory.names());
}

#[test]
fn what_is_damaged_on_the_way_is_refused() {
    let memory = Memory::new();
    let (trains, serves) = (machine(&memory), machine(&memory));
    publish(&trains, 1);
    let reader = serves.models.reader().unwrap();
    publish(&trains, 2);
    publish(&trains, 3);
    memory.files.lock().unwrap().get_mut("default%40shop/0000000002/model.arblast").unwrap().0[100] ^= 1;
    assert_eq!(soon(&reader, 3), 3);
    assert_eq!(serves.models.rollback(Some(2)).unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(serves.models.current().unwrap(), Some(3), "nothing changed");
    let list = serves.models.list().unwrap();
    assert!(matches!(&list[1].status, Status::Corrupt(text) if text.contains("digest")), "{:?}", list[1]);
}

#[test]
fn a_place_that_was_emptied_and_filled_again_is_noticed() {
    let memory = Memory::new();
    let (trains, serves) = (machine(&memory), machine(&memory));
    publish(&trains, 1);
    assert_eq!(serves.models.reader().unwrap().current().model.items(), 1);
    memory.remove("default%40shop").unwrap();
    assert_eq!(publish(&machine(&memory), 5), 1);
    assert_eq!(serves.models.reader().unwrap().current().model.items(), 5);
}

#[test]
fn what_a_job_left_elsewhere_is_adopted() {
    let (memory, job) = (Memory::new(), tempfile::tempdir().unwrap());
    let there = ModelDirectory::of(job.path(), "shop", "default");
    let (number, info) = there.publish(&parts(4), trained()).unwrap();
    let here = machine(&memory);
    publish(&here, 1);
    assert_eq!(here.models.adopt(&there, number).unwrap(), (2, info));
    assert_eq!(here.models.reader().unwrap().current().model.items(), 4);
}

//! Generations under crashes, damage and crowds.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{ModelParts, SearchPlan};

use super::publish::Step;
use super::*;

const STEPS: [Step; 6] =
    [Step::Begun, Step::ModelWritten, Step::InfoWritten, Step::Renamed, Step::Pointed, Step::Pruned];
const CHILD_HOME: &str = "ARBLAST_TEST_PUBLISH_HOME";
const CHILD_STEP: &str = "ARBLAST_TEST_PUBLISH_STEP";
const CHILD_WAITS: &str = "ARBLAST_TEST_PUBLISH_WAITS";

/// A model with `items` items, so that one tells another.
pub(super) fn parts(items: u32) -> ModelParts {
    crate::conformance::model(items, 0)
}

pub(super) fn trained() -> TrainedBy {
    let position = Some(events::Position { life: 1 << 79, added: 7, revised: 8 });
    TrainedBy {
        build: "0.1 \"b\"".into(),
        engine_instance: "e".into(),
        started_ms: 5,
        published_ms: 6,
        position,
    }
}

fn publish(directory: &ModelDirectory, items: u32) -> u64 {
    directory.publish(&parts(items), trained()).unwrap().0
}

fn home() -> (tempfile::TempDir, ModelDirectory) {
    let home = tempfile::tempdir().unwrap();
    let directory = ModelDirectory::new(home.path(), "shop");
    (home, directory)
}

fn numbers(directory: &ModelDirectory) -> Vec<u64> {
    directory.list().unwrap().into_iter().map(|listed| listed.generation).collect()
}

fn temporaries(directory: &ModelDirectory) -> usize {
    let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("tmp-")).count()
}

/// Calls `current` until `good`; the machine may be busy.
fn soon(reader: &ModelReader, good: impl Fn(&Generation) -> bool) -> Arc<Generation> {
    let start = Instant::now();
    loop {
        let current = reader.current();
        if good(&current) || start.elapsed() > Duration::from_secs(60) {
            return current;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_trained_yet() {
    let (_home, directory) = home();
    assert_eq!(directory.current().unwrap(), None);
    assert_eq!(directory.list().unwrap(), []);
    assert_eq!(directory.reader().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(directory.rollback(None).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn publishes_lists_and_keeps_the_last() {
    let (_home, directory) = home();
    let directory = directory.keeping(2);
    for items in 1..=4 {
        assert_eq!(publish(&directory, items), u64::from(items));
    }
    let list = directory.list().unwrap();
    assert_eq!(
        list.iter().map(|listed| (listed.generation, listed.current)).collect::<Vec<_>>(),
        [(3, false), (4, true)]
    );
    let info = list[1].info.clone().unwrap();
    assert_eq!((info.items, info.users, info.trained.clone()), (4, 7, trained()));
    assert_eq!(info.bytes, std::fs::metadata(directory.model_path(4)).unwrap().len());
    assert!(list.iter().all(|listed| listed.status == Status::Ready));
    // Equal content, equal digest; only then.
    assert_ne!(Some(&info.digest), list[0].info.as_ref().map(|info| &info.digest));
    publish(&directory, 4);
    assert_eq!(directory.list().unwrap()[1].info.clone().unwrap().digest, info.digest);
    assert_eq!(temporaries(&directory), 0);
}

#[test]
fn rolls_back_and_goes_on() {
    let (_home, directory) = home();
    (1..=3).for_each(|items| assert_eq!(publish(&directory, items), u64::from(items)));
    assert_eq!(directory.rollback(None).unwrap(), 2);
    assert_eq!(directory.rollback(None).unwrap(), 1);
    let error = directory.rollback(None).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(directory.rollback(Some(9)).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(directory.current().unwrap(), Some(1));
    assert_eq!(directory.rollback(Some(3)).unwrap(), 3);
    assert_eq!(directory.rollback(Some(1)).unwrap(), 1);
    // Numbers are never used again, and what served until now is kept: whoever finds that the new one cannot serve goes back,
    // however often.
    for generation in 4..=8 {
        assert_eq!(publish(&directory, 4), generation);
        assert_eq!(directory.rollback(Some(1)).unwrap(), 1);
    }
    assert_eq!(numbers(&directory), [1, 6, 7, 8]);
    assert_eq!(publish(&directory, 4), 9);
    assert_eq!(publish(&directory, 4), 10);
    assert_eq!(numbers(&directory), [8, 9, 10]);
}

#[test]
fn what_else_is_needed_decides_whether_a_generation_stays() {
    let (_home, directory) = home();
    let failed = |_: &Generation| Err(Error::new(Kind::Denied, "no"));
    let publish_also = |items, needed: &dyn Fn(&Generation) -> Result<()>| {
        let before = directory.current().unwrap();
        directory.publish_also(publish(&directory, items), before, needed).map_err(|error| error.kind())
    };
    assert_eq!(publish_also(1, &failed), Err(Kind::Denied));
    assert_eq!(directory.current().unwrap(), Some(1), "there was none before");
    let seen = std::cell::Cell::new(0);
    publish_also(2, &|opened| {
        seen.set(opened.model.items());
        Ok(())
    })
    .unwrap();
    assert_eq!((directory.current().unwrap(), seen.get()), (Some(2), 2));
    assert_eq!(publish_also(3, &failed), Err(Kind::Denied));
    assert_eq!(directory.current().unwrap(), Some(2));
    assert_eq!(publish(&directory, 4), 4);
}

#[test]
fn does_not_roll_back_to_a_damaged_generation() {
    let (_home, directory) = home();
    publish(&directory, 1);
    publish(&directory, 2);
    damage(&directory, 1);
    assert_eq!(directory.rollback(None).unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(directory.current().unwrap(), Some(2));
    assert!(
        matches!(&directory.list().unwrap()[0].status, Status::Corrupt(text) if text.contains("0000000001"))
    );
}

/// As a failing disk would: in place.
fn damage(directory: &ModelDirectory, generation: u64) {
    let path = directory.model_path(generation);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn readers_follow_by_themselves() {
    let (_home, directory) = home();
    publish(&directory, 1);
    let reader = directory.reader().unwrap();
    let old = reader.current();
    assert_eq!((old.number, old.model.items()), (1, 1));
    (2..=6).for_each(|items| assert_eq!(publish(&directory, items), u64::from(items)));
    let new = soon(&reader, |current| current.number == 6);
    assert_eq!((new.number, new.model.items()), (6, 6));
    // The generation that a query still holds was removed from the directory, and works.
    assert!(!directory.model_path(1).exists());
    let plan = SearchPlan { by_ranking: true, num: 5, ..SearchPlan::default() };
    assert_eq!(old.model.search(&plan).len(), 1);
    directory.rollback(Some(5)).unwrap();
    assert_eq!(soon(&reader, |current| current.number == 5).model.items(), 5);
}

#[test]
fn a_damaged_generation_is_refused_and_the_old_serves() {
    let (_home, directory) = home();
    publish(&directory, 1);
    let reader = directory.reader().unwrap();
    publish(&directory, 2);
    damage(&directory, 2);
    reader.refresh();
    assert_eq!(reader.current().number, 1);
    assert_eq!(reader.refused().unwrap().kind(), Kind::Corrupt);
    // A reader that begins now has nothing else to offer, and says why.
    assert_eq!(directory.reader().unwrap_err().kind(), Kind::Corrupt);
    publish(&directory, 3);
    assert_eq!(soon(&reader, |current| current.number == 3).number, 3);
    assert!(reader.refused().is_none());
    std::fs::write(directory.path().join("CURRENT"), "x").unwrap();
    reader.refresh();
    assert_eq!((reader.current().number, reader.refused().unwrap().kind()), (3, Kind::Corrupt));
    assert_eq!(publish(&directory, 4), 4, "a train mends the pointer");
}

#[test]
fn crowds_get_a_number_each() {
    let (_home, directory) = home();
    let directory = directory.keeping(100);
    publish(&directory, 1);
    let reader = directory.reader().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for items in 2..8 {
                    publish(&directory, items);
                }
            });
        }
        for _ in 0..200 {
            reader.refresh();
            let current = reader.current();
            // One generation, in one piece.
            assert_eq!(current.info.items, current.model.items());
            assert_eq!(current.info.bytes, current.model.counts().bytes);
        }
    });
    assert_eq!(numbers(&directory), (1..=25).collect::<Vec<_>>());
    assert_eq!(directory.current().unwrap(), Some(25));
    assert_eq!(temporaries(&directory), 0);
}

fn child(home: &Path, step: Step, waits: bool) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "models::tests::child_publishes", "--nocapture"])
        .env(CHILD_HOME, home)
        .env(CHILD_STEP, format!("{step:?}"))
        .env(CHILD_WAITS, if waits { "1" } else { "" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: what the children of the tests below do.
#[test]
fn child_publishes() {
    let Some(home) = std::env::var_os(CHILD_HOME) else { return };
    let step = std::env::var(CHILD_STEP).unwrap();
    let waits = std::env::var(CHILD_WAITS).unwrap() == "1";
    let directory = ModelDirectory::new(Path::new(&home), "shop");
    let reached = |reached: Step| {
        if format!("{reached:?}") == step {
            if !waits {
                std::process::abort();
            }
            println!("REACHED");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        Ok(())
    };
    directory.publish_in_steps(&parts(50), trained(), &reached).unwrap();
}

#[test]
fn killed_at_any_step_leaves_the_old_or_the_new() {
    for step in STEPS {
        let (home, directory) = home();
        publish(&directory, 1);
        let status = child(home.path(), step, false).wait().unwrap();
        assert!(!status.success(), "{step:?}: the child must die");
        let reader = directory.reader().unwrap();
        let wanted = if matches!(step, Step::Pointed | Step::Pruned) { 50 } else { 1 };
        assert_eq!(reader.current().model.items(), wanted, "{step:?}");
        let next = publish(&directory, 2);
        assert_eq!(soon(&reader, |current| current.number == next).model.items(), 2, "{step:?}");
        assert_eq!(temporaries(&directory), 0, "{step:?}: what the dead left is removed");
        assert!(directory.list().unwrap().iter().all(|listed| listed.status == Status::Ready), "{step:?}");
    }
}

#[test]
fn who_is_stopped_at_the_last_moment_publishes_nothing() {
    let (_home, directory) = home();
    publish(&directory, 1);
    assert!(directory.publish_unless(&parts(2), trained(), &|| true).unwrap().is_none());
    assert_eq!((numbers(&directory), temporaries(&directory)), (vec![1], 0));
    assert_eq!(directory.publish_unless(&parts(3), trained(), &|| false).unwrap().unwrap().0, 2);
    assert_eq!(directory.reader().unwrap().current().model.items(), 3);
}

#[test]
fn a_live_publisher_is_left_alone() {
    use std::io::{BufRead, BufReader};
    let (home, directory) = home();
    publish(&directory, 1);
    let mut slow = child(home.path(), Step::ModelWritten, true);
    let mut lines = BufReader::new(slow.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("REACHED")));
    assert_eq!(publish(&directory, 2), 2);
    assert_eq!(temporaries(&directory), 1, "the slow one is still there");
    drop(slow.stdin.take());
    assert!(slow.wait().unwrap().success());
    assert_eq!(numbers(&directory), [1, 2, 3]);
    assert_eq!(directory.reader().unwrap().current().model.items(), 50);
}

#[test]
fn names_of_engines_are_safe_and_distinct() {
    assert_eq!(file_name("default"), "default");
    assert_eq!(file_name("../a b/ü."), "%2e%2e%2fa%20b%2f%c3%bc%2e");
    assert_eq!(file_name(""), "%");
    let long = |last: &str| file_name(&("é".repeat(1000) + last));
    assert_ne!(long("1"), long("2"));
    assert!(long("1").len() < 255);
    assert_ne!(file_name("%"), file_name(""));
}

#[test]
fn distinct_engines_have_distinct_keys() {
    assert_eq!(key("shop", "default"), "default@shop");
    let names = ["a", "a@b", "b", "@", "a%40b", "%"];
    let pairs = names.iter().flat_map(|app| names.iter().map(move |variant| key(app, variant)));
    let keys: std::collections::BTreeSet<String> = pairs.collect();
    assert_eq!(keys.len(), names.len() * names.len());
}

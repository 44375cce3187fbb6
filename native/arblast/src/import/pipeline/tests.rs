use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use events::conformance::{Deviation, Double};
use events::{Kind, Visit};

use super::*;

const SCOPE: Scope = Scope { app: 1, channel: None };

/// A store that dies, as if killed, in an append: some die before it is stored, some after.
struct Dying {
    appends_left: AtomicUsize,
    after: AtomicBool,
}

impl Deviation for Dying {
    fn append(&self, store: &dyn EventStore, scope: Scope, events: &[Event]) -> events::Result<Vec<String>> {
        let dead = || events::Error::new(Kind::Unavailable, "killed");
        let left = self.appends_left.fetch_sub(1, Ordering::Relaxed);
        let after = self.after.load(Ordering::Relaxed);
        if left == 0 && !after {
            return Err(dead());
        }
        let ids = store.append(scope, events)?;
        if left == 0 { Err(dead()) } else { Ok(ids) }
    }
}

struct Bench {
    home: tempfile::TempDir,
    store: Double<Dying>,
}

impl Bench {
    fn new() -> Self {
        let dying = Dying { appends_left: AtomicUsize::new(usize::MAX), after: AtomicBool::new(false) };
        let store = Double::new(dying);
        store.init(SCOPE).unwrap();
        Self { home: tempfile::tempdir().unwrap(), store }
    }

    fn file(&self, text: &str) -> Source {
        let path: PathBuf = self.home.path().join("events.jsonl");
        std::fs::write(&path, text).unwrap();
        Source::File(path)
    }

    fn import(&self, on_error: OnError, fresh: bool) -> Import<'_> {
        Import {
            by: "--input",
            store: &self.store,
            scope: SCOPE,
            home: self.home.path(),
            now_ms: 5,
            parsers: 2,
            on_error,
            form: Form::Api,
            names: super::super::Names::default(),
            fresh,
            bytes_read: Arc::default(),
            events_stored: Arc::default(),
        }
    }

    fn run(&self, source: &Source, on_error: OnError, fresh: bool) -> (Result<Totals>, Vec<BadLine>) {
        let mut bad = Vec::new();
        let totals = self.import(on_error, fresh).run(source, &mut |line| {
            bad.push(line.clone());
            Ok(())
        });
        (totals, bad)
    }

    /// Targets of all stored events, sorted.
    fn targets(&self) -> Vec<String> {
        let mut targets = Vec::new();
        let visit: Visit<'_> = &mut |event| {
            targets.push(event.target.map_or(String::new(), |(_, id)| id.to_owned()));
            ControlFlow::Continue(())
        };
        self.store.scan(SCOPE, visit).unwrap();
        targets.sort();
        targets
    }
}

fn line(target: &str) -> String {
    format!(
        "{{\"event\":\"view\",\"entityType\":\"user\",\"entityId\":\"u\",\"targetEntityType\":\"item\",\"targetEntityId\":\"{target}\"}}\n"
    )
}

/// Enough lines for several commits.
fn many_lines() -> (String, Vec<String>) {
    let targets: Vec<String> = (0..100_000).map(|n| format!("i{n:06}")).collect();
    (targets.iter().map(|target| line(target)).collect(), targets)
}

#[test]
fn repeated_lines_are_repeated_events_but_a_repeated_file_is_not() {
    let bench = Bench::new();
    let source = bench.file(&[line("a"), line("a"), "  \r\n".to_owned(), line("b")].concat());
    for _ in 0..2 {
        let totals = bench.run(&source, OnError::Skip, false).0.unwrap();
        assert_eq!(totals, Totals { lines: 4, events: 3, bad: 0, resumed: 0 });
        assert_eq!(bench.targets(), ["a", "a", "b"]);
    }
    bench.run(&source, OnError::Skip, true).0.unwrap();
    assert_eq!(bench.targets(), ["a", "a", "a", "a", "b", "b"]);
}

#[test]
fn an_interrupted_import_goes_on_and_stores_each_line_once() {
    let (text, targets) = many_lines();
    for (appends, after) in [(0, false), (0, true), (1, false), (1, true), (2, true)] {
        let bench = Bench::new();
        let source = bench.file(&text);
        bench.store.after.store(after, Ordering::Relaxed);
        bench.store.appends_left.store(appends, Ordering::Relaxed);
        let error = bench.run(&source, OnError::Skip, false).0.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Unavailable, "killed"));
        assert!(bench.targets().len() < targets.len());
        bench.store.appends_left.store(usize::MAX, Ordering::Relaxed);
        let totals = bench.run(&source, OnError::Skip, false).0.unwrap();
        assert_eq!(totals.lines, 100_000);
        assert_eq!(totals.resumed > 0, appends > 0);
        assert_eq!(totals.events, totals.lines - totals.resumed);
        assert!(bench.targets() == targets, "after {appends} appends");
    }
}

#[test]
fn bad_lines_are_told_with_their_place_and_stop_nothing() {
    let bench = Bench::new();
    let (text, _) = many_lines();
    let good = line("last");
    let source = bench.file(&format!("{text}{{\"event\":\"view\"}}\n\nno json\n{good}"));
    let (totals, bad) = bench.run(&source, OnError::Skip, false);
    assert_eq!(totals.unwrap(), Totals { lines: 100_004, events: 100_001, bad: 2, resumed: 0 });
    let places: Vec<(u64, u64, &str)> =
        bad.iter().map(|bad| (bad.line, bad.offset, bad.head.as_str())).collect();
    let end = text.len() as u64;
    assert_eq!(places, [(100_001, end, "{\"event\":\"view\"}"), (100_003, end + 18, "no json")]);
    assert!(bad[0].reason.contains("entityType"), "{}", bad[0].reason);
    assert!(bench.targets().contains(&"last".to_owned()));
}

#[test]
fn abort_stores_nothing_of_a_file_with_a_bad_line() {
    let bench = Bench::new();
    let (text, targets) = many_lines();
    let source = bench.file(&format!("{text}x\n"));
    let error = bench.run(&source, OnError::Abort, false).0.unwrap_err().to_string();
    assert!(error.contains("line 100001") && error.contains("nothing"), "{error}");
    assert!(bench.targets().is_empty());
    let source = bench.file(&text);
    bench.run(&source, OnError::Abort, false).0.unwrap();
    assert!(bench.targets() == targets);
}

#[test]
fn of_equal_event_ids_the_last_line_wins_across_blocks() {
    let bench = Bench::new();
    let with_id = |target: &str| line(target).replacen('{', "{\"eventId\":\"e\",", 1);
    let (text, _) = many_lines();
    let source = bench.file(&[with_id("first"), text, with_id("second")].concat());
    bench.run(&source, OnError::Skip, false).0.unwrap();
    assert_eq!(bench.targets().len(), 100_001);
    let event = bench.store.get(SCOPE, "e").unwrap().unwrap();
    assert_eq!(event.target.unwrap().id, "second");
    assert_eq!((event.event_time.millis, event.creation_time.millis), (5, 5));
}

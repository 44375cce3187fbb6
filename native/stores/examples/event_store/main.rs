//! Measures the embedded event store, beside the candidate that was not chosen.
//!
//! `event_store [--events 2000000] [--rounds 3] [--seconds 2] [--only lmdb|sqlite] [--directory DIR]` prints one JSON line per
//! figure. The same calls with the same events go to both stores in turns, so that noise of the machine meets both; of several
//! rounds the median counts. "Durable" means that a call returns after fsync. SQLite runs in WAL mode with
//! `synchronous=FULL`. Why LMDB was chosen: `docs/decisions/0001-embedded-store.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a program for developers")]
#![allow(clippy::cast_precision_loss, reason = "figures have four digits")]

mod disk;
mod sqlite;
mod workload;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use events::{Deed, Event, EventRef, EventStore, Scope};
use stores::Embedded;
use workload::Workload;

const SCOPE: Scope = Scope { app: 1, channel: None };
const IMPORT_BATCH: usize = 100_000;
const HISTORY: usize = 100;
/// Events that a writing thread has ready, at most.
const BATCHES_EVENTS: usize = 60_000;

/// What is compared.
trait Candidate: Sync {
    fn name(&self) -> &'static str;
    fn append(&self, events: &[Event]) -> Vec<String>;
    /// Visits the last events of a user, newest first; gives their number.
    fn history(&self, user: &str) -> usize;
    fn scan(&self, visit: &mut dyn FnMut(&EventRef<'_>));
    fn delete(&self, id: &str) -> bool;
}

struct Lmdb(Embedded);

impl Lmdb {
    fn open(directory: &Path) -> Self {
        let store = Embedded::open(directory).unwrap();
        store.init(SCOPE).unwrap();
        Self(store)
    }
}

impl Candidate for Lmdb {
    fn name(&self) -> &'static str {
        "lmdb"
    }
    fn append(&self, events: &[Event]) -> Vec<String> {
        self.0.append(SCOPE, events).unwrap()
    }
    fn history(&self, user: &str) -> usize {
        let mut count = 0;
        let mut visit = |deed: &Deed<'_>| {
            count += 1;
            std::hint::black_box(deed);
            if count < HISTORY { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.0.history(SCOPE, ("user", user), &mut visit).unwrap();
        count
    }
    fn scan(&self, visit: &mut dyn FnMut(&EventRef<'_>)) {
        let mut visit = |event: &EventRef<'_>| {
            visit(event);
            ControlFlow::Continue(())
        };
        self.0.scan(SCOPE, &mut visit).unwrap();
    }
    fn delete(&self, id: &str) -> bool {
        self.0.delete(SCOPE, id).unwrap()
    }
}

fn open(name: &str, directory: &Path) -> Box<dyn Candidate> {
    match name {
        "lmdb" => Box::new(Lmdb::open(directory)),
        _ => Box::new(sqlite::Sqlite::open(directory)),
    }
}

struct Options {
    events: usize,
    rounds: usize,
    seconds: u64,
    names: Vec<String>,
    directory: PathBuf,
}

impl Options {
    fn parse() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |option: &str| {
            arguments
                .iter()
                .position(|argument| argument == option)
                .and_then(|i| arguments.get(i + 1).cloned())
        };
        let number =
            |option: &str, default| value(option).map_or(default, |text| text.parse().expect(option));
        let directory = value("--directory")
            .map_or_else(|| std::env::temp_dir().join("arblast-store-bench"), PathBuf::from);
        Self {
            events: number("--events", 2_000_000),
            rounds: number("--rounds", 3),
            seconds: number("--seconds", 2) as u64,
            names: value("--only").map_or_else(|| vec!["lmdb".into(), "sqlite".into()], |name| vec![name]),
            directory,
        }
    }
}

fn main() {
    if let Some("--reader") = std::env::args().nth(1).as_deref() {
        return reader();
    }
    let options = Options::parse();
    let _ = std::fs::remove_dir_all(&options.directory);
    let directories: Vec<PathBuf> = options.names.iter().map(|name| options.directory.join(name)).collect();
    let opened: Vec<_> =
        options.names.iter().zip(&directories).map(|(name, path)| open(name, path)).collect();
    let candidates: Vec<&dyn Candidate> = opened.iter().map(AsRef::as_ref).collect();
    let mut bench = Bench { options, directories, candidates, workload: Workload::new() };
    bench.import();
    bench.scan();
    bench.history("history_idle", false, Workload::user);
    bench.history("history_while_writing", true, Workload::user);
    bench.history("history_of_100_idle", false, Workload::busy_user);
    bench.history("history_of_100_while_writing", true, Workload::busy_user);
    bench.other_process();
    bench.durable("append_single_64_threads", 64, 1);
    bench.durable("append_batch_50_8_threads", 8, 50);
    bench.durable("append_batch_50_64_threads", 64, 50);
    bench.durable("append_batch_20000_2_threads", 2, 20_000);
    bench.durable("append_single_1_thread", 1, 1);
    bench.disk();
    disk::limits(&bench.options.directory);
    bench.upsert();
    bench.delete();
    let _ = std::fs::remove_dir_all(&bench.options.directory);
}

struct Bench<'a> {
    options: Options,
    directories: Vec<PathBuf>,
    candidates: Vec<&'a dyn Candidate>,
    workload: Workload,
}

fn report(store: &str, figure: &str, unit: &str, value: f64) {
    println!(
        "{{\"bench\":\"event_store\",\"store\":\"{store}\",\"figure\":\"{figure}\",\"unit\":\"{unit}\",\"value\":{value:.4e}}}"
    );
}

/// Prints medians over rounds.
fn report_rounds(store: &str, figure: &str, unit: &str, mut rounds: Vec<f64>) {
    rounds.sort_by(f64::total_cmp);
    report(store, figure, unit, rounds[rounds.len() / 2]);
}

fn report_latency(store: &str, figure: &str, nanoseconds: &mut [u64]) {
    nanoseconds.sort_unstable();
    for (quantile, name) in [(50, "p50"), (99, "p99")] {
        let value = nanoseconds[(nanoseconds.len() - 1) * quantile / 100];
        report(store, &format!("{figure}_{name}"), "us", value as f64 / 1e3);
    }
}

impl Bench<'_> {
    /// Batches go to the stores in turns; only time within the stores counts.
    fn import(&mut self) {
        let mut spent = vec![Duration::ZERO; self.candidates.len()];
        let mut last = spent.clone();
        for start in (0..self.options.events).step_by(IMPORT_BATCH) {
            let batch = self.workload.batch(IMPORT_BATCH.min(self.options.events - start));
            for (i, candidate) in self.candidates.iter().enumerate() {
                let begin = Instant::now();
                candidate.append(&batch);
                last[i] = begin.elapsed();
                spent[i] += last[i];
            }
        }
        for (i, candidate) in self.candidates.iter().enumerate() {
            let events = self.options.events as f64;
            report(candidate.name(), "import", "events/s", events / spent[i].as_secs_f64());
            report(
                candidate.name(),
                "import_last_batch",
                "events/s",
                IMPORT_BATCH as f64 / last[i].as_secs_f64(),
            );
            report(
                candidate.name(),
                "disk",
                "bytes/event",
                bytes_on_disk(&self.directories[i]) as f64 / events,
            );
        }
    }

    /// After small commits.
    fn disk(&self) {
        for (candidate, directory) in self.candidates.iter().zip(&self.directories) {
            let mut events = 0.0;
            candidate.scan(&mut |_| events += 1.0);
            let bytes = bytes_on_disk(directory) as f64;
            report(candidate.name(), "disk_after_small_commits", "bytes/event", bytes / events);
        }
    }

    fn scan(&self) {
        let mut rates = vec![vec![]; self.candidates.len()];
        for _ in 0..self.options.rounds {
            for (i, candidate) in self.candidates.iter().enumerate() {
                let (mut count, mut content) = (0_usize, 0_usize);
                let begin = Instant::now();
                candidate.scan(&mut |event| {
                    count += 1;
                    content += event.entity_id.len() + event.target.map_or(0, |(_, id)| id.len());
                });
                rates[i].push(count as f64 / begin.elapsed().as_secs_f64());
                assert!(count == self.options.events && content > count);
            }
        }
        for (candidate, rates) in self.candidates.iter().zip(rates) {
            report_rounds(candidate.name(), "scan", "events/s", rates);
        }
    }

    fn history(&mut self, figure: &str, writing: bool, user: fn(&mut Workload) -> String) {
        let mut times = vec![vec![]; self.candidates.len()];
        for _ in 0..self.options.rounds {
            for (i, candidate) in self.candidates.iter().enumerate() {
                let stop = AtomicBool::new(false);
                let users: Vec<String> = (0..5000).map(|_| user(&mut self.workload)).collect();
                let events = self.workload.batch(50);
                std::thread::scope(|threads| {
                    if writing {
                        threads.spawn(|| {
                            while !stop.load(Relaxed) {
                                drop(candidate.append(&events))
                            }
                        });
                    }
                    times[i].extend(time_histories(*candidate, &users));
                    stop.store(true, Relaxed);
                });
            }
        }
        for (candidate, times) in self.candidates.iter().zip(&mut times) {
            report_latency(candidate.name(), figure, times);
        }
    }

    /// Another process reads histories while this one writes.
    fn other_process(&mut self) {
        for (i, candidate) in self.candidates.iter().enumerate() {
            let events = self.workload.batch(50);
            let program = std::env::current_exe().unwrap();
            let mut child = Command::new(program)
                .args(["--reader", candidate.name()])
                .arg(&self.directories[i])
                .spawn()
                .unwrap();
            while child.try_wait().unwrap().is_none() {
                candidate.append(&events);
            }
        }
    }

    /// Acknowledged appends by many threads.
    fn durable(&mut self, figure: &str, threads: usize, size: usize) {
        let mut rates = vec![vec![]; self.candidates.len()];
        let mut times = vec![vec![]; self.candidates.len()];
        for _ in 0..self.options.rounds {
            for (i, candidate) in self.candidates.iter().enumerate() {
                let batches: Vec<Vec<Event>> = (0..threads)
                    .map(|_| self.workload.batch(size * 64usize.min(BATCHES_EVENTS / size)))
                    .collect();
                let limit = Duration::from_secs(self.options.seconds);
                let begin = Instant::now();
                let write = |events: &[Event]| {
                    let mut latencies = Vec::new();
                    for events in events.chunks_exact(size).cycle() {
                        let call = Instant::now();
                        candidate.append(events);
                        latencies.push(u64::try_from(call.elapsed().as_nanos()).unwrap());
                        if begin.elapsed() > limit {
                            break;
                        }
                    }
                    latencies
                };
                let write = &write;
                let latencies: Vec<u64> = std::thread::scope(|scope| {
                    let writers: Vec<_> =
                        batches.iter().map(|events| scope.spawn(move || write(events))).collect();
                    writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
                });
                rates[i].push((latencies.len() * size) as f64 / begin.elapsed().as_secs_f64());
                times[i].extend(latencies);
            }
        }
        for ((candidate, rates), times) in self.candidates.iter().zip(rates).zip(&mut times) {
            report_rounds(candidate.name(), figure, "events/s", rates);
            report_latency(candidate.name(), figure, times);
        }
    }

    /// Events with ids of the client's, then the same once more.
    fn upsert(&mut self) {
        let count = (self.options.events / 10).max(1);
        let batches: Vec<Vec<Event>> = (0..count.div_ceil(IMPORT_BATCH))
            .map(|_| self.workload.with_ids(IMPORT_BATCH.min(count)))
            .collect();
        let events = batches.iter().map(Vec::len).sum::<usize>() as f64;
        for figure in ["import_with_ids", "upsert"] {
            let mut spent = vec![Duration::ZERO; self.candidates.len()];
            for batch in &batches {
                for (spent, candidate) in spent.iter_mut().zip(&self.candidates) {
                    let begin = Instant::now();
                    candidate.append(batch);
                    *spent += begin.elapsed();
                }
            }
            for (spent, candidate) in spent.iter().zip(&self.candidates) {
                report(candidate.name(), figure, "events/s", events / spent.as_secs_f64());
            }
        }
    }

    fn delete(&mut self) {
        let mut rates = vec![vec![]; self.candidates.len()];
        for _ in 0..self.options.rounds {
            let batch = self.workload.batch(2_000);
            for (i, candidate) in self.candidates.iter().enumerate() {
                let ids = candidate.append(&batch);
                let (next, begin) = (AtomicUsize::new(0), Instant::now());
                let work = || {
                    while let Some(id) = ids.get(next.fetch_add(1, Relaxed)) {
                        assert!(candidate.delete(id));
                    }
                };
                std::thread::scope(|threads| (0..64).for_each(|_| drop(threads.spawn(work))));
                rates[i].push(ids.len() as f64 / begin.elapsed().as_secs_f64());
            }
        }
        for (candidate, rates) in self.candidates.iter().zip(rates) {
            report_rounds(candidate.name(), "delete_64_threads", "events/s", rates);
        }
    }
}

fn time_histories(candidate: &dyn Candidate, users: &[String]) -> Vec<u64> {
    let time = |user: &String| {
        let begin = Instant::now();
        std::hint::black_box(candidate.history(user));
        u64::try_from(begin.elapsed().as_nanos()).unwrap()
    };
    users.iter().map(time).collect()
}

/// The other process of [`Bench::other_process`].
fn reader() {
    let arguments: Vec<String> = std::env::args().collect();
    let candidate = open(&arguments[2], Path::new(&arguments[3]));
    let mut workload = Workload::new();
    let users: Vec<String> = (0..10_000).map(|_| workload.user()).collect();
    let mut times = time_histories(candidate.as_ref(), &users);
    report_latency(candidate.name(), "history_in_other_process_while_writing", &mut times);
}

fn bytes_on_disk(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512).sum()
}

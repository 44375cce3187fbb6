//! The whole product without its edges: events into the embedded store, a train from it, queries with stored history.
//! Prints one JSON line per figure.
//!
//! `cargo bench -p arblast --bench engine -- FOLDER` with `FOLDER/purchase.csv` and `FOLDER/view.csv` of `user,item` lines,
//! as `bench/gen.py` makes them.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]
#![allow(missing_docs, reason = "a benchmark")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::{EngineConfig, Leniency, Observer, Query, Recommender, TrainOptions, TrainReport};
use events::{Deed, Entity, Event, EventRef, EventTime, Scope, json::Object};
use model::Model;
use stores::Storage;

const SCOPE: Scope = Scope { app: 1, channel: None };
/// 2026-01-10T00:00Z; events lie within the hours before.
const NOW: i64 = 1_768_003_200_000;
/// Events per durable append, as in an import.
const BATCH: usize = 50_000;
const QUERIES: usize = 5_000;

struct Silent;

impl Observer for Silent {
    fn stage(&self, _: &str, _: u64) {}
    fn progress(&self, _: u64) {}
    fn preflight(&self, _: &TrainReport) {}
}

fn main() {
    let folder = std::env::args().skip(1).find(|word| !word.starts_with("--"));
    let folder = PathBuf::from(folder.unwrap_or_else(|| {
        eprintln!("usage: cargo bench -p arblast --bench engine -- FOLDER");
        std::process::exit(1)
    }));
    let home = tempfile::tempdir_in(&folder).unwrap();
    let storage = stores::open(home.path()).unwrap();
    storage.events.init(SCOPE).unwrap();
    let users = fill(&storage, &folder);
    scan(&storage);
    let (config, model) = train(&storage, home.path());
    query(&storage, config, &model, &users);
}

/// Users to ask for.
struct Users {
    /// Who bought something just now: the more active, the more often.
    active: Vec<String>,
    /// Everybody equally often.
    any: Vec<String>,
}

/// Stores the events; gives some users.
fn fill(storage: &Storage, folder: &Path) -> Users {
    let mut batch = Vec::with_capacity(BATCH);
    let (mut active, mut all) = (Vec::new(), BTreeSet::new());
    let (mut events, mut seconds) = (0_i64, 0.0);
    let mut append = |batch: &mut Vec<Event>| {
        let start = Instant::now();
        storage.events.append(SCOPE, batch).unwrap();
        seconds += start.elapsed().as_secs_f64();
        batch.clear();
    };
    for name in ["purchase", "view"] {
        let text = std::fs::read_to_string(folder.join(name).with_extension("csv")).unwrap();
        for line in text.lines() {
            let (user, item) = line.split_once(',').unwrap();
            batch.push(event(name, user, item, NOW - 1 - events % 86_400_000));
            events += 1;
            if name == "purchase" {
                all.insert(user.to_owned());
                if events % 401 == 0 {
                    active.push(user.to_owned());
                }
            }
            if batch.len() == BATCH {
                append(&mut batch);
            }
        }
    }
    append(&mut batch);
    let bytes = disk_bytes(&storage.models.path().join("../store"));
    println!(
        r#"{{"bench":"store append","events":{events},"seconds":{seconds:.2},"events_per_s":{:.0},"bytes_per_event":{:.1}}}"#,
        events as f64 / seconds,
        bytes as f64 / events as f64
    );
    let step = (all.len() / QUERIES).max(1);
    Users { active, any: all.into_iter().step_by(step).collect() }
}

fn event(name: &str, user: &str, item: &str, millis: i64) -> Event {
    let at = EventTime { millis, offset_seconds: 0 };
    Event {
        event_id: None,
        event: name.to_owned(),
        entity: Entity { kind: "user".to_owned(), id: user.to_owned() },
        target: Some(Entity { kind: "item".to_owned(), id: item.to_owned() }),
        properties: Object::new(),
        event_time: at,
        pr_id: None,
        tags: Vec::new(),
        creation_time: at,
    }
}

fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum()
}

fn scan(storage: &Storage) {
    let (mut events, start) = (0_u64, Instant::now());
    let count = &mut |event: &EventRef<'_>| {
        events += u64::from(event.target.is_some());
        ControlFlow::Continue(())
    };
    storage.events.scan(SCOPE, count).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        r#"{{"bench":"store scan","events":{events},"seconds":{seconds:.2},"events_per_s":{:.0}}}"#,
        events as f64 / seconds
    );
}

fn train(storage: &Storage, home: &Path) -> (EngineConfig, Model) {
    let text = br#"{"id":"bench","engineFactory":"com.actionml.RecommendationEngine",
        "datasource":{"params":{"appName":"bench","eventNames":["purchase","view"]}},
        "algorithms":[{"name":"ur","params":{"appName":"bench","indexName":"bench","typeName":"items","eventNames":["purchase","view"]}}]}"#;
    let (config, _) = EngineConfig::parse(text, Leniency::Strict, &|_| None).unwrap();
    let start = Instant::now();
    let options = TrainOptions { threads: 2, now_ms: NOW };
    let trained = engine::train(&config, storage.events.as_ref(), SCOPE, None, options, &Silent).unwrap();
    let trained_s = start.elapsed().as_secs_f64();
    let path = home.join("model");
    model::write(&trained.parts, std::fs::File::create(&path).unwrap()).unwrap();
    let written_s = start.elapsed().as_secs_f64() - trained_s;
    drop(trained);
    let start = Instant::now();
    let model = Model::open(&path).unwrap();
    println!(
        r#"{{"bench":"train","items":{},"correlators":{},"train_s":{trained_s:.2},"write_s":{written_s:.2},"open_s":{:.4},"model_bytes":{}}}"#,
        model.items(),
        model.counts().correlators,
        start.elapsed().as_secs_f64(),
        model.counts().bytes
    );
    (config, model)
}

/// What a user's recommendations take: with the stored history, its reading alone, and with the history in the query.
fn query(storage: &Storage, config: EngineConfig, model: &Model, users: &Users) {
    let recommender = Recommender::new(config, storage.events.clone(), SCOPE);
    let ask = |query: String| {
        let query = Query::parse(query.as_bytes()).unwrap();
        let start = Instant::now();
        let answer = recommender.recommend(model, &query, NOW).unwrap();
        assert!(!answer.items.is_empty());
        start.elapsed()
    };
    let inline = |user: &String| {
        let history = history_of(storage, user).1.join(",");
        ask(format!(r#"{{"history":[{history}]}}"#))
    };
    let stored = |user: &String| ask(format!(r#"{{"user":"{user}"}}"#));
    percentiles("query, any user", &users.any, stored);
    percentiles("query, active user", &users.active, stored);
    percentiles("query, active user, history inline", &users.active, inline);
    percentiles("whole history, any user", &users.any, |user| history_of(storage, user).0);
    percentiles("whole history, active user", &users.active, |user| history_of(storage, user).0);
}

/// All that a user bought and looked at, as inline history, and the time that reading took.
fn history_of(storage: &Storage, user: &str) -> (Duration, Vec<String>) {
    let (mut events, start) = (Vec::new(), Instant::now());
    let visit = &mut |deed: &Deed<'_>| {
        events.push((deed.event.to_owned(), deed.target.map_or_else(String::new, |(_, id)| id.to_owned())));
        ControlFlow::Continue(())
    };
    storage.events.history(SCOPE, ("user", user), visit).unwrap();
    let seconds = start.elapsed();
    let json = |(event, item): (String, String)| format!(r#"{{"event":"{event}","item":"{item}"}}"#);
    (seconds, events.into_iter().map(json).collect())
}

fn percentiles(name: &str, users: &[String], mut run: impl FnMut(&String) -> Duration) {
    users.iter().take(QUERIES / 10).for_each(|user| _ = run(user));
    let mut times: Vec<Duration> = users.iter().cycle().take(QUERIES).map(run).collect();
    times.sort_unstable();
    let micros = |permille: usize| times[(times.len() - 1) * permille / 1000].as_secs_f64() * 1e6;
    println!(
        r#"{{"bench":"{name}","runs":{QUERIES},"p50_us":{:.0},"p99_us":{:.0},"max_us":{:.0}}}"#,
        micros(500),
        micros(990),
        micros(1000)
    );
}

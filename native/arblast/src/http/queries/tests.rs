//! The query server through HTTP, on a store that can hang and fail.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use engine::{EngineConfig, Leniency, Observer, TrainOptions, TrainReport};
use events::conformance::{Deviation, Double};
use events::{
    EngineInstance, Event, EventStore, EventTime, InstanceStatus, Json, Kind, NewApp, Scope, Visit,
    VisitDeed, json,
};
use stores::Storage;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::Ingest;
use super::{Engines, Limits, QueryServer, Settings};
use crate::deployable::Deployable;
use crate::http::Intake;
use crate::jobs::TrainJob;

const ENGINE: &str = r#"{"engineId":"e","engineFactory":"com.actionml.engines.ur.UREngine",
    "algorithm":{"indicators":[{"name":"buy"},{"name":"view"}]}}"#;
/// For what must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// A deadline of histories that no test sees: more than a client waits.
const NEVER_MS: u64 = 120_000;

/// Lets through, or holds until it opens.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set_closed(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let closed = self.closed.lock().unwrap();
        let _open = self.opened.wait_while(closed, |closed| *closed).unwrap();
    }
}

#[derive(Default)]
struct Gated {
    history: Gate,
    scan: Gate,
    fails: AtomicBool,
    reading: AtomicUsize,
    reading_most: AtomicUsize,
}

impl Deviation for Gated {
    fn history(
        &self,
        store: &dyn EventStore,
        scope: Scope,
        entity: (&str, &str),
        visit: VisitDeed<'_>,
    ) -> events::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(events::Error::new(Kind::Unavailable, "the disk is away"));
        }
        let reading = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        self.reading_most.fetch_max(reading, Ordering::SeqCst);
        self.history.pass();
        self.reading.fetch_sub(1, Ordering::SeqCst);
        store.history(scope, entity, visit)
    }
    fn scan(&self, store: &dyn EventStore, scope: Scope, visit: Visit<'_>) -> events::Result<()> {
        self.scan.pass();
        store.scan(scope, visit)
    }
}

struct Silent;

impl Observer for Silent {
    fn stage(&self, _: &str, _: u64) {}
    fn progress(&self, _: u64) {}
    fn preflight(&self, _: &TrainReport) {}
}

fn config() -> EngineConfig {
    EngineConfig::parse(ENGINE.as_bytes(), Leniency::Strict, &|_| None).unwrap().0
}

/// A trained engine: two groups of users, each of which buys among its own things.
struct Shop {
    home: TempDir,
    storage: Storage,
    gated: Arc<Double<Gated>>,
}

impl Shop {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut storage = stores::open(home.path()).unwrap();
        let app = NewApp { id: None, name: "e".to_owned(), description: None };
        let scope = Scope { app: storage.registry.create_app(&app).unwrap().id, channel: None };
        storage.events.init(scope).unwrap();
        let now = EventTime::utc(1_768_003_200_000);
        let buys = (0..40).flat_map(|user| {
            (0..6).filter(move |item| (user / 2 + item) % 3 > 0).map(move |item| (user, item))
        });
        let buy = |(user, item)| {
            let group = user % 2;
            let text = format!(
                r#"{{"event":"buy","entityType":"user","entityId":"u{user}","targetEntityType":"item","targetEntityId":"g{group}-{item}"}}"#
            );
            Event::parse(text.as_bytes(), now).unwrap()
        };
        storage.events.append(scope, &buys.map(buy).collect::<Vec<_>>()).unwrap();
        let gated = Arc::new(Double::of(Arc::clone(&storage.events), Gated::default()));
        storage.events = Arc::<Double<Gated>>::clone(&gated);
        let shop = Self { home, storage, gated };
        let options = TrainOptions { threads: 1, now_ms: now.millis };
        let config = config();
        let storage = &shop.storage;
        TrainJob {
            storage,
            config: &config,
            config_text: ENGINE,
            batch: "",
            options,
            force: true,
            spark: None,
            road: None,
        }
        .run(&Silent)
        .unwrap();
        shop
    }

    fn serve(self, settings: Settings) -> Served {
        let runtime = Runtime::new().unwrap();
        let storage = self.storage.clone();
        let ingest = Arc::new(Ingest::start(Arc::clone(&storage.events), 100).unwrap());
        let intake = Intake::new(&storage, ingest, settings.lenient_json);
        let engines = Engines::open(storage.clone(), intake, self.home.path().to_path_buf());
        let load = Box::new(move || Ok(Some(Deployable::new(config(), ENGINE.to_owned(), None))));
        let port = runtime.block_on(async {
            let server = QueryServer::new(load, engines, settings).unwrap();
            server.open().unwrap();
            let listener = crate::http::listen("127.0.0.1:0".parse().unwrap(), false).unwrap();
            let port = listener.local_addr().unwrap().port();
            let front = crate::http::Front::new(
                "queries",
                listener,
                &crate::settings::Settings::with(&[]),
                &crate::observe::metrics::Metrics::new(),
            )
            .unwrap();
            tokio::spawn(server.run(front, axum::Router::new(), || {}, || {}));
            port
        });
        Served { shop: self, port, runtime: Some(runtime) }
    }
}

struct Served {
    shop: Shop,
    port: u16,
    runtime: Option<Runtime>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shop.gated.history.set_closed(false);
        self.shop.gated.scan.set_closed(false);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    /// In lower case.
    head: String,
    json: Json,
}

impl Reply {
    fn text(&self, name: &str) -> &str {
        self.json.get(name).and_then(Json::as_str).unwrap_or_else(|| panic!("{name}: {self:?}"))
    }

    fn is_degraded(&self) -> bool {
        self.head.contains("\r\nx-arblast-degraded: history")
    }
}

fn ask(port: u16, method: &str, path: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_lowercase(), json: json::parse(body.as_bytes()).unwrap() }
}

impl Served {
    fn ask(&self, body: &str) -> Reply {
        ask(self.port, "POST", "/queries.json", body)
    }

    fn job(&self, path: &str) -> Reply {
        ask(self.port, "GET", path, "")
    }
}

fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Polls until `is` holds.
fn until(what: &str, is: impl Fn() -> bool) {
    let asked = Instant::now();
    while !is() {
        assert!(asked.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn limits(queries_max: usize, threads_max: usize, history_timeout_ms: u64) -> Settings {
    // Long enough for any machine.
    let wait_max = Duration::from_secs(60);
    let answering = Limits { queries_max, threads_max, history_timeout_ms, wait_max };
    Settings { answering, ..Settings::default() }
}

#[test]
fn a_history_that_fails_is_done_without_and_the_answer_says_so() {
    let served = Shop::new().serve(limits(1024, 32, NEVER_MS));
    let healthy = served.ask(r#"{"user":"u1","withDegraded":true}"#);
    assert!(healthy.status == 200 && !healthy.is_degraded(), "{healthy:?}");
    assert!(healthy.head.contains("\r\nx-arblast-generation: 1"), "{healthy:?}");
    served.shop.gated.fails.store(true, Ordering::SeqCst);
    let silent = served.ask(r#"{"user":"u1"}"#);
    assert!(silent.status == 200 && silent.is_degraded(), "{silent:?}");
    assert!(silent.json.get("degraded").is_none() && silent.json != healthy.json, "{silent:?}");
    let told = served.ask(r#"{"user":"u1","withDegraded":true}"#);
    assert_eq!(told.json.get("degraded"), Some(&Json::Bool(true)));
    let anonymous = served.ask(r#"{"item":"g0-1","withDegraded":true}"#);
    assert!(anonymous.status == 200 && !anonymous.is_degraded(), "{anonymous:?}");
    let batch = ask(served.port, "POST", "/batch/queries.json", r#"[{"user":"u1"},{"item":"g0-1"}]"#);
    assert!(batch.status == 200 && batch.is_degraded(), "{batch:?}");
}

#[test]
fn a_store_that_hangs_takes_its_threads_and_no_more() {
    let served = Shop::new().serve(limits(1024, 3, 500));
    let mut healthy = served.ask(r#"{"user":"u1"}"#);
    // a busy machine may take longer than the deadline even so
    for _ in 0..20 {
        if !healthy.is_degraded() {
            break;
        }
        healthy = served.ask(r#"{"user":"u1"}"#);
    }
    assert!(!healthy.is_degraded(), "{healthy:?}");
    served.shop.gated.history.set_closed(true);
    let asking: Vec<_> = (0..24)
        .map(|_| {
            let port = served.port;
            std::thread::spawn(move || ask(port, "POST", "/queries.json", r#"{"user":"u1"}"#))
        })
        .collect();
    for reply in asking.into_iter().map(|thread| thread.join().unwrap()) {
        assert!(reply.status == 200 && reply.is_degraded(), "{reply:?}");
    }
    until("all threads hang", || {
        served.ask(r#"{"user":"u1"}"#).is_degraded() && served.shop.gated.reading.load(Ordering::SeqCst) == 3
    });
    assert_eq!(served.shop.gated.reading_most.load(Ordering::SeqCst), 3);
    assert!(!served.ask(r#"{"item":"g0-1"}"#).is_degraded());
    served.shop.gated.history.set_closed(false);
    until("histories come back", || {
        let reply = served.ask(r#"{"user":"u1"}"#);
        !reply.is_degraded() && reply.json == healthy.json
    });
}

#[test]
fn clients_that_went_away_do_not_keep_threads() {
    let served = Shop::new().serve(limits(1024, 2, NEVER_MS));
    served.shop.gated.history.set_closed(true);
    let body = r#"{"user":"u1"}"#;
    let gone: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
            let length = body.len();
            write!(
                stream,
                "POST /queries.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .unwrap();
            stream
        })
        .collect();
    until("both are being answered", || served.shop.gated.reading.load(Ordering::SeqCst) == 2);
    drop(gone);
    // A query that came before the server saw them go would wait for its deadline, and we not so long.
    until("their threads are given up", || metrics(served.port).contains("arblast_history_stuck 2"));
    until("a query is not kept waiting by them", || served.ask(body).is_degraded());
    served.shop.gated.history.set_closed(false);
    until("histories come back", || !served.ask(body).is_degraded());
}

#[test]
fn more_queries_than_there_is_room_for_are_refused() {
    let served = Shop::new().serve(limits(1, 4, NEVER_MS));
    served.shop.gated.history.set_closed(true);
    let port = served.port;
    let first = std::thread::spawn(move || ask(port, "POST", "/queries.json", r#"{"user":"u1"}"#));
    until("the first is being answered", || served.shop.gated.reading.load(Ordering::SeqCst) == 1);
    let refused = served.ask(r#"{"user":"u1"}"#);
    assert!(refused.status == 503 && refused.head.contains("\r\nretry-after: 1"), "{refused:?}");
    assert!(refused.text("message").contains("too many queries"), "{refused:?}");
    let batch = ask(port, "POST", "/batch/queries.json", "[{}]");
    assert_eq!(batch.json.as_array().unwrap()[0].get("status").and_then(Json::as_i64), Some(503));
    served.shop.gated.history.set_closed(false);
    let first = first.join().unwrap();
    assert!(first.status == 200 && !first.is_degraded(), "{first:?}");
    assert_eq!(served.ask("{}").status, 200);
}

#[test]
fn a_train_runs_beside_the_queries_and_can_be_cancelled() {
    let served = Shop::new().serve(Settings::default());
    let jobs = "/engines/e/jobs";
    served.shop.gated.scan.set_closed(true);
    let begun = ask(served.port, "POST", jobs, r#"{"batch":"nightly"}"#);
    assert!(begun.status == 202 && begun.text("status") == "executing", "{begun:?}");
    let path = format!("{jobs}/{}", begun.text("jobId"));
    assert!(begun.head.contains(&format!("\r\nlocation: {path}")), "{begun:?}");
    until("its stage is written", || served.job(&path).json.get("stage") == Some(&Json::from("read")));
    assert_eq!(ask(served.port, "POST", jobs, "").status, 409);
    assert_eq!(served.ask(r#"{"user":"u1"}"#).status, 200);
    let engine = ask(served.port, "GET", "/engines/e", "");
    assert_eq!(engine.text("status"), "training");
    assert_eq!(ask(served.port, "DELETE", &path, "").status, 202);
    until("it heard", || served.job(&path).json.get("cancelling") == Some(&Json::Bool(true)));
    let running = served.job(&path);
    assert!(EventTime::parse_date(running.text("seen")).is_some(), "{running:?}");
    assert!(running.json.get("seenMs").is_none(), "{running:?}");
    served.shop.gated.scan.set_closed(false);
    until("it ended", || served.job(&path).text("status") == "cancelled");
    assert_eq!(ask(served.port, "DELETE", &path, "").status, 409);
    assert!(served.job(&path).json.get("endTime").is_some());
    until("the status says the same word", || {
        let report = ask(served.port, "GET", "/status.json", "").json;
        let run = report.get("history").and_then(|history| history.get("runs")?.as_array()?.first().cloned());
        run.is_some_and(|run| {
            run.get("status") == Some(&Json::from("cancelled")) && run.get("reason") == Some(&Json::Null)
        })
    });
    let again = ask(served.port, "POST", jobs, r#"{"threads":1,"force":true}"#);
    let path = format!("{jobs}/{}", again.text("jobId"));
    until("the next one succeeds", || served.job(&path).text("status") == "successful");
    let done = served.job(&path);
    assert_eq!(done.json.get("generation").and_then(Json::as_i64), Some(2), "{done:?}");
    assert!(!done.json.get("stages").and_then(Json::as_array).unwrap().is_empty(), "{done:?}");
    until("it serves", || served.ask("{}").head.contains("\r\nx-arblast-generation: 2"));
    let all = served.job(jobs);
    assert_eq!(all.json.as_array().unwrap().len(), 3, "{all:?}");
}

#[test]
fn a_train_ends_with_its_server_and_says_so() {
    let served = Shop::new().serve(Settings::default());
    let storage = served.shop.storage.clone();
    let newest = || storage.registry.instances().unwrap().into_iter().next().unwrap();
    served.shop.gated.scan.set_closed(true);
    let begun = ask(served.port, "POST", "/engines/e/jobs", "");
    let id = begun.text("jobId").to_owned();
    until("its stage is written", || newest().report.contains("\"stage\":\"read\""));
    assert_eq!(ask(served.port, "POST", "/stop", "").status, 200);
    until("it is noted", || newest().report.contains("\"stopping\":true"));
    served.shop.gated.scan.set_closed(false);
    let reason = |status: &InstanceStatus| match status {
        InstanceStatus::Failed(reason) => reason.clone(),
        other => format!("{other:?}"),
    };
    until("it ended", || newest().status != InstanceStatus::Init);
    let ended = newest();
    assert_eq!(ended.id, id);
    assert!(reason(&ended.status).contains("server was stopped"), "{ended:?}");
    // A process that ends before its train could: whoever looks next tells the same.
    let cut = EngineInstance {
        id: "cut".to_owned(),
        status: InstanceStatus::Init,
        report: r#"{"stopping":true}"#.to_owned(),
        ..ended
    };
    storage.registry.put_instance(&cut).unwrap();
    let found = crate::jobs::runs(&storage, "e", "e").unwrap();
    let found = found.iter().find(|run| run.id == "cut").unwrap();
    assert!(reason(&found.status).contains("server was stopped"), "{found:?}");
}

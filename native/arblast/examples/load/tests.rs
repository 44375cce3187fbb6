//! The modes against a small server that knows what it was sent.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use events::{Event, EventTime, Json, json};

use crate::closed::{AckLog, Kind, Plan};
use crate::overload::{Overload, missing};
use crate::workload;

/// Keeps ids; refuses every tenth single event, and forgets every hundredth.
#[derive(Default)]
struct Shop {
    ids: Mutex<BTreeSet<String>>,
    requests: AtomicU64,
    events: AtomicU64,
}

type Server = State<Arc<Shop>>;

impl Shop {
    fn store(&self, event: &[u8]) -> String {
        let event = Event::parse(event, EventTime::utc(0)).unwrap();
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let id = event.event_id.unwrap_or_else(|| format!("id {number}/ü"));
        self.ids.lock().unwrap().insert(id.clone());
        id
    }
}

async fn single(State(shop): Server, body: String) -> Response {
    let number = shop.requests.fetch_add(1, Ordering::Relaxed);
    if number % 10 == 9 {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], "{}").into_response();
    }
    let id = shop.store(body.as_bytes());
    if number % 100 == 50 {
        shop.ids.lock().unwrap().remove(&id);
    }
    (StatusCode::CREATED, format!("{{\"eventId\":\"{id}\"}}")).into_response()
}

async fn batch(State(shop): Server, body: String) -> String {
    let events = json::parse(body.as_bytes()).unwrap();
    let status = |event: &Json| {
        format!("{{\"status\":201,\"eventId\":\"{}\"}}", shop.store(event.to_string().as_bytes()))
    };
    let list: Vec<String> = events.as_array().unwrap().iter().map(status).collect();
    format!("[{}]", list.join(","))
}

async fn ndjson(State(shop): Server, body: String) -> String {
    let ids: Vec<String> = body.lines().map(|line| shop.store(line.as_bytes())).collect();
    let stored = ids.len();
    format!("{{\"stored\":{stored}}}\n")
}

async fn one(State(shop): Server, Path(file): Path<String>) -> StatusCode {
    let id = file.strip_suffix(".json").unwrap();
    if shop.ids.lock().unwrap().contains(id) { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

async fn query(body: String) -> &'static str {
    let query = json::parse(body.as_bytes()).unwrap();
    let known = query.get("user").and_then(Json::as_str) == Some("maya");
    if known { r#"{"itemScores":[{"item":"i1","score":1.0}]}"# } else { r#"{"itemScores":[]}"# }
}

async fn serve() -> (Arc<Shop>, SocketAddr) {
    let shop = Arc::new(Shop::default());
    let router = Router::new()
        .route("/events.json", post(single))
        .route("/batch/events.json", post(batch))
        .route("/events.ndjson", post(ndjson))
        .route("/events/{file}", get(one))
        .route("/queries.json", post(query))
        .with_state(Arc::clone(&shop));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (shop, address)
}

fn plan(kind: Kind, address: SocketAddr, acknowledged: Option<AckLog>) -> Arc<Plan> {
    let timeout = Duration::from_secs(5);
    let access_key = "key".to_owned();
    Arc::new(Plan { kind, address, access_key, seed: 1, users: 50, items: 20, timeout, acknowledged })
}

const TIME: Duration = Duration::from_millis(200);

#[tokio::test]
async fn what_is_acknowledged_is_counted_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = [
        Kind::Batch { size: 7 },
        Kind::Ndjson { lines: 11, chunked: true },
        Kind::Ndjson { lines: 3, chunked: false },
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let (shop, address) = serve().await;
        let file = folder.path().join(number.to_string());
        let figures = plan(kind, address, Some(AckLog::create(&file))).run(4, TIME).await;
        assert!(figures.good > 0);
        assert_eq!(figures.errors(), "none");
        let written: BTreeSet<String> = workload::ids(&file).into_iter().collect();
        assert_eq!(written.len() as u64, figures.good);
        assert_eq!(written, *shop.ids.lock().unwrap());
    }
}

#[tokio::test]
async fn refusals_are_counted_and_lost_events_are_found() {
    let (shop, address) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let plan = plan(Kind::Single, address, Some(AckLog::create(&file)));
    let figures = plan.run(4, TIME).await;
    let requests = shop.requests.load(Ordering::Relaxed);
    assert_eq!(figures.latencies.len() as u64, requests);
    assert_eq!(figures.bad.get("429").copied().unwrap_or_default(), requests / 10);
    assert_eq!(figures.good, requests - requests / 10);
    assert_eq!(figures.without_retry_after, 0);
    let ids = workload::ids(&file);
    let lost = ids.iter().filter(|id| !shop.ids.lock().unwrap().contains(*id)).count();
    assert!(lost > 0);
    assert_eq!(missing(&plan, ids).await.len(), lost);
}

#[tokio::test]
async fn queries_with_and_without_items_are_told_apart() {
    let (_, address) = serve().await;
    let users = vec!["maya".to_owned(), "nobody".to_owned()];
    let figures = plan(Kind::Queries { users, num: Some(4) }, address, None).run(2, TIME).await;
    assert!(figures.good > 0 && figures.bad.contains_key("empty answer"), "{figures:?}");
    assert_eq!(figures.bad.len(), 1);
}

#[tokio::test]
async fn an_overload_sends_a_multiple_and_looks_up_events() {
    let (shop, address) = serve().await;
    let overload = Overload {
        times: 2.0,
        sustained_time: TIME,
        clients: 8,
        time: Duration::from_secs(1),
        verify: 100_000,
        server_pid: Some(std::process::id()),
    };
    let row = overload.run(&plan(Kind::Single, address, None)).await;
    let number = |name: &str| row.get(name).and_then(Json::as_i64).unwrap();
    assert!(number("offered") > 0 && number("sustained_per_s") > 0, "{row}");
    assert!(shop.requests.load(Ordering::Relaxed).cast_signed() >= number("looked_up"), "{row}");
    let answers = row.get("answers").and_then(Json::as_str).unwrap();
    assert!(answers.starts_with(&format!("201: {}, 429: ", number("looked_up"))), "{row}");
    assert!(number("missing") > 0 && number("missing") < number("looked_up"), "{row}");
    assert!(row.get("server_anonymous_peak_mb").is_some() && row.get("server_mapped_peak_mb").is_some());
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_not_an_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let figures = plan(Kind::Single, address, None).run(2, TIME).await;
    assert_eq!(figures.good, 0);
    assert_eq!(figures.bad.keys().collect::<Vec<_>>(), ["connection refused"]);
}

//! The query server: `POST /queries.json`, status, health, reload and stop.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use events::json::{Number, Object};
use events::{EventTime, Json, Kind};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

use super::{reply, serve, termination};
use crate::clock;
use crate::failure::{Failure, Result};
use crate::identity::VERSION;
use crate::serving::Serving;

/// Limits of a query server.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// A longer query is refused.
    pub query_bytes_max: usize,
    /// Queries that are computed or wait for a thread at the same time; more are refused.
    pub queries_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { query_bytes_max: 1 << 20, queries_max: 1024 }
    }
}

/// Makes the engine anew, from its file as it is now.
pub type Load = Box<dyn Fn() -> Result<Serving> + Send + Sync>;

/// A query server.
pub struct QueryServer {
    serving: RwLock<Arc<Serving>>,
    load: Load,
    settings: Settings,
    permits: Arc<Semaphore>,
    stop: Notify,
    statistics: Statistics,
    started_ms: i64,
}

#[derive(Default)]
struct Statistics {
    answered: AtomicU64,
    failed: AtomicU64,
    last_micros: AtomicU64,
    total_micros: AtomicU64,
}

type Server = State<Arc<QueryServer>>;

impl QueryServer {
    /// Serves what `load` gives now, and again after each `/reload`.
    pub fn new(load: Load, settings: Settings) -> Result<Self> {
        Ok(Self {
            serving: RwLock::new(Arc::new(load()?)),
            load,
            settings,
            permits: Arc::new(Semaphore::new(settings.queries_max)),
            stop: Notify::new(),
            statistics: Statistics::default(),
            started_ms: clock::now_ms(),
        })
    }

    /// Answers requests until the process is asked to end, or `/stop`. `ready` is called when both would be heard.
    pub async fn run(self, listener: TcpListener, ready: impl FnOnce()) -> Result<()> {
        let server = Arc::new(self);
        let terminated = termination()?;
        let stopped = Arc::clone(&server);
        let stop = async move {
            tokio::select! {
                () = stopped.stop.notified() => {}
                () = terminated => {}
            }
        };
        ready();
        serve(listener, server.router(), stop).await
    }

    fn router(self: Arc<Self>) -> Router {
        let method_missing =
            || async { reply::message(StatusCode::METHOD_NOT_ALLOWED, "method not allowed") };
        let nothing_here =
            || async { reply::message(StatusCode::NOT_FOUND, "nothing here; POST queries to /queries.json") };
        Router::new()
            .route("/", get(status))
            .route("/queries.json", post(queries).fallback(method_missing))
            .route("/health", get(health))
            .route("/reload", get(reload).post(reload))
            .route("/stop", get(stop).post(stop))
            .fallback(any(nothing_here))
            .with_state(self)
    }

    fn serving(&self) -> Arc<Serving> {
        Arc::clone(&self.serving.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, started: Instant, ok: bool) {
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let statistics = &self.statistics;
        if ok {
            statistics.answered.fetch_add(1, Ordering::Relaxed);
            statistics.last_micros.store(micros, Ordering::Relaxed);
            statistics.total_micros.fetch_add(micros, Ordering::Relaxed);
        } else {
            statistics.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn described(&self) -> Result<Object> {
        let serving = self.serving();
        let current = serving.current();
        let config = serving.config();
        let counts = current.model.counts();
        let model = Object::new()
            .with("generation", current.number)
            .with("digest", current.info.digest.as_str())
            .with("items", counts.items)
            .with("users", counts.users)
            .with("correlators", counts.correlators);
        Ok(Object::new()
            .with("status", "alive")
            .with("server", "arblast query server")
            .with("version", VERSION)
            .with("app", config.app_name.as_str())
            .with("variant", config.variant.as_str())
            .with("startTime", EventTime::utc(self.started_ms).to_string())
            .with("model", model)
            .with("requestCount", self.statistics.answered.load(Ordering::Relaxed))
            .with("failedCount", self.statistics.failed.load(Ordering::Relaxed))
            .with("avgServingSec", self.statistics.average_seconds())
            .with("lastServingSec", seconds(self.statistics.last_micros.load(Ordering::Relaxed))))
    }
}

impl Statistics {
    fn average_seconds(&self) -> Json {
        let answered = self.answered.load(Ordering::Relaxed).max(1);
        seconds(self.total_micros.load(Ordering::Relaxed) / answered)
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn seconds(micros: u64) -> Json {
    Number::real(micros as f64 / 1e6).map_or(Json::Null, Json::Number)
}

async fn queries(State(server): Server, request: Request) -> Response {
    let started = Instant::now();
    let answer = answer(&server, request.into_body()).await;
    server.count(started, answer.is_ok());
    answer.map_or_else(IntoResponse::into_response, |text| reply::json(StatusCode::OK, text))
}

async fn answer(server: &Arc<QueryServer>, body: Body) -> Result<String> {
    let limit = server.settings.query_bytes_max;
    let body = to_bytes(body, limit).await.map_err(|error| {
        Failure::invalid(format!("the query cannot be read, or has more than {limit} bytes: {error}"))
    })?;
    let permit = Arc::clone(&server.permits)
        .try_acquire_owned()
        .map_err(|_| Failure::new(Kind::Unavailable, "too many queries at the same time; try again"))?;
    let serving = server.serving();
    blocking(move || {
        let _permit = permit;
        serving.answer(&body).map(|answer| answer.to_json())
    })
    .await
}

/// Runs work that computes or reads files away from the threads that serve connections.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result
        .unwrap_or_else(|_| Err(Failure::new(Kind::Internal, "the request failed by a defect of the server")))
}

async fn status(State(server): Server, headers: HeaderMap) -> Response {
    let described = match blocking(move || server.described()).await {
        Ok(described) => described,
        Err(failure) => return failure.into_response(),
    };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        Html(page(&described)).into_response()
    } else {
        reply::json(StatusCode::OK, described.to_string())
    }
}

/// The status as a plain table.
fn page(described: &Object) -> String {
    let mut rows = String::new();
    for (name, value) in described.iter() {
        let members = value.as_object().into_iter().flat_map(Object::iter);
        let nested = members.map(|(inner, value)| (format!("{name}.{inner}"), value));
        let own = value.as_object().is_none().then(|| (name.to_owned(), value));
        for (name, value) in own.into_iter().chain(nested) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            rows.push_str(&format!("<tr><th align=left>{}<td>{}\n", escaped(&name), escaped(&text)));
        }
    }
    format!(
        "<!doctype html><meta charset=utf-8><title>Arblast</title><h1>Arblast query server</h1><table>\n{rows}</table>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

async fn health(State(server): Server) -> Response {
    let described = blocking(move || {
        let serving = server.serving();
        let mut healthy = Object::new().with("status", "ok").with("generation", serving.current().number);
        if let Some(failure) = serving.refused() {
            healthy.insert("warning", format!("the newest model does not serve: {failure}"));
        }
        Ok(healthy)
    });
    match described.await {
        Ok(healthy) => reply::json(StatusCode::OK, healthy.to_string()),
        Err(failure) => reply::message(StatusCode::SERVICE_UNAVAILABLE, failure.to_string()),
    }
}

/// Reads the engine file again and takes the newest model; what was served stays if that fails.
async fn reload(State(server): Server, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Response {
    if let Some(refusal) = refusal(peer) {
        return refusal;
    }
    let loading = Arc::clone(&server);
    match blocking(move || (loading.load)()).await {
        Ok(fresh) => {
            *server.serving.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
            reply::message(StatusCode::OK, "Reloading...")
        }
        Err(failure) => failure.into_response(),
    }
}

async fn stop(State(server): Server, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Response {
    if let Some(refusal) = refusal(peer) {
        return refusal;
    }
    server.stop.notify_one();
    reply::message(StatusCode::OK, "Shutting down...")
}

/// Without a key only the machine itself may control the server.
fn refusal(peer: SocketAddr) -> Option<Response> {
    let local = peer.ip().to_canonical().is_loopback();
    (!local).then(|| reply::message(StatusCode::UNAUTHORIZED, "only requests from this machine may do that"))
}

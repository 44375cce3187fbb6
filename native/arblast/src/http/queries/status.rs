//! What the server says of itself: `GET /`, `GET /status.json` and `GET /health`.

mod contents;
mod history;
mod kept;
mod recent;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::EngineConfig;
use events::json::{Number, Object};
use events::{EventTime, Json};

pub(super) use kept::Kept;
use recent::Recent;

use super::{QueryServer, Refused, Server, blocking, reply};
use crate::failure::Failure;
use crate::http::page;
use crate::identity::VERSION;

/// What other commands of this machine know a server by.
pub struct Identity {
    /// That started it.
    pub command: &'static str,
    /// Of the data that it answers from.
    pub home: String,
    /// Of the process: none other has it.
    pub process: String,
    /// After `/stop` the port is free no later than this.
    pub stop_seconds_max: u64,
}

impl Default for Identity {
    fn default() -> Self {
        Self { command: "deploy", home: String::new(), process: String::new(), stop_seconds_max: 15 }
    }
}

/// Counts of queries since the start, and of late.
#[derive(Default)]
pub(super) struct Statistics {
    answered: AtomicU64,
    failed: AtomicU64,
    last_micros: AtomicU64,
    total_micros: AtomicU64,
    recent: Recent,
}

impl Statistics {
    /// Counts a query.
    pub(super) fn count(&self, started: Instant, ok: bool) {
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.recent.count(ok.then_some(micros));
        if ok {
            self.answered.fetch_add(1, Ordering::Relaxed);
            self.last_micros.store(micros, Ordering::Relaxed);
            self.total_micros.fetch_add(micros, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Queries answered.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Queries refused or failed.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Members as PredictionIO's server names them.
    fn described(&self) -> Object {
        let answered = self.answered.load(Ordering::Relaxed);
        let average = self.total_micros.load(Ordering::Relaxed) / answered.max(1);
        Object::new()
            .with("requestCount", answered)
            .with("failedCount", self.failed.load(Ordering::Relaxed))
            .with("avgServingSec", seconds(average))
            .with("lastServingSec", seconds(self.last_micros.load(Ordering::Relaxed)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn seconds(micros: u64) -> Json {
    Number::real(micros as f64 / 1e6).map_or(Json::Null, Json::Number)
}

impl QueryServer {
    /// What it is and for which engine: enough to be known by, for everybody.
    fn introduced(&self) -> Object {
        let deployed = self.deployed();
        let of = |name: fn(&EngineConfig) -> &str| {
            deployed.as_ref().map_or(Json::Null, |deployed| name(&deployed.config).into())
        };
        let identity = &self.settings.identity;
        Object::new()
            .with("status", "alive")
            .with("server", "arblast query server")
            .with("version", VERSION)
            .with("app", of(|config| &config.app_name))
            .with("variant", of(|config| &config.variant))
            .with("command", identity.command)
            .with("home", identity.home.as_str())
            .with("process", identity.process.as_str())
    }

    fn described(&self) -> Object {
        let model = self.serving().map(|serving| {
            let current = serving.current();
            let counts = current.model.counts();
            Object::new()
                .with("generation", current.number)
                .with("digest", current.info.digest.as_str())
                .with("items", counts.items)
                .with("users", counts.users)
                .with("correlators", counts.correlators)
        });
        let alive = self
            .introduced()
            .with("startTime", EventTime::utc(self.started_ms).to_string())
            .with("model", model.map_or(Json::Null, Json::from));
        alive.into_iter().chain(self.statistics.described()).collect()
    }

    fn report(self: &Arc<Self>) -> Object {
        let (deployed, serving) = (self.deployed(), self.serving());
        let served = serving.as_ref().map(|serving| (serving, serving.served()));
        let model = served.as_ref().map(|(serving, served)| {
            let mut model = report::model(&served.generation).with("changedItems", served.changed_items());
            if let Some(failure) = serving.refused() {
                model.insert("warning", format!("the newest model does not serve: {failure}"));
            }
            model
        });
        let contents =
            served.as_ref().and_then(|(serving, served)| self.contents(serving, &served.generation));
        let engine = deployed.as_ref().map(|deployed| report::engine(&deployed.config));
        let runs = deployed.as_ref().map(|deployed| self.kept.runs(deployed, self.engines.storage()));
        Object::new()
            .with("status", "alive")
            .with("server", report::server(self.started_ms))
            .with("requests", report::requests(&self.statistics, &self.others))
            .with("feedback", report::feedback(self.feedback.counts()))
            .with("engine", engine.map_or(Json::Null, Json::from))
            .with("model", model.map_or(Json::Null, Json::from))
            .with("contents", contents.map_or(Json::Null, |contents| (*contents).clone().into()))
            .with("history", runs.unwrap_or_else(history::none))
    }
}

/// The page for a browser, a few members for anybody else: without the key those that the server is known by.
pub(super) async fn status(State(server): Server, request: Request) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        return page::html();
    }
    if server.may_ask(&request).is_err() {
        return answered(Ok(server.introduced()));
    }
    answered(blocking(move || Ok(server.described())).await)
}

/// All that the page shows.
pub(super) async fn report(State(server): Server, request: Request) -> Result<Response, Refused> {
    server.may_ask(&request)?;
    Ok(answered(blocking(move || Ok(server.report())).await))
}

fn answered(described: Result<Object, Failure>) -> Response {
    let mut response = match described {
        Ok(described) => reply::json(StatusCode::OK, described.to_string()),
        Err(failure) => failure.into_response(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) async fn health(State(server): Server) -> Response {
    let described = blocking(move || {
        let serving = server.serving();
        let generation = serving.as_ref().map_or(Json::Null, |serving| serving.current().number.into());
        let mut healthy = Object::new().with("status", "ok").with("generation", generation);
        if let Some(failure) = serving.and_then(|serving| serving.refused()) {
            healthy.insert("warning", format!("the newest model does not serve: {failure}"));
        }
        Ok(healthy)
    });
    match described.await {
        Ok(healthy) => reply::json(StatusCode::OK, healthy.to_string()),
        Err(failure) => reply::message(StatusCode::SERVICE_UNAVAILABLE, failure.to_string()),
    }
}

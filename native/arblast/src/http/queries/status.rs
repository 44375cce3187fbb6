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
use events::json::{Number, Object};
use events::{EventTime, Json};

pub(super) use kept::Kept;
use recent::Recent;

use super::{QueryServer, Refused, Server, blocking, reply};
use crate::failure::Failure;
use crate::http::page;
use crate::identity::VERSION;

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
        let serving = self.serving();
        let config = serving.config();
        Object::new()
            .with("status", "alive")
            .with("server", "arblast query server")
            .with("version", VERSION)
            .with("app", config.app_name.as_str())
            .with("variant", config.variant.as_str())
    }

    fn described(&self) -> Result<Object, Failure> {
        let current = self.serving().current();
        let counts = current.model.counts();
        let model = Object::new()
            .with("generation", current.number)
            .with("digest", current.info.digest.as_str())
            .with("items", counts.items)
            .with("users", counts.users)
            .with("correlators", counts.correlators);
        let alive = self
            .introduced()
            .with("startTime", EventTime::utc(self.started_ms).to_string())
            .with("model", model);
        Ok(alive.into_iter().chain(self.statistics.described()).collect())
    }

    fn report(self: &Arc<Self>) -> Result<Object, Failure> {
        let serving = self.serving();
        let served = serving.served();
        let current = &served.generation;
        let mut model = report::model(current).with("changedItems", served.changed_items());
        if let Some(failure) = serving.refused() {
            model.insert("warning", format!("the newest model does not serve: {failure}"));
        }
        let contents = self.contents(&serving, current);
        Ok(Object::new()
            .with("status", "alive")
            .with("server", report::server(self.started_ms))
            .with("requests", report::requests(&self.statistics, &self.others))
            .with("feedback", report::feedback(self.feedback.counts()))
            .with("engine", report::engine(serving.config()))
            .with("model", model)
            .with("contents", contents.map_or(Json::Null, |contents| (*contents).clone().into()))
            .with("history", self.kept.runs(&serving)))
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
    answered(blocking(move || server.described()).await)
}

/// All that the page shows.
pub(super) async fn report(State(server): Server, request: Request) -> Result<Response, Refused> {
    server.may_ask(&request)?;
    Ok(answered(blocking(move || server.report()).await))
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

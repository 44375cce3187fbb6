//! What stands before the routes of every server: listening, limits, TLS, CORS, request ids, access lines, counts,
//! `/metrics`, `/ready` and `/health`, and a graceful end. A router needs to know nothing of it.

mod body;
mod connection;
mod cors;
mod gate;
mod head;
mod listen;
mod notify;
mod request_id;
#[cfg(test)]
mod tests;
mod tls;

pub use body::{next_piece, read_body};
pub use listen::listen;
pub use notify::notify;
pub use tls::Tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::get;
use events::json::Object;
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;

use super::reply;
use crate::failure::{Failure, Result};
use crate::observe::metrics::Metrics;
use crate::settings::{Limits, Settings};
use gate::Gate;

/// What our HTTP servers speak.
const HTTP_1: &[u8] = b"http/1.1";

/// Says whether the server can answer; if not, why.
type Ready = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// Everything around a router.
pub struct Front {
    name: &'static str,
    listener: TcpListener,
    settings: Settings,
    metrics: Arc<Metrics>,
    tls: Option<Arc<Tls>>,
    ready: Vec<Ready>,
    streaming: Vec<&'static str>,
    /// Heard before anybody is told that the server is there.
    hangups: Option<Signal>,
}

impl Front {
    /// Serves on `listener`; `name` (`events`, `queries`) stands in metrics and log lines.
    ///
    /// # Errors
    /// A certificate is configured and cannot be used. Needs a runtime.
    pub fn new(
        name: &'static str,
        listener: TcpListener,
        settings: &Settings,
        metrics: &Arc<Metrics>,
    ) -> Result<Self> {
        let tls =
            settings.tls.as_ref().map(|files| Tls::load(files.clone(), HTTP_1).map(Arc::new)).transpose()?;
        Ok(Self {
            name,
            listener,
            settings: settings.clone(),
            metrics: Arc::clone(metrics),
            tls,
            ready: Vec::new(),
            streaming: Vec::new(),
            hangups: listen::hangups()?,
        })
    }

    /// Where clients reach it: `http://127.0.0.1:8000`.
    pub fn url(&self) -> Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let address = self.listener.local_addr();
        let address: SocketAddr =
            address.map_err(|error| Failure::io("the server has no address", &error))?;
        Ok(format!("{scheme}://{address}"))
    }

    /// How long what may take.
    pub fn limits(&self) -> Limits {
        self.settings.limits.clone()
    }

    /// The metrics of the process: a router registers its own there.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// `/ready` says 503 with the failure that `ready` gives, or another one that was given here. It is asked often and
    /// must be quick.
    pub fn ready_when(&mut self, ready: impl Fn() -> Result<()> + Send + Sync + 'static) {
        self.ready.push(Box::new(ready));
    }

    /// Requests to this route, given as in the router, may take any time; each piece of the body is still awaited for
    /// a limited time only.
    pub fn allow_streaming(&mut self, route: &'static str) {
        self.streaming.push(route);
    }
}

/// Answers requests by `router` until `stop` resolves; then finishes those it has, for a limited time.
///
/// `router` must have no routes `/metrics` and `/ready`; it may have a `/health` that says more than ours.
pub async fn serve(front: Front, router: Router, stop: impl Future<Output = ()> + Send) -> Result<()> {
    let Front { name, listener, settings, metrics, tls, ready, streaming, hangups } = front;
    let server = metrics.requests().server(name);
    let gate = Arc::new(Gate::new(server, metrics, &settings, streaming));
    let (measured, asked) = (Arc::clone(&gate), Arc::clone(&gate));
    let key = settings.metrics_key.clone();
    let shown = move |request: Request| {
        let response = show_metrics(&measured, key.as_deref(), &request);
        async { response }
    };
    let told = move || {
        let response = readiness(&asked, &ready);
        async { response }
    };
    let (shown, told) = (Arc::new(shown), Arc::new(told));
    let app = router
        .route("/metrics", get(move |request: Request| shown(request)))
        .route("/ready", get(move || told()))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), gate::pass));
    listen::run(listener, app, gate, settings.limits, tls, hangups, stop).await
}

fn show_metrics(gate: &Gate, key: Option<&str>, request: &Request) -> Response {
    if let Some(key) = key {
        let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
        if !is_same(given, key.as_bytes()) {
            return reply::message(
                StatusCode::UNAUTHORIZED,
                "metrics need the key of the setting metricsKey",
            );
        }
    }
    let mut response = Response::new(gate.metrics().text().into());
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Takes the same time wherever the texts differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

fn readiness(gate: &Gate, ready: &[Ready]) -> Response {
    let ready = if gate.is_stopping() {
        Err(Failure::new(events::Kind::Unavailable, "the server is about to stop"))
    } else {
        ready.iter().try_for_each(|ready| ready())
    };
    match ready {
        Ok(()) => reply::json(StatusCode::OK, Object::new().with("status", "ready").to_string()),
        Err(failure) => reply::message(StatusCode::SERVICE_UNAVAILABLE, failure.to_string()),
    }
}

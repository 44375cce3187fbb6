//! What every request passes, after its route is known and before its handler.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use events::json::Object;

use super::body;
use super::cors::Cors;
use super::request_id::{self, RequestIds};
use crate::http::refused::Refused;
use crate::http::reply;
use crate::observe::metrics::{Metrics, Server};
use crate::settings::Settings;

/// nginx's number for requests that nobody waits for any more.
const CLIENT_WENT_AWAY: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::REQUEST_TIMEOUT,
};
/// A text in another form than JSON is a short one of a library.
const PLAIN_BYTES_MAX: usize = 4096;

/// What the requests of a server share.
pub(super) struct Gate {
    pub server: Arc<Server>,
    metrics: Arc<Metrics>,
    cors: Cors,
    ids: RequestIds,
    request_time_max: Duration,
    body_idle_max: Duration,
    /// Routes without a deadline.
    streaming: Vec<&'static str>,
    is_access_logged: bool,
    stopping: AtomicBool,
}

impl Gate {
    pub fn new(
        server: Arc<Server>,
        metrics: Arc<Metrics>,
        settings: &Settings,
        streaming: Vec<&'static str>,
    ) -> Self {
        Self {
            server,
            metrics,
            cors: Cors::new(settings.cors.clone()),
            ids: RequestIds::new(),
            request_time_max: settings.limits.request_time_max,
            body_idle_max: settings.limits.body_idle_max,
            streaming,
            is_access_logged: settings.log.access,
            stopping: AtomicBool::new(false),
        }
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on `/ready` says no.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// A request in work. Dropped without an answer, it is counted as one that the client gave up.
struct Passage {
    gate: Arc<Gate>,
    started: Instant,
    /// Template; never the path itself, which may hold keys and names.
    route: Option<MatchedPath>,
    method: Method,
    id: HeaderValue,
    status: Option<StatusCode>,
}

impl Passage {
    fn begin(gate: Arc<Gate>, request: &Request) -> Self {
        gate.server.in_flight.fetch_add(1, Ordering::Relaxed);
        let id = gate.ids.choose(request.headers().get(request_id::HEADER));
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self { started: Instant::now(), route, method: request.method().clone(), id, status: None, gate }
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or("other", MatchedPath::as_str)
    }

    fn is_streaming(&self) -> bool {
        self.gate.streaming.contains(&self.route())
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let gate = &self.gate;
        gate.server.in_flight.fetch_sub(1, Ordering::Relaxed);
        let status = self.status.unwrap_or(CLIENT_WENT_AWAY).as_u16();
        let (time, method) = (self.started.elapsed(), self.method.as_str());
        gate.metrics.requests().count(&gate.server, self.route(), method, status, time);
        if gate.is_access_logged {
            tracing::info!(
                target: "access",
                server = gate.server.name(),
                // A client may invent methods of any length.
                method = method.get(..method.len().min(16)).unwrap_or("other"),
                route = self.route(),
                status,
                micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
                request = self.id.to_str().unwrap_or("none"),
            );
        }
    }
}

/// The layer around every route.
pub(super) async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let mut passage = Passage::begin(Arc::clone(&gate), &request);
    let allowed = gate.cors.allowed(&request);
    let mut response = match gate.cors.preflight(&request, allowed.as_ref()) {
        Some(response) => response,
        None => answer(&passage, request, next).await,
    };
    gate.cors.complete(response.headers_mut(), allowed);
    response.headers_mut().insert(request_id::HEADER, passage.id.clone());
    passage.status = Some(response.status());
    response
}

async fn answer(passage: &Passage, mut request: Request, next: Next) -> Response {
    let gate = &passage.gate;
    if passage.route.is_none() && request.uri().path() == "/health" {
        return health(request.method());
    }
    // Handlers that call other servers pass the id on.
    request.headers_mut().insert(request_id::HEADER, passage.id.clone());
    let request = request.map(|body| body::limited(body, gate.body_idle_max));
    let answered = caught(next.run(request));
    let response = if passage.is_streaming() {
        answered.await
    } else {
        match tokio::time::timeout(gate.request_time_max, answered).await {
            Ok(response) => response,
            Err(_) => {
                let seconds = gate.request_time_max.as_secs();
                let text = format!("no answer within {seconds} s (requestSecondsMax); try again");
                Refused::busy(text).into_response()
            }
        }
    };
    as_json(response).await
}

/// Of a server that has no route for it.
fn health(method: &Method) -> Response {
    if [Method::GET, Method::HEAD].contains(method) {
        return reply::json(StatusCode::OK, Object::new().with("status", "ok").to_string());
    }
    let mut refused = reply::message(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
    refused
}

/// A handler that panics costs its request, not the connection.
async fn caught(answered: impl Future<Output = Response>) -> Response {
    let mut answered = pin!(answered);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| answered.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            let text = "the request failed by a defect of the server";
            Poll::Ready(reply::message(StatusCode::INTERNAL_SERVER_ERROR, text))
        })
    })
    .await
}

/// An error that a library wrote as plain text, or without any, as `{"message": …}`.
async fn as_json(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let is_empty = response.body().size_hint().upper() == Some(0);
    if !is_error || !(is_plain || is_empty) {
        return response;
    }
    let (mut parts, text) = response.into_parts();
    let text = to_bytes(text, PLAIN_BYTES_MAX).await.unwrap_or_default();
    let text = match (String::from_utf8_lossy(&text), status) {
        (text, _) if !text.is_empty() => text.into_owned(),
        (_, StatusCode::NOT_FOUND) => "nothing here".to_owned(),
        (_, StatusCode::METHOD_NOT_ALLOWED) => "method not allowed".to_owned(),
        _ => status.canonical_reason().unwrap_or("error").to_lowercase(),
    };
    let text = Object::new().with("message", text).to_string();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(text))
}

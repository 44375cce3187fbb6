//! The event server: events in, by one, by batch and by stream; reads, deletions, and what is known of an entity.

mod about;
mod auth;
mod batch;
pub(super) mod body;
mod directory;
mod entities;
mod find;
pub(super) mod gzip;
mod intake;
mod lines;
mod ndjson;
mod notes;
mod params;
mod refusal;
mod single;
mod stats;
mod stream;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get, post};
use events::EventStore;
use stores::Storage;
use tokio::sync::Semaphore;

use super::{Front, Ingest, reply, serve, termination};
use crate::failure::{Failure, Result};
use crate::settings::EventLimits;
use crate::webhooks::Connectors;
use body::Budget;
use stats::Statistics;

pub use about::About;
pub use auth::{Caller, Right, base64};
pub use intake::Intake;
pub use refusal::Refusal;

/// What the routes take and give, as OpenAPI.
const OPENAPI: &str = include_str!("openapi.json");

/// An event server.
pub struct EventServer {
    store: Arc<dyn EventStore>,
    intake: Intake,
    ingest: Arc<Ingest>,
    budget: Arc<Budget>,
    uploads: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    statistics: Option<Statistics>,
    connectors: Connectors,
    settings: EventLimits,
}

type Server = State<Arc<EventServer>>;

impl EventServer {
    /// Of what is in `storage`; `ingest` makes events durable there.
    pub fn new(
        storage: &Storage,
        ingest: Arc<Ingest>,
        settings: EventLimits,
        connectors: Connectors,
    ) -> Self {
        Self {
            store: Arc::clone(&storage.events),
            intake: Intake::new(storage, Arc::clone(&ingest), settings.lenient_json),
            ingest,
            budget: Arc::new(Budget::new(settings.buffered_bytes_max)),
            uploads: Arc::new(Semaphore::new(settings.uploads_max)),
            reads: Arc::new(Semaphore::new(settings.reads_max)),
            statistics: settings.stats.then(Statistics::new),
            connectors,
            settings,
        }
    }

    /// Answers requests until the process is asked to end, or `ended` resolves. `ready` is called when that would be heard.
    pub async fn run(
        self,
        mut front: Front,
        ended: impl Future<Output = ()> + Send,
        ready: impl FnOnce(),
    ) -> Result<()> {
        let terminated = termination()?;
        let server = Arc::new(self);
        server.equip(&mut front);
        ready();
        let stop = async {
            tokio::select! {
                () = ended => {}
                () = terminated => {}
            }
        };
        serve(front, server.router(), stop).await
    }

    /// Tells the front what it must know of the routes, and the operator what is going on.
    pub fn equip(self: &Arc<Self>, front: &mut Front) {
        front.allow_streaming("/events.ndjson");
        // both may read all events of an app
        front.allow_streaming("/entities/{kind}/{file}");
        front.allow_streaming("/entities/{kind}/{file}/events.json");
        let server = Arc::clone(self);
        front.ready_when(move || {
            server.intake.directory.check().and_then(|()| server.ingest.outage().check())
        });
        self.ingest.equip(front.metrics());
    }

    /// The routes, without what every server has: limits of connections, logs, CORS.
    pub fn router(self: Arc<Self>) -> Router {
        let own = Router::new()
            .route("/", get(alive))
            .route("/plugins.json", get(plugins))
            .route("/plugins/{*path}", get(plugin))
            .route("/openapi.json", get(openapi))
            .with_state(Arc::clone(&self));
        own.merge(self.routes()).method_not_allowed_fallback(method_missing).fallback(any(nothing_here))
    }

    /// The routes that no other server has: they may be joined with those of the query server.
    pub fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/events.json", post(single::post).get(find::find))
            .route("/events/{file}", get(single::get).delete(single::delete))
            .route("/batch/events.json", post(batch::post))
            .route("/events.ndjson", post(ndjson::post))
            .route("/entities/{kind}/{file}", get(entities::properties).delete(entities::delete))
            .route("/entities/{kind}/{file}/events.json", get(entities::export))
            .route("/stats.json", get(stats::get))
            .route("/webhooks/{file}", post(webhooks::post).get(webhooks::get))
            .route("/openapi/events.json", get(openapi))
            .with_state(self)
    }
}

async fn alive() -> Response {
    reply::json(StatusCode::OK, r#"{"status":"alive"}"#.to_owned())
}

async fn plugins() -> Response {
    reply::json(StatusCode::OK, r#"{"plugins":{"inputblockers":{},"inputsniffers":{}}}"#.to_owned())
}

async fn openapi() -> Response {
    reply::json(StatusCode::OK, OPENAPI.to_owned())
}

/// There are none yet; whoever may ask is told so.
async fn plugin(State(server): Server, request: Request) -> std::result::Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    server.intake.caller(&parts).await?;
    Err(Refusal::not_found())
}

async fn method_missing() -> Response {
    reply::message(StatusCode::METHOD_NOT_ALLOWED, "this path does not know that method")
}

async fn nothing_here() -> Response {
    reply::message(StatusCode::NOT_FOUND, "there is nothing here; POST events to /events.json")
}

/// Runs work that waits for the disk or computes for long away from the threads that serve connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, Refusal> + Send + 'static,
) -> std::result::Result<T, Refusal> {
    let failed = || Failure::new(events::Kind::Internal, "a thread of the server ended by a defect");
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(failed().into()))
}

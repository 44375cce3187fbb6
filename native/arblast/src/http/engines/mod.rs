//! Engines as REST, in the form that clients of Harness know: engines, their queries, events, entities and trains.

mod catalogue;
mod describe;
mod events;
mod imports;
mod jobs;
mod mirror;
mod queries;
mod system;

use std::path::PathBuf;
use std::sync::Arc;

use ::engine::EngineConfig;
use ::events::json::Object;
use ::events::{Json, NewApp, Scope};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use stores::Storage;

use super::events::Intake;
use super::queries::{QueryServer, blocking, read};
use super::refused::Refused;
use super::reply;
use crate::deployable::Deployable;
use crate::failure::{Failure, Result};
use crate::jobs::{Background, Imports};
use catalogue::Catalogue;

const ENGINE_BYTES_MAX: usize = 1 << 20;

/// The engines of a home, and the trains that run for them here.
pub struct Engines {
    storage: Storage,
    intake: Intake,
    catalogue: Catalogue,
    trains: Background,
    imports: Imports,
    home: PathBuf,
}

impl Engines {
    /// The engines that `home` keeps; `intake` takes in their events.
    pub fn open(storage: Storage, intake: Intake, home: PathBuf) -> Self {
        let catalogue = Catalogue::open(home.join("engines"));
        Self { storage, intake, catalogue, trains: Background::default(), imports: Imports::default(), home }
    }

    /// Follows changed engine files. Beside the queries.
    pub fn refresh(&self) {
        self.catalogue.refresh();
    }

    /// Where their events and models are.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// What takes in their events.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Stops the trains.
    pub fn end(&self) {
        self.trains.end();
    }
}

/// An engine by its id.
struct Engine {
    is: Arc<Deployable>,
    /// By its own file, or kept?
    is_deployed: bool,
}

impl Engine {
    fn kept(engine: Arc<Deployable>) -> Self {
        Self { is: engine, is_deployed: false }
    }

    fn config(&self) -> &EngineConfig {
        &self.is.config
    }
}

type Server = State<Arc<QueryServer>>;
type Answered = std::result::Result<Response, Refused>;

impl QueryServer {
    fn storage(&self) -> &Storage {
        self.engines().storage()
    }

    fn engine(&self, id: &str) -> std::result::Result<Engine, Refused> {
        if let Some(is) = self.deployed().filter(|deployed| deployed.config.variant == id) {
            return Ok(Engine { is, is_deployed: true });
        }
        let kept = self.engines().catalogue.get(id).map(Engine::kept);
        kept.ok_or_else(|| {
            Refused::new(StatusCode::NOT_FOUND, format!("there is no engine {id}; GET /engines lists all"))
        })
    }
}

/// The sender of a request may control the server.
pub struct Admin;

impl FromRequestParts<Arc<QueryServer>> for Admin {
    type Rejection = Refused;

    async fn from_request_parts(
        parts: &mut Parts,
        server: &Arc<QueryServer>,
    ) -> std::result::Result<Self, Refused> {
        server.may_control(super::peer(&parts.extensions), &parts.uri, &parts.headers).map(|()| Self)
    }
}

/// The routes under `/engines`.
pub fn router() -> Router<Arc<QueryServer>> {
    Router::new()
        .route("/system", get(system::described))
        .route("/system/health", get(system::health))
        .route("/engines", get(list).post(create))
        .route("/engines/", get(list).post(create))
        .route("/engines/{id}", get(show).post(update).put(update).delete(remove))
        .route("/engines/{id}/", get(show).post(update).put(update).delete(remove))
        .route("/engines/{id}/configs", post(update))
        .route("/engines/{id}/imports", post(imports::create))
        .route("/engines/{id}/queries", post(queries::queries))
        .route("/engines/{id}/events", post(events::add).put(events::add))
        .route("/engines/{id}/events/{event}", get(events::show))
        .route("/engines/{id}/entities/{user}", get(events::of_user).delete(events::forget))
        .route("/engines/{id}/jobs", get(jobs::list).post(jobs::create))
        .route("/engines/{id}/jobs/", get(jobs::list).post(jobs::create))
        .route("/engines/{id}/jobs/{job}", get(jobs::show).delete(jobs::cancel))
        .route("/engines/{id}/jobs/{job}/log", get(jobs::log))
}

async fn list(State(server): Server, _: Admin) -> Answered {
    let engines = blocking(move || {
        let deployed = server.deployed();
        let id = deployed.as_ref().map(|deployed| deployed.config.variant.clone());
        let kept = server.engines().catalogue.all();
        let kept = kept.into_iter().filter(|kept| Some(&kept.config.variant) != id.as_ref());
        let deployed = deployed.into_iter().map(|is| Engine { is, is_deployed: true });
        let all = deployed.chain(kept.map(Engine::kept));
        all.map(|engine| describe::in_short(&engine, server.storage()).map(Json::from))
            .collect::<Result<Vec<_>>>()
    });
    Ok(reply::json(StatusCode::OK, Json::Array(engines.await?).to_string()))
}

async fn show(State(server): Server, _: Admin, Path(id): Path<String>) -> Answered {
    let engine = server.engine(&id)?;
    let described = blocking(move || describe::in_full(&engine, server.storage())).await?;
    Ok(reply::json(StatusCode::OK, described.to_string()))
}

async fn create(State(server): Server, _: Admin, body: Body) -> Answered {
    put(server, None, body).await
}

async fn update(State(server): Server, _: Admin, Path(id): Path<String>, body: Body) -> Answered {
    put(server, Some(id), body).await
}

/// Keeps an engine: a new one, or in the place of `expected`.
async fn put(server: Arc<QueryServer>, expected: Option<String>, body: Body) -> Answered {
    let text = text(read(body, ENGINE_BYTES_MAX).await?)?;
    let deployed = server.deployed().map(|deployed| deployed.config.variant.clone());
    let conflict = |message: String| Err(Refused::new(StatusCode::CONFLICT, message));
    if let Some(deployed) = deployed.as_ref().filter(|deployed| expected.as_ref() == Some(deployed)) {
        return conflict(format!(
            "engine {deployed} is deployed with its own file: edit that and POST /reload"
        ));
    }
    let (wanted, keeper) = (expected.clone(), Arc::clone(&server));
    let kept = blocking(move || {
        let prepare = |config: &EngineConfig| provide_app(keeper.storage(), config);
        keeper.engines().catalogue.put(&text, wanted.as_deref(), deployed.as_deref(), prepare)
    });
    let Some(kept) = kept.await? else {
        return match expected {
            Some(id) => Err(Refused::new(
                StatusCode::NOT_FOUND,
                format!("there is no engine {id}; POST it to /engines"),
            )),
            None => conflict("there is an engine of this id; POST to /engines/<id> replaces it".to_owned()),
        };
    };
    let status = if expected.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let (id, app) = (kept.config.variant.as_str(), kept.config.app_name.as_str());
    let mut response = reply::json(status, Object::new().with("engineId", id).with("app", app).to_string());
    if status == StatusCode::CREATED {
        response.headers_mut().insert(header::LOCATION, reply::location(&["engines", id]));
    }
    Ok(response)
}

/// An engine of Harness has its own data; so its app comes with it. One of PredictionIO reads an app that must be there.
fn provide_app(storage: &Storage, config: &EngineConfig) -> Result<()> {
    let name = &config.app_name;
    if storage.registry.app_by_name(name)?.is_some() {
        return Ok(());
    }
    if !config.query_rules_replace {
        return Err(Failure::invalid(format!(
            "datasource.params.appName names app {name}, which does not exist; `arblast app new {name}` creates it"
        )));
    }
    let app = NewApp { id: None, name: name.clone(), description: None };
    let app = storage.registry.create_app(&app)?;
    Ok(storage.events.init(Scope { app: app.id, channel: None })?)
}

async fn remove(State(server): Server, _: Admin, Path(id): Path<String>) -> Answered {
    if server.engine(&id)?.is_deployed {
        let message = format!("engine {id} is deployed with its own file: it ends with the server");
        return Err(Refused::new(StatusCode::CONFLICT, message));
    }
    blocking(move || server.engines().catalogue.remove(&id)).await?;
    Ok(comment(StatusCode::OK, "The engine is removed; its events and models stay."))
}

/// `{"comment": …}`, the answer of Harness.
fn comment(status: StatusCode, text: &str) -> Response {
    reply::json(status, Object::new().with("comment", text).to_string())
}

fn text(bytes: Vec<u8>) -> std::result::Result<String, Refused> {
    String::from_utf8(bytes).map_err(|_| Failure::invalid("the body is not UTF-8").into())
}

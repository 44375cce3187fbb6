//! The admin server of PredictionIO: apps over HTTP, for tools that know it. It asks for no key: who reaches it, may.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get};
use events::json::{self, Object};
use events::{Json, NewApp, Scope};
use stores::Storage;

use super::queries::{Sender, blocking, read};
use super::refused::Refused;
use super::{Front, reply, serve, termination};
use crate::apps;
use crate::failure::{Failure, Result};
use crate::observe::log::AUDIT;

const APP_BYTES_MAX: usize = 1 << 16;

/// An admin server.
pub struct AdminServer {
    storage: Storage,
    home: PathBuf,
}

type Server = State<Arc<AdminServer>>;

impl AdminServer {
    /// Of the apps in `storage`, which is in `home`.
    pub fn new(storage: Storage, home: PathBuf) -> Self {
        Self { storage, home }
    }

    /// Answers requests until the process is asked to end. `ready` is called when that would be heard.
    pub async fn run(self, mut front: Front, ready: impl FnOnce()) -> Result<()> {
        let terminated = termination()?;
        let server = Arc::new(self);
        let asked = Arc::clone(&server);
        front.ready_when(move || Ok(asked.storage.registry.apps().map(|_| ())?));
        ready();
        serve(front, server.router(), terminated).await
    }

    fn router(self: Arc<Self>) -> Router {
        let alive = || async { reply::json(StatusCode::OK, r#"{"status":"alive"}"#.to_owned()) };
        let no_such_method =
            || async { reply::message(StatusCode::METHOD_NOT_ALLOWED, "method not allowed") };
        let nothing_here =
            || async { reply::message(StatusCode::NOT_FOUND, "nothing here; apps are at /cmd/app") };
        Router::new()
            .route("/", get(alive))
            .route("/cmd/app", get(list).post(create))
            .route("/cmd/app/{name}", delete(remove))
            .route("/cmd/app/{name}/data", delete(remove_data))
            .method_not_allowed_fallback(no_such_method)
            .fallback(any(nothing_here))
            .layer(middleware::from_fn(no_foreign_page))
            .with_state(self)
    }
}

/// A page in a browser on this machine must not do what only this machine may.
async fn no_foreign_page(request: Request, next: Next) -> Response {
    let peer = super::peer(request.extensions());
    let sender = Sender { peer, uri: request.uri(), headers: request.headers() };
    if sender.is_foreign_page() {
        return Refused::new(StatusCode::FORBIDDEN, "a page from elsewhere may not do that").into_response();
    }
    next.run(request).await
}

/// `{"status": 1, "message": …}` and more, or `{"status": 0, "message": …}`: both with 200, as tools expect.
async fn answered(work: impl FnOnce() -> Result<Object> + Send + 'static) -> Response {
    let answer = blocking(work).await.unwrap_or_else(|failure| said(0, &failure.to_string()));
    reply::json(StatusCode::OK, answer.to_string())
}

fn said(status: u32, message: &str) -> Object {
    Object::new().with("status", status).with("message", message)
}

async fn list(State(server): Server) -> Response {
    answered(move || {
        let registry = &server.storage.registry;
        let described = registry.apps()?.into_iter().map(|app| {
            let keys = registry.access_keys(Some(app.id))?.into_iter().map(|key| {
                let described = Object::new().with("key", key.key.as_str()).with("appid", key.app);
                Json::from(described.with("events", key.events))
            });
            let described = Object::new().with("id", app.id).with("name", app.name);
            Ok(described.with("keys", Json::Array(keys.collect())).into())
        });
        let apps = Json::Array(described.collect::<Result<_>>()?);
        Ok(said(1, "Successful retrieved app list.").with("apps", apps))
    })
    .await
}

async fn create(State(server): Server, body: Body) -> std::result::Result<Response, Refused> {
    let body = read(body, APP_BYTES_MAX).await?;
    let work = move || {
        let (app, key) = apps::create(&server.storage, &wanted(&body)?, None)?;
        let created = said(1, "App created successfully.").with("id", app.id).with("name", app.name);
        Ok(created.with("key", key))
    };
    Ok(answered(work).await)
}

/// `{"id"?, "name", "description"?}`
fn wanted(body: &[u8]) -> Result<NewApp> {
    let json = json::parse(body).map_err(|error| Failure::invalid(format!("the app is no JSON: {error}")))?;
    let text = |name: &str| match json.get(name).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => {
            let text = value.as_str().map(|text| Some(text.to_owned()));
            text.ok_or_else(|| Failure::invalid(format!("{name} must be a string, got {}", value.excerpt())))
        }
    };
    let id = match json.get("id").filter(|id| !id.is_null()) {
        None => None,
        Some(id) => {
            let number = id.as_i64().and_then(|id| u32::try_from(id).ok());
            // PredictionIO takes 0 for the next free one.
            let wrong = || Failure::invalid(format!("id must be a whole number, got {}", id.excerpt()));
            Some(number.ok_or_else(wrong)?).filter(|id| *id != 0)
        }
    };
    let name = text("name")?.ok_or_else(|| Failure::invalid(r#"name is missing: send {"name": "myapp"}"#))?;
    Ok(NewApp { id, name, description: text("description")? })
}

async fn remove(State(server): Server, Path(name): Path<String>) -> Response {
    answered(move || {
        let app = apps::find(&server.storage, &name)?;
        apps::delete(&server.storage, &server.home, &app)?;
        tracing::info!(target: AUDIT, "deleted app {} {name:?} with its events, channels and keys", app.id);
        Ok(said(1, "App successfully deleted"))
    })
    .await
}

/// Of the default channel, as `arblast app data-delete`.
async fn remove_data(State(server): Server, Path(name): Path<String>) -> Response {
    answered(move || {
        let app = apps::find(&server.storage, &name)?;
        apps::empty(&server.storage, &server.home, Scope { app: app.id, channel: None })?;
        tracing::info!(target: AUDIT, "deleted the events of app {} {name:?}, channel default", app.id);
        Ok(said(1, "App data successfully deleted"))
    })
    .await
}

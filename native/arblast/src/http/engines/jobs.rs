//! Trains of an engine: begin one in the background, watch it, cancel it.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use events::json::Object;
use events::{EngineInstance, InstanceStatus, Json, json};

use super::{Admin, Answered, Engine, Server};
use crate::failure::{Failure, Result};
use crate::http::queries::{QueryServer, blocking, read};
use crate::http::refused::Refused;
use crate::http::reply;
use crate::jobs::{self, Order};
use crate::models;

const ORDER_BYTES_MAX: usize = 1 << 16;

pub(super) async fn create(State(server): Server, _: Admin, Path(id): Path<String>, body: Body) -> Answered {
    let body = read(body, ORDER_BYTES_MAX).await?;
    let engine = server.engine(&id)?;
    let order = order(&engine, &body)?;
    let begun = blocking(move || server.engines().trains.start(server.storage(), order)).await?;
    let Some(run) = begun else {
        let message = format!("engine {id} is being trained; GET /engines/{id}/jobs shows it");
        return Err(Refused::new(StatusCode::CONFLICT, message));
    };
    let mut response = reply::json(StatusCode::ACCEPTED, jobs::job(&run).to_string());
    let location = reply::location(&["engines", &id, "jobs", &run.id]);
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response.into_response())
}

/// What a body `{"threads", "batch", "force"}` asks for; all members may be absent.
fn order(engine: &Engine, body: &[u8]) -> Result<Order> {
    let wrong = |what: &str| Failure::invalid(format!("the order of a train: {what}"));
    let json = if body.trim_ascii().is_empty() {
        Json::Object(Object::new())
    } else {
        json::parse(body).map_err(|error| wrong(&format!("is not JSON: {error}")))?
    };
    let object = json.as_object().ok_or_else(|| wrong("must be an object"))?;
    // Queries go on meanwhile: one processor is left to them.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut order = Order {
        config: engine.config().clone(),
        config_text: engine.is.text.clone(),
        batch: String::new(),
        threads: processors.saturating_sub(1).max(1),
        force: false,
        road: None,
    };
    for (name, value) in object.iter() {
        match name {
            "threads" => {
                let threads = value.as_i64().and_then(|threads| usize::try_from(threads).ok());
                let threads = threads.filter(|threads| (1..=1024).contains(threads));
                order.threads = threads.ok_or_else(|| wrong("threads must be a number from 1 to 1024"))?;
            }
            "batch" => {
                let label = value.as_str().filter(|label| label.len() <= 1000);
                order.batch = label.ok_or_else(|| wrong("batch must be a short text"))?.to_owned();
            }
            "force" => order.force = value.as_bool().ok_or_else(|| wrong("force must be true or false"))?,
            other => return Err(wrong(&format!("has no member {other}; it has threads, batch, force"))),
        }
    }
    Ok(order)
}

pub(super) async fn list(State(server): Server, _: Admin, Path(id): Path<String>) -> Answered {
    let imports = server.engines().imports.of(&id);
    let runs = runs(server, &id).await?;
    let mut jobs: Vec<_> = imports.into_iter().chain(runs.iter().map(jobs::job)).collect();
    let began = |job: &Object| job.get("startTime").map(ToString::to_string);
    jobs.sort_by_key(|job| Reverse(began(job)));
    let jobs = jobs.into_iter().map(Json::from).collect();
    Ok(reply::json(StatusCode::OK, Json::Array(jobs).to_string()))
}

pub(super) async fn show(
    State(server): Server,
    _: Admin,
    Path((id, job)): Path<(String, String)>,
) -> Answered {
    if let Some(import) = import(&server, &id, &job) {
        return Ok(reply::json(StatusCode::OK, import.to_string()));
    }
    let run = find(server, &id, &job).await?;
    Ok(reply::json(StatusCode::OK, jobs::job(&run).to_string()))
}

/// What a train wrote so far, as text.
pub(super) async fn log(
    State(server): Server,
    _: Admin,
    Path((id, job)): Path<(String, String)>,
) -> Answered {
    let run = find(Arc::clone(&server), &id, &job).await?;
    let written =
        blocking(move || jobs::log_of(&models::of(server.storage(), &run.app, &run.variant), &run.id));
    let text = written.await?.ok_or_else(|| {
        Refused::new(
            StatusCode::NOT_FOUND,
            format!("job {job} has no log: those of the newest trains are kept"),
        )
    })?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// An import that runs or ran in this process.
fn import(server: &QueryServer, id: &str, job: &str) -> Option<Object> {
    let mut imports = server.engines().imports.of(id).into_iter();
    imports.find(|import| import.get("jobId").and_then(Json::as_str) == Some(job))
}

/// Asks a train to end; it does so at its next step.
pub(super) async fn cancel(
    State(server): Server,
    _: Admin,
    Path((id, job)): Path<(String, String)>,
) -> Answered {
    if import(&server, &id, &job).is_some() {
        let message = format!("job {job} is an import: it goes on to its end");
        return Err(Refused::new(StatusCode::CONFLICT, message));
    }
    let run = find(Arc::clone(&server), &id, &job).await?;
    if run.status != InstanceStatus::Init {
        return Err(Refused::new(StatusCode::CONFLICT, format!("job {job} has ended")));
    }
    let asked = run.clone();
    let stop = move || jobs::ask_to_stop(&models::of(server.storage(), &asked.app, &asked.variant), &asked);
    if !blocking(stop).await? {
        let message = format!("job {job} runs on another machine; cancel it there");
        return Err(Refused::new(StatusCode::CONFLICT, message));
    }
    Ok(reply::json(StatusCode::ACCEPTED, jobs::job(&run).to_string()))
}

async fn runs(server: Arc<QueryServer>, id: &str) -> std::result::Result<Vec<EngineInstance>, Refused> {
    let engine = server.engine(id)?;
    Ok(blocking(move || engine.is.runs(server.storage())).await?)
}

async fn find(server: Arc<QueryServer>, id: &str, job: &str) -> std::result::Result<EngineInstance, Refused> {
    let found = runs(server, id).await?.into_iter().find(|run| run.id == job);
    found.ok_or_else(|| {
        Refused::new(
            StatusCode::NOT_FOUND,
            format!("engine {id} has no job {job}; GET /engines/{id}/jobs lists all"),
        )
    })
}

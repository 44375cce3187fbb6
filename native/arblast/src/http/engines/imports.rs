//! `POST /engines/<id>/imports?import_path=…`: events from files of the server's machine, as a job.

use std::path::Path as FilePath;

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use events::Scope;

use super::{Admin, Answered, Server};
use crate::failure::{Failure, Result};
use crate::http::queries::{blocking, parameter};
use crate::http::refused::Refused;
use crate::http::reply;
use crate::import::{Source, sources};
use crate::jobs::{ImportOrder, app_of};

pub(super) async fn create(State(server): Server, _: Admin, Path(id): Path<String>, uri: Uri) -> Answered {
    let engine = server.engine(&id)?;
    let path = parameter(&uri, "import_path").unwrap_or_default();
    let begun = blocking(move || {
        let engines = server.engines();
        let app = app_of(server.storage(), engine.config())?;
        let order = ImportOrder {
            engine: engine.config().variant.clone(),
            app: app.name,
            scope: Scope { app: app.id, channel: None },
            declared: app.declared,
            sources: found(&path)?,
            path,
            home: engines.home.clone(),
        };
        engines.imports.start(server.storage(), order)
    });
    let Some(job) = begun.await? else {
        let message = "an import is running here; GET /engines/<id>/jobs shows it, try again after its end";
        return Err(Refused::new(StatusCode::CONFLICT, message));
    };
    let mut response = reply::json(StatusCode::ACCEPTED, job.to_string());
    let job = job.get("jobId").and_then(|id| id.as_str()).unwrap_or_default();
    response.headers_mut().insert(header::LOCATION, reply::location(&["engines", &id, "jobs", job]));
    Ok(response)
}

/// The files of a path; where the server was started must not matter.
fn found(path: &str) -> Result<Vec<Source>> {
    let wrong = |what: &str| {
        Failure::invalid(format!(
            "import_path {what}; give the absolute path of a file or directory of the server's machine, \
             ?import_path=/data/events.jsonl"
        ))
    };
    let file = FilePath::new(path);
    if path.is_empty() {
        return Err(wrong("is missing"));
    }
    if !file.is_absolute() {
        return Err(wrong("is not absolute"));
    }
    if !file.exists() {
        return Err(wrong("is not there"));
    }
    sources("import_path", path).map_err(|_| wrong("has no files that can be read"))
}

//! `GET /system` and `GET /system/health`, in the form of Harness: one program where Harness needs several servers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use events::json::Object;

use super::{Admin, Answered, Server};
use crate::http::queries::blocking;
use crate::http::reply;
use crate::identity::{BUILD, VERSION};

/// What runs here.
pub(super) async fn described(State(server): Server, _: Admin) -> Response {
    let kept = server.engines().catalogue.all().len();
    let described = Object::new()
        .with("system", "arblast")
        .with("version", VERSION)
        .with("build", BUILD)
        .with("engines", kept + usize::from(server.deployed().is_some()));
    reply::json(StatusCode::OK, described.to_string())
}

/// Can the store be read? 503 with the reason if not.
pub(super) async fn health(State(server): Server) -> Answered {
    blocking(move || Ok(server.storage().registry.apps()?)).await?;
    Ok(reply::json(StatusCode::OK, Object::new().with("status", "green").with("store", "green").to_string()))
}

//! `POST /engines/<id>/queries`: a query in the form of Harness, `{"result": […]}`.

use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;

use super::{Answered, Server};
use crate::http::queries::admitted;

/// What an answer of the Universal Recommender begins with.
const ITEM_SCORES: &str = "{\"itemScores\":";

pub(super) async fn queries(State(server): Server, Path(id): Path<String>, request: Request) -> Answered {
    let text = admitted(&server, request, server.settings().query_bytes_max).await?;
    let engine = server.engine(&id)?;
    let by = server.by(&engine.is).await;
    let mut answer = server.answer_text(&engine.is, by, &text).await?;
    if let Some(rest) = answer.json.strip_prefix(ITEM_SCORES) {
        answer.json = format!("{{\"result\":{rest}");
    }
    Ok(answer.into_response())
}

//! `POST /engines/<id>/queries`: a query in the form of Harness, `{"result": […]}`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;

use super::{Answered, Server, untrained_is_unavailable};
use crate::http::queries::{QueryServer, admitted, blocking, parsed};

/// What an answer of the Universal Recommender begins with.
const ITEM_SCORES: &str = "{\"itemScores\":";

pub(super) async fn queries(State(server): Server, Path(id): Path<String>, request: Request) -> Answered {
    let text = admitted(&server, request, server.settings().query_bytes_max).await?;
    let started = Instant::now();
    let answered = answer(&server, &id, &text).await;
    server.count(&id, started, answered.is_ok());
    answered
}

async fn answer(server: &Arc<QueryServer>, id: &str, text: &[u8]) -> Answered {
    let query = parsed(text)?;
    let engine = server.engine(id)?;
    let serving = match engine.opened() {
        Some(serving) => serving,
        None => {
            let opening = Arc::clone(server);
            let opened = blocking(move || engine.serving(opening.storage())).await;
            opened.map_err(untrained_is_unavailable)?
        }
    };
    let served = serving.served();
    let mut answer = server.answer((serving, served), query).await?;
    if let Some(rest) = answer.json.strip_prefix(ITEM_SCORES) {
        answer.json = format!("{{\"result\":{rest}");
    }
    Ok(answer.into_response())
}

//! `POST /batch/queries.json`: an array of queries, answered in order, all by one generation.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use events::json;
use tokio::task::JoinSet;

use super::{QueryServer, Refused, Server, admitted, reply};

pub(super) async fn queries(State(server): Server, request: Request) -> Response {
    let limit = server.settings.batch_bytes_max;
    let queries = match admitted(&server, request, limit).await {
        Ok(text) => separate(&text, server.settings.batch_queries_max),
        Err(refused) => Err(refused),
    };
    match queries {
        Ok(queries) => answers(&server, queries).await,
        Err(refused) => refused.into_response(),
    }
}

/// The queries of an array, each as its text.
fn separate(text: &[u8], queries_max: usize) -> Result<Vec<String>, Refused> {
    let wrong = |what: String| Refused::new(StatusCode::BAD_REQUEST, what);
    let json = json::parse(text).map_err(|error| wrong(format!("the batch is not JSON: {error}")))?;
    let queries = json
        .as_array()
        .ok_or_else(|| wrong(format!("a batch is an array of queries, got {}", json.excerpt())))?;
    if queries.len() > queries_max {
        let number = queries.len();
        return Err(wrong(format!("a batch has at most {queries_max} queries, got {number}")));
    }
    Ok(queries.iter().map(ToString::to_string).collect())
}

async fn answers(server: &Arc<QueryServer>, queries: Vec<String>) -> Response {
    let serving = server.serving();
    let served = serving.served();
    let mut answered: Vec<String> = vec![String::new(); queries.len()];
    let mut degraded = false;
    let mut asked = JoinSet::new();
    for (place, query) in queries.into_iter().enumerate() {
        let server = Arc::clone(server);
        let by = (Arc::clone(&serving), Arc::clone(&served));
        asked.spawn(async move { (place, server.answer_text(by, query.as_bytes()).await) });
    }
    while let Some(done) = asked.join_next().await {
        let Ok((place, outcome)) = done else { continue };
        let text = match outcome {
            Ok(answer) => {
                degraded |= answer.degraded;
                answer.json
            }
            Err(refused) => refused.described().to_string(),
        };
        if let Some(slot) = answered.get_mut(place) {
            *slot = text;
        }
    }
    let mut response = reply::json(StatusCode::OK, format!("[{}]", answered.join(",")));
    response.headers_mut().insert("x-arblast-generation", HeaderValue::from(served.generation.number));
    if degraded {
        response.headers_mut().insert("x-arblast-degraded", HeaderValue::from_static("history"));
    }
    response
}

//! `POST /batch/queries.json`: an array of queries, answered in order, all by one generation.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use events::json;
use tokio::task::JoinSet;

use super::{Answer, DEFECT, QueryServer, Refused, Server, admitted, reply};

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
fn separate(text: &[u8], queries_max: usize) -> Result<Vec<Vec<u8>>, Refused> {
    let wrong = |what: String| Refused::new(StatusCode::BAD_REQUEST, what);
    let queries = json::elements(text).map_err(|error| wrong(format!("the batch is not JSON: {error}")))?;
    let queries =
        queries.map_err(|other| wrong(format!("a batch is an array of queries, got {}", other.excerpt())))?;
    if queries.len() > queries_max {
        let number = queries.len();
        return Err(wrong(format!("a batch has at most {queries_max} queries, got {number}")));
    }
    Ok(queries.into_iter().map(<[u8]>::to_vec).collect())
}

/// A place in the batch, and what became of its query.
type Outcome = (usize, Result<Answer, Refused>);

/// The texts of `number` answers by their places, and whether one is degraded. A task that ends by a defect leaves the
/// refusal that stands in its place from the beginning.
async fn in_order(mut asked: JoinSet<Outcome>, number: usize) -> (Vec<String>, bool) {
    let defect = Refused::new(StatusCode::INTERNAL_SERVER_ERROR, DEFECT).described().to_string();
    let (mut answered, mut degraded) = (vec![defect; number], false);
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
    (answered, degraded)
}

async fn answers(server: &Arc<QueryServer>, queries: Vec<Vec<u8>>) -> Response {
    let by = async {
        let engine = server.its_engine()?;
        let by = server.by(&engine).await?;
        Ok::<_, Refused>((engine, by))
    };
    let (engine, (serving, served)) = match by.await {
        Ok(found) => found,
        Err(refused) => return refused.into_response(),
    };
    let number = queries.len();
    let mut asked = JoinSet::new();
    for (place, query) in queries.into_iter().enumerate() {
        let server = Arc::clone(server);
        let (engine, by) = (Arc::clone(&engine), (Arc::clone(&serving), Arc::clone(&served)));
        asked.spawn(async move { (place, server.answer_text(&engine, Ok(by), &query).await) });
    }
    let (answered, degraded) = in_order(asked, number).await;
    let mut response = reply::json(StatusCode::OK, format!("[{}]", answered.join(",")));
    response.headers_mut().insert("x-arblast-generation", HeaderValue::from(served.generation.number));
    if degraded {
        response.headers_mut().insert("x-arblast-degraded", HeaderValue::from_static("history"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_query_that_ends_by_a_defect_has_its_place() {
        let mut asked = JoinSet::<Outcome>::new();
        asked.spawn(async { (2, Err(Refused::busy("later"))) });
        asked.spawn(async { panic!("a defect") });
        asked.spawn(async { (0, Err(Refused::busy("later"))) });
        let (answered, degraded) = in_order(asked, 3).await;
        let statuses = answered.iter().map(|text| {
            let json = json::parse(text.as_bytes()).unwrap();
            json.get("status").and_then(events::Json::as_i64)
        });
        assert_eq!(statuses.collect::<Vec<_>>(), [Some(503), Some(500), Some(503)]);
        assert!(!degraded);
    }
}

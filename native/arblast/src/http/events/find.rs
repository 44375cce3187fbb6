//! `GET /events.json`: events that match a filter.

use axum::extract::{Request, State};
use axum::response::Response;
use events::{EventFilter, EventTime};

use super::Server;
use super::auth::Right;
use super::params::{Params, wrong};
use super::refusal::Refusal;
use super::stream::IfNone;

const LIMIT: usize = 20;

/// `GET /events.json`
pub async fn find(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Read, &parts).await?;
    let filter = filter(Params::of(&parts.uri))?;
    server.stream(caller.scope, filter, IfNone::NotFound).await
}

fn filter(params: Params<'_>) -> Result<EventFilter, Refusal> {
    let events = params.all("event")?;
    let filter = EventFilter {
        start: time(params, "startTime")?,
        until: time(params, "untilTime")?,
        entity_type: params.text("entityType")?,
        entity_id: params.text("entityId")?,
        events: (!events.is_empty()).then_some(events),
        target_type: params.text("targetEntityType")?.map(Some),
        target_id: params.text("targetEntityId")?.map(Some),
        limit: limit(params)?,
        reversed: params.flag("reversed")?,
    };
    if filter.reversed && (filter.entity_type.is_none() || filter.entity_id.is_none()) {
        return Err(Refusal::invalid(
            "the parameter reversed can only be used with both entityType and entityId specified.",
        ));
    }
    Ok(filter)
}

fn time(params: Params<'_>, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = params.text(name)? else { return Ok(None) };
    let parsed = EventTime::parse_query(&text).map(|time| Some(time.millis));
    parsed.ok_or_else(|| wrong(name, &text, "an ISO 8601 time with a zone, such as 2014-09-09T16:17:42.937Z"))
}

/// Negative = all.
fn limit(params: Params<'_>) -> Result<Option<usize>, Refusal> {
    let Some(text) = params.text("limit")? else { return Ok(Some(LIMIT)) };
    let number: i64 = text.parse().map_err(|_| wrong("limit", &text, "a whole number; -1 = all"))?;
    Ok(usize::try_from(number).ok())
}

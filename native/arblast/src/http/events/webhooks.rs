//! `/webhooks/<name>.json` and `.form`: what other services send, as events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use events::json::Object;
use events::{Event, EventTime, Json};

use super::auth::{Caller, Right};
use super::refusal::Refusal;
use super::stats::Label;
use super::{EventServer, Server, blocking, body, params};
use crate::clock;
use crate::http::reply;
use crate::webhooks::{Connector, Form};

const URLENCODED: &[&str] = &["application/x-www-form-urlencoded"];

/// `POST`: all events of the payload, or none.
pub async fn post(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = server.caller_with(Right::Write, &parts).await?;
    let mut labels = Vec::new();
    let answer = store(&server, &caller, &parts, body, &mut labels).await;
    if let Some(statistics) = &server.statistics {
        let (app, now) = (caller.scope.app, clock::now_ms());
        match &answer {
            Ok(_) => labels.into_iter().for_each(|label| statistics.count(app, now, 201, Some(label))),
            Err(refusal) => statistics.count(app, now, refusal.status.as_u16(), None),
        }
    }
    Ok(created(answer?))
}

/// `GET`: is there such a connector?
pub async fn get(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    server.intake.caller(&parts).await?;
    connector(&server, &parts)?;
    Ok(reply::message(StatusCode::OK, "Ok"))
}

/// One event is answered as everywhere, several by all their ids; a mapping may also find nothing worth an event.
fn created(ids: Vec<String>) -> Response {
    match ids.as_slice() {
        [] => reply::message(StatusCode::OK, "the mapping makes no event of this"),
        [id] => reply::json(StatusCode::CREATED, Object::new().with("eventId", id.as_str()).to_string()),
        _ => reply::json(StatusCode::CREATED, Object::new().with("eventIds", ids).to_string()),
    }
}

async fn store(
    server: &Arc<EventServer>,
    caller: &Caller,
    parts: &Parts,
    body: Body,
    labels: &mut Vec<Label>,
) -> Result<Vec<String>, Refusal> {
    let form = connector(server, parts)?.form();
    body::check_type(&parts.headers, if form == Form::Json { body::JSON } else { URLENCODED })?;
    let received =
        body::receive(&server.budget, &parts.headers, body, server.settings.event_bytes_max).await?;
    let (shared, path) = (Arc::clone(server), parts.uri.clone());
    let converted = blocking(move || {
        let plain = received.plain()?;
        Ok(named(&shared, path.path())?.events_observed(&plain.bytes)?)
    });
    let now = EventTime::utc(clock::now_ms());
    let mut events = Vec::new();
    for object in server.intake.tolerated(caller, Ok(converted.await?))? {
        events.push(server.intake.admit(caller, Event::from_json(&Json::Object(object), now))?);
    }
    if server.statistics.is_some() {
        labels.extend(events.iter().map(Label::of));
    }
    if events.is_empty() { Ok(Vec::new()) } else { server.intake.store(caller, events).await }
}

fn connector<'s>(server: &'s EventServer, parts: &Parts) -> Result<&'s Connector, Refusal> {
    named(server, parts.uri.path())
}

/// The connector that a path names.
fn named<'s>(server: &'s EventServer, path: &str) -> Result<&'s Connector, Refusal> {
    let file = path.strip_prefix("/webhooks/").and_then(params::segment).ok_or_else(Refusal::not_found)?;
    let (name, ending) = file.rsplit_once('.').ok_or_else(Refusal::not_found)?;
    let form = Form::of_ending(ending).ok_or_else(Refusal::not_found)?;
    Ok(server.connectors.get(name, form)?)
}

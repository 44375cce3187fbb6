//! `/events.json` and `/events/<id>.json`: one event.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use events::{Event, EventTime};

use super::auth::{Caller, Right};
use super::refusal::Refusal;
use super::stats::Label;
use super::{EventServer, Server, blocking, body, params};
use crate::clock;
use crate::http::reply;

/// `POST /events.json`
pub async fn post(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = server.caller_with(Right::Write, &parts).await?;
    let mut label = None;
    let answer = store(&server, &caller, &parts, body, &mut label).await;
    created(&server, &caller, answer, label)
}

/// 201 with the id, or the refusal; counted either way.
pub fn created(
    server: &EventServer,
    caller: &Caller,
    answer: Result<String, Refusal>,
    label: Option<Label>,
) -> Result<Response, Refusal> {
    if let Some(statistics) = &server.statistics {
        let status = answer.as_ref().map_or_else(|refusal| refusal.status, |_| StatusCode::CREATED);
        let stored = label.filter(|_| answer.is_ok());
        statistics.count(caller.scope.app, clock::now_ms(), status.as_u16(), stored);
    }
    let id = answer?;
    let mut text = String::with_capacity(id.len() + 16);
    text.push_str("{\"eventId\":");
    events::json::write_string(&id, &mut text);
    text.push('}');
    Ok(reply::json(StatusCode::CREATED, text))
}

async fn store(
    server: &EventServer,
    caller: &Caller,
    parts: &Parts,
    body: Body,
    label: &mut Option<Label>,
) -> Result<String, Refusal> {
    body::check_type(&parts.headers, body::JSON)?;
    let received =
        body::receive(&server.budget, &parts.headers, body, server.settings.event_bytes_max).await?;
    let now = EventTime::utc(clock::now_ms());
    let is_large = received.is_large();
    let parse = move || {
        let plain = received.plain()?;
        Ok((Event::parse_observed(&plain.bytes, now), plain))
    };
    let (parsed, _plain) = if is_large { blocking(parse).await? } else { parse()? };
    store_one(server, caller, server.intake.tolerated(caller, parsed), label).await
}

/// Stores one event, if this caller may, and gives its id; `label` says what was stored.
pub async fn store_one(
    server: &EventServer,
    caller: &Caller,
    event: events::Result<Event>,
    label: &mut Option<Label>,
) -> Result<String, Refusal> {
    let event = server.intake.admit(caller, event)?;
    *label = server.statistics.is_some().then(|| Label::of(&event));
    let ids = server.intake.store(caller, vec![event]).await?;
    Ok(ids.into_iter().next().unwrap_or_default())
}

/// `GET /events/<id>.json`
pub async fn get(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Read, &parts).await?;
    let id = event_id(&parts)?;
    let store = Arc::clone(&server.store);
    let event = server.reading(move || Ok(store.get(caller.scope, &id)?)).await?;
    let mut text = String::new();
    event.ok_or_else(Refusal::not_found)?.write_json(&mut text);
    Ok(reply::json(StatusCode::OK, text))
}

/// `DELETE /events/<id>.json`
pub async fn delete(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Delete, &parts).await?;
    let id = event_id(&parts)?;
    let own = Arc::clone(&server);
    let found = server.reading(move || own.intake.outcome(own.store.delete(caller.scope, &id))).await?;
    if found { Ok(reply::message(StatusCode::OK, "Found")) } else { Err(Refusal::not_found()) }
}

fn event_id(parts: &Parts) -> Result<String, Refusal> {
    let raw = parts.uri.path().strip_prefix("/events/").and_then(|file| file.strip_suffix(".json"));
    raw.and_then(params::segment).ok_or_else(Refusal::not_found)
}

impl EventServer {
    /// Work on the store that a request waits for. 429 if too many do.
    pub async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let permit = self.read_permit()?;
        blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }

    /// The permission to keep a thread busy with a read.
    pub fn read_permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.reads).try_acquire_owned();
        permit.map_err(|_| Refusal::saturated("too many reads at the same time"))
    }
}

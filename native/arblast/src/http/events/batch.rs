//! `POST /batch/events.json`: some events with a status each.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use events::json::write_string;
use events::{BatchElement, Event, EventTime};

use super::auth::{Caller, Right};
use super::refusal::Refusal;
use super::stats::Label;
use super::{EventServer, Server, blocking, body};
use crate::clock;
use crate::http::reply;

/// `POST /batch/events.json`
pub async fn post(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = server.caller_with(Right::Write, &parts).await?;
    let answer = answer(&server, &caller, &parts, body).await;
    if let (Some(statistics), Err(refusal)) = (&server.statistics, &answer) {
        statistics.count(caller.scope.app, clock::now_ms(), refusal.status.as_u16(), None);
    }
    Ok(reply::json(StatusCode::OK, answer?))
}

/// The statuses, in the order of the events. What is valid is stored, all or nothing, whatever becomes of the others.
async fn answer(server: &EventServer, caller: &Caller, parts: &Parts, body: Body) -> Result<String, Refusal> {
    let (parsed, _plain) = parsed(server, parts, body).await?;
    let parsed = server.intake.tolerated(caller, parsed)?;
    let mut events = Vec::with_capacity(parsed.len());
    let mut labels = Vec::new();
    let mut refusals = Vec::new();
    for element in parsed {
        match admitted(server, caller, element) {
            Ok(event) => {
                labels.extend(server.statistics.as_ref().map(|_| Label::of(&event)));
                events.push(event);
                refusals.push(None);
            }
            Err(refusal) => refusals.push(Some(refusal)),
        }
    }
    let ids = if events.is_empty() { Vec::new() } else { server.intake.store(caller, events).await? };
    count(server, caller, labels, &refusals);
    Ok(statuses(ids, refusals))
}

/// The event of an element, as if it had come alone.
fn admitted(server: &EventServer, caller: &Caller, element: BatchElement) -> Result<Event, Refusal> {
    let bytes_max = server.settings.event_bytes_max;
    if element.bytes > bytes_max {
        return Err(Refusal::too_large("the event", bytes_max));
    }
    server.intake.admit(caller, element.event)
}

/// The elements, with the body, whose memory counts until the events are stored.
async fn parsed(
    server: &EventServer,
    parts: &Parts,
    body: Body,
) -> Result<(events::Result<events::ParsedBatch>, body::Plain), Refusal> {
    body::check_type(&parts.headers, body::JSON)?;
    let settings = server.settings;
    let received = body::receive(&server.budget, &parts.headers, body, settings.batch_bytes_max).await?;
    let now = EventTime::utc(clock::now_ms());
    let is_large = received.is_large();
    let parse = move || {
        let plain = received.plain()?;
        Ok((Event::parse_batch(&plain.bytes, now, settings.batch_events_max), plain))
    };
    if is_large { blocking(parse).await } else { parse() }
}

fn count(server: &EventServer, caller: &Caller, labels: Vec<Label>, refusals: &[Option<Refusal>]) {
    let Some(statistics) = &server.statistics else { return };
    let (app, now) = (caller.scope.app, clock::now_ms());
    for label in labels {
        statistics.count(app, now, 201, Some(label));
    }
    for refusal in refusals.iter().flatten() {
        statistics.count(app, now, refusal.status.as_u16(), None);
    }
}

fn statuses(ids: Vec<String>, refusals: Vec<Option<Refusal>>) -> String {
    let mut ids = ids.into_iter();
    let mut out = String::from("[");
    for (index, refusal) in refusals.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let (status, name, text) = match refusal {
            None => (201, "eventId", ids.next().unwrap_or_default()),
            Some(refusal) => (refusal.status.as_u16(), "message", refusal.message),
        };
        out.push_str(&format!("{{\"status\":{status},\"{name}\":"));
        write_string(&text, &mut out);
        out.push('}');
    }
    out.push(']');
    out
}
